from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Unavailable
from hansa.core.members import Member
from hansa.core.trust.certificates import (
    CERTIFICATES,
    KEY_CERTIFICATE,
    KeyCertificate,
    certificate_key,
)
from hansa.pubsub.memory import MemoryBus
from hansa.replication.registry import (
    AGE_MAX_S,
    FOLLOW_INTERVAL_S,
    RETRY_S,
    UNKNOWN_AGE_MAX_S,
    MemberRegistry,
)
from tests.support.league import League


class Counting:
    """A bus that counts how often its registry is read."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bus, name)

    async def members(self) -> tuple[Member, ...]:
        self.reads += 1
        return await self.bus.members()


def registry_of(league: League, known: tuple[Member, ...] = ()) -> tuple[MemberRegistry, Counting]:
    bus = Counting(league.ledger.bus())
    return MemberRegistry(bus, league.clock, known), bus


async def pass_time(clock: ManualClock, seconds: float) -> None:
    for _ in range(10):
        await asyncio.sleep(0)
    await clock.advance(seconds)
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_copy_is_what_it_was_made_with_until_the_bus_has_been_read(league: League) -> None:
    registry, _ = registry_of(league, league.registered[:1])
    assert registry.known() == league.registered[:1]
    assert set(await registry.members()) == set(league.registered)
    assert set(registry.known()) == set(league.registered)


async def test_a_revoked_key_speaks_for_nobody_and_stays_known(league: League) -> None:
    member, other = league.registered[:2]
    key = member.keys[0]
    certificate = KeyCertificate("0" * 64, member.did, key.kid, 1, 0, 0, ("AAAA",), revoked_ms=1)
    league.ledger.application.state.connection.execute(
        "INSERT INTO record (section, key, body) VALUES (?, ?, ?)",
        (CERTIFICATES, certificate_key(member.did, key.kid), KEY_CERTIFICATE.write(certificate)),
    )
    registry, _ = registry_of(league)
    assert set(await registry.members()) == set(league.registered)
    callers = {one.did: one for one in registry.callers()}
    assert callers[member.did].keys == ()
    assert callers[other.did] == other


async def test_a_member_is_known_by_its_did_and_nobody_else_is(league: League) -> None:
    registry, _ = registry_of(league)
    member = league.registered[1]
    assert await registry.member(member.did) == member
    assert await registry.member("did:key:zNobody") is None


async def test_how_a_member_ceased_to_be_one_is_known_of_former_ones_alone(league: League) -> None:
    first, second, *others = league.registered
    gone = (
        msgspec.structs.replace(first, status="left"),
        msgspec.structs.replace(second, status="suspended"),
    )
    registry, _ = registry_of(league, (*gone, *others))
    assert registry.former_status(first.did) == "left"
    assert [registry.former_status(one.did) for one in (second, *others)] == [None] * (1 + len(others))
    assert registry.former_status("did:key:zNobody") is None


async def test_the_registry_is_read_again_only_when_the_copy_is_too_old(league: League) -> None:
    registry, bus = registry_of(league)
    await registry.members()
    await pass_time(league.clock, AGE_MAX_S)
    await registry.members()
    assert bus.reads == 1
    await pass_time(league.clock, 0.1)
    await registry.members()
    assert bus.reads == 2


async def test_an_unknown_member_is_looked_up_again_but_not_for_every_request(league: League) -> None:
    registry, bus = registry_of(league)
    await registry.members()
    await registry.member("did:key:zNobody")
    assert bus.reads == 1
    await pass_time(league.clock, UNKNOWN_AGE_MAX_S + 0.1)
    await registry.member("did:key:zNobody")
    assert bus.reads == 2


async def test_a_copy_that_is_too_old_is_not_returned_when_the_bus_does_not_answer(league: League) -> None:
    registry, bus = registry_of(league, league.registered)
    bus.bus.is_connected = False
    with pytest.raises(Unavailable):
        await registry.members()
    assert registry.known() == league.registered


async def test_following_keeps_the_copy_fresh_also_after_the_bus_was_away(league: League) -> None:
    registry, bus = registry_of(league)
    bus.bus.is_connected = False
    following = asyncio.create_task(registry.follow())
    await pass_time(league.clock, 0.0)
    assert registry.known() == ()
    bus.bus.is_connected = True
    await pass_time(league.clock, RETRY_S)
    assert set(registry.known()) == set(league.registered)
    following.cancel()


async def test_following_reads_after_each_block_and_not_more_often_than_necessary(league: League) -> None:
    registry, bus = registry_of(league)
    following = asyncio.create_task(registry.follow())
    await pass_time(league.clock, FOLLOW_INTERVAL_S)
    assert bus.reads == 1
    for _ in range(5):
        league.ledger.signal.notify()
        await pass_time(league.clock, 0.0)
    assert bus.reads == 2
    await pass_time(league.clock, FOLLOW_INTERVAL_S)
    assert bus.reads == 3
    await pass_time(league.clock, 10 * FOLLOW_INTERVAL_S)
    assert bus.reads == 3
    following.cancel()


async def test_listeners_get_the_members_at_once_and_whenever_they_have_changed(league: League) -> None:
    registry, bus = registry_of(league, league.registered[:1])
    seen: list[tuple[Member, ...]] = []
    registry.add_listener(seen.append)
    assert seen == [league.registered[:1]]
    await registry.members()
    unchanged = registry.known()
    await registry.members(age_max_s=-1.0)
    assert (len(seen), bus.reads) == (2, 2)
    assert set(seen[1]) == set(league.registered)
    assert registry.known() is unchanged
