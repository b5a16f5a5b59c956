"""A member that floods: what it costs the others.

In one process: how long the ledger application takes to refuse what cannot be valid, and to check again what
waits after a block that does not concern it.

On four validators: one of them floods with valid batches from a process of its own, without limit. Its
ledger application takes everything (`benchmarks.flooding_ledger`), so that its engine hands everything to the
others. Meanwhile the three others publish; their commit latency, and their throughput as a ratio to that
without the flood, are what counts: as soon as the flood begins, while the flooding member may still publish
what its quota allows at once, and later.
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
IN_FLIGHT: Final = 8
"""Submissions of the flood at a time."""
SIGNED_BATCHES: Final = 200
"""The flood signs so many batches at a time, so that signing is not what limits it."""
FLOOD_LEAD_S: Final = 2.0
"""How long the flood runs before anything is measured."""
REST_S: Final = 0.2
ALONE: Final = "alone"
BUSY: Final = "beside a flood that reaches nobody"
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
async def flooded(plan: Plan, folder: Path, home: Path, issuer: Issuer) -> AsyncIterator[None]:
    """A flood of an issuer's valid batches at one engine, in a process of its own."""
    key = folder / f"{issuer.member.name}.jwk"
    issuer.key.save(key)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.flood",
        str(key),
        issuer.did,
        str(home),
        str(plan.flood_signed),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        await asyncio.sleep(FLOOD_LEAD_S)
        assert process.returncode is None, "the flood goes on"
        yield
    finally:
        await stop(process)


async def flood(key: SigningKey, did: str, home: Path, signed_ahead: int) -> None:
    """Hand valid batches to an engine, for ever. Some are signed before, so that signing is no work then."""
    issuer = Issuer("flooding")
    issuer.key, issuer.did, issuer.signer = key, did, BatchSigner(key, did, SystemClock())
    first_seq = int(SystemClock().now().timestamp() * 1000)
    signed = [submission(batch(issuer, first_seq + number)) for number in range(signed_ahead)]
    print("begins", flush=True)
    further = (submission(batch(issuer, seq)) for seq in itertools.count(first_seq + signed_ahead))
    bodies = itertools.chain(signed, further)

    async def hand_over_all(session: aiohttp.ClientSession) -> None:
        for body in bodies:
            await hand_over(session, body)

    with SocketFolder(home) as sockets:
        connector = aiohttp.UnixConnector(sockets.path(RPC_SOCKET))
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(hand_over_all(session))


async def hand_over(session: aiohttp.ClientSession, body: bytes) -> None:
    """A submission, whatever becomes of it."""
    try:
        async with session.post("http://engine/", data=body) as answer:
            await answer.read()
    except aiohttp.ClientError:
        await asyncio.sleep(REST_S)


def submission(transaction: bytes) -> bytes:
    """The call of the engine that submits a transaction."""
    params = {"tx": base64.b64encode(transaction).decode()}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "method": "broadcast_tx_sync", "params": params})


async def beside_a_flood(plan: Plan, folder: Path) -> Table:
    """Latency and throughput of the honest members, without and beside a flood."""
    issuers = [Issuer(f"member-{number}") for number in range(1, plan.members + 1)]
    flooding, stranger = issuers[-1], Issuer("stranger")
    home = folder / flooding.member.name
    phases: dict[str, tuple[Row, ...]] = {}
    async with ledgers(folder, issuers, {flooding.did: "benchmarks.flooding_ledger"}) as buses:
        honest: tuple[Sequence[Issuer], Sequence[CometBftBus]] = (issuers[:-1], buses[:-1])
        phases[ALONE] = (await latency(plan, *honest), await throughput(plan, *honest))
        async with flooded(plan, folder, home, stranger):
            phases[BUSY] = (await throughput(plan, *honest),)
        async with flooded(plan, folder, home, flooding):
            phases["as a flood begins"] = (await throughput(plan, *honest),)
            await published(plan, flooding, buses[0])
            phases["beside a flood"] = (await latency(plan, *honest), await throughput(plan, *honest))
    rows = [
        Row(f"{row.name}, {phase}", row.figures) for phase, measured in phases.items() for row in measured
    ]
    retained = [
        Row(
            f"the honest members' throughput, {phase}",
            (
                Figure("of that alone", rate(measured) / rate(phases[ALONE]), "ratio"),
                Figure("on a machine as busy", rate(measured) / rate(phases[BUSY]), "ratio"),
            ),
        )
        for phase, measured in phases.items()
        if phase not in (ALONE, BUSY)
    ]
    return Table(f"{plan.members} validators, one of which floods", (*rows, *retained))


def rate(rows: Sequence[Row]) -> float:
    """Events a second."""
    return next(figure.value for row in rows for figure in row.figures if figure.label == "events")


async def published(plan: Plan, flooding: Issuer, bus: CometBftBus) -> None:
    """Wait until a member has published what it may publish at once."""
    count = 0
    async for page in bus.follow(0):
        count += sum(committed.event.issuer == flooding.did for committed in page.events)
        if count >= plan.flood_events:
            return


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The tables of the flood."""
    return [refusals(plan), await beside_a_flood(plan, folder)]


def main() -> None:
    """Flood until the process is ended."""
    os.nice(NICENESS)
    key, did, home, signed_ahead = sys.argv[1:]
    asyncio.run(flood(SigningKey.load(Path(key)), did, Path(home), int(signed_ahead)))


if __name__ == "__main__":
    main()
