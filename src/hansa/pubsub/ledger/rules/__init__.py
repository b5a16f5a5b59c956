"""The kinds of ledger transactions, one module each.

Everything else of the ledger knows them by the registry here alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.core.errors import Code
from hansa.pubsub.ledger.results import TRANSACTION_RULES, WAITING_RULES, Rule, number_codes
from hansa.pubsub.ledger.rules.events import EVENTS
from hansa.pubsub.ledger.rules.kind import Kind

KINDS: Final[tuple[Kind[Any, Any], ...]] = (EVENTS,)
"""Every kind of transaction."""

RULES: Final[tuple[Rule, ...]] = (
    *TRANSACTION_RULES,
    *WAITING_RULES,
    *(rule for kind in KINDS for rule in kind.rules),
)
"""Every rule by which a transaction can be refused."""

NUMBERED_CODES: Final[Mapping[int, Code]] = number_codes(RULES)
"""The `Code` of each ABCI result code."""
