"""A marketplace's folder: what is in it, how it is made, and how several of them become a league.

    hansa.toml            settings
    keys/member.jwk       signs events and requests to other members
    keys/member-next.jwk  takes its place when the ledger has registered it (`hansa keys rotate`)
    keys/agreement.jwk    opens what others seal for this marketplace; agreement-next.jwk takes its place, and
                          agreement-former.jwk is the one before
    keys/secret.jwk       from which keys are derived that are never rotated, as those of pseudonyms
    keys/node-next.json, keys/validator-next.json
                          the same of the engine's keys
    keys/token.jwk        signs API tokens
    keys/provider.json    signs tokens of the OpenID Provider: its keys, past and to come
    clients.json          clients of the OpenID Provider (`hansa clients`)
    member.json           public card, for the others
    genesis.json          the ledger's beginning; of a league of one until the league is founded
    token                 a bearer token of the operator (only where asked for)
    store.db              the catalogue store
    schemas/              JSON Schemas of extensions, which the operator puts there
    anchors/              authorities of issuers of credentials, which the operator puts there
    list-signers/         certificates with which trusted lists may be signed, likewise
    trusted-lists/        copies of trusted lists from addresses
    verifier/             key and certificates by which wallets know this marketplace
    issuing/              authority and seals of an issuer for development; in `attesters/`, authorities of
                          providers of wallets, which the operator puts there
    jobs/                 contents of import and export jobs
    ledger/               working folder of the ledger application and the engine
    observing.json        there while the validator must not sign, as after a restore
    lock                  held by the `hansa serve` that runs

Founding: every operator runs `hansa init` and sends `member.json` to the others; `league_genesis` makes the
    same genesis from the same cards everywhere; `install_genesis` puts it into the folder, before the first
    start.
"""

from hansa.node.folder.card import MemberCard, read_card
from hansa.node.folder.genesis import (
    GenesisDocument,
    chain_id_of,
    install_genesis,
    league_genesis,
    load_genesis,
    read_genesis,
)
from hansa.node.folder.layout import (
    ACCESS_POLICIES,
    AGREEMENT_KEY,
    ANCHORS,
    ATTESTERS,
    CARD,
    CLIENTS,
    DECISIONS,
    FORMER_AGREEMENT_KEY,
    GENESIS,
    HISTORY,
    ISSUING,
    JOBS,
    JOINING,
    LEDGER,
    LEDGER_STATE,
    LIGHT_BLOCKS,
    LIST_SIGNERS,
    LOCK,
    MEMBER_KEY,
    MEMBER_SECRET,
    NEXT_AGREEMENT_KEY,
    NEXT_MEMBER_KEY,
    NEXT_NODE_KEY,
    NEXT_VALIDATOR_KEY,
    NODE_KEY,
    OBSERVING,
    POLICIES,
    PROVIDER_KEYS,
    RESTORED,
    ROTATION,
    SCHEMAS,
    SEARCH_INDEX,
    SNAPSHOTS,
    STORE,
    TOKEN,
    TOKEN_KEY,
    TRUSTED_LISTS,
    VALIDATOR_KEY,
    VERIFIER,
)
from hansa.node.folder.member import check_new_folder, init_member, issue_folder_token, write_token
from hansa.node.folder.member_key import (
    adopt_agreement_key,
    adopt_member_key,
    agreement_keys,
    discard_next_key,
    member_secret,
    next_agreement_key,
    next_member_key,
    set_endpoint,
    update_card,
)
from hansa.node.folder.ports import unused_ports
from hansa.node.folder.rotation import finish_rotation, rotate_token_key

__all__ = [
    "ACCESS_POLICIES",
    "AGREEMENT_KEY",
    "ANCHORS",
    "ATTESTERS",
    "CARD",
    "CLIENTS",
    "DECISIONS",
    "FORMER_AGREEMENT_KEY",
    "GENESIS",
    "HISTORY",
    "ISSUING",
    "JOBS",
    "JOINING",
    "LEDGER",
    "LEDGER_STATE",
    "LIGHT_BLOCKS",
    "LIST_SIGNERS",
    "LOCK",
    "MEMBER_KEY",
    "MEMBER_SECRET",
    "NEXT_AGREEMENT_KEY",
    "NEXT_MEMBER_KEY",
    "NEXT_NODE_KEY",
    "NEXT_VALIDATOR_KEY",
    "NODE_KEY",
    "OBSERVING",
    "POLICIES",
    "PROVIDER_KEYS",
    "RESTORED",
    "ROTATION",
    "SCHEMAS",
    "SEARCH_INDEX",
    "SNAPSHOTS",
    "STORE",
    "TOKEN",
    "TOKEN_KEY",
    "TRUSTED_LISTS",
    "VALIDATOR_KEY",
    "VERIFIER",
    "GenesisDocument",
    "MemberCard",
    "adopt_agreement_key",
    "adopt_member_key",
    "agreement_keys",
    "chain_id_of",
    "check_new_folder",
    "discard_next_key",
    "finish_rotation",
    "init_member",
    "install_genesis",
    "issue_folder_token",
    "league_genesis",
    "load_genesis",
    "member_secret",
    "next_agreement_key",
    "next_member_key",
    "read_card",
    "read_genesis",
    "rotate_token_key",
    "set_endpoint",
    "unused_ports",
    "update_card",
    "write_token",
]
