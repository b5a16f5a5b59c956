"""`/league/v1/replicas`: the state here of what other members have on the ledger, for the operator.

GET  /league/v1/replicas?state=…&origin=…&after=…&limit=…   heads in some states, in ledger order
GET  /league/v1/replicas/{key or identifier}                the states of one entity
GET  /league/v1/incomplete?after=…&limit=…                  entities that need others which are not here
POST /league/v1/replicas/retry                              {"states": […], "origin": DID, "entity": …}
GET  /league/v1/lost?after=…&limit=…                         entities of ours that the store has lost
POST /league/v1/lost/restore                                {"after": …}: takes some of them back
POST /league/v1/lost/restore-confidential                   {"after": …}: takes confidential ones back
POST /league/v1/lost/withdraw-confidential                  {}: has what nobody has of those removed
POST /league/v1/lost/withdraw                               {"keys": […]}: announces them as withdrawn
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import require_operator
from hansa.api.parameters import (
    POSITION_MAX,
    Parameters,
    Reader,
    dids,
    known_types,
    page_size,
    position,
    whole_number,
)
from hansa.api.responses import json_response
from hansa.core.access import Authenticate
from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_entity_key
from hansa.core.limits import Limits
from hansa.replication.continuity.restoration import BATCH_MAX, EntityRestoration
from hansa.replication.continuity.resync import Resync, Walk
from hansa.replication.continuity.sealed_restoration import SealedRestoration
from hansa.replication.replicas.control import ReplicaControl
from hansa.store.tables.heads import RETRYABLE, STATES, State

UNSETTLED: Final[tuple[State, ...]] = (*RETRYABLE, "deleted")
"""States that are listed where none is named."""
BODY_SIZE_MAX_BYTES: Final = 4096
KEYS_SIZE_MAX_BYTES: Final = 80 * BATCH_MAX

T = TypeVar("T")


def _origin(parameters: Parameters, name: str) -> str | None:
    """The DID of one member."""
    dids(parameters, name)
    return parameters.text(name)


_LIST_PARAMETERS: Final[Mapping[str, Reader]] = {
    "state": known_types(STATES, "state of a head"),
    "origin": _origin,
    "after": position,
    "limit": page_size,
}


class RetryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be attempted again."""

    states: tuple[State, ...] = RETRYABLE
    origin: str | None = None
    """DID; None: every origin."""
    entity: str | None = None
    """Ledger key or identifier; None: every entity."""


class RetryResponse(msgspec.Struct, frozen=True):
    """What follows from it."""

    retried: int


class ResyncRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of the store is compared with the ledger."""

    walk: Walk
    """`ledger`: every key of the ledger has its state; `store`: every replica is on the ledger."""
    after: str = ""
    """Position, or identifier, after which the part begins: `next_after` of the one before; empty: none."""
    is_repair: bool = False
    """Whether differences are repaired; otherwise they are only reported."""


class RestoreRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lost entities are taken from other members."""

    after: int = 0
    """Position after which they are: `next_after` of the part before; 0: the beginning."""


class WithdrawRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lost entities are announced as withdrawn."""

    keys: tuple[str, ...]
    """On the ledger, hex."""


class EmptyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing has to be said."""


class WithdrawResponse(msgspec.Struct, frozen=True):
    """What follows from it."""

    withdrawn: int
    """How many entities: of the keys that were named, those of lost ones."""


_resync_decoder: Final = msgspec.json.Decoder(ResyncRequest)
_decoder: Final = msgspec.json.Decoder(RetryRequest)
_restore_decoder: Final = msgspec.json.Decoder(RestoreRequest)
_empty_decoder: Final = msgspec.json.Decoder(EmptyRequest)
_withdraw_decoder: Final = msgspec.json.Decoder(WithdrawRequest)


class ReplicasApi:
    """Serves the states of heads to operators."""

    def __init__(
        self,
        control: ReplicaControl,
        resync: Resync,
        restoration: EntityRestoration,
        sealed_restoration: SealedRestoration,
        authenticate: Authenticate,
        limits: Limits,
    ) -> None:
        self._restoration = restoration
        self._sealed_restoration = sealed_restoration
        self._control = control
        self._resync = resync
        self._authenticate = authenticate
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/replicas`."""
        require_operator(self._authenticate, request)
        parameters = Parameters(request, _LIST_PARAMETERS, self._limits)
        texts = parameters.texts("state") or UNSETTLED
        states = [state for state in STATES if state in texts]
        after = position(parameters, "after")
        size = parameters.page_size(self._limits.list_limit_default)
        page = await self._control.page(states, parameters.text("origin"), after, size)
        return json_response(page)

    async def one(self, request: Request) -> Response:
        """`GET /league/v1/replicas/{name}`."""
        require_operator(self._authenticate, request)
        Parameters(request, (), self._limits)
        heads = await self._control.of_entity(request.path_params["name"])
        if not heads:
            raise Refused(Code.NOT_FOUND, "No other member has an entity with this key or identifier.")
        return json_response(heads)

    async def incomplete(self, request: Request) -> Response:
        """`GET /league/v1/incomplete`."""
        require_operator(self._authenticate, request)
        parameters = Parameters(request, {"after": Parameters.text, "limit": page_size}, self._limits)
        size = parameters.page_size(self._limits.list_limit_default)
        return json_response(await self._control.incomplete(parameters.text("after") or "", size))

    async def lost(self, request: Request) -> Response:
        """`GET /league/v1/lost`."""
        require_operator(self._authenticate, request)
        parameters = Parameters(request, {"after": position, "limit": page_size}, self._limits)
        size = parameters.page_size(self._limits.list_limit_default)
        return json_response(await self._control.lost(position(parameters, "after"), size))

    async def retry(self, request: Request) -> Response:
        """`POST /league/v1/replicas/retry`."""
        form = '{"states": […], "origin": DID, "entity": key or identifier}'
        requested = await self._requested(request, _decoder, form)
        if not set(requested.states) <= set(RETRYABLE):
            raise Refused(Code.INVALID, f"states must be of {', '.join(RETRYABLE)}.")
        count = await self._control.retry(requested.states, requested.origin, requested.entity)
        return json_response(RetryResponse(count))

    async def resync(self, request: Request) -> Response:
        """`POST /league/v1/resync`."""
        form = '{"walk": "ledger" or "store", "after": "…", "is_repair": false}'
        requested = await self._requested(request, _resync_decoder, form)
        after = requested.after
        if requested.walk == "ledger" and after:
            after = str(whole_number("after", after, 0, 0, POSITION_MAX))
        return json_response(await self._resync.compare(requested.walk, after, is_repair=requested.is_repair))

    async def restore(self, request: Request) -> Response:
        """`POST /league/v1/lost/restore`."""
        return json_response(await self._restoration.restore(await self._restored_after(request)))

    async def restore_confidential(self, request: Request) -> Response:
        """`POST /league/v1/lost/restore-confidential`."""
        return json_response(await self._sealed_restoration.restore(await self._restored_after(request)))

    async def withdraw_confidential(self, request: Request) -> Response:
        """`POST /league/v1/lost/withdraw-confidential`."""
        await self._requested(request, _empty_decoder, "{}")
        return json_response(WithdrawResponse(await self._sealed_restoration.withdraw()))

    async def _restored_after(self, request: Request) -> int:
        """The position after which a part of a restoration begins, as an operator says."""
        requested = await self._requested(request, _restore_decoder, '{"after": 0}')
        if not 0 <= requested.after <= POSITION_MAX:
            raise Refused(Code.INVALID, f"after is 0 to {POSITION_MAX}.")
        return requested.after

    async def withdraw(self, request: Request) -> Response:
        """`POST /league/v1/lost/withdraw`."""
        form = '{"keys": ["…"]}'
        requested = await self._requested(request, _withdraw_decoder, form, KEYS_SIZE_MAX_BYTES)
        if len(requested.keys) > BATCH_MAX or not all(map(is_entity_key, requested.keys)):
            raise Refused(Code.INVALID, f"keys are up to {BATCH_MAX} ledger keys: SHA-256 in hex.")
        return json_response(WithdrawResponse(await self._restoration.withdraw(requested.keys)))

    async def _requested(
        self,
        request: Request,
        decoder: msgspec.json.Decoder[T],
        form: str,
        size_max_bytes: int = BODY_SIZE_MAX_BYTES,
    ) -> T:
        """What the body of an operator's request says.

        Raises:
            Refused: It is not an operator's, or not of the form.
        """
        require_operator(self._authenticate, request)
        Parameters(request, (), self._limits)
        body = await json_body(request, size_max_bytes)
        try:
            return decoder.decode(body)
        except UNREADABLE as error:
            raise Refused(Code.MALFORMED, f"The body is not of the form {form}.") from error
