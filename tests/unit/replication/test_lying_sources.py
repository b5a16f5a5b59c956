"""Wherever a member reads another's bytes: too many, too deep, a bomb, or too slow.

Every place is attacked by every answer. The reader stays well, requests its source ever more rarely, takes
no more bytes than the place allows, and has everything as soon as the source is honest again.
"""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.inflating import RATIO_MAX, SMALL_BYTES, inflated
from hansa.identity import MemberSigner
from hansa.pubsub.ledger.history.segment import SEGMENT_SIZE_MAX_BYTES, decompressed
from hansa.pubsub.ledger.snapshots.manifest import StateManifest, read_manifest
from hansa.pubsub.light_member.followed import TIMEOUT_S, FollowedMember
from hansa.replication.announced.bundles import BUNDLE_TYPE, BUNDLES_PATH, SIZE_MAX_BYTES, unpacked
from hansa.replication.exchange import JSON_LINES
from hansa.replication.sources import filling, pulling
from tests.support.confidential import party, put, replica, settle
from tests.support.league import League, Marketplace

LYING_S = 90.0
REQUESTS_MAX = 30
"""Of a lying source in `LYING_S`: the pauses double, up to a minute."""
DEEP = b"[" * 200_000
BOMB = zlib.compress(bytes(50_000_000), 9)


class Place(NamedTuple):
    """Where a member reads what another one sends."""

    path: str
    accept: str = ""
    """What the request accepts, where the path alone does not tell."""
    is_sealed: bool = False
    entities: int = 3
    pulled_min: int = 20
    """Versions for which bundles are pulled."""

    def is_read_by(self, request: HttpRequest) -> bool:
        """Whether a request is for it."""
        return self.path in request.url and self.accept in request.headers.get("accept", "")


PLACES = {
    "entities": Place("/league/v1/entities", JSON_LINES),
    "bundles that fill a store": Place("/league/v1/entities", BUNDLE_TYPE, entities=12),
    "the list of bundles": Place(f"{BUNDLES_PATH}?after=", pulled_min=2),
    "bundles that are pulled": Place(f"{BUNDLES_PATH}/", pulled_min=2),
    "confidential parts": Place("/league/v1/confidential", is_sealed=True),
}
ANSWERS: dict[str, Callable[[HttpRequest], bytes]] = {
    "a bomb": lambda _: BOMB,
    "too much": lambda request: bytes(request.answer_size_max_bytes + 1),
    "as much as there is room for": lambda request: b"x" * min(request.answer_size_max_bytes, 4_000_000),
    "too deep": lambda _: DEEP,
    "too deep in its form": lambda _: (
        b'{"key":"' + b"ab" * 32 + b'","status":"found","entity":' + DEEP + b"}\n"
    ),
    "many lines": lambda _: b"{}\n" * 100_000,
    "too deep in a bundle": lambda _: zlib.compress(b'{"key":"' + b"ab" * 32 + b'","entity":' + DEEP + b"}"),
    "nothing": lambda _: b"",
    "too slow": lambda _: b"",
}


@pytest.fixture
async def league(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[League]:
    monkeypatch.setattr(filling, "VERSIONS_MIN", 10)
    async with League(["lubeck", "bergen"]) as league:
        league.marketplaces[0].start()
        yield league


@pytest.mark.parametrize("answer", list(ANSWERS))
@pytest.mark.parametrize("name", list(PLACES))
async def test_a_source_that_lies_is_left_alone_and_loses_nothing(
    league: League, monkeypatch: pytest.MonkeyPatch, name: str, answer: str
) -> None:
    place, (lubeck, bergen) = PLACES[name], league.marketplaces
    monkeypatch.setattr(pulling, "VERSIONS_MIN", place.pulled_min)
    league.network.down.add(bergen.endpoint)  # nothing is pushed
    ids = [await lubeck.put_bound(n=n) for n in range(place.entities)]
    ids += [await _order(lubeck, bergen)] if place.is_sealed else []
    await settle(league, lubeck)
    league.network.down.clear()
    attacked: list[HttpRequest] = []

    def lie(request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        if not place.is_read_by(request):
            return honest
        attacked.append(request)
        if answer == "too slow":
            league.network.delays_s[lubeck.endpoint] = request.timeout_s + 1
        return HttpResponse(200, honest.headers, ANSWERS[answer](request))

    league.network.faults[lubeck.endpoint] = lie
    bergen.start()
    await league.run(LYING_S, 0.5)
    assert await bergen.failure() is None
    assert 0 < len(attacked) <= REQUESTS_MAX
    assert max(one.answer_size_max_bytes for one in attacked) <= league.limits.retrieval_size_max_bytes
    assert max(one.timeout_s for one in attacked) <= league.limits.retrieval_timeout_s
    league.network.faults.clear()
    league.network.delays_s.clear()
    await settle(league)
    for each in ids:
        assert await replica(bergen, each) is not None


async def _order(lubeck: Marketplace, bergen: Marketplace) -> str:
    return await put(lubeck, "ProductOrder", relatedParty=[party("Seller", bergen.did)])


@pytest.mark.parametrize("name", [one for one in ANSWERS if one != "too slow"])
async def test_a_bundle_that_is_pushed_is_refused_and_what_it_was_for_is_requested(
    league: League, name: str
) -> None:
    lubeck, bergen = league.marketplaces
    bergen.start()
    url = bergen.endpoint + BUNDLES_PATH
    raw = ANSWERS[name](HttpRequest("POST", url, answer_size_max_bytes=SIZE_MAX_BYTES))
    signer = MemberSigner(lubeck.key, lubeck.did, league.clock, lubeck.entropy, league.limits)
    headers = {"content-type": BUNDLE_TYPE} | signer.headers(bergen.did, "POST", url, raw)
    answer = await league.network.send(HttpRequest("POST", url, headers, raw))
    assert 400 <= answer.status < 500
    entity_id = await lubeck.put_bound()
    await settle(league)
    assert entity_id in await bergen.catalogue()


# -- light members ------------------------------------------------------------------------------------------------

READS: dict[str, Callable[[FollowedMember], Awaitable[object]]] = {
    "the state": lambda one: one.parts(""),
    "batches": lambda one: one.batches_after(0),
    "the heights of snapshots": lambda one: one.snapshot_heights(),
    "a manifest": lambda one: _manifest(one),  # noqa: PLW0108 - defined below
    "a light block": lambda one: one.light_block(7),
    "the next light block": lambda one: one.light_block_after(7),
}


async def _manifest(member: FollowedMember) -> StateManifest:
    return read_manifest(await member.snapshot_manifest(7))


NONE = {("the next light block", "nothing")}
"""That there is none is an answer."""


class LyingServer:
    """An `HttpClient` that gets one answer for everything."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Whatever it is, within what the request allows."""
        self.requests.append(request)
        body = ANSWERS[self.answer](request)
        if self.answer == "too slow":
            raise Unavailable(Code.RETRIEVAL_TIMEOUT, "The exchange took too long.")
        if len(body) > request.answer_size_max_bytes:
            raise Refused(Code.RETRIEVAL_TOO_LARGE, "The answer is too large.")
        return HttpResponse(200, {}, body)


@pytest.mark.parametrize("answer", list(ANSWERS))
@pytest.mark.parametrize("name", list(READS))
async def test_a_followed_member_that_lies_is_left_alone(name: str, answer: str) -> None:
    clock, server = ManualClock(), LyingServer(answer)
    member = FollowedMember("https://lubeck.example", server, clock, "a-league")
    if (name, answer) in NONE:
        assert await READS[name](member) is None
        return
    with pytest.raises(HansaError) as refused:
        await READS[name](member)
    member.note_failure(refused.value)
    assert not member.is_due
    assert len(server.requests) == 1
    assert server.requests[0].answer_size_max_bytes <= SEGMENT_SIZE_MAX_BYTES
    assert server.requests[0].timeout_s <= TIMEOUT_S


# -- decompression -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [unpacked, decompressed, lambda raw: inflated(raw, 10**9)])
def test_a_stream_takes_no_more_room_than_it_is_likely_to_need(read: Callable[[bytes], object]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            read(BOMB)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * (SMALL_BYTES + RATIO_MAX * len(BOMB))


@given(st.binary(max_size=2000), st.integers(0, 300))
def test_what_compresses_as_usual_comes_back(content: bytes, repeated: int) -> None:
    whole = content + b"x" * repeated
    assert inflated(zlib.compress(whole), 10_000) == whole
    for changed in (zlib.compress(whole) + b"x", zlib.compress(whole)[:-1]):
        with pytest.raises(Refused):
            inflated(changed, 10_000)
