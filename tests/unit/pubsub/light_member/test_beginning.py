"""A light member begins with a snapshot of a followed member, whatever that one makes up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hansa.core.errors import Code
from hansa.core.http import HttpRequest, HttpResponse
from hansa.pubsub.ledger.history.segment import decompressed
from hansa.pubsub.ledger.snapshots.manifest import StateManifest, read_manifest
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger_records import EventFilter
from hansa.pubsub.light_member import following
from hansa.pubsub.light_member.trust import PinnedBlock
from tests.support.conditions import until
from tests.support.followed_league import (
    FollowedLeague,
    FollowingMember,
    Lie,
    MakeFollowing,
    ScriptedMember,
    state_of,
)

PAUSE_S = 45.0
"""Between two rounds, so that whoever is distrusted is asked again."""


@pytest.fixture(autouse=True)
def few_events_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "EVENTS_MIN", 20)


@pytest.fixture
def league(tmp_path: Path) -> FollowedLeague:
    """One with a snapshot of 60 events, and 8 after it."""
    made = FollowedLeague()
    made.grow(12, 5)
    made.take_snapshot(tmp_path / "snapshots")
    made.grow(4)
    return made


def events_of(league: FollowedLeague) -> list[bytes]:
    return [one.content for one in league.ledger.reader.events(0, EventFilter()).events]


async def fill(light: FollowingMember, league: FollowedLeague) -> None:
    """Have the history come while it follows."""
    light.history.mkdir(exist_ok=True)
    (light.history / "0").write_bytes(segment(league))
    task = asyncio.create_task(light.follower.run())
    try:
        await until(lambda: not any(light.history.iterdir()))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def segment(league: FollowedLeague) -> bytes:

    return decompressed(league.ledger.reader.history_segment(0))


async def test_the_state_comes_with_a_snapshot_and_the_events_before_it_later(
    league: FollowedLeague, make: MakeFollowing
) -> None:
    light = make()
    await light.rounds(1)
    app_hash, position, readable = state_of(light)
    assert (app_hash, position, readable) == (league.head.app_hash, 68, [])
    league.grow(2)
    await light.rounds(1)
    assert state_of(light)[:2] == (league.head.app_hash, 72), "it goes on while the history is missing"
    await light.close()
    again = make()  # as after a restart
    await fill(again, league)
    assert state_of(again) == (league.head.app_hash, 72, events_of(league))
    await again.close()
    state = SqliteState(again.state_file)  # reads and compares everything
    assert state.head.app_hash == league.head.app_hash
    state.close()


async def test_the_block_that_is_trusted_may_be_newer_than_the_snapshot(
    league: FollowedLeague, make: MakeFollowing
) -> None:
    height = max(league.blocks) - 1
    light = make(pinned=PinnedBlock(height, league.blocks[height].header.hash.hex()))
    await light.rounds(1)
    assert state_of(light)[:2] == (league.head.app_hash, 68)


async def test_a_snapshot_of_the_newest_state_is_enough(
    league: FollowedLeague, make: MakeFollowing, tmp_path: Path
) -> None:
    league.take_snapshot(tmp_path / "snapshots")
    light = make()
    await light.rounds(1)
    assert state_of(light)[:2] == (league.head.app_hash, 68)


async def test_without_a_snapshot_it_begins_with_the_first_event(
    league: FollowedLeague, make: MakeFollowing
) -> None:
    league.snapshots = None
    light = make()
    await light.rounds(1)
    assert state_of(light) == (league.head.app_hash, 68, events_of(league))


def changed_manifest(change: Callable[[StateManifest], StateManifest]) -> Lie:
    """A lie about the manifest."""

    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        if len(request.url.partition("/snapshots/")[2].split("/")) != 1 or "/snapshots/" not in request.url:
            return honest
        return HttpResponse(200, {}, change(read_manifest(honest.body)).write())

    return lie


def changed_chunk(change: Callable[[bytes], bytes]) -> Lie:
    """A lie about what is in a snapshot."""

    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        if "/snapshots/" not in request.url or not request.url.endswith("/0"):
            return honest
        return HttpResponse(200, {}, change(honest.body))

    return lie


def instead(place: str, response: HttpResponse) -> Lie:
    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        return response if place in request.url else honest

    return lie


def larger(manifest: StateManifest) -> StateManifest:
    """As large as a manifest can say."""
    return msgspec.structs.replace(
        manifest,
        chunks=tuple(msgspec.structs.replace(manifest.chunks[0], size=4_000_000) for _ in range(500)),
    )


LIES: dict[str, Lie] = {
    "a manifest that is none": instead("/snapshots/", HttpResponse(200, {}, b"{}")),
    "a list that is none": instead("/snapshots", HttpResponse(200, {}, b'{"heights":"all"}')),
    "another league": changed_manifest(lambda one: msgspec.structs.replace(one, chain_id="another")),
    "another height": changed_manifest(lambda one: msgspec.structs.replace(one, height=one.height - 1)),
    "more than any state has": changed_manifest(larger),
    "a bit": changed_chunk(lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])),
    "too little": changed_chunk(lambda raw: raw[:-1]),
    "nothing": changed_chunk(lambda _: b""),
    "a part that is withheld": instead("/0", HttpResponse(404, {}, b"{}")),
}


@pytest.mark.parametrize("name", LIES)
async def test_whoever_lies_about_a_snapshot_costs_a_round_and_the_next_one_is_followed(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing, name: str
) -> None:
    light = make()
    members[0].lie = LIES[name]
    await light.rounds(1)
    assert state_of(light)[:2] == (league.head.app_hash, 68)
    for one in members[1:]:
        assert light.behavior(one) in {"current", "unknown"}


async def test_a_snapshot_of_another_history_that_fits_together_is_written_by_nobody(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing, tmp_path: Path
) -> None:
    """Whole in itself, and signed by nobody."""
    other = FollowedLeague()
    stranger = other.origins[2]
    for _ in range(12):
        other.commit(stranger, *stranger.events(5))
    other.take_snapshot(tmp_path / "others")
    other.grow(4)
    liar = ScriptedMember(other, other.origins[0])

    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        return liar.answer(request) if "/snapshots" in request.url else honest

    for one in members:
        one.lie = lie
    light = make()
    await light.rounds(1)
    assert state_of(light)[1] == 0, "nothing of it is seen"
    assert {light.behavior(one) for one in members} == {"lies"}
    members[2].lie = None
    await light.rounds(3, PAUSE_S)
    assert state_of(light)[:2] == (league.head.app_hash, 68)


async def test_a_segment_that_does_not_belong_is_put_aside(
    league: FollowedLeague, make: MakeFollowing
) -> None:
    light = make()
    await light.rounds(1)
    light.history.mkdir()
    wrong = bytearray(segment(league))
    wrong[len(wrong) // 3] ^= 1
    (light.history / "0").write_bytes(bytes(wrong))
    task = asyncio.create_task(light.follower.run())
    await until((light.history / "0.refused").exists)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert state_of(light)[2] == []
    (light.history / "0.refused").unlink()
    await fill(light, league)
    assert state_of(light)[2] == events_of(league)


async def test_nothing_is_judged_by_a_state_that_is_not_verified_yet(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make()
    judged: list[Code] = []

    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        if request.url.endswith("/0"):
            judging.append(asyncio.create_task(judge()))
        return honest

    async def judge() -> None:
        refusal = await light.follower.refusal_of(b"{}")
        assert refusal is not None
        judged.append(refusal.code)

    judging: list[asyncio.Task[None]] = []
    members[0].lie = lie
    await light.rounds(1)
    await asyncio.gather(*judging)
    assert judged == [Code.OVERLOADED]
    assert state_of(light)[1] == 68
