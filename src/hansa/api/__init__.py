"""What members and clients of the league ask a marketplace over HTTP: `/league/v1/…`.

    GET  /league/v1/entities/{id}?hl=…    an entity's exact bytes
    POST /league/v1/entities              many at a time, for members
    GET  /league/v1/events                committed events, a page at a time
    GET  /league/v1/events/stream         the same as server-sent events
    GET  /league/v1/members               the member registry
    GET  /league/v1/ledger                where the ledger stands

Errors have TM Forum's body. While the ledger cannot be reached the answer is 503 with `Retry-After`; entities are
served all the same.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.api.entities import EntitiesApi
from hansa.api.events import EventsApi
from hansa.api.parameters import Parameters
from hansa.api.responses import Endpoint, json_answer
from hansa.core.clock import Clock
from hansa.core.distribution import WHOLE_ENTITIES, Distribution
from hansa.core.events import ENTITIES_PATH
from hansa.core.http import CallerCheck
from hansa.core.limits import Limits
from hansa.pubsub.bus import Bus
from hansa.replication.registry import Registry
from hansa.store import Entity, Store


class _LeagueApi:
    """Who is in the league, and where its ledger stands."""

    def __init__(self, bus: Bus, registry: Registry, limits: Limits) -> None:
        self._bus = bus
        self._registry = registry
        self._limits = limits

    async def members(self, request: Request) -> Response:
        """`GET /league/v1/members`."""
        Parameters(request, (), self._limits)
        return json_answer(await self._registry.members())

    async def ledger(self, request: Request) -> Response:
        """`GET /league/v1/ledger`."""
        Parameters(request, (), self._limits)
        status = msgspec.to_builtins(await self._bus.ledger())
        members = await self._registry.members()
        status["validators"] = [
            {"did": m.did, "name": m.name, "power": m.power} for m in members if m.power > 0
        ]
        return json_answer(status)


def routes(
    store: Store,
    bus: Bus,
    check: CallerCheck,
    clock: Clock,
    limits: Limits,
    distribution: Distribution[Entity] = WHOLE_ENTITIES,
) -> list[Route]:
    """The routes, for the marketplace's HTTP application.

    Args:
        store: Entities and what has been published of them.
        bus: Events, members, the ledger.
        check: Finds out which member signed a request.
        clock: For streams.
        limits: See the parts.
        distribution: Which part of an entity other members get.
    """
    registry = Registry(bus, clock)
    entities = EntitiesApi(store, check, limits, distribution)
    events = EventsApi(bus, registry, clock, limits)
    league = _LeagueApi(bus, registry, limits)
    return [
        Route(ENTITIES_PATH, Endpoint(POST=entities.many)),
        Route(f"{ENTITIES_PATH}/{{id:path}}", Endpoint(GET=entities.one)),
        Route("/league/v1/events", Endpoint(GET=events.page)),
        Route("/league/v1/events/stream", Endpoint(GET=events.stream)),
        Route("/league/v1/members", Endpoint(GET=league.members)),
        Route("/league/v1/ledger", Endpoint(GET=league.ledger)),
    ]
