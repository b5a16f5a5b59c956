"""`/league/v1/confidential`: encrypted bytes of sealed events, for the members to which these are addressed.

A part is served to a member that signs the request, if the event was addressed to it and it is in the
audience of its entity still. Everybody else is answered as if there were nothing, whoever it is and whether
or not there is. That a part is served is in the audit log before it leaves, with the member and the event,
and nothing of the entity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import require_operator, signing_member
from hansa.api.parameters import Parameters, page_size, position
from hansa.api.responses import json_response
from hansa.core.access import Authenticate
from hansa.core.audit import AuditNotes
from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import CallerCheck
from hansa.core.identifiers import is_entity_key
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.replication.confidential.exchange import KEYS_MAX, PartLine, PartsRequest, encode_part_line
from hansa.replication.exchange import JSON_LINES
from hansa.store import Store
from hansa.store.tables.confidential import announced, received
from hansa.store.tables.confidential.announced import SealedPart

REQUEST_MAX_BYTES: Final = 8192
RECIPIENT: Final = "recipient"
"""By which right a member gets a part, in the audit log."""
PARTS_PER_READ: Final = 4
_UNSETTLED: Final[tuple[received.State, ...]] = ("pending", "skipped", "rejected")
_decoder: Final = msgspec.json.Decoder(PartsRequest)

log = structlog.get_logger()


class ReceivedReport(msgspec.Struct, frozen=True):
    """A confidential entity of another member that is not here, though it was sent to this marketplace."""

    issuer: str
    key: str
    """Of the event on the ledger: 64 hexadecimal digits."""
    type: str
    position: int
    state: received.State
    attempts: int
    """How often it was requested without success."""
    problem: str | None
    """Code of the reason."""
    reason: str | None


class UnsentReport(msgspec.Struct, frozen=True):
    """An entity of this marketplace that does not reach everybody for whom it is."""

    entity_id: str
    """Identifier of the entity."""
    type: str
    problem: str
    """Why, for people to read."""


class ConfidentialReport(msgspec.Struct, frozen=True):
    """What of the confidential entities does not arrive, or is not sent."""

    received: tuple[ReceivedReport, ...]
    """Entities of other members, in the order of the ledger."""
    unsent: tuple[UnsentReport, ...]
    """Entities of this marketplace, in the order of their identifiers."""


class ConfidentialApi:
    """Serves sealed parts to members, and says to operators what does not arrive.

    Args:
        store: Has the parts.
        check: Finds out which member calls.
        authenticate: Finds out which client calls.
        limits: `retrieval_size_max_bytes`, `list_limit_default`.
        bus: Has the positions of events.
        notes: For the audit log.
    """

    def __init__(
        self,
        store: Store,
        check: CallerCheck,
        authenticate: Authenticate,
        limits: Limits,
        bus: BusReads,
        notes: AuditNotes,
    ) -> None:
        self._bus = bus
        self._notes = notes
        self._store = store
        self._check = check
        self._authenticate = authenticate
        self._limits = limits

    async def parts(self, request: Request) -> Response:
        """`POST /league/v1/confidential` (`hansa.replication.confidential.exchange`)."""
        body = await json_body(request, REQUEST_MAX_BYTES)
        member = await signing_member(self._check, request, body)
        Parameters(request, (), self._limits)
        if member is None:
            raise Refused(Code.UNAUTHENTICATED, "Sealed parts are for members that sign the request.")
        keys = _keys(body)
        lines: list[bytes] = []
        served: list[str] = []
        room_bytes = self._limits.retrieval_size_max_bytes
        for start in range(0, len(keys), PARTS_PER_READ):
            some = keys[start : start + PARTS_PER_READ]
            allowed = await self._allowed(member, some)
            for key in some:
                part = allowed.get(key)
                line = PartLine(key, "unknown") if part is None else PartLine(key, "sent", part.body)
                encoded = encode_part_line(line)
                if len(encoded) > room_bytes:
                    encoded, part = encode_part_line(PartLine(key, "later")), None
                room_bytes -= len(encoded)
                lines.append(encoded)
                served += [key] if part is not None else []
        if served:
            await self._notes.recorded(member, await self._positions(served), RECIPIENT)
        for key in served:
            log.info("confidential_part_served", member=member, key=key)
        if len(served) < len(keys):
            self._notes.refused(member, "entities", str(Code.NOT_FOUND))
            log.info("confidential_parts_not_served", member=member, count=len(keys) - len(served))
        return Response(b"".join(lines), media_type=JSON_LINES)

    async def _positions(self, keys: Sequence[str]) -> list[int]:
        """Of the events of some parts, as far as the ledger answers."""
        try:
            return [claim.first_position for claim in await self._bus.claims(keys)]
        except Unavailable:
            return []

    async def _allowed(self, member: str, keys: tuple[str, ...]) -> dict[str, SealedPart]:
        """Those of some parts that a member may have."""
        parts = await announced.parts(self._store, keys)
        addressed = {key: part for key, part in parts.items() if member in part.members}
        ids = tuple({part.entity_id for part in addressed.values()})
        states = await announced.states(self._store, ids)
        return {
            key: part
            for key, part in addressed.items()
            if part.entity_id in states and member in states[part.entity_id].members
        }

    async def report(self, request: Request) -> Response:
        """`GET /league/v1/confidential`."""
        require_operator(self._authenticate, request)
        parameters = Parameters(request, {"after": position, "limit": page_size}, self._limits)
        size = parameters.page_size(self._limits.list_limit_default)
        heads = await received.page(self._store, _UNSETTLED, position(parameters, "after"), size)
        unsent = await announced.problems(self._store, size)
        return json_response(
            ConfidentialReport(
                tuple(
                    ReceivedReport(
                        *(one.issuer, one.key, one.type, one.position, one.state),
                        *(one.attempts, one.problem, one.reason),
                    )
                    for one in heads
                ),
                tuple(UnsentReport(one.entity_id, one.type, one.problem or "") for one in unsent),
            )
        )


def _keys(body: bytes) -> tuple[str, ...]:
    try:
        keys = _decoder.decode(body).keys
    except UNREADABLE as error:
        raise Refused(Code.MALFORMED, 'The body is not of the form {"keys": […]}.') from error
    if not 1 <= len(keys) <= KEYS_MAX or not all(map(is_entity_key, keys)):
        raise Refused(Code.INVALID, f"A request names 1 to {KEYS_MAX} events by their keys, in hex.")
    return keys
