"""What operators' pages show of a ledger in memory: its events, and whose votes are in its blocks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.node.parts.pages.league.events import BusEvents
from hansa.node.parts.pages.league.validators import LeagueValidators
from hansa.portal.operators.league.events import EventChoice
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger_records import EventPage
from hansa.pubsub.light.proxy import LightCall
from hansa.pubsub.memory import MemoryBus, MemoryLedger
from hansa.replication.registry import MemberRegistry
from tests.contract.origins import NOW, Origin


class Commits:
    """An engine with two blocks; the vote of the second validator is not in the newer one."""

    def __init__(self, *validators: str, is_silent: bool = False) -> None:
        self._validators = validators
        self._is_silent = is_silent

    async def light_result(self, call: LightCall) -> bytes:
        if self._is_silent:
            raise Unavailable(Code.UNAVAILABLE, "no engine")
        if call.method == "status":
            return msgspec.json.encode({"sync_info": {"latest_block_height": "2"}})
        votes = [
            {"block_id_flag": 1, "validator_address": ""}
            if place and call.height == 2
            else {"block_id_flag": 2, "validator_address": one.upper()}
            for place, one in enumerate(self._validators)
        ]
        header = {
            "height": str(call.height),
            "time": "2026-01-01T00:00:00.000Z",
            "proposer_address": self._validators[0].upper(),
        }
        commit = {"round": call.height, "signatures": votes}
        return msgspec.json.encode({"signed_header": {"header": header, "commit": commit}})

    async def light_blocks(self, after: int, limit: int) -> tuple[()]:
        return ()


class Scene:
    """Two members, of which the first has published three entities."""

    def __init__(self) -> None:
        self.lubeck, self.riga = Origin("lubeck"), Origin("riga")
        clock, members = ManualClock(NOW), [self.lubeck.member, self.riga.member]
        self.ledger = MemoryLedger(members, clock)
        self.bus = MemoryBus(self.ledger)
        self.registry = MemberRegistry(self.bus, clock, members)
        self.events = BusEvents(self.bus, self.registry)
        self.addresses = [validator_address(one.member.validator_key) for one in (self.lubeck, self.riga)]

    async def publish(self) -> None:
        for number in range(3):
            await self.bus.publish([self.lubeck.event(f"urn:x:{number}")], self.lubeck.signer)


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    await made.publish()
    return made


async def test_the_newest_events_are_the_last_ones(scene: Scene) -> None:
    page = await scene.events.newest(2)
    assert [one.position for one in page.events] == [2, 3]
    assert {one.issuer_name for one in page.events} == {"lubeck"}


async def test_events_are_chosen_by_issuer_entity_and_type(scene: Scene) -> None:
    everything = await scene.events.page(EventChoice(), 0, 10)
    kind = everything.events[0].type
    for choice, count in (
        (EventChoice(issuer=scene.lubeck.did), 3),
        (EventChoice(issuer=scene.riga.did), 0),
        (EventChoice(entity="urn:x:1"), 1),
        (EventChoice(entity=everything.events[0].key), 1),
        (EventChoice(type=kind), 3),
        (EventChoice(type=everything.events[0].entity_type), 3),
        (EventChoice(type="nothingCreateEvent"), 0),
        (EventChoice(until="2020-01-01T00:00:00.000Z"), 0),
    ):
        assert len((await scene.events.page(choice, 0, 10)).events) == count, choice


async def test_an_event_is_verified_by_the_key_of_its_issuer(scene: Scene) -> None:
    event = await scene.events.one(2)
    assert event is not None
    assert (event.is_verified, event.problem) == (True, "")
    assert event.shown.position == 2
    assert '"entity"' in event.payload


@pytest.mark.parametrize("position", [0, 4, 2**53])
async def test_where_nothing_is_there_is_no_event(scene: Scene, position: int) -> None:
    assert await scene.events.one(position) is None


class Forging(MemoryBus):
    """A reader that hands out another content than was signed."""

    async def search(self, *args: Any, **kwargs: Any) -> EventPage:
        page = await super().search(*args, **kwargs)
        forged = tuple(
            msgspec.structs.replace(one, content=one.content.replace(b"Launched", b"Retired!"))
            for one in page.events
        )
        return msgspec.structs.replace(page, events=forged)


async def test_an_event_that_was_changed_is_shown_as_one_that_does_not_hold(scene: Scene) -> None:
    forging = BusEvents(Forging(scene.ledger), scene.registry)
    event = await forging.one(2)
    assert event is not None
    assert not event.is_verified
    assert event.problem


async def test_votes_are_counted_by_validator_and_block(scene: Scene) -> None:
    grid = await LeagueValidators(scene.bus, Commits(*scene.addresses)).grid(5, 10)
    assert [(one.height, one.round, one.proposer) for one in grid.blocks] == [
        (2, 2, "lubeck"),
        (1, 1, "lubeck"),
    ]
    missed = {one.name: (one.signed, one.missed) for one in grid.validators}
    assert missed == {"lubeck": ((True, True), 0), "riga": ((False, True), 1)}


async def test_only_so_many_validators_are_shown(scene: Scene) -> None:
    grid = await LeagueValidators(scene.bus, Commits(*scene.addresses)).grid(1, 1)
    assert (len(grid.validators), grid.total, len(grid.blocks)) == (1, 2, 1)


async def test_powers_are_shown_where_no_engine_answers(scene: Scene) -> None:
    grid = await LeagueValidators(scene.bus, Commits(is_silent=True)).grid(5, 10)
    assert grid.blocks == ()
    assert sum(one.share for one in grid.validators) == pytest.approx(1)
