"""Results of transactions and queries: every rule of the ledger has an ABCI result code of its own.

A `Rule` is one reason to refuse a transaction. It has two codes: the number that CometBFT carries, which no
other rule has, and the `Code` that clients act on, which several rules may share. The hash of a block's
results is part of the next block's header, so the number of a rule never changes and is never used again.

Numbers from 1 to 99 belong to transactions, those from 100 on to queries; 0 is success. docs/errors.md lists
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from hansa.core.errors import Code, Refused

CODESPACE: Final = "hansa"


class Rule(msgspec.Struct, frozen=True):
    """One reason to refuse a transaction."""

    number: int
    """ABCI result code."""
    code: Code
    """What clients act on."""
    meaning: str
    """When it is broken; for docs/errors.md."""

    def broken(self, message: str, wait_ms: int = 0) -> RuleBroken:
        """The error to raise when a transaction breaks the rule.

        Args:
            message: For the person who has to act on it.
            wait_ms: After how many milliseconds the same transaction may be valid; 0: never.
        """
        return RuleBroken(self, message, wait_ms)


class RuleBroken(Refused):
    """A transaction is refused because it breaks a rule of the ledger."""

    def __init__(self, rule: Rule, message: str, wait_ms: int = 0) -> None:
        assert wait_ms >= 0, "nobody waits for the past"
        super().__init__(rule.code, message)
        self.rule = rule
        self.wait_ms = wait_ms
        """After how many milliseconds the same transaction may be valid; 0: never."""


FORM: Final = Rule(
    8, Code.TRANSACTION_MALFORMED, "the bytes are not the one form of a transaction of a known kind"
)
SIZE: Final = Rule(9, Code.TRANSACTION_TOO_LARGE, "the transaction exceeds `transaction_size_max_bytes`")
FAULT: Final = Rule(
    18, Code.INTERNAL, "the member failed to judge the transaction, which is a fault of its software"
)
TRANSACTION_RULES: Final = (FORM, SIZE, FAULT)
"""Of transactions of every kind."""

BUSY_SEQUENCE: Final = Rule(
    26, Code.BATCH_OUTDATED, "another transaction of the same issuer and `seq` waits at this member"
)
QUEUE_FULL: Final = Rule(27, Code.OVERLOADED, "as much of the issuer waits at this member as may wait")
IN_VAIN: Final = Rule(
    28, Code.OVERLOADED, "the transaction waited here while all members made empty blocks, or fits into none"
)
CHECKED_IN_VAIN: Final = Rule(
    29, Code.OVERLOADED, "too much of what the issuer signed was checked and refused at this member"
)
WAITING_RULES: Final = (BUSY_SEQUENCE, QUEUE_FULL, IN_VAIN, CHECKED_IN_VAIN)
"""By which a member refuses to let a transaction wait; no block is judged by them."""

QUERY_NUMBERS: Final[Mapping[Code, int]] = MappingProxyType(
    {Code.INVALID: 100, Code.NOT_FOUND: 101, Code.TOO_LARGE: 102, Code.INTERNAL: 103, Code.FORBIDDEN: 104}
)
"""ABCI result codes of queries."""


def number_codes(rules: tuple[Rule, ...]) -> Mapping[int, Code]:
    """What clients make of each number, of these rules and of queries."""
    numbers = [rule.number for rule in rules]
    assert len(set(numbers)) == len(numbers), "a number belongs to one rule"
    assert all(0 < number < min(QUERY_NUMBERS.values()) for number in numbers), "numbers of transactions"
    codes = {rule.number: rule.code for rule in rules}
    return MappingProxyType(codes | {number: code for code, number in QUERY_NUMBERS.items()})
