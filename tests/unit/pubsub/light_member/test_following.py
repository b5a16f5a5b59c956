"""A light member has what more than 2/3 of the validators signed, whoever lies, withholds or is late."""

from __future__ import annotations

import asyncio
import random
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger_records import EventFilter
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.pubsub.light.comparing import FORGERY, FORK
from hansa.pubsub.light_member.trust import PinnedBlock
from tests.support.followed_league import (
    LATER,
    FollowedLeague,
    FollowingMember,
    JumpingClock,
    MakeFollowing,
    ScriptedMember,
    state_of,
)
from tests.support.light_chain import digest
from tests.unit.pubsub.light_member.lies import LIES

ROUNDS_MAX = 30
PAUSE_S = 45.0
"""Between two rounds, so that whoever is distrusted is asked again."""


@pytest.fixture
def league() -> FollowedLeague:
    return FollowedLeague()


def state_in(league: FollowedLeague) -> tuple[bytes, int, list[bytes]]:
    """The same of the league itself."""
    page = league.ledger.reader.events(0, EventFilter())
    return league.head.app_hash, league.head.position, [one.content for one in page.events]


async def test_what_the_members_have_is_verified_and_written_and_can_be_read(
    league: FollowedLeague, make: MakeFollowing
) -> None:
    light = make()
    league.grow(5)
    await light.rounds(1)
    assert state_of(light) == state_in(league)
    league.grow(3)
    await light.rounds(1)
    assert state_of(light) == state_in(league)
    assert light.signal.count == 3
    await light.close()
    again = SqliteState(light.state_file)  # reads and compares everything, as at every start
    assert again.head.app_hash == league.head.app_hash
    again.close()


async def test_an_idle_league_keeps_the_trusted_block_fresh_and_writes_nothing(
    league: FollowedLeague, make: MakeFollowing
) -> None:
    light = make()
    league.grow(1)
    await light.rounds(1)
    league.skip(5)
    await light.rounds(1)
    assert light.trust.height == max(league.blocks)
    assert light.signal.count == 2


@pytest.mark.parametrize("name", LIES)
async def test_a_member_that_lies_is_noticed_and_the_next_one_followed(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing, name: str
) -> None:
    light = make()
    league.grow(2)
    await light.rounds(1)
    members[0].lie = LIES[name]
    for _ in range(3):
        league.grow(2)
        await light.rounds(2)
        assert state_of(light)[0] in league.app_hashes
        assert state_of(light) == state_in(league)
    assert light.behavior(members[0]) in {"lies", "withholds", "silent", "upgraded"}
    assert {light.behavior(one) for one in members[1:]} == {"current"}
    members[0].lie = None
    for _ in range(3):
        league.grow(1)
        await light.rounds(1, pause_s=4000.0)
    assert light.behavior(members[0]) == "current"


async def test_nothing_is_written_while_all_lie(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make()
    league.grow(1)
    await light.rounds(1)
    before = state_of(light)
    for lie in LIES.values():
        for member in members:
            member.lie = lie
        league.grow(2)
        await light.rounds(1, pause_s=4000.0)
        assert state_of(light) == before
    for member in members:
        member.lie = None
    await light.rounds(1)
    assert state_of(light) == state_in(league)


_LIARS = st.lists(
    st.one_of(st.sampled_from(["honest", "away", "late"]), st.sampled_from(sorted(LIES))),
    min_size=2,
    max_size=2,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([["honest", "honest"], ["a batch twice", "late"], ["late", "honest"]], 1174)
@given(st.lists(_LIARS, min_size=1, max_size=4), st.integers(0, 2**32))
def test_one_honest_member_is_enough_whatever_the_others_do(ways: list[list[str]], seed: int) -> None:
    """Whichever two of three lie in whatever way, nothing unverified is written, and all of it comes."""
    draws = random.Random(seed)

    async def run(folder: Path) -> None:
        league = FollowedLeague()
        members = [ScriptedMember(league, origin) for origin in league.origins[:3]]
        draws.shuffle(members)
        light = FollowingMember(league, members, folder)
        for pair in ways:
            league.grow(draws.randint(1, 3))
            for member, way in zip(draws.sample(members, 2), pair, strict=True):
                member.lie = LIES.get(way)
                member.is_away = way == "away"
                member.stays_at = draws.choice(sorted(league.views)) if way == "late" else None
            for _ in range(ROUNDS_MAX):
                await light.rounds(1, pause_s=PAUSE_S)
                assert state_of(light)[0] in league.app_hashes
                if state_of(light)[0] == league.head.app_hash:
                    break
            assert state_of(light) == state_in(league)
            for member in members:
                member.lie, member.is_away, member.stays_at = None, False, None
        await light.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_a_member_that_is_behind_for_long_is_late_and_current_again_when_it_has_caught_up(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make()
    league.grow(2)
    await light.rounds(1)
    members[0].stays_at = max(league.views)
    for _ in range(15):
        league.grow(1)
        await light.rounds(1)
    assert [light.behavior(one) for one in members] == ["late", "current", "current"]
    assert state_of(light) == state_in(league)
    members[0].stays_at = None
    await light.rounds(2)
    assert light.behavior(members[0]) == "current"


async def test_all_down_is_said_and_they_are_followed_when_they_come_back(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make()
    league.grow(2)
    await light.rounds(1)
    for member in members:
        member.is_away = True
    await light.rounds(3)
    status = light.follower.status
    assert not status.has_answer
    assert {one.behavior for one in status.sources} == {"silent"}
    assert state_of(light) == state_in(league)
    league.grow(2)
    members[2].is_away = False
    await light.rounds(2, pause_s=60.0)
    assert light.follower.status.has_answer
    assert state_of(light) == state_in(league)


async def test_a_restart_goes_on_from_the_block_that_was_verified(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make()
    league.grow(3)
    await light.rounds(1)
    trusted = light.trust.height
    await light.close()
    league.grow(2)
    again = make(trust_period_s=30.0)  # the genesis is older than that
    await again.rounds(1)
    assert again.trust.height > trusted
    assert state_of(again) == state_in(league)


async def test_what_is_older_than_the_trust_period_is_refused_with_what_to_do(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make(trust_period_s=10.0)
    league.grow(1)
    await light.follower.open()
    with pytest.raises(Unavailable, match="hansa league trust") as refused:
        await light.rounds(1)
    assert refused.value.code is Code.UNAVAILABLE
    assert state_of(light)[1] == 0
    await light.close()
    newest = league.blocks[max(league.blocks)]
    pinned = make(trust_period_s=30.0, pinned=PinnedBlock(newest.height, newest.header.hash.hex().upper()))
    league.grow(1)
    await pinned.rounds(1)
    assert state_of(pinned) == state_in(league)


async def test_a_member_that_has_another_block_than_the_operator_compared_is_not_followed(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    league.grow(2)
    compared = league.blocks[2]
    members[0].lie = LIES["blocks of strangers at the same height"]
    light = make(trust_period_s=30.0, pinned=PinnedBlock(2, compared.header.hash.hex()))
    await light.rounds(1)
    assert light.behavior(members[0]) == "lies"
    assert state_of(light) == state_in(league)


async def test_a_fork_is_retained_and_nothing_is_believed_after_it(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make()
    league.grow(2)
    await light.rounds(1)
    before = state_of(light)
    league.grow(1)
    height = max(league.blocks)
    other = league.forked_block(height, digest("another history"))

    def forked(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        path = request.url.partition("?")[0]
        return member.light(path, {}, other) if path.endswith(("/commit", "/validators")) else honest

    members[2].lie = forked
    with pytest.raises(Refused) as refused:
        await light.rounds(1)
    assert refused.value.code is Code.LEDGER_FORKED
    assert state_of(light) == before
    (evidence,) = await light.retained.read(CapturedBlocks.evidence)
    assert (evidence.kind, evidence.height) == (FORK, height)
    await light.close()
    members[2].lie = None
    again = make()
    for _ in range(2):
        with pytest.raises(Refused, match="forked"):
            await again.rounds(1)
    await again.close()
    league.grow(1)
    decided = league.blocks[max(league.blocks)]
    settled = make(pinned=PinnedBlock(decided.height, decided.header.hash.hex()))
    await settled.rounds(1)
    assert state_of(settled) == state_in(league)


async def test_a_witness_with_a_block_that_nobody_signed_is_evidence_against_it_alone(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make()
    league.grow(2)
    members[1].lie = LIES["blocks of strangers at the same height"]
    await light.rounds(2)
    assert state_of(light) == state_in(league)
    assert light.behavior(members[1]) == "lies"
    assert {one.kind for one in light.trust.evidence} <= {FORGERY}


async def test_a_member_that_shows_the_newest_header_and_withholds_its_events_holds_up_nobody(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    light = make()
    await light.rounds(1)
    members[0].lie = LIES["no batches"]
    members[1].stays_at = max(league.views)
    for _ in range(6):
        league.grow(1)
        await light.rounds(1)
    assert light.behavior(members[0]) == "withholds"
    assert state_of(light) == state_in(league)


async def test_a_long_history_comes_in_steps_and_a_lie_at_its_end_undoes_all(
    league: FollowedLeague,
    members: list[ScriptedMember],
    make: MakeFollowing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("following", "mirror"):
        monkeypatch.setattr(f"hansa.pubsub.light_member.{module}.SEGMENT_EVENTS", 8)
    monkeypatch.setattr("hansa.pubsub.ledger.reading.history.SEGMENT_EVENTS", 8)
    monkeypatch.setattr("hansa.pubsub.light_member.mirror.MirrorUpdate.__init__.__defaults__", (8,))
    league.grow(20)
    light = make()

    def last_changed(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        return LIES["other contents"](member, request, honest) if "after=32" in request.url else honest

    members[0].lie = last_changed
    await light.follower.open()
    before = state_of(light)
    members[1].is_away = members[2].is_away = True
    await light.rounds(1)
    assert state_of(light) == before
    members[1].is_away = False
    await light.rounds(1, pause_s=5.0)
    assert light.behavior(members[0]) == "lies"
    assert state_of(light) == state_in(league)


async def test_receipts_of_what_was_followed_are_made_of_retained_blocks(
    league: FollowedLeague, make: MakeFollowing
) -> None:
    light = make()
    league.grow(2)
    await light.rounds(1)
    block = await light.retained.wait_for(league.head.app_hash, 1.0)
    assert block == league.blocks[max(league.blocks)]


async def test_a_block_from_the_future_is_not_believed(
    league: FollowedLeague, members: list[ScriptedMember], make: MakeFollowing
) -> None:
    early = JumpingClock(LATER - timedelta(days=1))
    light = make(clock=early)
    league.grow(1)
    await light.rounds(1)
    assert state_of(light)[1] == 0
    assert {light.behavior(one) for one in members} == {"lies"}
