"""The operators of filters (TMF630 Part 1, section 4.4): each is one value.

How a client writes an operator, what it compares, what it means in Python and in SQL, and which index serves
it stand here and nowhere else: the parser of query strings, the compiler of filters, the query planner, the
evaluation in memory, JSONPath and the OpenAPI description read it from `OPERATORS`. A new operator is one
more of these values, a row of the table in `docs/integrators/queries.md` and its tests.

An attribute compares with the text of a query by the JSON type of the attribute's value: strings with the
text itself, numbers with the number that the text is in JSON's notation, `true` and `false` with these words.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, Literal

import msgspec

from hansa.core.patterns import LOOP_STEPS_MAX, compiled

Kind = Literal["text", "number", "boolean", "object"]
"""What an attribute holds; date-times and attributes without a declared type are texts."""


class IndexUse(Enum):
    """What an index does for an operator."""

    POSTINGS = "postings"
    """A value has postings, which name the entities and have a total: equality."""
    RANGE = "range"
    """The entities are neighbours in an index of a column."""
    NONE = "none"
    """Every entity is checked."""


class Operand(Enum):
    """What the text of a query has to be, where it is compared."""

    ANY = "any"
    """Anything; what no value of the attribute can be holds for no entity, and is no error."""
    TYPED = "typed"
    """A value of the attribute's type."""
    PATTERN = "pattern"
    """A regular expression in the syntax of RE2."""


class Operator(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One operator. Operators are compared by identity."""

    name: str
    """Its suffix: `gt` in `name.gt=x`. An attribute that is called so has precedence."""
    title: str
    """In the documentation."""
    aliases: tuple[str, ...] = ()
    """Further suffixes."""
    literals: tuple[str, ...] = ()
    """Written between name and value, plain or percent-encoded: `>` in `name>x`. ASCII, and no letter, digit
    or any of `_.@`."""
    relation: str | None = None
    """The comparison of JSONPath that means the same."""
    mirrored: str | None = None
    """The comparison of JSONPath that means the same with its two sides exchanged."""

    applies_to: frozenset[Kind] = frozenset({"text"})
    inapplicable: str
    """The message for an attribute of another kind, with `{kind}` for that."""
    has_moments: bool = True
    """Date-times compare as moments, whatever their zones; otherwise as the texts that they are."""
    operand: Operand = Operand.ANY
    has_alternatives: bool = False
    """Commas part values, of which one is enough."""

    holds: Callable[[Any, Any], bool]
    """Whether a value compares so with an operand: two strings, or two numbers where it applies to these."""
    sql: str
    """The same, with `{value}` for the value and one `?` for the operand. An engine provides
    `hansa_matches(pattern, text)`."""
    index: IndexUse = IndexUse.NONE
    weakest: Callable[[Iterable[str]], str] | None = None
    """Of several operands, of which one is enough, the one that decides; None where each has to be tried."""
    is_slow: bool = False
    """The client chooses how long one comparison takes."""

    def __post_init__(self) -> None:
        assert self.sql.count("?") == 1, "one operand"
        assert "{value}" in self.sql, "and one value"
        assert (self.index is IndexUse.RANGE) == (self.weakest is not None), "a range has one bound"

    def __repr__(self) -> str:
        return f"<operator {self.name}>"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """All names that stand behind an attribute for it."""
        return (self.name, *self.aliases)


def _matches(value: str, pattern: str) -> bool:
    return compiled(pattern).is_in(value, LOOP_STEPS_MAX)


_ORDERED: Final[frozenset[Kind]] = frozenset({"text", "number"})
_NO_ORDER: Final = "there is no order among values of this attribute ({kind})"

EQ: Final = Operator(
    name="eq",
    title="equal",
    aliases=("exact",),
    literals=("==",),
    relation="==",
    mirrored="==",
    applies_to=frozenset({"text", "number", "boolean", "object"}),
    inapplicable="",
    has_alternatives=True,
    holds=operator.eq,
    sql="{value} = ?",
    index=IndexUse.POSTINGS,
)
GT: Final = Operator(
    name="gt",
    title="greater",
    literals=(">",),
    relation=">",
    mirrored="<",
    applies_to=_ORDERED,
    inapplicable=_NO_ORDER,
    operand=Operand.TYPED,
    holds=operator.gt,
    sql="{value} > ?",
    index=IndexUse.RANGE,
    weakest=min,
)
GTE: Final = Operator(
    name="gte",
    title="greater or equal",
    literals=(">=",),
    relation=">=",
    mirrored="<=",
    applies_to=_ORDERED,
    inapplicable=_NO_ORDER,
    operand=Operand.TYPED,
    holds=operator.ge,
    sql="{value} >= ?",
    index=IndexUse.RANGE,
    weakest=min,
)
LT: Final = Operator(
    name="lt",
    title="less",
    literals=("<",),
    relation="<",
    mirrored=">",
    applies_to=_ORDERED,
    inapplicable=_NO_ORDER,
    operand=Operand.TYPED,
    holds=operator.lt,
    sql="{value} < ?",
    index=IndexUse.RANGE,
    weakest=max,
)
LTE: Final = Operator(
    name="lte",
    title="less or equal",
    literals=("<=",),
    relation="<=",
    mirrored=">=",
    applies_to=_ORDERED,
    inapplicable=_NO_ORDER,
    operand=Operand.TYPED,
    holds=operator.le,
    sql="{value} <= ?",
    index=IndexUse.RANGE,
    weakest=max,
)
REGEX: Final = Operator(
    name="regex",
    title="regular expression",
    literals=("*=", "=~"),
    inapplicable="a regular expression takes text, and this is {kind}",
    has_moments=False,
    operand=Operand.PATTERN,
    holds=_matches,
    sql="hansa_matches(?, {value})",
    is_slow=True,
)
"""Looks for a match anywhere in a string, in the syntax of RE2: its time is linear in the length of the text.
"""

OPERATORS: Final[tuple[Operator, ...]] = (GT, GTE, LT, LTE, EQ, REGEX)
