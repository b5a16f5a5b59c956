"""Running one marketplace: `hansa serve D`.

Before anything is started it is checked whether it may be: settings, lock, disk, ports, clock. Then the
HTTP interface opens at once, so that the catalogue is served whatever the league does, and the child
processes and background tasks come up behind it; `/readyz` says when all of it is there.

SIGTERM or SIGINT: requests under way are finished, tasks and children end, the store is closed. A second
signal cuts the waiting short. A crash, or SIGKILL, leaves nothing behind that hinders the next start: the
lock is the kernel's, children end with this process, and stale sockets are replaced.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog
import uvloop

from hansa import __version__
from hansa.core.clock import Clock, SystemClock
from hansa.core.entropy import BufferedEntropy
from hansa.core.errors import Code, Fatal
from hansa.core.files import restrict_new_files
from hansa.core.keys import SigningKey
from hansa.node import preflight
from hansa.node.allowed_origins import MemberOrigins, NamedOrigins
from hansa.node.folder import (
    LOCK,
    MEMBER_KEY,
    adopt_member_key,
    finish_rotation,
    load_genesis,
)
from hansa.node.folder.lock import FolderLock
from hansa.node.folder.permissions import check_usable, close_to_others
from hansa.node.http.forwarded import TrustedProxies
from hansa.node.http.server import (
    allow_open_files,
    http_server,
    listening_socket,
    tune_interpreter,
)
from hansa.node.joining.beginning import state_sync_of
from hansa.node.joining.mark import read_joining
from hansa.node.logs import configure_logs
from hansa.node.outbound import OutboundClient
from hansa.node.settings.loading import Settings, load_settings
from hansa.node.validator.next_keys import adopt_engine_keys
from hansa.node.wiring import Marketplace, assemble
from hansa.pubsub.engine import StateSync, engine_binary
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading import RegistryState

ABOUT_FILES: Final = frozenset(
    {
        *(Code.SETTINGS_INVALID, Code.DISK_FULL, Code.STORE_NEWER, Code.STORE_DAMAGED, Code.STORE_FOREIGN),
        *(Code.LEDGER_OLDER, Code.RULES_DIFFER, Code.FOLDER_IN_USE),
    }
)
"""Codes of errors whose message names a file in the marketplace's folder, or the folder."""
LOOPBACK: Final = "127.0.0.1"

log = structlog.get_logger("hansa.node")


def serve(folder: Path, environment: Mapping[str, str] = os.environ, clock: Clock | None = None) -> None:
    """Run the marketplace of `folder` until SIGTERM or SIGINT. Changes the working folder of the process.

    Raises:
        Fatal: when it must not or cannot start; its code and message say why.
    """
    shown = str(folder)
    restrict_new_files()
    settings = load_settings(folder, environment)
    try:
        os.chdir(folder)
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{shown} cannot be entered: {error.strerror}.") from error
    clock = clock or SystemClock()
    configure_logs(settings.log_level, settings.log_format, clock, os.urandom)
    gc.disable()  # until all has been made: see `tune_interpreter`
    try:
        check_usable(Path())
        with FolderLock(LOCK, shown):
            finish_rotation(Path())
            _close_to_others()
            uvloop.run(_serve(settings, shown, environment, clock))
    except Fatal as error:
        raise of_folder(error, shown) from error
    finally:
        gc.enable()


def of_folder(error: Fatal, shown: str) -> Fatal:
    """An error about a file in the folder, naming the folder as the operator did."""
    if error.code not in ABOUT_FILES or shown in error.message:
        return error
    return Fatal(error.code, f"{shown}: {error.message}")


def _close_to_others() -> None:
    changed, failed = close_to_others(Path())
    if changed or failed:
        log.warning("permissions_restricted", changed=changed, failed=failed)


async def _serve(settings: Settings, shown: str, environment: Mapping[str, str], clock: Clock) -> None:
    genesis, registry, key, state_sync = await _preflight(settings, shown, clock)
    settings = with_ledger_limits(settings, registry.params)
    entropy = BufferedEntropy(os.urandom)
    marketplace = await assemble(settings, genesis, registry, key, environment, clock, entropy, state_sync)
    try:
        await _run(marketplace, settings, clock)
    finally:
        await marketplace.close()
        log.info("stopped", name=settings.name)


async def _preflight(
    settings: Settings, shown: str, clock: Clock
) -> tuple[bytes, RegistryState, SigningKey, StateSync | None]:
    """Check whether it may start.

    Returns the genesis, the registry as far as it is known, our key, and with what snapshots the ledger
    begins.
    """
    here, limits = Path(), settings.limits
    has_engine = settings.bus != "light"
    if has_engine:
        engine_binary()
    genesis, document = load_genesis(here)
    preflight.check_disk(here, limits, shown)
    ledger = preflight.ledger_before_start(here)
    members = ledger.members or document.app_state.members
    known = preflight.known_as(settings.did, here, document, ledger.members)
    key = adopt_member_key(here, known[0]) if known else SigningKey.load(MEMBER_KEY)
    if known and has_engine:
        adopt_engine_keys(here, known[0])
    preflight.check_registered(settings, known, Path(shown), key.kid)
    if has_engine:
        preflight.check_engine_keys(known, here, Path(shown))
    preflight.check_clock_by_ledger(ledger.last_block, clock, limits)
    await preflight.wait_for_port(http_port(settings), "HTTP", settings.listen_host, clock)
    if settings.metrics_listen:
        host, port = metrics_address(settings.metrics_listen)
        await preflight.wait_for_port(port, "metrics_listen", host, clock)
    if has_engine:
        await preflight.wait_for_port(settings.p2p_port, "p2p_port", settings.p2p_host, clock)
    joining = read_joining(here)
    named = NamedOrigins(() if joining is None else joining.members)
    origins = MemberOrigins(lambda: members)

    async def is_allowed(origin: str) -> bool:
        return await origins.has_origin(origin) or await named.has_origin(origin)

    http = OutboundClient(is_allowed, allow_private_networks=settings.allow_private_networks)
    try:
        others = [member for member in members if member.did != settings.did]
        await preflight.check_clock_by_members(http, others, clock, limits)
        state_sync = await state_sync_of(here, http, clock) if has_engine else None
    finally:
        await http.close()
    return genesis, RegistryState(members, ledger.params or document.app_state.params), key, state_sync


def with_ledger_limits(settings: Settings, params: LedgerParams) -> Settings:
    """The settings with those limits that the league decides."""
    known = msgspec.structs.asdict(settings.limits)
    shared = {name: value for name, value in msgspec.structs.asdict(params).items() if name in known}
    return msgspec.structs.replace(settings, limits=msgspec.structs.replace(settings.limits, **shared))


def http_port(settings: Settings) -> int:
    """The port that HTTP is served on: as set, else the endpoint's."""
    if settings.listen_port:
        return settings.listen_port
    scheme, _, rest = settings.endpoint.partition("://")
    _, _, port = rest.rpartition("]")[2].partition(":")
    return int(port) if port else {"http": 80, "https": 443}[scheme]


def metrics_address(text: str) -> tuple[str, int]:
    """Host and port of `metrics_listen`; the loopback address where it names none."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or LOOPBACK, int(port)


async def _run(marketplace: Marketplace, settings: Settings, clock: Clock) -> None:
    limits = settings.limits
    connections_max = allow_open_files(limits.connections_max)
    if connections_max < limits.connections_max:
        log.warning("connections_limited", connections_max=connections_max, reason="open files")
    server = http_server(
        marketplace.front_door,
        msgspec.structs.replace(limits, connections_max=connections_max),
        clock,
        marketplace.traffic,
        marketplace.callers,
        TrustedProxies(settings.trusted_proxies),
        marketplace.front_door.answer_at_once,
    )
    servers = [(server, listening_socket(settings.listen_host, http_port(settings)))]
    if settings.metrics_listen:
        own = http_server(marketplace.metrics, limits, clock)
        servers.append((own, listening_socket(*metrics_address(settings.metrics_listen), "metrics_listen")))

    def stop() -> None:
        log.info("stopping", name=settings.name)
        for each, _ in servers:
            each.stop()
        marketplace.stop()

    with _Signals(stop):
        log.info(
            "serving", name=settings.name, endpoint=settings.endpoint, pid=os.getpid(), version=__version__
        )
        marketplace.tasks.start()
        tune_interpreter()
        async with asyncio.TaskGroup() as tasks:
            for each, listener in servers:
                tasks.create_task(each.serve(sockets=[listener]))


class _Signals:
    """SIGTERM and SIGINT call a function, for as long as the block lasts."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
