"""Cached responses: right while the collection does not change, and within their bound."""

from __future__ import annotations

from hansa.business.http.messages import Response
from hansa.business.http.response_cache import OVERHEAD_BYTES, ListKey, ResponseCache


def key(query: str) -> ListKey:
    return ListKey("ProductOffering", query.encode(), True, None, None)


def test_a_response_is_valid_for_its_revision_alone() -> None:
    cache = ResponseCache(1_000_000)
    cache.put(key("a"), 3, Response(200, b"[]"))
    assert cache.get(key("a"), 3) == Response(200, b"[]")
    assert cache.get(key("a"), 4) is None
    assert cache.get(key("b"), 3) is None
    assert cache.get(key("a")._replace(public_only=False), 3) is None


def test_the_newest_responses_stay_as_far_as_there_is_room() -> None:
    cache = ResponseCache(5 * (1000 + OVERHEAD_BYTES))
    for turn in range(2):
        for number in range(20):
            cache.put(key(str(number)), turn, Response(200, b"x" * 1000))
    assert [number for number in range(20) if cache.get(key(str(number)), 1)] == [15, 16, 17, 18, 19]
    cache.put(key("large"), 1, Response(200, b"x" * 300_000))
    assert cache.get(key("large"), 1) is None
