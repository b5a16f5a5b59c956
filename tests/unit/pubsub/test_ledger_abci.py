"""The ABCI server on its socket: what CometBFT says to it, and what nobody should."""

from __future__ import annotations

import asyncio
import random
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.batches import BatchSigner
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, Refused
from hansa.pubsub.ledger.abci import MESSAGE_SIZE_MAX_BYTES, AbciServer, Frames
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.messages import PACKAGE, Request, Response, message_class
from hansa.pubsub.ledger.methods import AbciMethods
from hansa.pubsub.ledger.rules import NUMBERED_CODES
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.light.chain.wire import varint
from tests.contract.origins import NOW, Origin, transaction
from tests.support.engine_in_process import EngineInProcess

ORIGIN = Origin("lubeck")
GENESIS = msgspec.json.encode(AppState((ORIGIN.member,)))
VALIDATORS = [
    message_class(f"{PACKAGE}.ValidatorUpdate")(
        pub_key=message_class("tendermint.crypto.PublicKey")(
            ed25519=bytes.fromhex(ORIGIN.member.validator_key)
        ),
        power=1,
    )
]
TIMEOUT_S = 60.0
TIME = {"seconds": int(NOW.timestamp())}


class Server:
    """A server with its application, and what it logs."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "abci.sock"
        self.application = LedgerApplication(SqliteState(folder / "state.db"))
        self.log: list[dict[str, Any]] = []

        def capture(_: Any, level: str, record: Any) -> Any:
            self.log.append({"level": level, **record})
            raise structlog.DropEvent

        logger = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[capture])
        self.server = AbciServer(AbciMethods(self.application, ManualClock(), logger), logger)
        self.serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        ready = asyncio.Event()
        self.serving = asyncio.create_task(self.server.serve(self.socket, ready))
        await ready.wait()

    async def stop(self) -> None:
        assert self.serving is not None
        self.serving.cancel()
        await asyncio.gather(self.serving, return_exceptions=True)
        self.application.state.close()


class Client:
    """One of CometBFT's connections."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *requests: Any) -> None:
        for request in requests:
            raw = request.SerializeToString()
            self.writer.write(varint(len(raw)) + raw)

    async def receive(self) -> Any:
        length = shift = 0
        while True:
            (byte,) = await self.reader.readexactly(1)
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return Response.FromString(await self.reader.readexactly(length))

    async def ask(self, name: str, **fields: Any) -> Any:
        self.send(request(name, **fields))
        async with asyncio.timeout(TIMEOUT_S):
            answer = await self.receive()
        assert answer.WhichOneof("value") in {name, "exception"}
        return getattr(answer, answer.WhichOneof("value"))

    async def is_closed_by_server(self) -> bool:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.reader.read() == b""


def request(name: str, **fields: Any) -> Any:
    camel = "".join(part.capitalize() for part in name.split("_"))
    return Request(**{name: message_class(f"{PACKAGE}.Request{camel}")(**fields)})


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def connect(server: Server) -> Client:
    return Client(*await asyncio.open_unix_connection(str(server.socket)))


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    made = await connect(server)
    yield made
    made.writer.close()


async def begin(client: Client) -> bytes:
    answer = await client.ask(
        "init_chain", chain_id="test", initial_height=1, app_state_bytes=GENESIS, validators=VALIDATORS
    )
    return bytes(answer.app_hash)


async def commit(client: Client, height: int, *transactions: bytes) -> Any:
    finalized = await client.ask("finalize_block", height=height, txs=list(transactions), time=TIME)
    await client.ask("commit")
    return finalized


def new_transaction() -> bytes:
    return ORIGIN.batch(*ORIGIN.events(1))


# -- what CometBFT says -----------------------------------------------------------------------------------------


async def test_the_socket_is_its_owners_alone(server: Server) -> None:
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600


async def test_a_ledger_begins_commits_and_says_where_it_is(client: Client) -> None:
    info = await client.ask("info")
    assert (info.last_block_height, info.last_block_app_hash) == (0, b"")
    first = await begin(client)
    finalized = await commit(client, 1, new_transaction())
    assert [result.code for result in finalized.tx_results] == [0]
    assert finalized.app_hash != first
    info = await client.ask("info")
    assert (info.last_block_height, info.last_block_app_hash) == (1, finalized.app_hash)


async def test_info_says_what_is_committed_and_not_what_is_finalized(client: Client) -> None:
    await begin(client)
    await commit(client, 1)
    before = await client.ask("info")
    await client.ask("finalize_block", height=2, txs=[new_transaction()], time=TIME)
    assert await client.ask("info") == before


async def test_answers_come_in_the_order_of_the_requests(client: Client) -> None:
    texts = [f"text {n}" for n in range(500)]
    for text in texts:
        client.send(request("echo", message=text), request("flush"))
    for text in texts:
        assert (await client.receive()).echo.message == text
        assert (await client.receive()).WhichOneof("value") == "flush"


async def test_a_malicious_proposal_is_rejected_and_without_effect_if_decided(client: Client) -> None:
    before = await begin(client)
    good, forged = (
        new_transaction(),
        transaction(BatchSigner(Origin("lubeck").key, ORIGIN.did, ManualClock()), ORIGIN.events(1), 1000),
    )
    accepted = await client.ask("process_proposal", txs=[good], height=1, time=TIME)
    rejected = await client.ask("process_proposal", txs=[good, forged], height=1, time=TIME)
    assert (accepted.status, rejected.status) == (1, 2)
    prepared = await client.ask("prepare_proposal", txs=[forged, good], max_tx_bytes=100_000, time=TIME)
    assert list(prepared.txs) == [good]
    finalized = await commit(client, 1, forged)
    assert [NUMBERED_CODES[result.code] for result in finalized.tx_results] == [Code.EVENT_SIGNATURE_INVALID]
    assert finalized.app_hash == before


async def test_check_tx_says_what_may_wait(client: Client) -> None:
    await begin(client)
    first = ORIGIN.batch(ORIGIN.event("e"))
    assert (await client.ask("check_tx", tx=first)).code == 0
    refused = await client.ask("check_tx", tx=b"x" * 10_000_000)
    assert (NUMBERED_CODES[refused.code], refused.codespace) == (Code.TRANSACTION_TOO_LARGE, "hansa")
    await commit(client, 1, first)
    assert NUMBERED_CODES[(await client.ask("check_tx", tx=first, type=1)).code] is Code.BATCH_OUTDATED


async def test_queries_are_answered_with_a_code(client: Client) -> None:
    await begin(client)
    assert (await client.ask("query", path="/p2p/filter/addr/203.0.113.7:1")).code == 0
    stranger = await client.ask("query", path="/p2p/filter/id/" + "a" * 40)
    assert NUMBERED_CODES[stranger.code] is Code.FORBIDDEN
    assert NUMBERED_CODES[(await client.ask("query", path="/events", data=b"{")).code] is Code.NOT_FOUND


async def test_snapshots_and_vote_extensions_are_not_offered(client: Client) -> None:
    assert list((await client.ask("list_snapshots")).snapshots) == []
    assert (await client.ask("offer_snapshot")).result == 3
    assert "not supported" in (await client.ask("extend_vote")).error


# -- what nobody should say -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x03\xff\xff\xff",
        b"\xff" * 100,
        b"\xff\xff\xff\xff\x0f",
        varint(MESSAGE_SIZE_MAX_BYTES + 1),
        b"\x00",
        b"\x02\x08\x01",
        b"GET / HTTP/1.1\r\n\r\n" * 20,
        random.Random(1).randbytes(5000),
    ],
    ids=["malformed", "endless length", "4 GiB", "over the limit", "empty", "unknown field", "HTTP", "noise"],
)
async def test_garbage_closes_its_connection_and_nothing_else(
    server: Server, client: Client, garbage: bytes
) -> None:
    await begin(client)
    other = await connect(server)
    other.writer.write(garbage)
    other.writer.write_eof()
    await other.reader.read()
    other.writer.close()
    assert (await client.ask("echo", message="still here")).message == "still here"
    assert (await client.ask("info")).last_block_height == 0


async def test_a_malformed_message_is_logged_and_its_connection_closed(
    server: Server, client: Client
) -> None:
    client.writer.write(b"\x03\xff\xff\xff")
    assert await client.is_closed_by_server()
    assert [record["event"] for record in server.log if record["level"] == "warning"] == [
        "abci_connection_closed"
    ]


async def test_a_huge_length_is_refused_before_anything_is_kept(client: Client) -> None:
    client.writer.write(varint(2**31))
    assert await client.is_closed_by_server()


async def test_a_connection_that_ends_within_a_message_is_forgotten(server: Server, client: Client) -> None:
    other = await connect(server)
    other.writer.write(b"\x20abc")
    other.writer.close()
    assert (await client.ask("echo", message="x")).message == "x"


async def test_an_application_that_cannot_go_on_ends_the_server(server: Server, client: Client) -> None:
    client.send(request("init_chain", app_state_bytes=b"no genesis"))
    assert await client.is_closed_by_server()
    assert server.serving is not None
    with pytest.raises(Fatal) as fatal:
        await server.serving
    assert fatal.value.code is Code.SETTINGS_INVALID
    assert not server.socket.exists()


# -- framing ----------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=10), st.integers(1, 50))
def test_messages_come_out_as_they_went_in_however_they_are_cut(messages: list[bytes], step: int) -> None:
    stream = b"".join(varint(len(message)) + message for message in messages)
    frames = Frames()
    received = [m for at in range(0, len(stream), step) for m in frames.feed(stream[at : at + step])]
    assert received == messages


@given(st.binary(max_size=100))
def test_any_bytes_are_cut_or_refused(data: bytes) -> None:
    frames = Frames(message_size_max_bytes=50)
    try:
        messages = frames.feed(data)
    except Refused as error:
        messages = []
        refusal: Code | None = error.code
    else:
        refusal = None
    assert refusal in {None, Code.TOO_LARGE, Code.MALFORMED}
    assert sum(map(len, messages)) <= len(data)


def test_blocks_may_be_pruned_when_the_operator_says_so() -> None:
    retaining, pruning = EngineInProcess([ORIGIN.member]), EngineInProcess([ORIGIN.member], None, 3)
    retained = []
    for _ in range(5):
        retaining.decide([])
        pruning.decide([])
        retained.append((retaining.first_retained, pruning.first_retained))
    assert retained == [(0, 0), (0, 0), (0, 0), (0, 2), (0, 3)]
