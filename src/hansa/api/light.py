"""`/league/v1/light`: what light clients and state sync need of this member's engine.

    GET  /league/v1/light/{method}?…    one of four methods of the engine's RPC, in its URI form
    POST /league/v1/light               the same as JSON-RPC 2.0: the address for CometBFT's light client and
                                        for `rpc_servers` of its state sync is `…/league/v1/light`
    GET  /league/v1/light/blocks        light blocks that this member retains, a closed JSON each, a line each

Answers have the form that CometBFT gives them. `hansa.pubsub.light.proxy` says what is answered at all.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.parameters import POSITION_MAX, Parameters, whole_number
from hansa.api.responses import JSON
from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.forms import LIGHT_BLOCK, light_block_fields
from hansa.pubsub.light.proxy import METHODS, LightCall, read_call
from hansa.replication.exchange import JSON_LINES

BODY_SIZE_MAX_BYTES: Final = 4096
BLOCKS_MAX: Final = 200
"""On a page; about 0.4 MB with four validators."""
_INVALID_PARAMS: Final = -32602
_INTERNAL: Final = -32603
_URI_ID: Final = -1
"""As CometBFT answers calls in URI form."""


class LightReads(Protocol):
    """What the handlers read of."""

    async def light_result(self, call: LightCall) -> bytes:
        """The result of a call of the engine's RPC. See `LightProxy.result`."""

    async def light_blocks(self, after: int, limit: int) -> tuple[LightBlock, ...]:
        """Light blocks that are retained, after a height, in order. Raises `Unavailable`."""


class NoEngine:
    """Of a member whose bus has no engine."""

    async def light_result(self, call: LightCall) -> bytes:
        """None."""
        raise Unavailable(Code.UNAVAILABLE, f"This member has no engine that answers {call.method}.")

    async def light_blocks(self, after: int, limit: int) -> tuple[LightBlock, ...]:
        """None."""
        del after, limit
        return ()


class _RpcRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    method: str
    jsonrpc: str = "2.0"
    id: int | str = _URI_ID
    params: dict[str, str | int | None] = {}


_decoder: Final = msgspec.json.Decoder(_RpcRequest)


class LightApi:
    """Serves light clients."""

    def __init__(self, reads: LightReads, limits: Limits) -> None:
        self._reads = reads
        self._limits = limits

    async def call(self, request: Request) -> Response:
        """`GET /league/v1/light/{method}`."""
        method = request.path_params["method"]
        names = METHODS.get(method)
        if names is None:
            raise Refused(Code.NOT_FOUND, f"There are these methods: {', '.join(METHODS)}.")
        parameters = Parameters(request, names, self._limits)
        values = {name: text for name in names if (text := parameters.text(name)) is not None}
        try:
            result = await self._reads.light_result(read_call(method, values))
        except Refused as error:
            status = HTTPStatus.NOT_FOUND if error.code is Code.NOT_FOUND else HTTPStatus.BAD_REQUEST
            return _failure(_URI_ID, error, status)
        return _answer(_URI_ID, result)

    async def rpc(self, request: Request) -> Response:
        """`POST /league/v1/light`."""
        Parameters(request, (), self._limits)
        body = await json_body(request, BODY_SIZE_MAX_BYTES)
        try:
            called = _decoder.decode(body)
        except UNREADABLE as error:
            raise Refused(Code.MALFORMED, "The body is not one call in JSON-RPC 2.0.") from error
        try:
            return _answer(called.id, await self._reads.light_result(read_call(called.method, called.params)))
        except Refused as error:
            return _failure(called.id, error, HTTPStatus.OK)

    async def blocks(self, request: Request) -> Response:
        """`GET /league/v1/light/blocks?after=&limit=`."""
        parameters = Parameters(request, {"after", "limit"}, self._limits)
        after = whole_number("after", parameters.text("after"), 0, 0, POSITION_MAX)
        limit = whole_number("limit", parameters.text("limit"), BLOCKS_MAX, 1, BLOCKS_MAX)
        blocks = await self._reads.light_blocks(after, limit)
        lines = [LIGHT_BLOCK.write(light_block_fields(block)) + b"\n" for block in blocks]
        return Response(b"".join(lines), media_type=JSON_LINES)


def _answer(id_: int | str, result: bytes) -> Response:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": id_, "result": msgspec.Raw(result)})
    return Response(body, media_type=JSON)


def _failure(id_: int | str, error: HansaError, status: HTTPStatus) -> Response:
    """An error as CometBFT reports it: its light client tells conditions apart by the words in `data`."""
    number = {Code.NOT_FOUND: _INTERNAL, Code.INVALID: _INVALID_PARAMS}.get(error.code, _INTERNAL)
    content: dict[str, Any] = {"code": number, "message": "Internal error", "data": error.message}
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": id_, "error": content})
    return Response(body, status, media_type=JSON)
