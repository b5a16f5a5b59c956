"""`hansa doctor`: looks at a machine and a marketplace's folder, and says what to do about what it finds.

It changes nothing, and can be run beside the marketplace; what cannot be looked at while that runs is asked of it.
"""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import apsw

from hansa.cli.demo.members import holder_of
from hansa.cli.doctor.findings import CheckResult, look, ok, tried, wrong
from hansa.cli.doctor.network import certificate_findings, peer_findings, running_findings
from hansa.cli.output import Output
from hansa.cli.versions import versions
from hansa.core.clock import Clock
from hansa.core.errors import Fatal, HansaError
from hansa.core.keys import SigningKey
from hansa.node import folder as folders
from hansa.node import preflight
from hansa.node.serve import http_port
from hansa.node.settings.loading import Settings, load_settings
from hansa.pubsub.engine import engine_build, require_free_port
from hansa.store.sqlite.schema import MIGRATIONS

PYTHON_OLDEST: Final = (3, 11)
DISK_COMFORT: Final = 4
"""Below so many times the least free space, it is worth a look."""
QUICK_CHECK_SIZE_MAX_BYTES: Final = 1_073_741_824
UNCHECKED: Final = "too large to be checked here"
SECRETS: Final = (folders.MEMBER_KEY, folders.TOKEN_KEY, folders.NODE_KEY, folders.VALIDATOR_KEY)


def run_doctor(folder: Path | None, environment: Mapping[str, str], output: Output, clock: Clock) -> int:
    """Check everything and show it. Returns 1 when something is wrong."""
    found = [*machine_findings()]
    if folder is None:
        found.append(disk_finding(Path(), 0))
    else:
        found += folder_findings(folder, environment, clock)
    if output.as_json:
        output.document(found)
    else:
        rows = [[finding.state, finding.check, finding.found, finding.todo] for finding in found]
        output.table(("", "check", "found", "what to do"), rows)
        troubles = sum(finding.state == "wrong" for finding in found)
        output.data(
            f"{troubles} of {len(found)} checks found something wrong." if troubles else "All is well."
        )
    return int(any(finding.state == "wrong" for finding in found))


def machine_findings() -> Iterator[CheckResult]:
    """Versions and the engine."""
    told = versions()
    shown = f"Hansa {told['hansa']}, Python {told['python']}, SQLite {told['sqlite']}"
    if sys.version_info[:2] < PYTHON_OLDEST:
        yield wrong("versions", shown, "Install Python 3.11 or newer.")
    else:
        yield ok("versions", shown)
    yield tried("engine", _engine, "Run `make setup`, or install a wheel made for this platform.")


def _engine() -> str:
    build = engine_build()
    return f"CometBFT {build.cometbft} for {build.platform}"


def folder_findings(folder: Path, environment: Mapping[str, str], clock: Clock) -> Iterator[CheckResult]:
    """Everything about a marketplace's folder; without settings that can be read there is no more to say."""
    try:
        settings = load_settings(folder, environment)
    except HansaError as error:
        yield wrong(
            "settings", error.message, "Correct the file or variable that is named; see docs/settings.md."
        )
        return
    yield ok("settings", f"{settings.name} at {settings.endpoint}")
    yield from key_findings(folder)
    yield registration_finding(folder, settings)
    yield disk_finding(folder, settings.limits.disk_free_min_bytes)
    yield store_finding(folder / folders.STORE)
    holder = holder_of(folder)
    if holder is None:
        yield ok("process", "not running")
        yield from port_findings(settings)
        yield ledger_clock_finding(folder, settings, clock)
    else:
        yield ok("process", f"running, process {holder}")
        yield from asyncio.run(running_findings(settings))
    yield from asyncio.run(_network(folder, settings, clock))


async def _network(folder: Path, settings: Settings, clock: Clock) -> list[CheckResult]:
    try:
        _, document = folders.load_genesis(folder)
    except HansaError:
        return []  # told already, by the check of the registration
    others = [member for member in document.app_state.members if member.did != settings.did]
    return [
        *await peer_findings(settings, others, clock),
        *await certificate_findings(settings, others, clock),
    ]


def key_findings(folder: Path) -> Iterator[CheckResult]:
    """The keys can be read, and by their owner alone."""
    for name in (folders.MEMBER_KEY, folders.TOKEN_KEY):
        try:
            key = SigningKey.load(folder / name)
        except HansaError as error:
            yield wrong(
                f"key {name.name}", error.message, "Put it back from a backup; see docs/operators/recover.md."
            )
        else:
            yield ok(f"key {name.name}", f"{key.public.algorithm}, {key.kid[:16]}")
    open_to_others = [
        str(folder / name)
        for name in SECRETS
        if (folder / name).exists() and stat.S_IMODE((folder / name).stat().st_mode) & 0o077
    ]
    if open_to_others:
        yield wrong(
            "secrets", f"others can read {', '.join(open_to_others)}", f"chmod 600 {' '.join(open_to_others)}"
        )
    missing = [str(folder / name) for name in SECRETS[2:] if not (folder / name).exists()]
    if missing:
        yield wrong("secrets", f"missing: {', '.join(missing)}", "Put them back from a backup.")
    if not open_to_others and not missing:
        yield ok("secrets", "readable by their owner alone")


def registration_finding(folder: Path, settings: Settings) -> CheckResult:
    """The league knows this marketplace as its settings have it."""

    def attempt() -> str:
        _, document = folders.load_genesis(folder)
        kid = SigningKey.load(folder / folders.MEMBER_KEY).kid
        preflight.check_registered(settings, document, folder, kid)
        return f"one of {len(document.app_state.members)} members of {document.chain_id}"

    return tried("league", attempt, "Take genesis, card and settings of the same league.")


def disk_finding(folder: Path, least_bytes: int) -> CheckResult:
    """Free space."""
    try:
        free = preflight.free_bytes(folder)
    except OSError as error:
        return wrong("disk", f"{folder}: {error.strerror}", "Make the folder's disk available.")
    shown = f"{free / 1e9:,.1f} GB free"
    if free < least_bytes:
        return wrong("disk", shown, f"Free space: writes are refused below {least_bytes:,} bytes.")
    if free < least_bytes * DISK_COMFORT:
        return look("disk", shown, "Free space soon.")
    return ok("disk", shown)


def store_finding(path: Path) -> CheckResult:
    """The catalogue store can be read, is of this version or an older one, and whole."""
    if not path.exists():
        return ok("store", "made at the first start")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(1000)
            version = int(str(connection.pragma("user_version")))
            is_small = path.stat().st_size <= QUICK_CHECK_SIZE_MAX_BYTES
            state = str(connection.execute("PRAGMA quick_check(1)").get) if is_small else UNCHECKED
        finally:
            connection.close()
    except (apsw.Error, OSError) as error:
        return wrong("store", f"{path}: {error}", "See docs/operators/recover.md.")
    if version > len(MIGRATIONS):
        return wrong(
            "store", f"of a newer version ({version})", "Install the Hansa that wrote it, or a newer one."
        )
    if state not in {"ok", UNCHECKED}:
        return wrong("store", f"damaged: {state}", "Stop the marketplace; see docs/operators/recover.md.")
    older = (
        f", brought up to version {len(MIGRATIONS)} at the next start" if version < len(MIGRATIONS) else ""
    )
    return ok("store", f"version {version}{older}, {path.stat().st_size / 1e6:,.1f} MB, {state}")


def port_findings(settings: Settings) -> Iterator[CheckResult]:
    """The ports are free for the next start."""
    for purpose, host, port in (
        ("HTTP", settings.listen_host, http_port(settings)),
        ("engine", settings.p2p_host, settings.p2p_port),
    ):
        try:
            require_free_port(port, purpose, host)
        except HansaError as error:
            yield wrong(f"port {port}", error.message, f"ss -ltnp 'sport = :{port}' shows who has it.")
        else:
            yield ok(f"port {port}", f"free, for {purpose}")


def ledger_clock_finding(folder: Path, settings: Settings, clock: Clock) -> CheckResult:
    """This machine's clock is not behind the ledger."""
    try:
        last_block, _ = preflight.ledger_before_start(folder)
        preflight.check_clock_by_ledger(last_block, clock, settings.limits)
    except Fatal as error:
        return wrong("ledger", error.message, "Set the clock, or see docs/operators/recover.md.")
    return ok(
        "ledger",
        f"last block at {last_block:%Y-%m-%d %H:%M:%S} UTC" if last_block else "begins at the first start",
    )
