"""The state in parts, and the batches of events."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.newcomers.history import OCTETS
from hansa.api.parameters import POSITION_MAX, Parameters, whole_number
from hansa.api.responses import JSON
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.pubsub.ledger.reading.parts import StateParts, encode_parts, read_tags


def _tags(parameters: Parameters, name: str) -> frozenset[str]:
    return read_tags(parameters.text(name) or "")


class LedgerParts(Protocol):
    """What the handlers read of."""

    async def state_parts(self, known: frozenset[str]) -> StateParts:
        """The state in parts (`hansa.pubsub.ledger.reading.parts`). Raises `Unavailable`."""

    async def batches_after(self, after: int) -> bytes:
        """The batches after a position, as they travel. Raises `Unavailable`."""


class NoParts:
    """Of a member without a ledger."""

    async def state_parts(self, known: frozenset[str]) -> StateParts:
        """None."""
        del known
        raise Refused(Code.NOT_FOUND, "There is no state here.")

    async def batches_after(self, after: int) -> bytes:
        """None."""
        raise Refused(Code.NOT_FOUND, f"There are no batches after {after} here.")


class LedgerPartsApi:
    """Serves light members."""

    def __init__(self, parts: LedgerParts, limits: Limits) -> None:
        self._parts = parts
        self._limits = limits

    async def state(self, request: Request) -> Response:
        """`GET /league/v1/ledger/state?known=`."""
        parameters = Parameters(request, {"known": _tags}, self._limits)
        parts = await self._parts.state_parts(_tags(parameters, "known"))
        return Response(encode_parts(parts), media_type=JSON)

    async def batches(self, request: Request) -> Response:
        """`GET /league/v1/ledger/batches?after=`."""
        parameters = Parameters(request, {"after"}, self._limits)
        after = whole_number("after", parameters.text("after"), 0, 0, POSITION_MAX)
        return Response(await self._parts.batches_after(after), media_type=OCTETS)
