"""The kinds of ledger transactions, one module each, and the rule sets that are made of them.

Everything else of the ledger knows the kinds by `hansa.pubsub.ledger.rules.rulesets` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansa.core.errors import Code
from hansa.pubsub.ledger.results import TRANSACTION_RULES, WAITING_RULES, Rule, number_codes
from hansa.pubsub.ledger.rules.rulesets import ALL_KINDS

RULES: Final[tuple[Rule, ...]] = (
    *TRANSACTION_RULES,
    *WAITING_RULES,
    *dict.fromkeys(rule for kind in ALL_KINDS for rule in kind.rules),
)
"""Every rule by which a transaction can be refused."""

NUMBERED_CODES: Final[Mapping[int, Code]] = number_codes(RULES)
"""The `Code` of each ABCI result code."""
