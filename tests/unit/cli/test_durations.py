"""Durations on the command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.cli.durations import UNITS_S, duration_text, seconds_of
from hansa.core.errors import Code, Refused


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("1h30m", 5400), ("0s", 0), ("2w", 1_209_600)],
)
def test_a_duration_stands_for_its_seconds(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "5 m", "1.5h", "5y", "1h30", "٣m", "9999999999s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused, match="as 15m") as caught:
        seconds_of(text)
    assert caught.value.code is Code.INVALID


@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from(sorted(UNITS_S))), min_size=1, max_size=5))
def test_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert seconds_of(text) == sum(number * UNITS_S[unit] for number, unit in parts)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250 ms"), (59, "59 s"), (61, "1 min 1 s"), (90_061, "1 d 1 h"), (3600, "1 h")],
)
def test_a_duration_is_shown_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
