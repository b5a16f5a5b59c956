"""`/league/v1/confidential/lost`: sealed events, opened once more for the member that sealed them.

A member that signs the request gets what it has sealed for this marketplace, sealed for itself
(`hansa.replication.confidential.returns`). That something goes back is in the audit log before it leaves,
with the member and the event, and nothing of the entity.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import signing_member
from hansa.api.parameters import POSITION_MAX, Parameters
from hansa.core.audit import AuditNotes
from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused
from hansa.core.http import CallerCheck
from hansa.core.limits import Limits
from hansa.replication.confidential.return_exchange import (
    POSITIONS_MAX,
    LostRequest,
    ReturnLine,
    encode_return_line,
)
from hansa.replication.confidential.returns import SealedReturns
from hansa.replication.exchange import JSON_LINES

REQUEST_MAX_BYTES: Final = 4096
ORIGIN: Final = "origin"
"""By which right a member gets something, in the audit log."""
_decoder: Final = msgspec.json.Decoder(LostRequest)

log = structlog.get_logger()


class ReturnsApi:
    """Gives members back what they have sealed for this marketplace.

    Args:
        returns: Opens events.
        check: Finds out which member calls.
        limits: `retrieval_size_max_bytes`.
        notes: For the audit log.
    """

    def __init__(self, returns: SealedReturns, check: CallerCheck, limits: Limits, notes: AuditNotes) -> None:
        self._returns = returns
        self._check = check
        self._limits = limits
        self._notes = notes

    async def lost(self, request: Request) -> Response:
        """`POST /league/v1/confidential/lost` (`hansa.replication.confidential.return_exchange`)."""
        body = await json_body(request, REQUEST_MAX_BYTES)
        member = await signing_member(self._check, request, body)
        Parameters(request, (), self._limits)
        if member is None:
            raise Refused(Code.UNAUTHENTICATED, "Sealed events are opened for members that sign the request.")
        positions = _positions(body)
        returned = await self._returns.of(member, positions)
        lines: list[bytes] = []
        served: list[int] = []
        later = {one: encode_return_line(ReturnLine(one, "later")) for one in positions}
        # There is room for a line about each, whatever becomes of those before it.
        room_bytes = self._limits.retrieval_size_max_bytes - sum(map(len, later.values()))
        for position in positions:
            sealed = returned.get(position)
            line = ReturnLine(position, "unknown")
            if sealed is not None:
                line = ReturnLine(position, "opened", sealed.sealed, sealed.part)
            encoded = encode_return_line(line)
            if len(encoded) > room_bytes and lines:
                encoded, sealed = later[position], None
            room_bytes += len(later[position]) - len(encoded)
            lines.append(encoded)
            served += [position] if sealed is not None else []
        if served:
            await self._notes.recorded(member, served, ORIGIN)
            log.info("sealed_events_returned", member=member, count=len(served))
        return Response(b"".join(lines), media_type=JSON_LINES)


def _positions(body: bytes) -> Sequence[int]:
    try:
        positions = _decoder.decode(body).positions
    except UNREADABLE as error:
        raise Refused(Code.MALFORMED, 'The body is not of the form {"positions": […]}.') from error
    is_sorted = all(one < other for one, other in itertools.pairwise(positions))
    if not 1 <= len(positions) <= POSITIONS_MAX or not is_sorted or not 1 <= positions[0] <= positions[-1]:
        raise Refused(Code.INVALID, f"A request names 1 to {POSITIONS_MAX} positions, in ledger order.")
    if positions[-1] > POSITION_MAX:
        raise Refused(Code.INVALID, f"A position is {POSITION_MAX} at most.")
    return positions
