"""Amounts of money, exactly: decimal numbers, whatever their binary fraction may be.

JSON numbers are transferred and stored as IEEE 754 doubles (RFC 8785). A double represents every decimal
number of up to 15 significant digits without loss, so such an amount is read as it was written. An amount
with more digits would be read as another one: it is refused. So is one whose digits are far from the point,
so that no sum of amounts loses a digit.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from typing import Final

DIGITS_MAX: Final = 15
"""Significant decimal digits that a double represents without loss."""

AMOUNT_RULE: Final = (
    f"must have at most {DIGITS_MAX} significant digits, and as many on each side of the point"
)

_EXACT: Final = Context(prec=1000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


def decimal_of(number: float) -> Decimal | None:
    """The decimal number that a JSON number was written as; None when a double may not represent it."""
    if not abs(number) < 10**DIGITS_MAX:  # not a number does not compare either
        return None
    decimal = Decimal(repr(number)).normalize(_EXACT)
    return decimal if _is_exact_in_a_double(decimal) else None


def is_exact(number: float) -> bool:
    """Whether a JSON number is an amount that a double represents without loss."""
    text = repr(number)
    # The usual amounts, without conversion.
    is_plain = len(text) <= DIGITS_MAX and text[-1].isdigit() and "e" not in text
    return is_plain or decimal_of(number) is not None


def _is_exact_in_a_double(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    is_near = isinstance(exponent, int) and exponent >= -DIGITS_MAX and value.adjusted() < DIGITS_MAX
    return is_near and len(value.as_tuple().digits) <= DIGITS_MAX
