"""Answers that are kept: right as long as the collection stands, and within their bound."""

from __future__ import annotations

from hansa.business.http import Answer
from hansa.business.kept_answers import OVERHEAD_BYTES, KeptAnswers, ListKey


def key(query: str) -> ListKey:
    return ListKey("ProductOffering", query.encode(), True, None, None)


def test_an_answer_is_good_for_its_revision_alone() -> None:
    kept = KeptAnswers()
    kept.keep(key("a"), 3, Answer(200, b"[]"))
    assert kept.of(key("a"), 3) == Answer(200, b"[]")
    assert kept.of(key("a"), 4) is None
    assert kept.of(key("b"), 3) is None
    assert kept.of(key("a")._replace(public_only=False), 3) is None


def test_the_newest_answers_are_kept_as_far_as_there_is_room() -> None:
    kept = KeptAnswers(5 * (1000 + OVERHEAD_BYTES))
    for turn in range(2):
        for number in range(20):
            kept.keep(key(str(number)), turn, Answer(200, b"x" * 1000))
    assert [number for number in range(20) if kept.of(key(str(number)), 1)] == [15, 16, 17, 18, 19]
    kept.keep(key("large"), 1, Answer(200, b"x" * 300_000))
    assert kept.of(key("large"), 1) is None
