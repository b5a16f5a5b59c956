"""What is pushed arrives with its event; and nothing that is pushed is believed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock, rfc3339
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpResponse
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.identity import MemberSigner
from hansa.replication.announced.bundles import (
    BUNDLE_TYPE,
    BUNDLES_PATH,
    CONTENT_MAX_BYTES,
    LINES_MAX,
    SIZE_MAX_BYTES,
    BundledPart,
    packed,
    unpacked,
)
from hansa.replication.replicas import pushed as limits_of_pushed
from hansa.replication.replicas.pushed import ORIGIN_MAX_BYTES, RETAINED_S, TOTAL_MAX_BYTES, PushedParts
from tests.support.asgi import AsgiClient
from tests.support.league import League, Marketplace, draft
from tests.support.network import status

ENTITIES = "/league/v1/entities"
LINK = hashlink(b"{}")


def part(key: str = "ab" * 32, body: bytes = b"{}", link: str = LINK) -> BundledPart:
    return BundledPart(key, link, msgspec.Raw(body))


def requested(league: League) -> list[str]:
    """Keys of entities that anybody has requested."""
    bodies = [one.body for one in league.network.requests if one.url.endswith(ENTITIES)]
    return [one["key"] for body in bodies for one in msgspec.json.decode(body)["entities"]]


async def push(sender: Marketplace, receiver: Marketplace, raw: bytes, **changes: Any) -> Any:
    """What a member is answered that pushes some bytes."""
    league, url = sender.league, receiver.endpoint + BUNDLES_PATH
    signer = MemberSigner(sender.key, sender.did, league.clock, sender.entropy, league.limits)
    headers = {"content-type": BUNDLE_TYPE} | signer.headers(receiver.did, "POST", url, raw) | changes
    lowered = {name.lower(): value for name, value in headers.items()}
    client = AsgiClient(league.network.applications[receiver.endpoint], lowered)
    return await client.request("POST", BUNDLES_PATH, body=raw)


# -- the short way --------------------------------------------------------------------------------------------


async def test_what_was_pushed_is_stored_with_its_event_and_nothing_is_requested(league: League) -> None:
    lubeck, *others = league.marketplaces
    await league.settle()
    league.ledger.commit_delay_s = 0.5
    for n in range(30):
        await lubeck.put_bound(n=n)
    await league.settle()
    assert requested(league) == []
    for other in others:
        assert await other.catalogue() == await lubeck.catalogue()
        assert other.retriever.counters.entities_stored == 30
        assert other.pushed.size_bytes == 0
        (origin,) = (await other.view.progress((), None)).origins
        assert (origin.heads, origin.stored, origin.unaccounted) == (30, 30, 0)
    assert lubeck.pusher.counters.bundles_failed == 0


async def test_changes_and_deletions_follow_what_was_pushed(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await league.settle()
    league.ledger.commit_delay_s = 0.5
    bound = [await lubeck.put_bound(n=n) for n in range(4)]
    await league.settle()
    for n in range(3):
        for entity_id in bound:
            await lubeck.put(entity_id, n=10 * n)
        await league.run(0.2)
    await lubeck.delete(bound[0])
    await league.settle()
    assert await bergen.catalogue() == await lubeck.catalogue()
    assert set(await bergen.catalogue()) == set(bound[1:])
    assert requested(league) == []


async def test_a_chosen_identifier_is_in_no_bundle_before_its_claim_is_committed(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await league.settle()
    league.ledger.commit_delay_s = 1.0
    bound, chosen = await lubeck.put_bound(n=1), await lubeck.put("chosen", n=1)
    await league.run(1.5)
    bundles = [one.body for one in league.network.requests if one.url.endswith(BUNDLES_PATH)]
    keys = {one.key for raw in bundles for one in unpacked(raw)}
    assert keys == {entity_key(lubeck.did, bound)}
    assert all(chosen.encode() not in zlib.decompress(raw) for raw in bundles)
    await league.settle()
    assert set(await bergen.catalogue()) == {chosen, bound}
    before = len(requested(league))
    await lubeck.put("chosen", n=2)
    await league.settle()
    assert len(requested(league)) == before, "its next version is pushed"


async def test_what_is_not_public_is_in_no_bundle(league: League) -> None:
    lubeck = league.marketplaces[0]
    await league.settle()
    league.ledger.commit_delay_s = 1.0
    entity_id = await lubeck.put_bound(n=1)
    await league.settle()
    await lubeck.put(entity_id, n=2)
    await lubeck.put(entity_id, "In design", n=3, secret="secret")
    await league.settle()
    bundles = [one.body for one in league.network.requests if one.url.endswith(BUNDLES_PATH)]
    assert bundles
    assert all(b"secret" not in zlib.decompress(raw) for raw in bundles)


async def test_a_member_that_answers_no_bundle_is_known_to_be_silent_until_it_gives_a_sign_of_life() -> None:
    def unreachable(*_: object) -> HttpResponse:
        raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "Nobody answers.")

    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await lubeck.put_bound(n=1)
        await league.settle()
        assert lubeck.pusher.failing_since(bergen.did) is None
        league.network.faults[bergen.endpoint] = unreachable
        await lubeck.put_bound(n=2)
        await league.settle()
        since = lubeck.pusher.failing_since(bergen.did)
        assert since is not None
        assert since <= rfc3339(league.clock.now())
        league.network.faults.clear()
        await league.run(60)
        await lubeck.put_bound(n=3)
        await league.settle()
        assert lubeck.pusher.failing_since(bergen.did) is None


@pytest.mark.parametrize("fault", [404, 500, 503])
async def test_a_member_that_takes_no_bundles_gets_few_of_them_and_all_entities(fault: int) -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await league.settle()
        league.ledger.commit_delay_s = 0.2
        league.network.faults[bergen.endpoint] = status(fault)
        for n in range(60):
            await lubeck.put_bound(n=n)
            await league.run(0.5)
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert 0 < lubeck.pusher.counters.bundles_failed < 20
        league.network.faults.clear()
        await league.run(60)
        await lubeck.put_bound(n=99)
        await league.settle()
        assert lubeck.pusher.counters.bundles_sent > 0


# -- what members might push ------------------------------------------------------------------------------------


def wrong_bytes(entity_id: str, body: bytes) -> tuple[bytes, str]:
    return body.replace(b'"n":1', b'"n":2'), hashlink(body)


def another_version(entity_id: str, body: bytes) -> tuple[bytes, str]:
    other = body.replace(b'"n":1', b'"n":0')
    return other, hashlink(other)


def no_json(entity_id: str, body: bytes) -> tuple[bytes, str]:
    return b"[]", hashlink(body)


@pytest.mark.parametrize("lie", [wrong_bytes, another_version, no_json])
async def test_what_does_not_hold_is_requested_as_if_it_had_not_been_pushed(
    lie: Callable[[str, bytes], tuple[bytes, str]],
) -> None:
    async with League(["lubeck", "bergen"], has_pushes=False) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await league.settle()
        league.ledger.commit_delay_s = 1.0
        entity_id = await lubeck.put_bound(n=1)
        await league.run(0.2)
        entity = await lubeck.store.entity(entity_id)
        assert entity is not None
        body, link = lie(entity_id, entity.body)
        raw = packed([part(entity_key(lubeck.did, entity_id), body, link)])
        assert raw is not None
        assert (await push(lubeck, bergen, raw)).status == 204
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert requested(league) == [entity_key(lubeck.did, entity_id)]


async def test_nobody_can_push_for_another_member(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    league.ledger.commit_delay_s = 1.0
    entity_id = await lubeck.put_bound(n=1)
    await league.run(0.2)
    key = entity_key(lubeck.did, entity_id)
    entity = await lubeck.store.entity(entity_id)
    assert entity is not None
    assert riga.pushed.take(lubeck.did, key, entity.hashlink) == entity.body
    raw = packed([part(key, canonical_json({"n": 2}), entity.hashlink)])
    assert raw is not None
    assert (await push(bergen, riga, raw)).status == 204
    assert riga.pushed.take(lubeck.did, key, entity.hashlink) is None
    await league.settle()
    assert await riga.catalogue() == await lubeck.catalogue()


async def test_an_own_entity_is_not_replaced_by_what_was_pushed(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await bergen.put("x", "In design", n=7)
    entity_id = bergen.id("x")
    body = draft(entity_id, n=1).body
    raw = packed([part(entity_key(lubeck.did, entity_id), body, hashlink(body))])
    assert raw is not None
    assert (await push(lubeck, bergen, raw)).status == 204
    await lubeck.announce(entity_id, body)
    await league.until(bergen.is_idle)
    mine = await bergen.store.entity(entity_id)
    assert mine is not None
    assert (mine.origin, msgspec.json.decode(mine.body)["n"]) == (None, 7)


async def test_bundles_are_taken_from_signing_members_alone(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    raw = packed([part()])
    assert raw is not None
    unsigned = await AsgiClient(
        league.network.applications[bergen.endpoint], {"content-type": BUNDLE_TYPE}
    ).request("POST", BUNDLES_PATH, body=raw)
    assert unsigned.status == 401
    assert (await push(lubeck, bergen, raw, **{"content-type": "application/json"})).status == 415
    for wrong in (b"", b"{}", raw[:-1], raw + b"x", zlib.compress(b"{}"), zlib.compress(b"\n")):
        assert (await push(lubeck, bergen, wrong)).status == 400
    assert bergen.pushed.size_bytes == 0


BOMBS = {
    "zeros": zlib.compress(bytes(CONTENT_MAX_BYTES + 1), 9),
    "a ratio": zlib.compress(b'{"key":' + bytes(2_000_000), 9),
    "lines": zlib.compress(b"\n" * LINES_MAX),
    "many lines": zlib.compress(b"\n" * 60_000),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bundle_that_decompresses_to_too_much_is_refused(league: League, name: str) -> None:
    lubeck, bergen, _ = league.marketplaces
    answer = await push(lubeck, bergen, BOMBS[name])
    assert (answer.status, answer.json()["code"]) == (413, Code.TOO_LARGE)
    assert bergen.pushed.size_bytes == 0


async def test_a_bundle_that_is_too_large_is_not_read_to_its_end(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    assert (await push(lubeck, bergen, bytes(SIZE_MAX_BYTES + 1))).status == 413


def test_a_flood_of_pushes_takes_its_own_room_alone() -> None:
    clock = ManualClock()
    pushed = PushedParts(clock)
    pushed.put("honest", [part("cd" * 32, b"x" * 1000)])
    body = b"y" * 1_000_000
    for n in range(300):
        pushed.put("flood", [part(f"{n:064x}", body)])
        assert pushed.size_bytes <= ORIGIN_MAX_BYTES + 2000
    for n in range(30_000):
        pushed.put("small", [part(f"{n:064x}", b"{}")])
    assert pushed.take("small", f"{1:064x}", LINK) is None
    assert pushed.take("small", f"{29_999:064x}", LINK) == b"{}"
    for member in range(20):
        for n in range(20):
            pushed.put(f"flood {member}", [part(f"{n:064x}", body)])
    assert pushed.size_bytes <= TOTAL_MAX_BYTES
    assert pushed.take("honest", "cd" * 32, LINK) == b"x" * 1000
    assert pushed.take("honest", "cd" * 32, LINK) is None


async def test_what_nobody_takes_leaves_after_a_minute() -> None:
    clock = ManualClock()
    pushed = PushedParts(clock)
    pushed.put("one", [part()])
    await clock.advance(RETAINED_S - 1)
    pushed.put("two", [part()])
    await clock.advance(2)
    pushed.put("three", [part()])
    assert pushed.take("one", part().key, LINK) is None
    assert pushed.take("two", part().key, LINK) == b"{}"
    assert pushed.size_bytes == len(b"{}") + limits_of_pushed.OVERHEAD_BYTES


async def test_an_origin_over_its_bound_is_deferred_whatever_it_pushes() -> None:
    async with League(["lubeck", "bergen"], Limits(origin_entities_max=3)) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await league.settle()
        league.ledger.commit_delay_s = 0.2
        for n in range(6):
            await lubeck.put_bound(n=n)
            await league.run(1)
        (origin,) = (await bergen.view.progress((), None)).origins
        assert (origin.stored, origin.deferred, origin.bound) == (3, 3, "entities")


# -- the form ---------------------------------------------------------------------------------------------------


bodies = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=3).map(
    msgspec.json.encode
)


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), bodies), min_size=1, max_size=9))
def test_what_is_packed_is_unpacked(pairs: list[tuple[bytes, bytes]]) -> None:
    parts = [part(key.hex(), body, hashlink(body)) for key, body in pairs]
    raw = packed(parts)
    assert raw is not None
    assert [(one.key, one.hashlink, bytes(one.entity)) for one in unpacked(raw)] == [
        (one.key, one.hashlink, bytes(one.entity)) for one in parts
    ]


@given(st.binary(max_size=200))
def test_whatever_bytes_are_a_bundle_or_refused(raw: bytes) -> None:
    for each in (raw, zlib.compress(raw)):
        with suppress(Refused):
            assert unpacked(each)
