"""Money, exactly: amounts are decimal numbers of one currency, whatever a binary fraction would make of them.

JSON numbers travel, and are stored, as IEEE 754 doubles (RFC 8785). A double carries every decimal number of up to
15 significant digits without loss, so such an amount comes back as it was written, and computing goes on from its
digits, not from the binary fraction. An amount that needs more digits would come back as another one: it is refused.
So is one that is out of all proportion, so that no sum of amounts can lose a digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from typing import Any, Final, Self

import msgspec

from hansa.core.errors import Code, Refused

DIGITS_MAX: Final = 15
"""Significant decimal digits that a double carries without loss."""

AMOUNT_RULE: Final = (
    f"must have at most {DIGITS_MAX} significant digits, and as many on each side of the point"
)

_EXACT: Final = Context(prec=1000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


class Amount(msgspec.Struct, frozen=True):
    """An amount of money; TM Forum's `Money`, `unit` and `value`."""

    value: Decimal
    currency: str | None = None
    """ISO 4217 code, or whatever the marketplace counts in; None when nothing was said."""

    @classmethod
    def of(cls, money: Mapping[str, Any]) -> Self:
        """The amount that a `Money` states; zero when it states none.

        Raises:
            Refused: `Code.INVALID`, when its digits cannot be carried exactly.
        """
        value = decimal_of(money.get("value") or 0)
        if value is None:
            raise Refused(Code.INVALID, f"An amount {AMOUNT_RULE}.")
        return cls(value, money.get("unit") or None)

    @classmethod
    def total(cls, amounts: tuple[Self, ...]) -> Self:
        """What several amounts come to; zero without a currency when there are none.

        Raises:
            Refused: `Code.INVALID`, when they are of different currencies.
        """
        found = amounts[0] if amounts else cls(Decimal(0))
        for amount in amounts[1:]:
            found = found.plus(amount)
        return found

    def plus(self, other: Self) -> Self:
        """The sum of two amounts.

        Raises:
            Refused: `Code.INVALID`, when they are of different currencies.
        """
        self._check_same(other)
        return type(self)(_EXACT.add(self.value, other.value), self.currency)

    def minus(self, other: Self) -> Self:
        """The difference of two amounts.

        Raises:
            Refused: `Code.INVALID`, when they are of different currencies.
        """
        self._check_same(other)
        return type(self)(_EXACT.subtract(self.value, other.value), self.currency)

    def times(self, quantity: Decimal | int) -> Self:
        """So many times the amount."""
        return type(self)(_EXACT.multiply(self.value, Decimal(quantity)), self.currency)

    def is_less_than(self, other: Self) -> bool:
        """Whether it is the smaller one.

        Raises:
            Refused: `Code.INVALID`, when they are of different currencies.
        """
        self._check_same(other)
        return self.value < other.value

    def money(self) -> dict[str, Any]:
        """The amount as a `Money`.

        Raises:
            Refused: `Code.INVALID`, when a JSON number cannot carry it exactly.
        """
        digits = self.value.normalize(_EXACT)
        if not _is_carried(digits):
            raise Refused(Code.INVALID, f"An amount {AMOUNT_RULE}.")
        number = int(digits) if digits == digits.to_integral_value() else float(digits)
        return {"value": number} | ({"unit": self.currency} if self.currency is not None else {})

    def _check_same(self, other: Self) -> None:
        if self.currency != other.currency:
            raise Refused(
                Code.INVALID,
                f"Amounts of {self.currency or 'no currency'} and {other.currency or 'no currency'} have no sum.",
            )


def decimal_of(number: float) -> Decimal | None:
    """The decimal number that a JSON number was written as; None when a double may not carry it exactly."""
    if not abs(number) < 10**DIGITS_MAX:  # nor is it when it is not a number
        return None
    found = Decimal(repr(number)).normalize(_EXACT)
    return found if _is_carried(found) else None


def is_exact(number: float) -> bool:
    """Whether a JSON number is an amount that a double carries without loss."""
    text = repr(number)
    is_plain = (
        len(text) <= DIGITS_MAX and text[-1].isdigit() and "e" not in text
    )  # the usual amounts, at once
    return is_plain or decimal_of(number) is not None


def _is_carried(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    is_near = isinstance(exponent, int) and exponent >= -DIGITS_MAX and value.adjusted() < DIGITS_MAX
    return is_near and len(value.as_tuple().digits) <= DIGITS_MAX
