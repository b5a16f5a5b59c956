"""`GET /league/v1/members`: the members of the league, as the ledger's registry has them.

With `history=true` each comes with the keys and endpoints that it has and had, and from which position of the
ledger on.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.replication.registry import MemberRegistry


class MembersApi:
    """Serves the registry."""

    def __init__(self, bus: BusReads, registry: MemberRegistry, limits: Limits) -> None:
        self._bus = bus
        self._registry = registry
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/members`."""
        history = Parameters(request, ("history",), self._limits).text("history") or "false"
        if history not in {"true", "false"}:
            raise Refused(Code.INVALID, "history is true or false.")
        if history == "true":
            return json_response(await self._bus.histories())
        return json_response(await self._registry.members())
