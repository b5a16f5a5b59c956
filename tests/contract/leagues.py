"""A league of one validator with real processes: CometBFT and the ledger application."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hansa.core.clock import SystemClock
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.pubsub.bus import Bus
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import (
    ABCI_SOCKET,
    RPC_SOCKET,
    EngineKey,
    EngineSettings,
    GenesisValidator,
    engine_binary,
    engine_environment,
    genesis_document,
    remove_stale_socket,
    wait_for_listener,
    write_home,
)
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.memory import MemoryLedger
from tests.league.harness import free_base_port

MakeBus = Callable[[], Bus]
CLOCK = SystemClock()
START_TIMEOUT_S = 30.0
ENGINE_END_TIMEOUT_S = 1.0
STATE = "state.db"


class Validator:
    """The two processes behind one member's bus, in one folder."""

    def __init__(
        self,
        folder: Path,
        members: Sequence[Member],
        params: dict[str, int] | None = None,
        blocks_retained: int = 0,
    ) -> None:
        self.folder = folder
        self.blocks_retained = blocks_retained
        self.rpc_socket = folder / RPC_SOCKET
        self.state_file = folder / STATE
        key = EngineKey.generate()
        first, *others = members
        validator = msgspec.structs.replace(first, validator_key=key.public.hex(), power=1)
        observers = [msgspec.structs.replace(one, validator_key="", power=0) for one in others]
        limits = msgspec.structs.replace(LedgerParams(), **(params or {}))
        app_state = msgspec.to_builtins(AppState((validator, *observers), limits))
        genesis = genesis_document(
            "ledger-test",
            datetime(2026, 1, 1, tzinfo=UTC),
            [GenesisValidator("only", key.public, 1)],
            app_state,
        )
        settings = EngineSettings(
            name="only",
            p2p_port=free_base_port(1) + 1,
            is_single_machine=True,
            heartbeat_s=(params or {}).get("heartbeat_s", 60),
        )
        write_home(folder, settings, genesis, validator_key=key)
        self.application: subprocess.Popen[bytes] | None = None
        self.engine: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start what is not running, and wait until it answers."""
        clock = SystemClock()
        if self.application is None:
            self.application = self._run(
                "application",
                [
                    *(sys.executable, "-m", "hansa.pubsub.ledger", "--state", STATE, "--socket", ABCI_SOCKET),
                    *("--blocks-retained", str(self.blocks_retained)),
                ],
                dict(os.environ),
            )
        await wait_for_listener(self.folder, ABCI_SOCKET, clock, START_TIMEOUT_S)
        if self.engine is None:
            remove_stale_socket(self.rpc_socket)
            self.engine = self._run(
                "engine", [str(engine_binary()), "start", "--home", "."], engine_environment(os.environ)
            )
        await wait_for_listener(self.folder, RPC_SOCKET, clock, START_TIMEOUT_S)

    def kill(self, *, application: bool = False, engine: bool = False) -> None:
        """SIGKILL. Without its application the engine ends, too; now and then it hangs while doing so."""
        if application and self.application is not None:
            self.application.kill()
            self.application.wait()
            self.application = None
        if self.engine is not None:
            if application and not engine:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.engine.wait(ENGINE_END_TIMEOUT_S)
            self.engine.kill()
            self.engine.wait()
            self.engine = None

    def stop(self) -> None:
        """End both."""
        for process in (self.engine, self.application):
            if process is not None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.engine = self.application = None

    def output(self, name: str) -> str:
        """The output of `application` or `engine`."""
        return (self.folder / f"{name}.log").read_text()

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


@contextlib.asynccontextmanager
async def running_validator(
    folder: Path, members: Sequence[Member], params: dict[str, int] | None = None, blocks_retained: int = 0
) -> AsyncIterator[Validator]:
    """A validator that answers, ended with its block."""
    made = Validator(folder, members, params, blocks_retained)
    try:
        await made.start()
        yield made
    finally:
        made.stop()


@contextlib.asynccontextmanager
async def connected_bus(validator: Validator, publish_timeout_s: float = 20.0) -> AsyncIterator[CometBftBus]:
    """A bus of that validator, closed with its block."""
    limits = Limits(publish_timeout_s=publish_timeout_s)
    made = CometBftBus(validator.rpc_socket, validator.state_file, SystemClock(), limits)
    try:
        yield made
    finally:
        await made.close()


@contextlib.contextmanager
def buses_of(
    backend: str, members: Sequence[Member], limits: Limits, folders: pytest.TempPathFactory
) -> Iterator[MakeBus]:
    """What makes handles on a ledger of these members: in memory, or of one validator with real processes."""
    if backend == "memory":
        ledger = MemoryLedger(members, CLOCK, limits)
        yield ledger.bus
        ledger.close()
        return
    validator = Validator(folders.mktemp("validator"), members)
    try:
        asyncio.run(validator.start())
        yield lambda: CometBftBus(validator.rpc_socket, validator.state_file, CLOCK, limits)
    finally:
        validator.stop()
