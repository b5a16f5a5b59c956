"""A league of real processes with a thief that polls its victim and the ledger: it steals no identifier.

THEFTS says how many it tries; half of them are under identifiers that clients have chosen.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from hansa.core.errors import Unavailable
from hansa.core.events import LifecycleEvent
from hansa.core.identifiers import bound_entity_id, is_bound_form
from hansa.core.limits import Limits
from hansa.identity import MemberSigner
from tests.league.harness import CLOCK, OFFERINGS, League, RunningMember, engine_rpc, league, wait_until
from tests.league.hostile_member import HostileMember, evidence_of, offering

pytestmark = [pytest.mark.league, pytest.mark.asyncio(loop_scope="module")]

FEW = 60
THEFTS = int(os.environ.get("THEFTS", FEW))
PATIENCE_S = 60.0 + THEFTS / 20
CREATED_AT_ONCE = 4
PAGE = 1000
STOLEN_AT_ONCE = 12
"""No more of one issuer waits for a block."""


class Scene:
    """Three honest members and a thief."""

    def __init__(self, honest: League, thief: HostileMember, victim_did: str) -> None:
        self.honest = honest
        self.thief = thief
        self.victim = honest[0]
        self.victim_did = victim_did


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """The league, with the fourth member's place taken by the thief."""
    folder = tmp_path_factory.mktemp("thief") / "league"
    async with league(folder, 4, is_started=False) as made:
        honest = League(made.members[:3])
        await honest.start()
        async with HostileMember(made[3], made[1]) as thief:
            did = (await honest[0].status())["did"]
            yield Scene(honest, thief, did)


class Eyes:
    """Reads whatever a stranger and a member can read, and steals each identifier at once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._thief = scene.thief
        self._signer = MemberSigner(scene.thief.key, scene.thief.did, CLOCK, os.urandom, Limits())
        self._keys: dict[str, str] = {}
        self._position = self._offset = 0
        self._places = asyncio.Semaphore(STOLEN_AT_ONCE)
        self.stolen: dict[str, asyncio.Task[Any]] = {}

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await asyncio.gather(self._lists(), self._ledger(), self._gossip(), self._retrieve())
            except Unavailable as error:
                await CLOCK.sleep(error.retry_after_s)

    async def _lists(self) -> None:
        victim = self._scene.victim
        entities: list[Any] = []
        for offset in (0, self._offset):  # the newest ones, and all of them by turns
            page = f"{OFFERINGS}?limit={PAGE}&offset={offset}&fields=id&sort=-lastUpdate"
            entities = (await victim.get(page)).json()
            for entity in entities:
                self.steal(entity["id"])
        self._offset = self._offset + PAGE if len(entities) == PAGE else 0
        for entry in (await victim.get("/league/v1/catalogue?limit=1000")).json()["entities"]:
            if entry["origin"] == self._scene.victim_did:
                self.steal(entry["id"])

    async def _ledger(self) -> None:
        for committed in (await self._thief.bus.search(self._position)).events:
            self._position = committed.position
            if committed.event.issuer == self._scene.victim_did:
                self._learn_of(msgspec.json.decode(committed.content))

    async def _gossip(self) -> None:
        waiting = await engine_rpc(self._scene.honest[1], "unconfirmed_txs", limit="100")
        for encoded in waiting["txs"] or ():
            transaction = msgspec.json.decode(msgspec.json.decode(f'"{encoded}"'.encode(), type=bytes))
            for content in transaction.get("events", []):
                if content["entity"]["key"] not in self._keys:
                    self._learn_of(content)

    def _learn_of(self, content: dict[str, Any]) -> None:
        self._keys[content["entity"]["key"]] = content["hashlink"]
        if "nonce" in content:
            nonce = bytes.fromhex(content["nonce"])
            self.steal(bound_entity_id(content["entity"]["type"], self._scene.victim_did, nonce))

    async def _retrieve(self) -> None:
        victim, newest = self._scene.victim, list(self._keys.items())[-20:]
        if not newest:
            return
        body = msgspec.json.encode({"entities": [{"key": key, "hashlink": link} for key, link in newest]})
        url = f"{victim.url}/league/v1/entities"
        headers = self._signer.headers(self._scene.victim_did, "POST", url, body)
        answer = await victim.request(
            "POST", "/league/v1/entities", body, headers={**headers, "Content-Type": "application/json"}
        )
        assert answer.status == 200, answer.body
        for line in answer.body.splitlines():
            entity = msgspec.json.decode(line).get("entity")
            if entity is not None:
                self.steal(entity["id"])

    def steal(self, entity_id: str) -> None:
        """Publish under an identifier, unless that was tried."""
        if entity_id not in self.stolen:
            self.stolen[entity_id] = asyncio.create_task(self._steal(entity_id))

    async def _steal(self, entity_id: str) -> LifecycleEvent:
        body = offering(entity_id, name="stolen")
        event = self._thief.describe(entity_id, body)
        self._thief.bodies[event.entity.key] = body
        async with self._places:
            while True:
                try:
                    return await self._thief.announce(entity_id, body)
                except Unavailable as error:  # so many of its transactions wait already
                    await CLOCK.sleep(error.retry_after_s)


async def test_a_thief_that_sees_everything_steals_nothing(scene: Scene) -> None:
    eyes = Eyes(scene)
    watching = asyncio.create_task(eyes.watch())
    ids: list[str] = []

    async def create(numbers: range) -> None:
        for n in numbers:
            chosen = {"id": f"urn:x:coveted:{n}"} if n % 2 else {}
            ids.append(await scene.victim.create_offering(name="rightful", **chosen))

    await asyncio.gather(*(create(range(at, THEFTS, CREATED_AT_ONCE)) for at in range(CREATED_AT_ONCE)))

    async def all_tried() -> bool:
        assert not watching.done(), watching.exception()
        return set(ids) <= eyes.stolen.keys()

    await wait_until(all_tried, "the thief has tried everything", PATIENCE_S, scene.honest.members)
    watching.cancel()
    await asyncio.gather(*eyes.stolen.values())

    async def have_all(member: RunningMember) -> bool:
        status = await member.status()
        return bool(status["lag"] == 0 and status["pending"] == 0 and status["unpublished"] == 0)

    for member in scene.honest.members:
        await wait_until(lambda: have_all(member), "everything is there", PATIENCE_S, [member])  # noqa: B023
        for entity_id in ids:
            assert (await member.get(f"{OFFERINGS}/{entity_id}")).json()["name"] == "rightful"
        status = await member.status()
        assert (status["conflicts"], evidence_of(status, scene.victim_did)) == (0, set())
        codes = {code for _, code in evidence_of(status, scene.thief.did)}
        assert codes <= {"identifier-stolen", "identifier-claimed"}, "a claim long after another's is one too"
        if (
            THEFTS <= FEW
        ):  # the status shows the newest evidence alone, which is of chosen ones where many are tried
            assert "identifier-stolen" in codes
        bound = sum(is_bound_form(entity_id) for entity_id in ids)
        assert status["evidence"] >= bound, "each theft of a bound identifier is evidence"


async def test_while_the_ledger_stands_still_only_bound_identifiers_are_visible(scene: Scene) -> None:
    victim, bystander = scene.victim, scene.honest[2]
    await bystander.hang("cometbft")
    try:
        bound = await victim.create_offering(name="bound")
        chosen = await victim.post(
            OFFERINGS, {"id": "urn:x:waits", "name": "secret", "lifecycleStatus": "Launched"}
        )
        assert (chosen.status, chosen.headers["Hansa-Publication"]) == (201, "pending")
        assert (await victim.get(f"{OFFERINGS}/{bound}")).status == 200
        assert (await victim.get(f"{OFFERINGS}/urn:x:waits")).status == 404
        for path in (
            f"{OFFERINGS}?name=secret",
            "/league/v1/catalogue?limit=1000",
            "/league/v1/status",
            "/metrics",
        ):
            assert b"urn:x:waits" not in (await victim.get(path)).body
        seen = await victim.get(f"{OFFERINGS}/urn:x:waits", with_token=True)
        assert (seen.status, seen.headers["Hansa-Publication"]) == (200, "pending")
    finally:
        await bystander.wake("cometbft")
    await scene.honest.wait_until_visible(f"{OFFERINGS}/urn:x:waits", PATIENCE_S)
    await scene.honest.wait_until_visible(f"{OFFERINGS}/{bound}", PATIENCE_S)


async def test_who_loses_a_race_is_told_and_shows_nothing(scene: Scene) -> None:
    body = offering("urn:x:race", name="earlier")
    event = await scene.thief.announce("urn:x:race", body)
    scene.thief.bodies[event.entity.key] = body
    created = await scene.victim.post(
        OFFERINGS, {"id": "urn:x:race", "name": "later", "lifecycleStatus": "Launched"}
    )
    assert created.status in {201, 409}, created.body
    if created.status == 409:
        return  # the other member's entity was here already

    async def is_told() -> bool:
        seen = await scene.victim.get(f"{OFFERINGS}/urn:x:race", with_token=True)
        return seen.headers.get("Hansa-Publication") == "refused; reason=identifier-claimed"

    await wait_until(is_told, "the writer is told", PATIENCE_S, [scene.victim])
    assert (await scene.victim.get(f"{OFFERINGS}/urn:x:race")).status == 404
