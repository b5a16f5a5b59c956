"""The rule sets of this release, side by side: each judges the ledgers, and the heights, that name it.

    hansa-ledger/3   events alone: the members are those of the genesis
    hansa-ledger/4   the members decide by signed vote who they are and by which limits they judge

Which one judges is part of the state (the section `ruleset` below `app_hash`), so a release can judge the
ledgers of those before it, and switches at the height that the members agreed on. What a rule set accepts
and hashes never changes once a league uses it; recorded ledgers (tests/golden) replay each.

The digest covers what decides about validity and about hashes as far as that is declared: the forms of
everything that is read, the numbers and codes of the rules, the kinds of transactions, the limits, and
the layout of what is hashed. It is shown (`/league/v1/status`, ABCI Info) and stored with the state. Code
is not covered.

To add a kind of transaction: name it in the rule sets that have it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from hansa.core.batches import BATCH, BATCH_HEADER
from hansa.core.canonical import canonical_json
from hansa.core.closed_json import Record
from hansa.core.closed_structs import StructForm
from hansa.core.members import MEMBER, MEMBER_3
from hansa.core.trust.certificates import KEY_CERTIFICATE, TRUST_ANCHOR
from hansa.core.trust.issuers import TRUSTED_ISSUER
from hansa.core.trust.policies import POLICY_TABLE
from hansa.pubsub.ledger.commitments.app_hash import (
    NEWEST_RULESET,
    RULESET_3,
    RULESET_4,
    described_layout,
)
from hansa.pubsub.ledger.commitments.governance import GOVERNANCE_FORMS
from hansa.pubsub.ledger.commitments.stored import ISSUER, MISBEHAVIOR, VALIDATOR, VALIDATOR_3
from hansa.pubsub.ledger.genesis import PARAMETERS, PARAMETERS_3
from hansa.pubsub.ledger.results import TRANSACTION_RULES
from hansa.pubsub.ledger.rules.events import EVENTS, EVENTS_4
from hansa.pubsub.ledger.rules.governance.founding import begin_governance, govern_from_genesis
from hansa.pubsub.ledger.rules.kind import Kind
from hansa.pubsub.ledger.rules.propose import PROPOSE
from hansa.pubsub.ledger.rules.statement import STATEMENT
from hansa.pubsub.ledger.rules.upgrades import PLAN_FORM, switch_rules
from hansa.pubsub.ledger.rules.vote import VOTE
from hansa.pubsub.ledger.state import Overlay


class Ruleset(msgspec.Struct, frozen=True):
    """One rule set."""

    name: str
    """As `hansa-ledger/4`."""
    kinds: tuple[Kind[Any, Any], ...]
    """Every kind of transaction."""
    stored: Mapping[str, StructForm[Any] | Record]
    """Forms of the records below `app_hash`, for the digest."""
    app_version: int
    """Its number in the headers of blocks (CometBFT's `Version.App`)."""
    begin_ledger: tuple[Callable[[Overlay], None], ...] = ()
    """What happens at the genesis of a ledger that begins under these rules."""
    begin_block: tuple[Callable[[Overlay], None], ...] = ()
    """What happens in each block after its evidence and before its transactions, in this order."""

    def declarations(self) -> dict[str, object]:
        """What the digest is made of; JSON."""
        return {
            "name": self.name,
            "batch": [BATCH_HEADER.describe(), BATCH.describe()],
            "hashes": described_layout(self.name),
            "kinds": [
                [kind.name, kind.form.describe(), [[rule.number, str(rule.code)] for rule in kind.rules]]
                for kind in sorted(self.kinds, key=lambda kind: kind.name)
            ],
            "rules": [[rule.number, str(rule.code)] for rule in TRANSACTION_RULES],
            "stored": {name: form.describe() for name, form in sorted(self.stored.items())},
        }


RULES_3: Final = Ruleset(
    RULESET_3,
    (EVENTS,),
    {
        "issuer": ISSUER,
        "member": MEMBER_3,
        "misbehavior": MISBEHAVIOR,
        "parameters": PARAMETERS_3,
        "validator": VALIDATOR_3,
    },
    app_version=1,
)

RULES_4: Final = Ruleset(
    RULESET_4,
    (EVENTS_4, PROPOSE, VOTE, STATEMENT),
    {
        **GOVERNANCE_FORMS,
        "certificate": KEY_CERTIFICATE,
        "issuer": ISSUER,
        "member": MEMBER,
        "misbehavior": MISBEHAVIOR,
        "parameters": PARAMETERS,
        "policies": POLICY_TABLE,
        "trust_anchor": TRUST_ANCHOR,
        "trusted_issuer": TRUSTED_ISSUER,
        "upgrade": PLAN_FORM,
        "validator": VALIDATOR,
    },
    app_version=4,
    begin_ledger=(govern_from_genesis,),
    begin_block=(switch_rules, begin_governance),
)

RULESETS: Final[Mapping[str, Ruleset]] = {rules.name: rules for rules in (RULES_3, RULES_4)}
"""Those by which this release can judge, oldest first."""

NEWEST: Final = RULESETS[NEWEST_RULESET]
"""By which leagues are founded."""

ALL_KINDS: Final = tuple({kind.name: kind for rules in RULESETS.values() for kind in rules.kinds}.values())
"""Every kind of transaction of any rule set."""


@cache
def rules_digest(ruleset: str) -> str:
    """SHA-256 of the declarations of a rule set of this release, in hex; empty for others."""
    rules = RULESETS.get(ruleset)
    return "" if rules is None else hashlib.sha256(canonical_json(rules.declarations())).hexdigest()
