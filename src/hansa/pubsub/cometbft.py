"""The bus on CometBFT: this member's own engine, over its RPC socket, and the ledger's state beside it.

    submit   broadcast_tx_sync   answers after CheckTx here, before any block
    read     the state file      read-only, in worker threads; consensus takes no part in it
    state    status, …           how far the engine and its peers are
    signal   NewBlockHeader      one WebSocket subscription wakes everybody who waits for a block

The subscription is renewed with back-off whenever it ends. Its confirmation counts as a notification, because
blocks may have been missed meanwhile. Submissions fail with `Unavailable` while the engine is down, and their
callers repeat them; what is committed can be read all the time.

What strangers read (`for_strangers`) has threads and a queue of its own, both bounded.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from hansa.core.backoff import Backoff
from hansa.core.clock import Clock, milliseconds_of
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.instants import moment
from hansa.core.limits import Limits
from hansa.core.signal import Signal
from hansa.pubsub.engine import (
    PROPOSAL,
    BlockSigners,
    CommitVote,
    EngineProgress,
    SigningState,
    SocketFolder,
    votes_of,
)
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.queries import WAITING
from hansa.pubsub.ledger.reading import OWN_LANE, LedgerReader, ReaderPool, strangers_lane
from hansa.pubsub.ledger.results import CODESPACE
from hansa.pubsub.ledger.rules import NUMBERED_CODES
from hansa.pubsub.ledger.waiting import WaitingFigures
from hansa.pubsub.ledger_bus import LedgerBus, refused_submission
from hansa.pubsub.ledger_reads import BACKOFF_MIN_S, StrangersReads, ledger_status
from hansa.pubsub.ledger_records import LedgerStatus
from hansa.pubsub.light.capturing import Call
from hansa.pubsub.named_connector import NamedUnixConnector

SAFETY_POLL_S: Final = 5.0
VOTE_ABSENT: Final = 1
"""`BLOCK_ID_FLAG_ABSENT` of CometBFT: a validator whose vote is not in a commit."""
CALL_TIMEOUT_S: Final = 15.0
CONNECTIONS_MAX: Final = 16
HEARTBEAT_S: Final = 20.0
SUBSCRIBE_BACKOFF_MAX_S: Final = 1.0
"""Short: the engine is on this machine, and without a subscription blocks wait for the safety poll."""

SUBSCRIPTION: Final = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "subscribe",
    "params": {"query": "tm.event='NewBlockHeader'"},
}


T = TypeVar("T")

# CometBFT's messages when its mempool refuses: conditions for which it has no code.
_ALREADY_SUBMITTED: Final = "tx already exists in cache"
_MEMPOOL_FULL: Final = "mempool is full"
_TOO_LARGE: Final = "tx too large"


class _Error(msgspec.Struct, frozen=True):
    message: str
    data: str = ""


class _Answer(msgspec.Struct, frozen=True):
    """One of the engine's answers to a batch of calls."""

    id: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class _CallError(Exception):
    """The engine answered a call with an error. Its message tells conditions apart."""


class CometBftBus(LedgerBus):
    """One member's bus. Used on one event loop, and closed."""

    safety_poll_s = SAFETY_POLL_S

    def __init__(
        self,
        rpc_socket: Path,
        state_file: Path,
        clock: Clock,
        limits: Limits,
        params: LedgerParams | None = None,
        logger: FilteringBoundLogger | None = None,
    ) -> None:
        """Connect when first used.

        Args:
            rpc_socket: The engine's RPC socket.
            state_file: Of the ledger application.
            clock: For time limits and back-off.
            limits: Of publishing, of pages, and of what strangers read.
            params: The league's limits, as far as they are known; read from the ledger later.
            logger: Gets what happens to the connection; by default that of the process.
        """
        super().__init__(clock, limits, Signal(clock), params)
        self._pool = ReaderPool(state_file, clock, OWN_LANE)
        pool = ReaderPool(state_file, clock, strangers_lane(limits))
        self.for_strangers = StrangersReads(self, pool, clock, limits, self._signal)
        """The same ledger, as strangers read it."""
        self._rpc_socket = rpc_socket
        self._folder = SocketFolder(rpc_socket.parent)
        self._session: aiohttp.ClientSession | None = None
        self._subscription: asyncio.Task[None] | None = None
        self._logger = (logger or structlog.get_logger("hansa.pubsub")).bind(bus="cometbft")

    async def ledger(self) -> LedgerStatus:
        """The state of the ledger. See `Bus.ledger`."""
        head, status, network = await asyncio.gather(
            self._read(LedgerReader.head), self._engine("status", {}), self._engine("net_info", {})
        )
        try:
            return ledger_status(
                head,
                catching_up=bool(status["sync_info"]["catching_up"]),
                peers=int(network["n_peers"]),
                peer_ids=tuple(str(peer["node_info"]["id"]) for peer in network["peers"] or ()),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unexpected_form() from error

    async def progress(self) -> EngineProgress:
        """How far the engine is, and how far its peers are.

        Raises:
            Unavailable: The engine does not answer.
        """
        status, mempool, consensus = await asyncio.gather(
            self._engine("status", {}),
            self._engine("num_unconfirmed_txs", {}),
            self._engine("dump_consensus_state", {}),
        )
        try:
            peers = [peer["peer_state"]["round_state"] for peer in consensus["peers"] or ()]
            return EngineProgress(
                height=int(status["sync_info"]["latest_block_height"]),
                step="/".join(str(consensus["round_state"][name]) for name in ("height", "round", "step")),
                transactions_waiting=int(mempool["total"]),
                validators=len(consensus["round_state"]["validators"]["validators"]),
                # A peer reports the height that it is deciding; 0 before its first report.
                peer_heights=tuple(max(0, int(peer["height"]) - 1) for peer in peers),
                peer_rounds=tuple((int(peer["height"]), int(peer["round"])) for peer in peers),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unexpected_form() from error

    async def waiting(self) -> WaitingFigures:
        """How much waits for a block at this member, and what its ledger application refused.

        Raises:
            Unavailable: The engine or the application does not answer.
        """
        answer = await self._engine("abci_query", {"path": WAITING})
        try:
            return msgspec.json.decode(base64.b64decode(answer["response"]["value"]), type=WaitingFigures)
        except (KeyError, TypeError, ValueError) as error:
            raise _unexpected_form() from error

    async def signers_of(self, height: int | None = None) -> BlockSigners:
        """Who proposed a block, the last one by default, and whose votes are in its commit.

        Raises:
            Unavailable: The engine does not answer, or does not have the block.
        """
        answer = await self._engine("commit", {} if height is None else {"height": str(height)})
        try:
            header, commit = (answer["signed_header"][name] for name in ("header", "commit"))
            votes, block_time = commit["signatures"], moment(str(header["time"]))
            if block_time is None:
                raise _unexpected_form()
            return BlockSigners(
                height=int(header["height"]),
                round=int(commit["round"]),
                proposer=str(header["proposer_address"]),
                votes=tuple(
                    CommitVote(vote["validator_address"], vote["signature"])
                    for vote in votes
                    if vote["block_id_flag"] != VOTE_ABSENT
                ),
                validators=len(votes),
                time_ms=milliseconds_of(block_time),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unexpected_form() from error

    async def votes_under_way(self, address: str) -> tuple[SigningState, ...]:
        """What a validator signed for the block that is being decided, as far as our engine has seen it.

        Raises:
            Unavailable: The engine does not answer.
        """
        answer = await self._engine("dump_consensus_state", {})
        try:
            state = answer["round_state"]
            rounds = [(one["prevotes"], one["precommits"]) for one in state["votes"] or ()]
            proposal, proposer = state["proposal"], str(state["validators"]["proposer"]["address"])
            seen = votes_of(address, (str(vote) for votes in rounds for kind in votes for vote in kind or ()))
            if proposal and proposer == address and int(proposal["round"]) == int(state["round"]):
                seen += (SigningState(int(proposal["height"]), int(proposal["round"]), PROPOSAL),)
        except (KeyError, TypeError, ValueError) as error:
            raise _unexpected_form() from error
        else:
            return seen

    async def close(self) -> None:
        """End all follows and close the connections."""
        await super().close()
        await self.for_strangers.close()
        self._pool.close()
        if self._subscription is not None:
            self._subscription.cancel()
            await asyncio.gather(self._subscription, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        self._folder.close()

    # -- submissions and readings ----------------------------------------------------------------------------

    async def _submit(self, transaction: bytes) -> None:
        self._start_subscription()
        try:
            result = await self._call("broadcast_tx_sync", {"tx": base64.b64encode(transaction).decode()})
        except _CallError as error:
            message = str(error).lower()
            if _ALREADY_SUBMITTED in message:
                return
            if _MEMPOOL_FULL in message:
                raise Unavailable(
                    Code.OVERLOADED, "More waits for a block than this member's engine has room for."
                ) from error
            if _TOO_LARGE in message:
                raise Refused(
                    Code.TRANSACTION_TOO_LARGE, "The transaction is too large for the engine."
                ) from error
            raise Unavailable(Code.UNAVAILABLE, "The engine did not accept the submission now.") from error
        self._raise_refusal(result)

    async def _read(self, work: Callable[[LedgerReader], T]) -> T:
        return await self._pool.run(work)

    def _raise_refusal(self, result: Any) -> None:
        """Raise the ledger's refusal in an answer, if there is one."""
        if not isinstance(result, dict) or not isinstance(result.get("code", 0), int):
            raise _unexpected_form()
        number = result.get("code", 0)
        if number == 0:
            return
        code = NUMBERED_CODES.get(number) if result.get("codespace") == CODESPACE else None
        if code is None or code is Code.INTERNAL:
            raise Unavailable(Code.UNAVAILABLE, "The ledger application could not answer.")
        raise refused_submission(code, str(result.get("log") or code), _wait_ms(result.get("data")))

    async def _engine(self, method: str, params: dict[str, Any]) -> Any:
        try:
            return await self._call(method, params)
        except _CallError as error:
            self._logger.warning("engine_call_failed", method=method, reason=str(error)[:200])
            raise Unavailable(Code.UNAVAILABLE, "The engine cannot answer now.") from error

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        """The result of a JSON-RPC call. Raises `_CallError` or `Unavailable`."""
        request = msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        decoded = _decode(await self._post(request))
        failure = decoded.get("error")
        if failure:
            raise _CallError(msgspec.json.encode(failure).decode())
        return decoded.get("result")

    async def _post(self, request: bytes) -> bytes:
        """The engine's answer to a request, or a batch of them. Raises `Unavailable`."""
        try:
            async with self._open().post(
                "http://engine/", data=request, headers={"Content-Type": "application/json"}
            ) as response:
                return await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(Code.UNAVAILABLE, "The engine cannot be reached.") from error

    async def engine_results(self, calls: Sequence[Call]) -> list[bytes]:
        """The results of some calls of the engine's RPC, as JSON. See `EngineCalls`."""
        requests = [
            {"jsonrpc": "2.0", "id": at, "method": method, "params": params}
            for at, (method, params) in enumerate(calls)
        ]
        body = await self._post(msgspec.json.encode(requests))
        try:
            # The engine answers a batch of one as if it were none.
            answers = (
                msgspec.json.decode(body, type=list[_Answer])
                if len(requests) > 1
                else [msgspec.json.decode(body, type=_Answer)]
            )
        except msgspec.DecodeError as error:
            raise _unexpected_form() from error
        by_id = {answer.id: answer for answer in answers}
        if by_id.keys() != set(range(len(requests))):
            raise _unexpected_form()
        for answer in answers:
            if answer.error is not None:
                raise Refused(Code.NOT_FOUND, (answer.error.data or answer.error.message)[:200])
        return [bytes(by_id[at].result) for at in range(len(requests))]

    def _open(self) -> aiohttp.ClientSession:
        self._check_open()
        if self._session is None:
            connector = NamedUnixConnector(
                path=self._folder.path(self._rpc_socket.name), limit=CONNECTIONS_MAX
            )
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
            )
        return self._session

    # -- the signal of new blocks ----------------------------------------------------------------------------

    async def wait_for_block(self, seen: int, timeout_s: float | None) -> None:
        """Wait for a notification after those that were seen."""
        self._start_subscription()
        await super().wait_for_block(seen, timeout_s)

    def _start_subscription(self) -> None:
        if self._subscription is None:
            self._subscription = asyncio.create_task(self._subscribe_repeatedly(), name="new-blocks")

    async def _subscribe_repeatedly(self) -> None:
        backoff = Backoff(BACKOFF_MIN_S, SUBSCRIBE_BACKOFF_MAX_S)
        while not self._closed:
            seen = self._signal.count
            try:
                await self._subscribe()
            except (aiohttp.ClientError, OSError, TimeoutError, Unavailable) as error:
                self._logger.info("subscription_failed", reason=type(error).__name__)
            if self._signal.count != seen:
                backoff.reset()
            await self._clock.sleep(backoff.next_s())

    async def _subscribe(self) -> None:
        """Notify at every block until the connection ends, or brings nothing while blocks are made.

        The engine's first message confirms the subscription. It ends a subscription that it cannot serve fast
        enough with an error, and leaves the connection open.
        """
        async with self._open().ws_connect("http://engine/websocket", heartbeat=HEARTBEAT_S) as stream:
            await stream.send_json(SUBSCRIPTION)
            height = 0
            while not self._closed:
                try:
                    message = await stream.receive(timeout=SAFETY_POLL_S)
                except TimeoutError:
                    before, height = height, await self._height()
                    if 0 < before < height:
                        self._logger.warning("subscription_silent", height=height)
                        return
                    continue
                if message.type is not aiohttp.WSMsgType.TEXT or "error" in _decode(message.data):
                    return
                height = 0
                self._signal.notify()

    async def _height(self) -> int:
        try:
            return (await self._read(LedgerReader.head)).height
        except Unavailable:
            return 0


def _wait_ms(data: object) -> int:
    """The time to wait that an answer to a submission carries: decimal digits, in hex; 0 without one."""
    try:
        return int(bytes.fromhex(data).decode("ascii")) if isinstance(data, str) and data else 0
    except ValueError as error:
        raise _unexpected_form() from error


def _decode(body: str | bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise _unexpected_form() from error


def _unexpected_form() -> Unavailable:
    return Unavailable(Code.UNAVAILABLE, "The engine's answer is not of the expected form.")
