"""`GET /league/v1/members`: the members of the league, as the ledger's registry has them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.limits import Limits
from hansa.replication.registry import MemberRegistry


class MembersApi:
    """Serves the registry."""

    def __init__(self, registry: MemberRegistry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/members`."""
        Parameters(request, (), self._limits)
        return json_response(await self._registry.members())
