"""A light member publishes through the members that it follows, and believes none of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.limits import Limits
from hansa.identity import MemberSigner
from hansa.pubsub.light_member.bus import LightBus
from hansa.pubsub.light_member.submitting import Submissions
from tests.support.followed_league import LATER, FollowedLeague, FollowingMember, ScriptedMember

T = TypeVar("T")
LIMITS = Limits(publish_timeout_s=20.0)
STEPS_MAX = 400


class Publishing:
    """The light member bruges, which follows the three others."""

    def __init__(self, folder: Path) -> None:
        self.league = FollowedLeague()
        self.own = self.league.origins[3]
        self.members = [ScriptedMember(self.league, origin) for origin in self.league.origins[:3]]
        self.clock = ManualClock(LATER)
        self.light = FollowingMember(self.league, self.members, folder, clock=self.clock)
        follower = self.light.follower
        dids = {one.endpoint: one.origin.did for one in self.members}
        signer = MemberSigner(self.own.key, self.own.did, self.clock, os.urandom, LIMITS)
        submissions = Submissions(
            *(follower.submittable, dids.get, signer, follower.refusal_of, follower.catch_up, self.clock)
        )
        self.bus = LightBus(
            *(self.light.state_file, follower, submissions, self.light.signal, self.clock, LIMITS)
        )

    async def drive(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of something that waits, while rounds go on and time passes."""
        task = asyncio.create_task(work)
        for _ in range(STEPS_MAX):
            await asyncio.wait({task}, timeout=0.002)
            if task.done():
                break
            await self.light.follower.look()
            await self.clock.advance(0.5)
        return await task

    def withheld(self) -> list[int]:
        """How often each followed member is known to have withheld something."""
        return [one.withheld for one in self.light.follower.status.sources]


@pytest.fixture
async def publishing(tmp_path: Path) -> AsyncIterator[Publishing]:
    made = Publishing(tmp_path)
    await made.light.rounds(1, pause_s=0.0)
    yield made
    await made.bus.close()
    await made.light.close()


async def test_events_are_published_through_a_followed_member(publishing: Publishing) -> None:
    own = publishing.own
    positions = await publishing.drive(publishing.bus.publish(own.events(3), own.signer))
    assert positions == (1, 2, 3)
    positions = await publishing.drive(publishing.bus.publish(own.events(1), own.signer))
    assert positions == (4,)
    assert publishing.withheld() == [0, 0, 0]
    page = await publishing.bus.search(0)
    assert [one.event.issuer for one in page.events] == [own.did] * 4


async def test_a_member_that_takes_a_batch_and_withholds_it_is_noticed_and_the_next_one_brings_it(
    publishing: Publishing,
) -> None:
    publishing.members[0].withholds_submissions = True
    own = publishing.own
    positions = await publishing.drive(publishing.bus.publish(own.events(2), own.signer))
    assert positions == (1, 2)
    assert len(publishing.members[0].submitted) == 1
    assert publishing.withheld() == [1, 0, 0]
    assert publishing.light.behavior(publishing.members[0]) == "withholds"
    await publishing.drive(publishing.bus.publish(own.events(1), own.signer))
    assert len(publishing.members[0].submitted) == 1  # it is passed over for a while


async def test_while_nobody_brings_it_into_a_block_nobody_is_blamed(publishing: Publishing) -> None:
    for member in publishing.members:
        member.withholds_submissions = True
    own = publishing.own
    contents = own.events(1)
    with pytest.raises(Unavailable):
        await publishing.drive(publishing.bus.publish(contents, own.signer))
    assert publishing.withheld() == [0, 0, 0]
    for member in publishing.members:
        member.withholds_submissions = False
    await publishing.clock.advance(40.0)
    assert await publishing.drive(publishing.bus.publish(contents, own.signer)) == (1,)


@pytest.mark.parametrize(
    "verdict",
    [
        {"outcome": "refused", "code": "event-malformed"},
        {"outcome": "refused", "code": "event-duplicate"},
        {"outcome": "refused", "code": "batch-outdated"},
        {"outcome": "refused", "code": "a code of the future"},
        {"outcome": "later", "code": "quota-exceeded", "wait_s": 1e300},
        {"outcome": "later", "code": "overloaded", "wait_s": -1.0},
        {"outcome": "something else"},
        {},
    ],
)
async def test_a_refusal_that_the_rules_do_not_give_is_not_believed(
    publishing: Publishing, verdict: dict[str, Any]
) -> None:
    publishing.members[0].verdict = verdict
    publishing.members[1].verdict = verdict
    own = publishing.own
    assert await publishing.drive(publishing.bus.publish(own.events(1), own.signer)) == (1,)
    assert len(publishing.members[2].submitted) == 1


async def test_what_all_refuse_without_a_reason_may_be_taken_later(publishing: Publishing) -> None:
    for member in publishing.members:
        member.verdict = {"outcome": "refused", "code": "event-malformed"}
    own = publishing.own
    with pytest.raises(Unavailable) as refused:
        await publishing.drive(publishing.bus.publish(own.events(1), own.signer))
    assert refused.value.code is Code.OVERLOADED


async def test_what_breaks_a_rule_is_refused_here_whatever_members_promise(publishing: Publishing) -> None:
    for member in publishing.members:
        member.verdict = {"outcome": "waits"}
    own = publishing.own
    own.event("offering")  # version 1, which is never published
    with pytest.raises(Refused) as refused:
        await publishing.drive(publishing.bus.publish([own.event("offering", "StateChange")], own.signer))
    assert refused.value.code is Code.EVENT_VERSION_BROKEN
    assert all(not member.submitted for member in publishing.members)


async def test_nobody_answers_is_no_refusal(publishing: Publishing) -> None:
    for member in publishing.members:
        member.is_away = True
    own = publishing.own
    with pytest.raises(Unavailable):
        await publishing.drive(publishing.bus.publish(own.events(1), own.signer))


async def test_an_answer_that_is_no_verdict_leads_to_the_next_member(publishing: Publishing) -> None:
    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        return HttpResponse(200, {}, b"[[[[") if "transactions" in request.url else honest

    publishing.members[0].lie = lie
    own = publishing.own
    assert await publishing.drive(publishing.bus.publish(own.events(1), own.signer)) == (1,)
    assert publishing.light.behavior(publishing.members[0]) == "current"


async def test_the_ledger_is_reported_as_far_as_it_was_verified(publishing: Publishing) -> None:
    publishing.league.grow(2)
    publishing.league.skip(3)
    await publishing.light.rounds(2, pause_s=0.0)
    status = await publishing.bus.ledger()
    assert status.height == publishing.league.head.height
    assert status.app_hash == publishing.league.head.app_hash.hex()
    assert (status.position, status.peers, status.catching_up) == (4, 3, False)
    assert await publishing.bus.members() == publishing.league.ledger.reader.members()


async def test_requests_for_a_transaction_are_signed_for_the_member_that_is_asked(
    publishing: Publishing,
) -> None:
    seen: list[HttpRequest] = []

    def note(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        if "transactions" in request.url:
            seen.append(request)
        return honest

    publishing.members[0].lie = note
    own = publishing.own
    await publishing.drive(publishing.bus.publish(own.events(1), own.signer))
    (request,) = seen
    assert request.method == "POST"
    assert "Member-Token" in request.headers
    assert msgspec.json.decode(request.body)["kind"] == "events"
