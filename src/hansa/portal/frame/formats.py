"""Filters of the templates that show numbers, dates and money in the reader's form (CLDR, by Babel)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from babel.core import Locale
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit
from jinja2 import pass_context
from jinja2.runtime import Context

from hansa.core.instants import moment as moment_of_text

LOCALES_CACHED_MAX: Final = 64
COUNTS_CACHED_MAX: Final = 8192
COUNT_MAX: Final = 10**12
"""Of numbers that are written once for all readers of a language: counts, of which a page has a hundred."""
EXPONENT_MAX: Final = 20
"""Of ten, in a number that is shown with all its digits."""
DIGITS_MAX: Final = 28
"""Of such a number; with more, arithmetic rounds it or refuses it."""

DURATIONS: Final = ("minute", "hour", "day", "week", "month", "year")
"""Units of time that are shown in the words of the reader, as entities name them, or with an s."""


def _locale(context: Context) -> Locale:
    return _parsed(context["reader"].locale)


@lru_cache(LOCALES_CACHED_MAX)
def _parsed(locale: str) -> Locale:
    return Locale.parse(locale)


@pass_context
def number(context: Context, value: Any) -> str:
    """A number with the separators of the reader; what is none as it is."""
    if type(value) is int and 0 <= value <= COUNT_MAX:
        return count_text(value, context["reader"].locale)
    amount = decimal_of(value)
    return str(value) if amount is None else format_decimal(amount, locale=_locale(context))


@lru_cache(COUNTS_CACHED_MAX)
def count_text(value: int, locale: str) -> str:
    """A count with the separators of a locale."""
    return format_decimal(value, locale=_parsed(locale))


@pass_context
def money(context: Context, value: Any, currency: str) -> str:
    """An amount of money; with all its digits, since prices can be fractions of a cent."""
    amount = decimal_of(value)
    if amount is None:
        return f"{value} {currency}".strip()
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        return f"{format_decimal(amount, locale=_locale(context), decimal_quantization=False)} {currency}".strip()
    digits = -int(amount.normalize().as_tuple().exponent)
    return format_currency(
        amount,
        currency.upper(),
        locale=_locale(context),
        decimal_quantization=False,
        currency_digits=digits <= 2,
    )


@pass_context
def percent(context: Context, value: Any) -> str:
    """A number of hundredths, as 19 for `19 %`."""
    amount = decimal_of(value)
    if amount is None:
        return f"{value} %"
    return format_percent(amount / 100, locale=_locale(context), decimal_quantization=False)


@pass_context
def duration(context: Context, value: Any, unit: str = "") -> str:
    """An amount of time, as `12 months`; of a unit that is none of `DURATIONS`, as the entity has it."""
    amount, name = decimal_of(value), unit.strip().lower().removesuffix("s")
    if amount is None or name not in DURATIONS:
        return f"{number(context, value)} {unit}".strip()
    return format_unit(amount, f"duration-{name}", locale=_locale(context))


@pass_context
def day(context: Context, value: datetime | str) -> str:
    """A day, as `28 November 2026`; UTC."""
    when = moment_of(value)
    return str(value) if when is None else format_date(when, "long", locale=_locale(context))


@pass_context
def moment(context: Context, value: datetime | str) -> str:
    """A day and a time, as `28 Nov 2026, 14:03`; UTC."""
    when = moment_of(value)
    return (
        str(value) if when is None else format_datetime(when, "medium", tzinfo=UTC, locale=_locale(context))
    )


@pass_context
def clock_time(context: Context, value: datetime | str) -> str:
    """A time of day, as `14:03`; UTC."""
    when = moment_of(value)
    return str(value) if when is None else format_time(when, "short", tzinfo=UTC, locale=_locale(context))


def decimal_of(value: Any) -> Decimal | None:
    """A number of an entity, which may stand in a string; None for what is none, or has too many digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    if not amount.is_finite() or len(amount.as_tuple().digits) > DIGITS_MAX:
        return None
    exponents = amount.adjusted(), int(amount.as_tuple().exponent)
    return amount if all(abs(one) <= EXPONENT_MAX for one in exponents) else None


def moment_of(value: datetime | str) -> datetime | None:
    """A date-time of an entity (RFC 3339), in UTC; None for what is none, or has no year there."""
    if isinstance(value, str):
        return moment_of_text(value)
    try:
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


FORMATS: Final[Mapping[str, Callable[..., str]]] = {
    "number": number,
    "money": money,
    "percent": percent,
    "duration": duration,
    "day": day,
    "moment": moment,
    "clock_time": clock_time,
}
"""By the name that templates use."""
