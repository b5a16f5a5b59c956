"""Where in a marketplace's folder everything is: paths below the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

MEMBER_KEY: Final = Path("keys/member.jwk")
NEXT_MEMBER_KEY: Final = Path("keys/member-next.jwk")
"""Takes the place of the member's key when the ledger has registered it."""
AGREEMENT_KEY: Final = Path("keys/agreement.jwk")
"""With which events are sealed for this marketplace."""
NEXT_AGREEMENT_KEY: Final = Path("keys/agreement-next.jwk")
FORMER_AGREEMENT_KEY: Final = Path("keys/agreement-former.jwk")
"""Opens what was sealed before the others knew the present one."""
MEMBER_SECRET: Final = Path("keys/secret.jwk")
"""From which keys are derived; made with the folder, and never replaced."""
NEXT_NODE_KEY: Final = Path("keys/node-next.json")
NEXT_VALIDATOR_KEY: Final = Path("keys/validator-next.json")
"""Take the places of the engine's keys when the ledger has registered them."""
TOKEN_KEY: Final = Path("keys/token.jwk")
PROVIDER_KEYS: Final = Path("keys/provider.json")
"""With which the OpenID Provider signs."""
CLIENTS: Final = Path("clients.json")
"""Of the OpenID Provider."""
CARD: Final = Path("member.json")
GENESIS: Final = Path("genesis.json")
TOKEN: Final = Path("token")
ROTATION: Final = Path("keys/rotation.json")
"""A rotation of the tokens' key that has been decided, until it is carried out."""
STORE: Final = Path("store.db")
SEARCH_INDEX: Final = Path("search.db")
"""Derived from the store; one that is removed is made anew."""
SCHEMAS: Final = Path("schemas")
"""JSON Schemas of extensions, which the operator puts there."""
POLICIES: Final = Path("policies")
"""Conditions of distribution, which the operator puts there."""
ACCESS_POLICIES: Final = POLICIES / "access"
"""Who may read and write what, likewise."""
ANCHORS: Final = Path("anchors")
"""Authorities whose certificates are accepted for issuers of credentials, put there by the operator."""
LIST_SIGNERS: Final = Path("list-signers")
"""Certificates with which trusted lists may be signed, put there by the operator."""
TRUSTED_LISTS: Final = Path("trusted-lists")
"""Copies of trusted lists from addresses; what is removed is fetched anew."""
VERIFIER: Final = Path("verifier")
"""Key and certificates by which wallets know this marketplace."""
ISSUING: Final = Path("issuing")
"""Authority and seals of an issuer for development."""
ATTESTERS: Final = ISSUING / "attesters"
"""Authorities of providers of wallets, whose attestations the issuer believes, put there by the operator."""
DECISIONS: Final = Path("decisions/access.jsonl")
"""The log of decisions about access, with the one before it."""
JOBS: Final = Path("jobs")
"""Contents of import and export jobs."""
LEDGER: Final = Path("ledger")
LEDGER_STATE: Final = LEDGER / "state.db"
LIGHT_BLOCKS: Final = LEDGER / "light.db"
"""Headers, commits and validators of the heights that changed the state."""
SNAPSHOTS: Final = LEDGER / "snapshots"
"""Snapshots of the ledger, for newcomers."""
HISTORY: Final = LEDGER / "history"
"""Segments of the history on their way to the ledger application."""
JOINING: Final = Path("joining.json")
"""Of a marketplace that joined a running league: whom it asked, and which block it trusts."""
LOCK: Final = Path("lock")
OBSERVING: Final = Path("observing.json")
"""There while the validator must not sign."""
RESTORED: Final = Path("restored.json")
"""There until the first start of a folder that was restored to take newer versions from the league."""
NODE_KEY: Final = LEDGER / "config" / "node_key.json"
VALIDATOR_KEY: Final = LEDGER / "config" / "priv_validator_key.json"
