"""The CometBFT process of a member.

It ends when the connection to its application breaks (the application crashed or was stopped), and is then
started again by its supervisor. Every start waits for the application first, because CometBFT itself would
look for it only every three seconds; and removes the socket that a killed predecessor left, on which it could
not listen.

When its consensus fails, as it does on a full disk, CometBFT logs that, takes no part in the league any more,
and stays alive. It is killed then, so that it is started again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from hansa.core.clock import Clock
from hansa.pubsub.engine.binary import engine_binary
from hansa.pubsub.engine.home import ABCI_SOCKET, RPC_SOCKET
from hansa.pubsub.engine.process import ChildSpec, Exit, Supervised
from hansa.pubsub.engine.relay import json_relay
from hansa.pubsub.engine.sockets import remove_stale_socket, wait_for_listener

ENVIRONMENT: Final = ("HOME", "PATH", "TMPDIR", "GOGC", "GOMAXPROCS", "GOMEMLIMIT")
"""What the engine inherits. Not `CMT…` and `TM…`: they would override config.toml."""

APPLICATION_TIMEOUT_S: Final = 30.0
"""How long a start waits for the application; then it counts as failed, and is tried again after a pause."""

CONSENSUS_FAILURE: Final = '{"_msg":"CONSENSUS FAILURE!!!",'
"""How the line begins that says so; nothing that others send can stand there."""


def engine_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment the engine may see."""
    return {name: environment[name] for name in ENVIRONMENT if name in environment}


def engine_spec(
    home: Path,
    environment: Mapping[str, str],
    *,
    stop_timeout_s: float = 10.0,
    restart_backoff_max_s: float = 15.0,
    failures_max: int | None = None,
) -> ChildSpec:
    """How to run CometBFT on a home.

    Raises:
        Fatal: `Code.ENGINE_MISSING`.
    """
    return ChildSpec(
        name="cometbft",
        argv=(str(engine_binary()), "start", "--home", "."),
        folder=home,
        environment=engine_environment(environment),
        stop_timeout_s=stop_timeout_s,
        restart_backoff_max_s=restart_backoff_max_s,
        failures_max=failures_max,
    )


def supervised_engine(
    spec: ChildSpec,
    clock: Clock,
    logger: FilteringBoundLogger,
    *,
    has_application: bool = True,
    prepare: Callable[[], None] | None = None,
    on_exit: Callable[[Exit], None] | None = None,
) -> Supervised:
    """CometBFT under supervision; `start` it when the application is being started.

    Args:
        spec: From `engine_spec`.
        clock: For back-off and time limits.
        logger: Gets the engine's log, and the supervisor's.
        prepare: Called before every start, while no engine runs. A `HansaError` of it counts as a failed
            start.
        has_application: False when an application built into the engine is used, as tests do.
        on_exit: Told of every exit.
    """

    async def before_start() -> None:
        if prepare is not None:
            prepare()
        remove_stale_socket(spec.folder / RPC_SOCKET)
        if has_application:
            await wait_for_listener(spec.folder, ABCI_SOCKET, clock, APPLICATION_TIMEOUT_S)

    relay = json_relay(logger.bind(child=spec.name))

    def relay_and_watch(line: str) -> None:
        relay(line)
        if line.startswith(CONSENSUS_FAILURE):
            supervised.kill()

    supervised = Supervised(spec, clock, logger, relay_and_watch, before_start=before_start, on_exit=on_exit)
    return supervised
