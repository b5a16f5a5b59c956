"""The bus alone: four validators with their ledger applications on this machine, without marketplaces.

Commit latency is from handing one event to a member's bus until `publish` returns there, and until a follower
at another member received it. The rate is that of members which all publish full batches, a few at a time.
Half load is full batches of all members at half of that rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Final

import msgspec

from benchmarks.figures import quantile
from benchmarks.plan import Plan
from benchmarks.processes import stop
from benchmarks.report import Figure, Row, Table
from hansa.core.batches import BatchSigner
from hansa.core.canonical import hashlink
from hansa.core.clock import SystemClock
from hansa.core.errors import Unavailable
from hansa.core.events import (
    CREATE,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    encode_event,
    event_name,
    event_time,
    identified,
)
from hansa.core.identifiers import entity_key, uuid7
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import (
    ABCI_SOCKET,
    RPC_SOCKET,
    EngineKey,
    EngineSettings,
    GenesisValidator,
    engine_binary,
    engine_environment,
    free_ports,
    genesis_document,
    wait_for_listener,
    write_home,
)
from hansa.pubsub.engine.keys import KeyType
from hansa.pubsub.ledger.genesis import AppState, LedgerParams

TYPE: Final = "ProductOffering"
BATCHES_IN_FLIGHT: Final = 2
BATCH: Final = 100
STATE: Final = "state.db"
LEDGER: Final = "hansa.pubsub.ledger"
START_TIMEOUT_S: Final = 60.0


class Issuer:
    """A member that signs first versions of entities that do not exist."""

    def __init__(self, name: str) -> None:
        self.key = SigningKey.generate()
        self.did = self.key.verifying_key().did_key()
        self.member = Member(self.did, name, f"https://{name}.example", (self.key.public,), 1)
        self.signer = BatchSigner(self.key, self.did, SystemClock())

    def event(self) -> bytes:
        """The content of a new event."""
        now = datetime.now(UTC)
        entity_id = f"urn:x:{uuid7(now, os.urandom)}"
        event = LifecycleEvent(
            id="",
            type=event_name(TYPE, CREATE),
            time=event_time(now),
            issuer=self.did,
            entity=EntityVersion(entity_key(self.did, entity_id), TYPE, 1),
            hashlink=hashlink(entity_id.encode()),
            metadata=Metadata(lifecycleStatus="Launched", categories=("cloud",)),
        )
        return encode_event(identified(event))


class Validators:
    """The keys of the validators of some members, and the genesis that names them.

    Args:
        issuers: The members.
        key_type: What all validators sign with.
    """

    def __init__(self, issuers: Sequence[Issuer], key_type: KeyType = "ed25519") -> None:
        self.keys = [(EngineKey.generate(), EngineKey.generate(key_type)) for _ in issuers]
        self._validators = [
            GenesisValidator(issuer.member.name, validator.public, 1)
            for issuer, (_, validator) in zip(issuers, self.keys, strict=True)
        ]
        self.members = tuple(
            msgspec.structs.replace(
                issuer.member, node_ids=(node.node_id,), validator_key=validator.public.hex(), power=1
            )
            for issuer, (node, validator) in zip(issuers, self.keys, strict=True)
        )

    def genesis(self, params: LedgerParams) -> bytes:
        """The genesis of a league of them."""
        app_state = msgspec.to_builtins(AppState(self.members, params))
        return genesis_document("benchmark", datetime.now(UTC), self._validators, app_state)


@contextlib.asynccontextmanager
async def ledgers(
    folder: Path,
    issuers: Sequence[Issuer],
    changed: Mapping[str, str] | None = None,
    params: LedgerParams | None = None,
    validator_key_type: KeyType = "ed25519",
) -> AsyncIterator[tuple[CometBftBus, ...]]:
    """A validator for each issuer, connected to all others; yields their buses.

    Args:
        folder: Where they live.
        issuers: The members.
        changed: The module that is the ledger application of a member, by its DID, where it is another one.
        params: The league's limits; by default those that a league has by default.
        validator_key_type: What all validators sign with.
    """
    validators = Validators(issuers, validator_key_type)
    genesis = validators.genesis(params or LedgerParams())
    async with running(folder, issuers, validators, genesis, changed) as buses:
        yield buses


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    issuers: Sequence[Issuer],
    validators: Validators,
    genesis: bytes,
    changed: Mapping[str, str] | None = None,
    state: Path | None = None,
) -> AsyncIterator[tuple[CometBftBus, ...]]:
    """The validators of a genesis; see `ledgers`. Each begins with a copy of `state`, if there is one."""
    ports = free_ports(len(issuers))
    keys = validators.keys
    peers = [f"{node.node_id}@127.0.0.1:{port}" for (node, _), port in zip(keys, ports, strict=True)]
    async with contextlib.AsyncExitStack() as stack:
        homes = []
        for number, issuer in enumerate(issuers):
            home = folder / issuer.member.name
            settings = EngineSettings(
                name=issuer.member.name,
                p2p_port=ports[number],
                persistent_peers=tuple(peer for peer in peers if peer != peers[number]),
                is_single_machine=True,
            )
            write_home(home, settings, genesis, node_key=keys[number][0], validator_key=keys[number][1])
            if state is not None:
                shutil.copy(state, home / STATE)
            await _start(stack, home, (changed or {}).get(issuer.did, LEDGER))
            homes.append(home)
        buses = []
        for home in homes:
            await wait_for_listener(home, RPC_SOCKET, SystemClock(), START_TIMEOUT_S)
            bus = CometBftBus(home / RPC_SOCKET, home / STATE, SystemClock(), Limits())
            stack.push_async_callback(bus.close)
            buses.append(bus)
        await settled(buses)
        yield tuple(buses)


async def settled(buses: Sequence[CometBftBus]) -> None:
    """Wait until every validator is connected to all others and takes part; before, it drops gossip."""
    async with asyncio.timeout(START_TIMEOUT_S):
        for bus in buses:
            while True:
                with contextlib.suppress(Unavailable):
                    status = await bus.ledger()
                    if status.peers == len(buses) - 1 and not status.catching_up and status.height:
                        break
                await asyncio.sleep(0.1)


async def _start(stack: contextlib.AsyncExitStack, home: Path, module: str) -> None:
    """A ledger application and its engine."""
    application = (sys.executable, "-m", module, "--state", STATE, "--socket", ABCI_SOCKET)
    importing = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    await _run(stack, home, application, importing)
    await wait_for_listener(home, ABCI_SOCKET, SystemClock(), START_TIMEOUT_S)
    await started_engine(stack, home)


async def started_engine(stack: contextlib.AsyncExitStack, home: Path) -> None:
    """Start the engine of a home; it ends with the stack."""
    command = (str(engine_binary()), "start", "--home", ".")
    await _run(stack, home, command, engine_environment(os.environ))


async def _run(
    stack: contextlib.AsyncExitStack, home: Path, command: Sequence[str], environment: Mapping[str, str]
) -> None:
    with (home / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=home, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    stack.push_async_callback(stop, process)


class Watch:
    """When a follower of a member's bus received each position."""

    def __init__(self) -> None:
        self._seen_at: dict[int, float] = {}
        self._received = asyncio.Event()

    async def follow(self, bus: CometBftBus) -> None:
        """Follow for ever."""
        async for page in bus.follow(0):
            now = perf_counter()
            for committed in page.events:
                self._seen_at[committed.position] = now
            self._received.set()

    async def seen_at(self, position: int) -> float:
        """Wait until the follower received a position; the time of that."""
        while position not in self._seen_at:
            self._received.clear()
            await self._received.wait()
        return self._seen_at[position]


async def latency(plan: Plan, issuers: Sequence[Issuer], buses: Sequence[CometBftBus]) -> Row:
    """One event at a time, at one member after the other, with a pause between them."""
    committed: list[float] = []
    seen: list[float] = []
    watches = [Watch() for _ in buses]
    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(watch.follow(bus)) for watch, bus in zip(watches, buses, strict=True)]
        for number in range(plan.bus_events + len(buses)):
            at = number % len(buses)
            event = issuers[at].event()
            started = perf_counter()
            (position,) = await buses[at].publish([event], issuers[at].signer)
            returned = perf_counter() - started
            elsewhere = await watches[(at + 1) % len(buses)].seen_at(position) - started
            if number >= len(buses):  # every member's first publication opens its connections
                committed.append(returned)
                seen.append(elsewhere)
            await asyncio.sleep(plan.pause_s)
        for follower in followers:
            follower.cancel()
    return Row(
        "one event, idle",
        (
            Figure("publish p50", quantile(committed, 0.5), "seconds"),
            Figure("publish p99", quantile(committed, 0.99), "seconds"),
            Figure("seen elsewhere p50", quantile(seen, 0.5), "seconds"),
            Figure("seen elsewhere p99", quantile(seen, 0.99), "seconds"),
        ),
    )


async def throughput(plan: Plan, issuers: Sequence[Issuer], buses: Sequence[CometBftBus]) -> Row:
    """All members publish batches of 100, a few at a time, for a while."""
    batches = plan.bus_batches
    prepared = [[[issuer.event() for _ in range(BATCH)] for _ in range(batches)] for issuer in issuers]
    latencies: list[float] = []

    async def publish_all(bus: CometBftBus, signer: BatchSigner, waiting: list[list[bytes]]) -> None:
        while waiting:
            batch = waiting.pop()
            started = perf_counter()
            await bus.publish(batch, signer)
            latencies.append(perf_counter() - started)

    started = perf_counter()
    async with asyncio.TaskGroup() as group:
        for bus, issuer, waiting in zip(buses, issuers, prepared, strict=True):
            for _ in range(BATCHES_IN_FLIGHT):
                group.create_task(publish_all(bus, issuer.signer, waiting))
    seconds = perf_counter() - started
    return Row(
        f"batches of {BATCH}, {BATCHES_IN_FLIGHT} at a time at each",
        (
            Figure("publish p50", quantile(latencies, 0.5), "seconds"),
            Figure("publish p99", quantile(latencies, 0.99), "seconds"),
            Figure("events", BATCH * batches * len(issuers) / seconds, "per second"),
        ),
    )


def events_rate(row: Row) -> float:
    """Of a row of `throughput`."""
    return next(figure.value for figure in row.figures if figure.label == "events")


@contextlib.asynccontextmanager
async def half_load(
    issuers: Sequence[Issuer], buses: Sequence[CometBftBus], events_per_s: float
) -> AsyncIterator[None]:
    """Batches of all members at a rate."""

    async def publish(issuer: Issuer, bus: CometBftBus) -> None:
        begun, pause_s = perf_counter(), BATCH * len(buses) / events_per_s
        for number in count():
            await asyncio.sleep(max(0.0, begun + number * pause_s - perf_counter()))
            await bus.publish([issuer.event() for _ in range(BATCH)], issuer.signer)

    tasks = [asyncio.create_task(publish(issuer, bus)) for issuer, bus in zip(issuers, buses, strict=True)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def idle_busy_and_half(
    plan: Plan, issuers: Sequence[Issuer], buses: Sequence[CometBftBus]
) -> tuple[Row, Row, Row]:
    """Latency when idle, rate, and latency at half of it."""
    idle = await latency(plan, issuers, buses)
    busy = await throughput(plan, issuers, buses)
    async with half_load(issuers, buses, events_rate(busy) / 2):
        await asyncio.sleep(plan.pause_s)
        half = await latency(plan, issuers, buses)
    return idle, busy, Row("one event, at half load", half.figures)


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The bus's table."""
    issuers = [Issuer(f"member-{number}") for number in range(1, plan.members + 1)]
    async with ledgers(folder, issuers) as buses:
        rows = await idle_busy_and_half(plan, issuers, buses)
    return [Table(f"Bus: {plan.members} validators on this machine", rows)]
