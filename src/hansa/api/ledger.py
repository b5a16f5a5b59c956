"""`GET /league/v1/ledger`: the ledger's height, newest position, application hash and validators; and proofs.

A proof leads to an application hash, which is in the header of the next block and signed by the validators:

    /league/v1/ledger/inclusion/{position}     an event is on the ledger, in a block of that height and time
    /league/v1/ledger/consistency/{size}       a ledger of so many events is the beginning of this one
    /league/v1/ledger/leaves                   leaf hashes of events after a position: 32 bytes each
    /league/v1/ledger/checkpoints              what blocks after a height committed to: JSON Lines
    /league/v1/ledger/claims/{key}             the latest version of an entity, or that its key is unknown
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import POSITION_MAX, Parameters, whole_number
from hansa.api.responses import json_response
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger_records import LedgerStatus
from hansa.pubsub.light.auditing import CHECKPOINT
from hansa.pubsub.light.chain.forms import encoded
from hansa.replication.exchange import JSON_LINES
from hansa.replication.registry import MemberRegistry

LEAVES_MAX: Final = 65_536
"""In one answer: 2 MiB."""
CHECKPOINTS_MAX: Final = 2000
BYTES: Final = "application/octet-stream"


class LedgerValidator(msgspec.Struct, frozen=True):
    """A member whose engine votes."""

    did: str
    name: str
    power: int


class LedgerReport(LedgerStatus, frozen=True, kw_only=True):
    """The state of the ledger, and who votes."""

    validators: tuple[LedgerValidator, ...]
    """Members with voting power."""
    params: LedgerParams
    """The limits by which the league judges."""


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
        validators = tuple(LedgerValidator(one.did, one.name, one.power) for one in members if one.power > 0)
        return json_response(LedgerReport(**status, validators=validators, params=self._bus.params))

    async def inclusion(self, request: Request) -> Response:
        """`GET /league/v1/ledger/inclusion/{position}`."""
        return json_response(await self._bus.inclusion_proof(self._number(request, "position")))

    async def consistency(self, request: Request) -> Response:
        """`GET /league/v1/ledger/consistency/{size}`."""
        return json_response(await self._bus.consistency_proof(self._number(request, "size")))

    async def leaves(self, request: Request) -> Response:
        """`GET /league/v1/ledger/leaves?after=&limit=`."""
        parameters = Parameters(request, {"after", "limit"}, self._limits)
        after = whole_number("after", parameters.text("after"), 0, 0, POSITION_MAX)
        limit = whole_number("limit", parameters.text("limit"), LEAVES_MAX, 1, LEAVES_MAX)
        return Response(await self._bus.leaves(after, limit), media_type=BYTES)

    async def checkpoints(self, request: Request) -> Response:
        """`GET /league/v1/ledger/checkpoints?after=&limit=`."""
        parameters = Parameters(request, {"after", "limit"}, self._limits)
        after = whole_number("after", parameters.text("after"), 0, 0, POSITION_MAX)
        limit = whole_number("limit", parameters.text("limit"), CHECKPOINTS_MAX, 1, CHECKPOINTS_MAX)
        lines = [
            CHECKPOINT.write(
                {
                    "events": one.events,
                    "height": one.height,
                    "path": tuple(encoded(bytes.fromhex(text)) for text in one.path),
                    "ruleset": one.ruleset,
                }
            )
            for one in await self._bus.checkpoints(after, limit)
        ]
        return Response(b"".join(line + b"\n" for line in lines), media_type=JSON_LINES)

    async def claims(self, request: Request) -> Response:
        """`GET /league/v1/ledger/claims/{key}`."""
        Parameters(request, (), self._limits)
        return json_response(await self._bus.claims_proof(request.path_params["key"]))

    def _number(self, request: Request, name: str) -> int:
        Parameters(request, (), self._limits)
        return whole_number(name, request.path_params[name], 0, 1, POSITION_MAX)
