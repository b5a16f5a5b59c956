"""`/league/v1/light`: answers in CometBFT's forms, and no way to anything else of the engine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from starlette.routing import Route

from hansa.api.light import LightApi
from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.node.http.application import rest_application
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.pubsub.light.capturing import Capture
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.proxy import LightCall, LightProxy
from hansa.pubsub.light.remote import LIGHT_PATH
from tests.contract.origins import NOW
from tests.support.asgi import AsgiClient
from tests.support.light_chain import Signer, light_block
from tests.support.light_engine import LightEngine

FOUR = [Signer(f"v{number}") for number in range(4)]


class Reads:
    """Of an engine in memory."""

    def __init__(self) -> None:
        self.engine = LightEngine([light_block(height, FOUR) for height in range(1, 30)])
        self.capture = Capture(self.engine, CapturedBlocks(":memory:"), ManualClock(NOW), 100)
        self._proxy = LightProxy(self.engine, self.capture, ManualClock(NOW))

    async def light_result(self, call: LightCall) -> bytes:
        return await self._proxy.result(call)

    async def light_blocks(self, after: int, limit: int) -> tuple[LightBlock, ...]:
        await self.capture.look()
        return await self.capture.read(lambda blocks: blocks.after(after, limit))


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def client(reads: Reads) -> AsgiClient:
    api = LightApi(reads, Limits())
    routes = [
        Route(LIGHT_PATH, api.rpc, methods=["POST"]),
        Route(f"{LIGHT_PATH}/blocks", api.blocks, methods=["GET"]),
        Route(f"{LIGHT_PATH}/{{method}}", api.call, methods=["GET"]),
    ]
    return AsgiClient(rest_application(routes))


async def call(client: AsgiClient, body: Any) -> Any:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return await client.request("POST", LIGHT_PATH, body=raw, headers={"content-type": "application/json"})


async def test_a_call_in_json_rpc_is_answered_with_its_id(client: AsgiClient) -> None:
    body = {"jsonrpc": "2.0", "id": 7, "method": "commit", "params": {"height": "5"}}
    document = msgspec.json.decode((await call(client, body)).body)
    assert document["id"] == 7
    assert document["result"]["signed_header"]["header"]["height"] == "5"


async def test_what_is_not_there_is_said_in_the_words_that_cometbft_looks_for(client: AsgiClient) -> None:
    answer = await client.get(f"{LIGHT_PATH}/commit?height=99")
    assert answer.status == 404
    error = msgspec.json.decode(answer.body)["error"]
    assert "height 99 must be less than or equal to" in error["data"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 3000,
        b'{"params":' * 300,
        b"[]",
        b'[{"method":"commit"},{"method":"commit"}]',
        b'{"method":"commit","params":{"height":{"x":1}}}',
        b'{"method":"commit","params":[1]}',
        b'{"method":"commit","extra":1}',
        b'{"method":"commit","params":' + b" " * 5000 + b"{}}",
        b"\xff\xfe",
    ],
)
async def test_what_is_no_call_is_refused_and_reaches_no_engine(
    client: AsgiClient, reads: Reads, body: bytes
) -> None:
    assert (await call(client, body)).status in {400, 413}
    assert reads.engine.calls == []


@pytest.mark.parametrize(
    "method", ["net_info", "abci_query", "broadcast_tx_sync", "unsafe_flush_mempool", "dial_peers", ""]
)
async def test_other_methods_of_the_engine_are_out_of_reach(
    client: AsgiClient, reads: Reads, method: str
) -> None:
    document = msgspec.json.decode((await call(client, {"method": method})).body)
    assert "error" in document
    assert (await client.get(f"{LIGHT_PATH}/{method or 'x'}")).status == 404
    assert reads.engine.calls == []


async def test_retained_blocks_are_a_line_each_and_a_page_at_a_time(client: AsgiClient) -> None:
    lines = (await client.get(f"{LIGHT_PATH}/blocks?after=3&limit=4")).body.splitlines()
    assert [msgspec.json.decode(line)["header"]["height"] for line in lines] == [4, 5, 6, 7]
    for query in ("limit=0", "limit=100000", "after=-1", "height=4"):
        assert (await client.get(f"{LIGHT_PATH}/blocks?{query}")).status == 400
