"""The child processes of a marketplace: the ledger application and the engine.

The engine is started after the application that it talks to, and stopped before it. Both are started again
when they end; an engine whose application has ended is killed, because it is of no use alone.

An application that ends because this release cannot judge the next block (`Code.UPGRADE_NEEDED`) is not
started again, and neither is its engine. The marketplace goes on serving its catalogue, and says so.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from hansa.core.clock import Clock
from hansa.core.errors import EXIT_STATUS, Code, Fatal
from hansa.core.http import HttpClient
from hansa.core.members import Member
from hansa.node.folder import GENESIS, HISTORY, LEDGER, LEDGER_STATE, LIGHT_BLOCKS, SNAPSHOTS, read_genesis
from hansa.node.health import BlockProgress
from hansa.node.joining.unfinished import UnfinishedBeginning
from hansa.node.membership.engine_refresh import EngineRefresh
from hansa.node.parts.light import light_service
from hansa.node.settings.loading import Settings
from hansa.node.tasks import BackgroundTasks
from hansa.node.validator.guard import ValidatorGuard
from hansa.node.validator.next_keys import adopt_engine_keys, next_keys_named
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import (
    ABCI_SOCKET,
    EVIDENCE_AGE_MAX,
    ChildSpec,
    EngineProgress,
    EngineSettings,
    EngineWatch,
    Exit,
    StateSync,
    Supervised,
    engine_build,
    engine_environment,
    engine_spec,
    json_relay,
    supervised_engine,
    write_home,
)
from hansa.pubsub.engine.relay import parse_line
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.waiting import waiting_max
from hansa.pubsub.light.service import LightService
from hansa.replication.registry import MemberRegistry

MEMBERS_MIN: Final = 64
"""The engine has room for what waits of so many members, that the league can grow without a restart of it."""

KEYS_POLL_S: Final = 2.0
KEYS_PAUSE_S: Final = 30.0
"""Before the engine is started once more for keys that could not be put in place."""

UPGRADE_STATUS: Final = EXIT_STATUS[Code.UPGRADE_NEEDED]

log = structlog.get_logger("hansa.node")


class Children:
    """The two child processes, as `settings`, `genesis`, the `others` in the league and its limits decide.

    The engine's settings are written anew at each of its starts, for the league as it is then. The `guard`
    decides whether its validator signs. `me` is this marketplace as the ledger has it, None while unknown.
    """

    def __init__(
        self,
        settings: Settings,
        genesis: bytes,
        others: Callable[[], Sequence[Member]],
        bus: CometBftBus,
        guard: ValidatorGuard,
        me: Callable[[], Member | None],
        environment: Mapping[str, str],
        clock: Clock,
        state_sync: StateSync | None = None,
    ) -> None:
        limits = settings.limits
        self.genesis, self.bus, self._settings = genesis, bus, settings

        def params() -> LedgerParams:
            return bus.params

        self._clock, self._engine_stall_s = clock, limits.engine_stall_s
        self._did, self._others, self._me = settings.did, others, me
        self.blocks = BlockProgress(clock, lambda: params().heartbeat_s)
        self.guard = guard
        self._current: Callable[[], EngineSettings] = lambda: msgspec.structs.replace(
            _engine_settings(settings, others(), params()), state_sync=state_sync
        )
        self._applied: EngineSettings | None = None
        """Those that the engine was started with."""

        unfinished = UnfinishedBeginning()

        def prepare() -> None:
            if state_sync is not None:
                unfinished.clear()
            if (registered := me()) is not None:
                adopt_engine_keys(Path(), registered)
            self._applied = self._current()
            write_home(LEDGER, self._applied, genesis, is_observing=guard.decide())

        prepare()  # here what is wrong ends the start; later it is tried again and again
        engine = engine_spec(
            LEDGER,
            environment,
            stop_timeout_s=limits.stop_timeout_s,
            restart_backoff_max_s=limits.restart_backoff_max_s,
        )
        self.engine = supervised_engine(engine, clock, log, prepare=prepare, on_exit=unfinished.note_exit)
        self.application = Supervised(
            _application_spec(settings, read_genesis(genesis, GENESIS).chain_id, environment),
            clock,
            log,
            json_relay(structlog.get_logger("hansa.ledger").bind(child="ledger")),
            on_exit=self._kill_engine,
        )

    def all(self) -> tuple[Supervised, ...]:
        """Both, in the order in which they start."""
        return self.application, self.engine

    @property
    def following(self) -> None:
        """None: the ledger comes from the engine."""

    def light_blocks(self, http: HttpClient, registry: MemberRegistry) -> LightService:
        """What captures light blocks of the engine. See `LedgerAccess.light_blocks`."""
        return light_service(self._settings, self.bus, http, registry, self._clock)

    def add_tasks(self, tasks: BackgroundTasks, http: HttpClient) -> None:
        """Add what keeps both running, and what watches the engine and its validator."""
        bus = self.bus
        tasks.add("ledger", self.run_application)
        tasks.add("engine", self.run_engine)
        tasks.add("engine watch", lambda: self.watch_engine(self.blocks.noting(bus.progress)))
        tasks.add("validator", lambda: self.guard.run(bus, http, self.engine.kill))

        async def has_foreign_peers() -> bool:
            members = {node_id for one in self._others() for node_id in one.node_ids}
            return not members.issuperset((await bus.ledger()).peer_ids)

        refresh = EngineRefresh(
            *(self._is_outdated, has_foreign_peers, self._turn, self.engine.kill),
            *(self._clock, log),
        )
        tasks.add("engine settings", refresh.run)
        tasks.add("engine keys", self._adopt_keys)

    async def _adopt_keys(self) -> None:
        """Start the engine again when the ledger names another of its keys, until cancelled."""
        while True:
            await self._clock.sleep(KEYS_POLL_S)
            registered = self._me()
            if registered is not None and next_keys_named(Path(), registered):
                log.warning("engine_keys_replaced", node_ids=registered.node_ids)
                self.engine.kill()
                await self._clock.sleep(KEYS_PAUSE_S)

    def _is_outdated(self) -> bool:
        """Whether the engine runs with limits that the league has changed since."""
        applied, current = self._applied, self._current()
        return applied is not None and _limits_of(applied) != _limits_of(current)

    def _turn(self) -> int:
        """Number of this member in the order of the members' DIDs."""
        return sum(one.did < self._did for one in self._others())

    def pids(self) -> tuple[int | None, ...]:
        """Numbers of both processes; None for one that does not run."""
        return tuple(child.pid for child in self.all())

    async def run_application(self) -> None:
        """Keep the ledger application running, until cancelled."""
        await self.application.start()
        try:
            await self.application.wait_until_ended()
        except Fatal:
            if not self.is_upgrade_needed:
                raise
        if self.is_upgrade_needed:
            log.error("upgrade_needed", reason=self.upgrade_message)
            await self.engine.stop()
            await _forever()

    async def run_engine(self) -> None:
        """Keep the engine running, until cancelled."""
        if not self.is_upgrade_needed:
            await self.engine.start()
            await self.engine.wait_until_ended()
        if self.is_upgrade_needed:
            await _forever()

    @property
    def is_upgrade_needed(self) -> bool:
        """Whether the application has ended because this release cannot judge the next block."""
        ended = self.application.last_exit
        return ended is not None and ended.status == UPGRADE_STATUS and self.application.pid is None

    @property
    def upgrade_message(self) -> str | None:
        """What the application said when it ended for that reason; None while it runs."""
        if not self.is_upgrade_needed:
            return None
        lines = (parse_line(line) for line in reversed(self.application.last_lines))
        reason = next((str(line["reason"]) for line in lines if line is not None and "reason" in line), None)
        return reason or "This release cannot judge the next block of the ledger."

    async def watch_engine(self, progress: Callable[[], Awaitable[EngineProgress]]) -> None:
        """Restart an engine that makes no progress, until cancelled."""
        watch = EngineWatch(
            self.engine,
            self.application,
            progress,
            self._engine_stall_s,
            self.blocks.heartbeat_s,
            self._clock,
            log,
        )
        await watch.run()

    async def stop(self) -> None:
        """Stop both, the engine first: it ends badly when its application ends before it."""
        await self.engine.stop()
        await self.application.stop()

    def _kill_engine(self, _: Exit) -> None:
        """An engine ends by itself when its application has ended, but sometimes hangs in the attempt."""
        self.engine.kill()


def _engine_settings(settings: Settings, others: Sequence[Member], params: LedgerParams) -> EngineSettings:
    count_max, size_max_bytes = waiting_max(max(MEMBERS_MIN, len(others) + 1), params)
    return EngineSettings(
        name=settings.name,
        p2p_port=settings.p2p_port,
        p2p_host=settings.p2p_host,
        p2p_external_address=settings.p2p_external_address,
        persistent_peers=settings.persistent_peers,
        member_node_ids=tuple(sorted(node_id for member in others for node_id in member.node_ids)),
        is_single_machine=settings.single_machine,
        heartbeat_s=params.heartbeat_s,
        mempool_count_max=count_max,
        mempool_size_max_bytes=size_max_bytes,
        transaction_size_max_bytes=params.transaction_size_max_bytes,
    )


def _limits_of(settings: EngineSettings) -> tuple[int, ...]:
    """What of an engine's settings the league decides."""
    return (
        *(settings.heartbeat_s, settings.mempool_count_max, settings.mempool_size_max_bytes),
        settings.transaction_size_max_bytes,
    )


def _application_spec(settings: Settings, chain_id: str, environment: Mapping[str, str]) -> ChildSpec:
    command = (sys.executable, "-m", "hansa.pubsub.ledger")
    return ChildSpec(
        name="ledger",
        argv=(
            *command,
            *("--state", LEDGER_STATE.name, "--socket", ABCI_SOCKET),
            *("--blocks-retained", str(settings.ledger_blocks_retained)),
            *("--engine", engine_build().cometbft),
            *("--switch-height", str(settings.ledger_upgrade_height)),
            *("--retained-min-s", str(int(EVIDENCE_AGE_MAX.total_seconds()))),
            *("--light-blocks", LIGHT_BLOCKS.name),
            *("--snapshots", SNAPSHOTS.name, "--chain-id", chain_id),
            *("--history", HISTORY.name),
            *("--first-peers", ",".join(peer.partition("@")[0] for peer in settings.persistent_peers)),
        ),
        folder=LEDGER,
        environment={**engine_environment(environment), "PYTHONPATH": os.pathsep.join(sys.path)},
        stop_timeout_s=settings.limits.stop_timeout_s,
        restart_backoff_max_s=settings.limits.restart_backoff_max_s,
        final_statuses=frozenset({UPGRADE_STATUS}),
    )


async def _forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()
