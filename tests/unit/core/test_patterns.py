"""Regular expressions of clients: whatever they are, compiling and matching them is bounded."""

from __future__ import annotations

import time

import pytest

from hansa.core.errors import Code, Refused
from hansa.core.patterns import INSTRUCTIONS_MAX, STEPS_MAX, compiled


@pytest.mark.parametrize(
    "pattern",
    [
        "(a|b|[0-9 ]){300,900}$",
        "((ab|cd){30}){33}$",
        r"\pL{1,9}",
        "(?:x{1,30}){1,33}y" * 5,
        "(",
        r"(a)\1",
        "\ud800",
    ],
)
def test_what_is_too_large_or_no_pattern_is_refused_at_once(pattern: str) -> None:
    with pytest.raises(Refused) as refused:
        compiled(pattern)
    assert refused.value.code is Code.INVALID


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i).*cloud.*",
        r"^\S+@\S+\.\w{2,}$",
        r"\pL+\s\pL+",
        "^urn:ngsi-ld:product-offering:[0-9a-f-]{36}$",
        "(?i)(cloud|edge|iaas|paas|saas|hosting)",
        r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z",
    ],
)
def test_usual_patterns_are_taken(pattern: str) -> None:
    assert compiled(pattern).instructions <= INSTRUCTIONS_MAX


def test_a_match_is_bounded_by_instructions_and_bytes_together() -> None:
    pattern = compiled("(a|b|[0-9 ]){100,180}$")
    fitting = "ab 12" * (STEPS_MAX // pattern.instructions // 5)
    started = time.process_time()
    assert pattern.is_in(fitting)
    assert time.process_time() - started < 10.0
    with pytest.raises(Refused, match="too large for a text"):
        pattern.is_in(fitting + "ab 12")
    with pytest.raises(Refused, match="too large for a text"):
        pattern.is_in("ab 12" * 1000, steps_max=1000)


def test_a_pattern_matches_anywhere_or_the_whole() -> None:
    pattern = compiled("ü+")
    assert (pattern.is_in("xüx"), pattern.is_whole("xüx"), pattern.is_whole("üü")) == (True, False, True)
