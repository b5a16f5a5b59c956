"""`GET /league/v1/writes/{id}`: what became of a write whose origin could not be reached."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.callers import require_token
from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.access import Authenticate, Caller
from hansa.core.errors import Code, Refused
from hansa.core.forwarding import WRITES_PATH, OriginAnswer
from hansa.core.limits import Limits
from hansa.store.tables.writes.queued_writes import QueuedRow

_STATES: Final = {"waiting": "InProgress", "done": "Completed", "refused": "InError", "expired": "InError"}
"""States of TM Forum's Monitor by those of the queue."""
_answer_decoder: Final = msgspec.json.Decoder(OriginAnswer)


class Monitors(Protocol):
    """Has the writes that wait here."""

    async def monitor(self, id: str, caller: Caller) -> QueuedRow | None:
        """A write of the queue, as far as the caller may read it."""


class NoQueue:
    """Nothing waits."""

    async def monitor(self, id: str, caller: Caller) -> None:
        """There is none."""
        del id, caller


class MonitoredRequest(msgspec.Struct, frozen=True):
    """What was requested."""

    method: str
    """Its method."""
    to: str
    """Its path."""


class MonitoredResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the origin wrote, or why it did not."""

    id: str = ""
    """Identifier of the entity that was written."""
    etag: str = ""
    """Its version; of a deletion there is none."""
    position: int | None = None
    """On the ledger, of the event about it."""
    code: str | None = None
    """Why it is not written, or not yet."""
    message: str | None = None
    """The same as a sentence."""


class MonitorReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a write that was queued, in the form of TM Forum's Monitor."""

    id: str
    """Its identifier."""
    href: str
    """Its address."""
    state: str
    """`InProgress`, `Completed` or `InError`."""
    sourceHref: str  # noqa: N815 - TM Forum's name
    """Address of what is written."""
    request: MonitoredRequest
    """What was requested."""
    attempts: int
    """How often sending it has failed."""
    response: MonitoredResponse | None = None
    """What the origin wrote, or why it did not."""


class WriteMonitorsApi:
    """Serves the monitors.

    Args:
        queue: Has the writes.
        authenticate: Finds out who calls.
        limits: Of queries.
        endpoint: Where this marketplace is reached.
    """

    def __init__(self, queue: Monitors, authenticate: Authenticate, limits: Limits, endpoint: str) -> None:
        self._queue = queue
        self._authenticate = authenticate
        self._limits = limits
        self._endpoint = endpoint

    async def one(self, request: Request) -> Response:
        """What became of a write."""
        caller = require_token(self._authenticate, request)
        Parameters(request, (), self._limits)
        row = await self._queue.monitor(request.path_params["id"], caller)
        if row is None:
            raise Refused(Code.NOT_FOUND, "No write of yours waits, or waited lately, under this identifier.")
        return json_response(self._report(row))

    def _report(self, row: QueuedRow) -> MonitorReport:
        response = None
        if row.answer is not None:
            answer = _answer_decoder.decode(row.answer)
            etag = f'"{answer.hashlink}"' if answer.hashlink else ""
            response = MonitoredResponse(answer.id, etag, answer.position)
        elif row.problem is not None:
            response = MonitoredResponse(code=row.problem, message=row.reason)
        return MonitorReport(
            id=row.id,
            href=f"{self._endpoint}{WRITES_PATH}/{row.id}",
            state=_STATES[row.state],
            sourceHref=f"{self._endpoint}{row.path}",
            request=MonitoredRequest(row.method, row.path),
            attempts=row.attempts,
            response=response,
        )
