"""The bus beside the engine's own kvstore, and after a long life.

The rate is that of four validators whose members all publish full batches, a few at a time. What it is
compared with is CometBFT's kvstore, an application inside the engine that checks next to nothing and writes
nothing to disk, with transactions of the same number of bytes, from as many clients. Both are measured
alternately, in leagues of their own on this machine, while the other one stands idle.

Commit latency is that of one event at a time: while nothing else happens, and beside batches at half of the
rate that was measured before. Then events are published until the ledger has `growth_events`; all of it is
measured again, and the bytes on disk are counted.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import aiohttp
import msgspec

from benchmarks.bus import (
    BATCH,
    BATCHES_IN_FLIGHT,
    START_TIMEOUT_S,
    STATE,
    Issuer,
    events_rate,
    idle_busy_and_half,
    ledgers,
    started_engine,
    throughput,
)
from benchmarks.figures import median
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError, until
from benchmarks.report import Figure, Row, Table
from hansa.core.clock import SystemClock
from hansa.core.errors import Unavailable
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import (
    RPC_SOCKET,
    EngineKey,
    EngineSettings,
    GenesisValidator,
    SocketFolder,
    free_ports,
    genesis_document,
    wait_for_listener,
    write_home,
)
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.events import encode_events

QUOTAS: Final = LedgerParams(
    issuer_events_per_s=100_000, issuer_bytes_per_s=10**8, issuer_bytes_per_day=2**50
)
"""Of the league: what one member may publish is not what is measured."""


# -- the engine's kvstore -------------------------------------------------------------------------------------------


class Store:
    """The kvstore of one validator, through the RPC of its engine."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def commit(self, transaction: bytes) -> None:
        """Submit a transaction, and wait until it is in a block."""
        answer = await self._call("broadcast_tx_commit", {"tx": base64.b64encode(transaction).decode()})
        if answer.get("error") or answer["result"]["check_tx"]["code"]:
            raise BenchmarkError(f"the kvstore refuses a transaction: {answer}")

    async def peers(self) -> int:
        """To how many others it is connected."""
        return int((await self._call("net_info", {}))["result"]["n_peers"])

    async def _call(self, method: str, params: dict[str, str]) -> Any:
        body = {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}
        async with self._session.post("http://engine/", data=msgspec.json.encode(body)) as response:
            return msgspec.json.decode(await response.read())


@contextlib.asynccontextmanager
async def kvstores(folder: Path, members: int) -> AsyncIterator[list[Store]]:
    """A league of validators with the engine's own application."""
    keys = [(EngineKey.generate(), EngineKey.generate()) for _ in range(members)]
    ports = free_ports(members)
    validators = [GenesisValidator(f"v{k}", key.public, 1) for k, (_, key) in enumerate(keys)]
    genesis = genesis_document("kvstore", datetime.now(UTC), validators, {})
    peers = [f"{node.node_id}@127.0.0.1:{port}" for (node, _), port in zip(keys, ports, strict=True)]
    async with contextlib.AsyncExitStack() as stack:
        stores = []
        for number, (node_key, validator_key) in enumerate(keys):
            home = folder / f"kvstore-{number}"
            settings = EngineSettings(
                name=home.name,
                p2p_port=ports[number],
                persistent_peers=tuple(peer for peer in peers if peer != peers[number]),
                is_single_machine=True,
                proxy_app="kvstore",
            )
            write_home(home, settings, genesis, node_key=node_key, validator_key=validator_key)
            await started_engine(stack, home)
            await wait_for_listener(home, RPC_SOCKET, SystemClock(), START_TIMEOUT_S)
            path = stack.enter_context(SocketFolder(home)).path(RPC_SOCKET)
            connector = aiohttp.UnixConnector(path, limit=0)
            timeout = aiohttp.ClientTimeout(total=START_TIMEOUT_S)
            session = await stack.enter_async_context(
                aiohttp.ClientSession(connector=connector, timeout=timeout)
            )
            stores.append(Store(session))

        async def are_connected() -> bool:
            return [await store.peers() for store in stores] == [members - 1] * members

        async with asyncio.timeout(START_TIMEOUT_S):
            await until(are_connected, 0.1)
        yield stores


async def kvstore_rate(stores: Sequence[Store], batches: int, size_bytes: int) -> float:
    """Transactions of that size a second, from as many clients as publish to the bus."""
    filler = b"x" * size_bytes

    async def commit_all(store: Store, waiting: list[bytes]) -> None:
        while waiting:
            await store.commit(waiting.pop())

    begun = perf_counter()
    async with asyncio.TaskGroup() as group:
        for store in stores:
            waiting = [(os.urandom(16).hex().encode() + b"=" + filler)[:size_bytes] for _ in range(batches)]
            for _ in range(BATCHES_IN_FLIGHT):
                group.create_task(commit_all(store, waiting))
    return len(stores) * batches / (perf_counter() - begun)


# -- the bus --------------------------------------------------------------------------------------------------------


async def grow(issuers: Sequence[Issuer], buses: Sequence[CometBftBus], events: int) -> float:
    """Publish full batches until the ledger has so many events, one at least; the rate."""
    begun = perf_counter()
    first = (await buses[0].ledger()).position
    events = max(events, first + BATCH)

    async def publish(issuer: Issuer, bus: CometBftBus) -> None:
        while (await bus.ledger()).position < events:
            for _ in range(10):
                with contextlib.suppress(Unavailable):
                    await bus.publish([issuer.event() for _ in range(BATCH)], issuer.signer)

    async with asyncio.TaskGroup() as group:
        for issuer, bus in zip(issuers, buses, strict=True):
            for _ in range(BATCHES_IN_FLIGHT):
                group.create_task(publish(issuer, bus))
    return ((await buses[0].ledger()).position - first) / (perf_counter() - begun)


async def life(
    plan: Plan, issuers: Sequence[Issuer], buses: Sequence[CometBftBus], when: str
) -> tuple[tuple[Row, ...], float]:
    """Latency when idle, rate, and latency at half of it; the rate."""
    rows = await idle_busy_and_half(plan, issuers, buses)
    return tuple(Row(f"{row.name}, {when}", row.figures) for row in rows), events_rate(rows[1])


# -- on disk --------------------------------------------------------------------------------------------------------


def size_of(files: Iterable[Path]) -> int:
    """Bytes of some files."""
    return sum(file.stat().st_size for file in files if file.is_file())


def disk(home: Path, events: int) -> Row:
    """What a member has on disk for each event."""
    state = size_of(home.glob(f"{STATE}*"))
    engine = size_of((home / "data").rglob("*"))
    return Row(
        f"on disk with {events:,} events",
        (
            Figure("state an event", state / events, "bytes"),
            Figure("engine's blocks an event", engine / events, "bytes"),
        ),
    )


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The tables of growth."""
    issuers = [Issuer(f"member-{number}") for number in range(1, plan.members + 1)]
    contents = [issuers[0].event() for _ in range(BATCH)]
    size_bytes = len(encode_events(issuers[0].signer.sign(contents, 1), contents))
    rates: list[float] = []
    baseline: list[float] = []
    async with ledgers(folder, issuers, params=QUOTAS) as buses, kvstores(folder, plan.members) as stores:
        for _ in range(plan.growth_rounds):
            baseline.append(BATCH * await kvstore_rate(stores, plan.bus_batches, size_bytes))
            rates.append(events_rate(await throughput(plan, issuers, buses)))
    compared = Row(
        f"batches of {BATCH}, {size_bytes:,} bytes each",
        (
            Figure(
                "ratio", median([one / other for one, other in zip(rates, baseline, strict=True)]), "ratio"
            ),
            Figure("events", median(rates), "per second"),
            Figure("in the kvstore", median(baseline), "per second"),
        ),
    )
    grown_folder = folder / "grown"
    async with ledgers(grown_folder, issuers, params=QUOTAS) as buses:
        young, young_rate = await life(plan, issuers, buses, "young")
        filled = await grow(issuers, buses, plan.growth_events)
        old, old_rate = await life(plan, issuers, buses, f"with {plan.growth_events:,} events")
        events = (await buses[0].ledger()).position
        stored = disk(grown_folder / issuers[0].member.name, events)
    ageing = Row("old, of young", (Figure("events", old_rate / young_rate, "ratio"),))
    return [
        Table(f"Beside CometBFT's kvstore: {plan.members} validators each", (compared,)),
        Table(
            f"A long life: {plan.members} validators",
            (*young, Row("while it grew", (Figure("events", filled, "per second"),)), *old),
        ),
        Table("Old and young", (ageing, stored)),
    ]
