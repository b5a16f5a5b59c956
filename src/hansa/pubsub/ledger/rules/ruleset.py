"""The rules by which this release judges: their name, and a digest of their declarations.

The name is part of every `app_hash`; the digest is shown (`/league/v1/status`, ABCI Info) and stored with the
state. It covers what decides about validity and about hashes as far as that is declared: the forms of
everything that is read, the numbers and codes of the rules, the kinds of transactions, the limits, and the
layout of what is hashed. Code is not covered; the recorded ledgers (tests/golden) replay that.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hansa.core.batches import BATCH, BATCH_HEADER
from hansa.core.canonical import canonical_json
from hansa.core.members import MEMBER
from hansa.pubsub.ledger.commitments.app_hash import RULESET, described_layout
from hansa.pubsub.ledger.commitments.stored import ISSUER, MISBEHAVIOR, VALIDATOR
from hansa.pubsub.ledger.genesis import PARAMETERS
from hansa.pubsub.ledger.results import TRANSACTION_RULES
from hansa.pubsub.ledger.rules import KINDS


class Ruleset(msgspec.Struct, frozen=True):
    """Tells the rules of releases apart."""

    name: str
    """As `hansa-ledger/3`."""
    digest: str
    """SHA-256 of the declarations; hex."""


def declarations() -> dict[str, object]:
    """What the digest is made of; JSON."""
    return {
        "name": RULESET,
        "batch": [BATCH_HEADER.describe(), BATCH.describe()],
        "hashes": described_layout(),
        "kinds": [
            [kind.name, kind.form.describe(), [[rule.number, str(rule.code)] for rule in kind.rules]]
            for kind in sorted(KINDS, key=lambda kind: kind.name)
        ],
        "rules": [[rule.number, str(rule.code)] for rule in TRANSACTION_RULES],
        "stored": {
            "issuer": ISSUER.describe(),
            "member": MEMBER.describe(),
            "misbehavior": MISBEHAVIOR.describe(),
            "parameters": PARAMETERS.describe(),
            "validator": VALIDATOR.describe(),
        },
    }


CURRENT_RULESET: Final = Ruleset(RULESET, hashlib.sha256(canonical_json(declarations())).hexdigest())
"""That of this release."""
