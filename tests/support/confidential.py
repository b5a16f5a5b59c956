"""Confidential entities in a league in one process: written as people do, awaited, and searched for."""

from __future__ import annotations

from typing import Any

import msgspec

from hansa.business.operations.writes import held_until_claimed
from hansa.core.http import HttpRequest, HttpResponse
from hansa.identity import MemberSigner
from hansa.replication.confidential.exchange import CONFIDENTIAL_PATH, PartLine, read_part_lines
from hansa.store import Entity
from hansa.store.tables.confidential import announced, received
from tests.support.league import League, Marketplace, draft


def party(role: str, did: str) -> dict[str, str]:
    """A party of an entity."""
    return {"id": f"urn:ngsi-ld:organization:{role}", "role": role, "name": did}


async def put(
    market: Marketplace, type_name: str, /, status: str | None = None, entity_id: str = "", **fields: Any
) -> str:
    """Write an entity of ours, a new one under an identifier of this marketplace; the identifier."""
    nonce = None
    if not entity_id:
        entity_id, nonce = market.identifiers.new(type_name)
    new = draft(entity_id, status, type_name, **fields)
    if "country:" in str(fields.get("visibleTo")):
        new = msgspec.structs.replace(new, public=False)
    async with market.store.transaction() as tx:
        current = await tx.entity(entity_id)
        new = msgspec.structs.replace(new, nonce=nonce)
        await tx.put((await held_until_claimed(tx, market.identifiers, new, current))[0])
    return entity_id


async def replica(market: Marketplace, entity_id: str) -> dict[str, Any] | None:
    """What a marketplace has of an entity; None: nothing."""
    entity = await market.store.entity(entity_id)
    return None if entity is None else msgspec.json.decode(entity.body)


async def entity_of(market: Marketplace, entity_id: str) -> Entity:
    """An entity that a marketplace has."""
    entity = await market.store.entity(entity_id)
    assert entity is not None, "it is here"
    return entity


async def is_settled(market: Marketplace) -> bool:
    """Whether a marketplace has sealed, submitted, followed and retrieved everything there is."""
    if await announced.waiting_count(market.store) or await announced.due(market.store, 1):
        return False
    return not await received.pending_issuers(market.store) and await market.is_idle()


async def settle(league: League, *markets: Marketplace) -> None:
    """Let time pass until everything has arrived."""

    async def settled() -> bool:
        return all([await is_settled(one) for one in markets or league.marketplaces if one.is_running])

    await league.run(0.2)
    await league.until(settled)


async def sealed_keys(league: League) -> list[str]:
    """Keys of the sealed events on the ledger, in ledger order."""
    return [one.event.entity.key for one in await events_of(league) if one.event.sealed is not None]


async def events_of(league: League) -> list[Any]:
    """All events on the ledger."""
    return list((await league.marketplaces[0].bus.search(0, limit=1000)).events)


async def post_parts(caller: Marketplace, origin: Marketplace, body: bytes) -> HttpResponse:
    """What an origin answers a member that sends a body to where it serves parts."""
    league, url = caller.league, origin.endpoint + CONFIDENTIAL_PATH
    signer = MemberSigner(caller.key, caller.did, league.clock, caller.entropy, league.limits)
    headers = {"content-type": "application/json"} | signer.headers(origin.did, "POST", url, body)
    return await league.network.send(HttpRequest("POST", url, headers, body))


async def request_parts(caller: Marketplace, origin: Marketplace, keys: list[str]) -> tuple[PartLine, ...]:
    """What an origin sends to a member that requests parts."""
    response = await post_parts(caller, origin, msgspec.json.encode({"keys": keys}))
    assert response.status == 200, response.body
    return read_part_lines(response.body, keys)
