"""A member that floods: what it costs the others.

In one process: how long the ledger application takes to refuse what cannot be valid, and to check again what
waits after a block that does not concern it.

On four validators: one of them floods with valid batches from a process of its own, without limit. What it
makes is handed to the engines of all four, as an engine does whose application is changed to take everything.
Meanwhile the three others publish; their commit latency, and their throughput as a ratio to that without the
flood, are what counts.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import aiohttp
import msgspec

from benchmarks.bus import BATCH, Issuer, latency, ledgers, throughput
from benchmarks.plan import Plan
from benchmarks.processes import stop
from benchmarks.report import Figure, Row, Table
from hansa.core.batches import BatchSigner
from hansa.core.clock import SystemClock
from hansa.core.errors import Refused
from hansa.core.keys import SigningKey
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET, SocketFolder
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.rules.events import encode_events
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state_machine import Block

WAITING_BATCHES: Final = 10
IN_FLIGHT: Final = 4
"""Submissions of the flood at a time, at each engine."""
SIGNED_BATCHES: Final = 200
"""The flood signs so many batches at a time, so that signing is not what limits it."""
FLOOD_LEAD_S: Final = 3.0
"""How long the flood runs before anything is measured."""
REST_S: Final = 0.2
NICENESS: Final = 10
"""Of the flood: elsewhere it would have a machine of its own."""


# -- in one process -----------------------------------------------------------------------------------------------


class Ledger:
    """A ledger application in memory, with its members."""

    def __init__(self, params: LedgerParams) -> None:
        self.issuers = [Issuer("flooding"), Issuer("honest")]
        self.application = LedgerApplication(SqliteState(MEMORY))
        state = AppState(tuple(issuer.member for issuer in self.issuers), params)
        self.time_ms = now_ms()
        self.application.init_chain(msgspec.json.encode(state), self.time_ms)
        self._height = 0

    def check(self, raw: bytes, *, is_recheck: bool = False) -> bool:
        """CheckTx; whether the transaction may wait."""
        try:
            self.application.check_tx(raw, now_ms(), is_recheck=is_recheck)
        except Refused:
            return False
        return True

    def commit(self, *transactions: bytes) -> None:
        """A block."""
        self._height += 1
        self.application.finalize_block(Block(self._height, now_ms(), transactions))
        self.application.commit()


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(SystemClock().now().timestamp() * 1000)


def batch(issuer: Issuer, seq: int, count: int = BATCH) -> bytes:
    """A transaction with new events."""
    contents = [issuer.event() for _ in range(count)]
    return encode_events(issuer.signer.sign(contents, seq), contents)


def seconds_each(work: Callable[[bytes], object], items: Sequence[bytes]) -> float:
    """Median time of some work on each of the items."""
    times = []
    for item in items:
        started = perf_counter()
        work(item)
        times.append(perf_counter() - started)
    return median(times)


def refusals(plan: Plan) -> Table:
    """What the application takes to refuse a transaction, and to check what waits again."""
    rounds = plan.refusals
    ledger = Ledger(LedgerParams(issuer_events_per_s=1, issuer_burst_s=BATCH * (WAITING_BATCHES + 1)))
    flooding, honest = ledger.issuers
    ledger.commit(batch(flooding, rounds + 1))
    replayed = [batch(flooding, seq) for seq in range(1, rounds + 1)]
    waiting = [batch(flooding, rounds + 2 + seq) for seq in range(WAITING_BATCHES)]
    first = seconds_each(ledger.check, waiting)
    ledger.commit(batch(honest, 1, 1))
    again = seconds_each(lambda raw: ledger.check(raw, is_recheck=True), waiting)
    assert all(ledger.check(raw, is_recheck=True) for raw in waiting), "they wait still"
    beyond = [batch(flooding, 2 * rounds + seq) for seq in range(1, min(rounds, SIGNED_BATCHES) + 1)]
    assert not any(map(ledger.check, (*replayed[:1], *beyond[:1]))), "they are refused"
    kinds = {
        "replayed or a look-alike": replayed,
        "beyond the quota": beyond,
        "of a stranger": [batch(Issuer("stranger"), 1, 1) for _ in range(min(rounds, SIGNED_BATCHES))],
        "a nested header": [nested(depth) for depth in range(900, 900 + min(rounds, SIGNED_BATCHES))],
    }
    per_1000 = 1000 / BATCH
    rows = [
        Row(f"a batch of {BATCH}, valid", (Figure("each", first, "seconds"),)),
        *(
            Row(name, (Figure("each", seconds_each(ledger.check, raw), "seconds"),))
            for name, raw in kinds.items()
        ),
        Row("1,000 waiting events, checked again", (Figure("each", again * per_1000, "seconds"),)),
    ]
    return Table("CheckTx in one process", tuple(rows))


def nested(depth: int) -> bytes:
    """A transaction with a header that is nested deep."""
    header = b'{"alg":"ES256","kid":"k","typ":"jose","x":' + b"[" * depth + b"]" * depth + b"}"
    jws = base64.urlsafe_b64encode(header).rstrip(b"=") + b".e30." + b"A" * 86
    return b'{"kind":"events","batch":"' + jws + b'","events":[{}]}'


# -- four validators ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def flooded(folder: Path, issuer: Issuer, homes: Sequence[Path]) -> AsyncIterator[None]:
    """A flood of a member's valid batches, in a process of its own."""
    key = folder / "flooding.jwk"
    issuer.key.save(key)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.flood", str(key), issuer.did, *map(str, homes)
    )
    try:
        await asyncio.sleep(FLOOD_LEAD_S)
        assert process.returncode is None, "the flood runs"
        yield
    finally:
        await stop(process)


async def flood(key: SigningKey, did: str, homes: Sequence[Path]) -> None:
    """Hand valid batches to all engines, for ever."""
    issuer = Issuer("flooding")
    issuer.key, issuer.did, issuer.signer = key, did, BatchSigner(key, did, SystemClock())
    seqs = itertools.count(int(SystemClock().now().timestamp() * 1000))
    made: asyncio.Queue[tuple[aiohttp.ClientSession, bytes]] = asyncio.Queue(SIGNED_BATCHES)

    async def hand_over() -> None:
        while True:
            session, body = await made.get()
            try:
                async with session.post("http://engine/", data=body) as answer:
                    await answer.read()
            except aiohttp.ClientError:
                await asyncio.sleep(REST_S)

    async with contextlib.AsyncExitStack() as stack:
        sessions = []
        for home in homes:
            sockets = stack.enter_context(SocketFolder(home))
            connector = aiohttp.UnixConnector(sockets.path(RPC_SOCKET))
            sessions.append(await stack.enter_async_context(aiohttp.ClientSession(connector=connector)))
        workers = [asyncio.create_task(hand_over()) for _ in range(IN_FLIGHT * len(homes))]
        while not any(worker.done() for worker in workers):
            body = submission(batch(issuer, next(seqs)))
            for session in sessions:
                await made.put((session, body))


def submission(transaction: bytes) -> bytes:
    """The call of the engine that submits a transaction."""
    params = {"tx": base64.b64encode(transaction).decode()}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "method": "broadcast_tx_sync", "params": params})


async def beside_a_flood(plan: Plan, folder: Path) -> Table:
    """Latency and throughput of the honest members, without and beside a flood."""
    issuers = [Issuer(f"member-{number}") for number in range(1, plan.members + 1)]
    async with ledgers(folder, issuers) as buses:
        honest: tuple[Sequence[Issuer], Sequence[CometBftBus]] = (issuers[:-1], buses[:-1])
        quiet = (await latency(plan, *honest), await throughput(plan, *honest))
        homes = [folder / issuer.member.name for issuer in issuers]
        async with flooded(folder, issuers[-1], homes):
            loud = (await latency(plan, *honest), await throughput(plan, *honest))
    rates = [next(one.value for one in row[1].figures if one.label == "events") for row in (quiet, loud)]
    retained = Row(
        "the honest members' throughput", (Figure("of that without", rates[1] / rates[0], "ratio"),)
    )
    rows = [
        *(Row(f"{row.name}, alone", row.figures) for row in quiet),
        *(Row(f"{row.name}, beside a flood", row.figures) for row in loud),
    ]
    return Table(f"{plan.members} validators, one of which floods", (*rows, retained))


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The tables of the flood."""
    return [refusals(plan), await beside_a_flood(plan, folder)]


def main() -> None:
    """Flood until the process is ended."""
    os.nice(NICENESS)
    key, did, *homes = sys.argv[1:]
    asyncio.run(flood(SigningKey.load(Path(key)), did, [Path(home) for home in homes]))


if __name__ == "__main__":
    main()
