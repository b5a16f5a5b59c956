"""`GET /league/v1/history/{number}`: 4,096 events with their batches, for who began with a snapshot."""

from __future__ import annotations

from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import POSITION_MAX, Parameters, whole_number
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

HISTORY_PATH: Final = "/league/v1/history"
OCTETS: Final = "application/octet-stream"


class HistoryReads(Protocol):
    """What the handler reads of."""

    async def history_segment(self, number: int) -> bytes:
        """A segment as it travels (`hansa.pubsub.ledger.history.segment`).

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: It cannot be read now.
        """


class NoHistory:
    """Of a member without a ledger."""

    async def history_segment(self, number: int) -> bytes:
        """None."""
        raise Refused(Code.NOT_FOUND, f"There is no segment {number} here.")


class HistoryApi:
    """Serves segments."""

    def __init__(self, reads: HistoryReads, limits: Limits) -> None:
        self._reads = reads
        self._limits = limits

    async def segment(self, request: Request) -> Response:
        """`GET /league/v1/history/{number}`."""
        Parameters(request, (), self._limits)
        number = whole_number("number", request.path_params["number"], 0, 0, POSITION_MAX)
        return Response(await self._reads.history_segment(number), media_type=OCTETS)
