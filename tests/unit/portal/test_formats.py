"""Numbers and times that entities say: whatever they are, a page shows them, and a feed can be read."""

from __future__ import annotations

from gettext import NullTranslations
from types import SimpleNamespace
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansa.portal.catalogue.feeds import FeedEntry, atom_feed
from hansa.portal.frame.formats import FORMATS, moment_of
from hansa.portal.frame.frame import environment_of
from hansa.portal.frame.texts import shown

ENVIRONMENT = environment_of(NullTranslations())
TEMPLATES = {
    name: ENVIRONMENT.from_string(
        "{{ value|money(currency) }}" if name == "money" else f"{{{{ value|{name} }}}}"
    )
    for name in FORMATS
}
LOCALES = ("en", "de", "ar", "fr_CH")
FIRST_YEAR = "0001-01-01T00:00:00+14:00"
LAST_YEAR = "9999-12-31T23:59:59-14:00"
ODD_NUMBERS = st.from_regex(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,9})?", fullmatch=True)
ODD_TIMES = st.from_regex(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9])?([+-][0-2][0-9]:[0-5][0-9]|Z)?)?",
    fullmatch=True,
)


@given(
    value=ODD_NUMBERS | ODD_TIMES | st.text(max_size=20) | st.floats() | st.integers(),
    currency=st.sampled_from(("EUR", "eur", "E\u202eR", "", "points", "QQQ")) | st.text(max_size=4),
    locale=st.sampled_from(LOCALES),
)
@example(FIRST_YEAR, "EUR", "en")
@example(LAST_YEAR, "EUR", "en")
@example("1E30", "EUR", "de")
@example("1" * 31 + "." + "1" * 40, "kWh", "en")
@example("1e-20", "EUR", "en")
def test_whatever_a_value_is_it_is_shown(value: object, currency: str, locale: str) -> None:
    reader = SimpleNamespace(locale=locale)
    for name, template in TEMPLATES.items():
        is_time = name in {"day", "moment", "clock_time"}
        if not is_time or isinstance(value, str):
            assert template.render(value=value, currency=currency, reader=reader) or not shown(value)


def test_a_number_is_shown_with_all_its_digits_and_a_time_in_utc() -> None:
    reader = SimpleNamespace(locale="en")
    amount = TEMPLATES["money"].render(value="12345678901234567890.12345678", currency="EUR", reader=reader)
    assert amount == "€12,345,678,901,234,567,890.12345678"
    assert TEMPLATES["day"].render(value="2026-01-01T00:30:00+02:00", reader=reader) == "December 31, 2025"
    assert moment_of(FIRST_YEAR) is None


@pytest.mark.parametrize(
    ("amount", "unit", "words"),
    [
        (12, "month", "12 Monate"),
        (1, "Years", "1 Jahr"),
        (1.5, "hours", "1,5 Stunden"),
        (3, "moon", "3 moon"),
        (3, "", "3"),
        ("many", "day", "many day"),
    ],
)
def test_a_duration_is_in_the_words_of_the_reader_where_its_unit_is_known(
    amount: object, unit: str, words: str
) -> None:
    shown_as = ENVIRONMENT.from_string("{{ value|duration(unit) }}")
    assert shown_as.render(value=amount, unit=unit, reader=SimpleNamespace(locale="de")) == words


@given(updated=ODD_TIMES | st.text(max_size=30), name=st.text(max_size=10))
@example("\x00", "x")
@example(LAST_YEAR, "x")
def test_no_entity_makes_the_feed_unreadable(updated: str, name: str) -> None:
    entry = FeedEntry("urn:x", name, "https://market.example/offerings/urn:x", updated, name, name)
    feed = fromstring(atom_feed(name, "https://market.example", [entry]))  # noqa: S314 - our own
    for each in feed.iter("{http://www.w3.org/2005/Atom}updated"):
        assert moment_of(each.text or "") is not None
