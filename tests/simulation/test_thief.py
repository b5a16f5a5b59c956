"""A thief that sees everything that a stranger and a member can see steals no identifier.

It reads the ledger, transactions on their way to it, the public catalogue of its victim and every answer of
the victim's interface for members, and publishes content of its own under each identifier that it learns, at
once. `make thief` tries it on 10,000 identifiers (variable THEFTS).
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.canonical import canonical_json
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.identifiers import bound_entity_id, is_bound_form
from hansa.core.limits import Limits
from hansa.identity import MemberSigner
from hansa.replication.exchange import encode_line
from tests.support.asgi import Response
from tests.support.league import League, Marketplace

THEFTS = int(os.environ.get("THEFTS", "120"))
HISTORIES = int(os.environ.get("HISTORIES", "40"))
TYPE = "ProductOffering"


class Thief:
    """Looks everywhere, and claims whatever identifier it learns."""

    def __init__(self, league: League, thief: Marketplace, victim: Marketplace) -> None:
        self._league = league
        self._thief = thief
        self._victim = victim
        self._signer = MemberSigner(thief.key, thief.did, league.clock, thief.entropy, league.limits)
        self._bodies: dict[str, bytes] = {}
        """What it serves, by key."""
        self._read_to = 0
        self.keys: dict[str, str] = {}
        """Of the victim's events, with their hashlinks, committed or on their way."""
        self.stolen: set[str] = set()
        """Identifiers that it has published under."""
        league.network.faults[thief.endpoint] = self._serve
        self._listen_to_gossip()

    def _serve(self, request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if not request.url.endswith("/league/v1/entities"):
            return answer
        keys = [one["key"] for one in msgspec.json.decode(request.body)["entities"]]
        lines = [
            encode_line(key, "found", self._bodies[key])
            if key in self._bodies
            else encode_line(key, "unknown")
            for key in keys
        ]
        return msgspec.structs.replace(answer, status=200, body=b"".join(lines))

    def _listen_to_gossip(self) -> None:
        submit = self._victim.bus._submit  # type: ignore[attr-defined]

        async def overheard(transaction: bytes) -> None:
            for content in msgspec.json.decode(transaction).get("events", []):
                await self._learn_of(content)
            await self.look(whole_catalogue=False)
            await self._league.clock.sleep(0.1)
            await self.look(whole_catalogue=False)
            await submit(transaction)
            await self.look(whole_catalogue=False)

        self._victim.bus._submit = overheard  # type: ignore[attr-defined]

    async def _learn_of(self, content: dict[str, Any]) -> None:
        """What an event tells: a key, a hash, and of a bound identifier what it is."""
        self.keys[content["entity"]["key"]] = content["hashlink"]
        for told in content.get("metadata", {}).get("categories", []):
            await self._steal(told)
        if "nonce" in content:
            nonce = bytes.fromhex(content["nonce"])
            await self._steal(bound_entity_id(content["entity"]["type"], self._victim.did, nonce), nonce)

    async def look(self, *, whole_catalogue: bool = True) -> None:
        """Read everything there is, as a stranger and as a member."""
        for committed in (await self._thief.bus.search(self._read_to)).events:
            self._read_to = committed.position
            if committed.event.issuer == self._victim.did:
                await self._learn_of(msgspec.json.decode(committed.content))
        after: str | None = ""
        while after is not None:
            page = (await self._get(f"/league/v1/catalogue?limit=1000&after={after}")).json()
            for entry in page["entities"]:
                await self._steal(entry["id"])
            after = page["next"] if whole_catalogue else None
        for key, hashlink in list(self.keys.items())[-50:]:
            one = await self._get(f"/league/v1/entities/{key}?hl={hashlink}")
            if one.status == 200:
                await self._read(one.json())
                del self.keys[key]
        for line in await self._many():
            if "entity" in line:
                await self._read(line["entity"])
                self.keys.pop(line["key"], None)

    async def _read(self, entity: dict[str, Any]) -> None:
        """What an entity tells: its identifier, and those to which it refers."""
        references = [*entity.get("category", []), *entity.get("related", [])]
        for told in (entity["id"], *(reference["id"] for reference in references)):
            await self._steal(told)

    async def _many(self) -> list[dict[str, Any]]:
        wanted = [{"key": key, "hashlink": link} for key, link in list(self.keys.items())[-50:]]
        if not wanted:
            return []
        body = msgspec.json.encode({"entities": wanted})
        url = f"{self._victim.endpoint}/league/v1/entities"
        headers = self._signer.headers(self._victim.did, "POST", url, body)
        response = await self._victim.client.request(
            "POST",
            "/league/v1/entities",
            body=body,
            headers={"content-type": "application/json", **{n.lower(): v for n, v in headers.items()}},
        )
        assert response.status == 200, response.body
        return [msgspec.json.decode(line) for line in response.body.splitlines()]

    async def _get(self, path: str) -> Response:
        return await self._victim.client.request("GET", path)

    async def _steal(self, entity_id: str, nonce: bytes | None = None) -> None:
        if entity_id in self.stolen:
            return
        self.stolen.add(entity_id)
        body = canonical_json(
            {"@type": TYPE, "id": entity_id, "lifecycleStatus": "Launched", "name": "stolen"}
        )
        overrides = {} if nonce is None else {"nonce": nonce.hex()}
        event = await self._thief.announce(entity_id, body, **overrides)
        self._bodies[event.entity.key] = body


async def check_nothing_was_stolen(league: League, ids: set[str]) -> None:
    """Everybody shows the victim's content under its identifiers; nobody accuses the victim."""
    victim, thief, bystander = league.marketplaces
    await league.settle(victim, bystander)
    expected = await victim.catalogue()
    assert set(expected) == ids
    seen = await bystander.catalogue()
    assert {each: seen.get(each) for each in ids} == expected
    assert victim.did not in {issuer for issuer, _ in await bystander.evidence()}
    assert await victim.view.conflicts() == ()
    assert await victim.view.refusals() == ()
    late = [each for each in ids if is_bound_form(each)]
    if late and thief.did in {issuer for issuer, _ in await bystander.evidence()}:
        assert (thief.did, "identifier-stolen") in await bystander.evidence()


async def try_to_steal(count: int) -> None:
    """A thief beside a victim that creates so many entities, under identifiers of both kinds."""
    limits = Limits(events_per_transaction_max=20)
    async with League(("lubeck", "bergen", "riga"), limits) as league:
        victim, thief_member, bystander = league.marketplaces
        thief = Thief(league, thief_member, victim)
        victim.start()
        bystander.start()
        ids: set[str] = set()
        for n in range(count):
            match n % 4:
                case 0:
                    ids.add(await victim.put_bound(name=f"bound {n}"))
                case 1:
                    ids.add(await victim.put(f"chosen-{n}"))
                case 2:
                    ids.add(await victim.put_bound(category=[{"id": victim.id(f"chosen-{n - 1}")}]))
                case _:
                    ids.add(await victim.put(f"chosen-{n}", related=[{"id": victim.id(f"chosen-{n - 2}")}]))
            if n % 20 == 0:
                await thief.look(whole_catalogue=False)
                await league.run(0.1)
        await league.settle(victim)
        await thief.look()
        await check_nothing_was_stolen(league, ids)
        assert thief.stolen == ids, "it has tried every one of them"


def test_a_thief_steals_none_of_many() -> None:
    asyncio.run(try_to_steal(THEFTS))


steps = st.one_of(
    st.tuples(st.just("choose"), st.sampled_from(("Launched", "In design"))),
    st.tuples(st.just("bind"), st.just("")),
    st.tuples(st.just("change"), st.sampled_from(("Launched", "Retired", "In design"))),
    st.tuples(st.just("delete"), st.just("")),
    st.tuples(st.just("look"), st.just("")),
    st.tuples(st.just("crash"), st.just("")),
    st.tuples(st.just("engine"), st.sampled_from(("up", "down"))),
    st.tuples(st.just("wait"), st.sampled_from(("0.05", "0.2", "1"))),
)


async def play(history: list[tuple[str, str]]) -> None:
    """A thief looks whenever something happens at its victim."""
    async with League(("lubeck", "bergen", "riga"), Limits(events_per_transaction_max=3)) as league:
        victim, thief_member, bystander = league.marketplaces
        thief = Thief(league, thief_member, victim)
        victim.start()
        bystander.start()
        ids: list[str] = []
        for n, (step, value) in enumerate(history):
            match step:
                case "choose":
                    ids.append(await victim.put(f"chosen-{n}", value))
                case "bind":
                    ids.append(await victim.put_bound(name=f"bound {n}"))
                case "change" if ids:
                    await victim.put(ids[n % len(ids)], value, n=n)
                case "delete" if ids:
                    await victim.delete(ids[n % len(ids)])
                case "crash":
                    await victim.restart()
                case "engine":
                    victim.bus.is_connected = value == "up"  # type: ignore[attr-defined]
                case "wait":
                    await league.run(float(value))
            await thief.look()
        victim.bus.is_connected = True  # type: ignore[attr-defined]
        await league.settle(victim, bystander)
        own = {one.id for page in [page async for page in victim.store.scan(own_only=True)] for one in page}
        await check_nothing_was_stolen(league, own)


@settings(max_examples=HISTORIES, print_blob=True)
@given(st.lists(steps, min_size=3, max_size=20))
def test_whatever_happens_a_thief_steals_nothing(history: list[tuple[str, str]]) -> None:
    asyncio.run(play(history))
