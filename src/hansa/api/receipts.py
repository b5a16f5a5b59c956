"""Receipts: proofs that hold without this marketplace.

At `/league/v1/entities/{id}/receipt` and `…/history`, and at `/league/v1/members/{did}/history`:

    …/receipt?latest=true   the last event of an entity (by identifier or ledger key), or an event by its id;
                            with `latest`, that there is no later version
    …/receipt?absent=true   what the ledger has of a ledger key: nothing, or the latest versions
    …/history?after=N       all events of an entity, the first hundred after version N, and its last version
    members/…/history       the keys and endpoints that a member has and had, at which positions

`from` is the height of a light block that the verifier knows, from which the trust steps begin; by default
they begin with the genesis. `hansa.pubsub.light.receipts` says what is in a receipt and how it is verified.
"""

from __future__ import annotations

from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import POSITION_MAX, Parameters, whole_number
from hansa.api.responses import JSON
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits


class ReceiptReads(Protocol):
    """What makes receipts. All methods raise `Refused` or `Unavailable`."""

    async def of_entity(self, name: str, *, is_latest: bool = False, known_height: int = 0) -> bytes:
        """See `ReceiptMaker.of_entity`."""

    async def of_history(self, name: str, after_version: int = 0, known_height: int = 0) -> bytes:
        """See `ReceiptMaker.of_history`."""

    async def of_absence(self, key: str, known_height: int = 0) -> bytes:
        """See `ReceiptMaker.of_absence`."""

    async def of_member(self, did: str, known_height: int = 0) -> bytes:
        """See `ReceiptMaker.of_member`."""


class NoReceipts:
    """Of a member whose bus has no engine."""

    async def of_entity(self, name: str, *, is_latest: bool = False, known_height: int = 0) -> bytes:
        """None."""
        raise _none(name, is_latest, known_height)

    async def of_history(self, name: str, after_version: int = 0, known_height: int = 0) -> bytes:
        """None."""
        raise _none(name, after_version, known_height)

    async def of_absence(self, key: str, known_height: int = 0) -> bytes:
        """None."""
        raise _none(key, known_height)

    async def of_member(self, did: str, known_height: int = 0) -> bytes:
        """None."""
        raise _none(did, known_height)


def _none(*_: object) -> Unavailable:
    return Unavailable(Code.UNAVAILABLE, "This member has no engine, and so makes no receipts.")


_TRUTH: Final = {"true": True, "false": False}


class ReceiptsApi:
    """Serves receipts."""

    def __init__(self, receipts: ReceiptReads, limits: Limits) -> None:
        self._receipts = receipts
        self._limits = limits

    async def receipt(self, request: Request) -> Response:
        """`GET /league/v1/entities/{id}/receipt`."""
        parameters = Parameters(request, {"latest", "absent", "from"}, self._limits)
        name, height = request.path_params["id"], _height(parameters)
        if _truth(parameters, "absent"):
            return _receipt(await self._receipts.of_absence(name, height))
        is_latest = _truth(parameters, "latest")
        return _receipt(await self._receipts.of_entity(name, is_latest=is_latest, known_height=height))

    async def history(self, request: Request) -> Response:
        """`GET /league/v1/entities/{id}/history`."""
        parameters = Parameters(request, {"after", "from"}, self._limits)
        after = whole_number("after", parameters.text("after"), 0, 0, POSITION_MAX)
        name = request.path_params["id"]
        return _receipt(await self._receipts.of_history(name, after, _height(parameters)))

    async def member(self, request: Request) -> Response:
        """`GET /league/v1/members/{did}/history`."""
        parameters = Parameters(request, {"from"}, self._limits)
        return _receipt(await self._receipts.of_member(request.path_params["did"], _height(parameters)))


def _height(parameters: Parameters) -> int:
    return whole_number("from", parameters.text("from"), 0, 0, POSITION_MAX)


def _truth(parameters: Parameters, name: str) -> bool:
    text = parameters.text(name) or "false"
    if text not in _TRUTH:
        raise Refused(Code.INVALID, f"{name} is true or false.")
    return _TRUTH[text]


def _receipt(raw: bytes) -> Response:
    return Response(raw, media_type=JSON)
