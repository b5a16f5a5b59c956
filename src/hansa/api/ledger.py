"""`GET /league/v1/ledger`: the ledger's height, newest position, application hash and validators."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.replication.registry import MemberRegistry


class LedgerValidator(msgspec.Struct, frozen=True):
    """A member whose engine votes."""

    did: str
    name: str
    power: int


class LedgerApi:
    """Serves the state of the ledger."""

    def __init__(self, bus: BusReads, registry: MemberRegistry, limits: Limits) -> None:
        self._bus = bus
        self._registry = registry
        self._limits = limits

    async def get(self, request: Request) -> Response:
        """`GET /league/v1/ledger`."""
        Parameters(request, (), self._limits)
        status = msgspec.structs.asdict(await self._bus.ledger())
        members = await self._registry.members()
        validators = [LedgerValidator(one.did, one.name, one.power) for one in members if one.power > 0]
        return json_response({**status, "validators": validators})
