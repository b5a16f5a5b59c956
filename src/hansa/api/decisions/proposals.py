"""`GET /league/v1/proposals`: what the members decide, and have decided lately.

    /league/v1/proposals            open proposals; all that the ledger still has with `state=all`
    /league/v1/proposals/{name}     one of them, by its hash, the beginning of it, or its id

What the ledger holds of them is bounded by its rules, and it is read in the lane of strangers.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads

STATES: Final = ("open", "all")
NAME_MAX_CHARS: Final = 64


class ProposalsApi:
    """Serves proposals."""

    def __init__(self, bus: BusReads, limits: Limits) -> None:
        self._bus = bus
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/proposals`."""
        parameters = Parameters(request, ("state", "limit"), self._limits)
        state = parameters.text("state") or STATES[0]
        if state not in STATES:
            raise Refused(Code.INVALID, f"state is {' or '.join(STATES)}.")
        reports = await self._bus.proposals(with_closed=state == "all")
        return json_response(reports[: parameters.page_size(self._limits.list_limit_default)])

    async def one(self, request: Request) -> Response:
        """`GET /league/v1/proposals/{name}`."""
        Parameters(request, (), self._limits)
        name = request.path_params["name"]
        if len(name) > NAME_MAX_CHARS:
            raise Refused(Code.NOT_FOUND, "There is no such proposal.")
        return json_response(await self._bus.proposal(name))
