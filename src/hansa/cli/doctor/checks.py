"""`hansa doctor`: checks a machine and the folder of a marketplace, and says how to correct what is wrong.

It changes nothing and can be run while the marketplace runs; what the folder does not show is then
read from the marketplace's status.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import apsw

from hansa.cli.demo.members import serving_process
from hansa.cli.doctor.network import check_certificates, check_peers, check_running
from hansa.cli.doctor.results import CheckResult, look, ok, result_of, wrong
from hansa.cli.local import ENTROPY
from hansa.cli.output import Output
from hansa.cli.versions import versions
from hansa.core.access import OPERATOR
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, HansaError
from hansa.core.files import is_missing
from hansa.core.foreign_text import printable
from hansa.core.keys import SigningKey
from hansa.identity.provider.clients.registry import read_clients
from hansa.node import folder as folders
from hansa.node import preflight
from hansa.node.folder.disk import free_bytes
from hansa.node.folder.permissions import check_usable, open_to_others
from hansa.node.membership.registered import registered_members
from hansa.node.membership.release import own_release
from hansa.node.serve import http_port, metrics_address
from hansa.node.settings.loading import Settings, load_settings
from hansa.node.validator.observing import read_observing
from hansa.pubsub.engine import engine_build, read_signing_state, require_free_port
from hansa.store.sqlite.database.schema import MIGRATIONS

PYTHON_OLDEST: Final = (3, 11)
DISK_FREE_FACTOR: Final = 4
"""Free space below this multiple of the minimum is reported, though it is still enough."""
QUICK_CHECK_SIZE_MAX_BYTES: Final = 1_073_741_824
UNCHECKED: Final = "too large to be checked here"
PATHS_SHOWN_MAX: Final = 5
CHECK_MAX_CHARS: Final = 24
TOKEN_LIFETIME_S: Final = 60.0
_REFUSED: Final = "SELECT entity_id, refusal_code FROM publication WHERE refusal_code IS NOT NULL ORDER BY refusal_code LIMIT ?"
KEY_REMEDY: Final = (
    "Restore what is missing or damaged from a backup; let its owner read what cannot be read. "
    "See docs/operators/recover.md."
)


def run_doctor(folder: Path | None, environment: Mapping[str, str], output: Output, clock: Clock) -> int:
    """Make all checks and show the results. Returns 1 when something is wrong."""
    results = [*check_machine()]
    if folder is None:
        results.append(check_disk(Path(), 0))
    else:
        results += check_folder(folder, environment, clock)
    failed = sum(result.state == "wrong" for result in results)
    if output.as_json:
        output.document(results)
    else:
        show_results(results, output)
    return int(failed > 0)


def show_results(results: Sequence[CheckResult], output: Output) -> None:
    """Write each result with what to do about it, and whether all is well."""
    width = min(CHECK_MAX_CHARS, max(len(result.check) for result in results))
    for result in results:
        output.entry(f"{result.state:<5}  {printable(result.check, width):<{width}}  ", result.result)
        if result.todo:
            output.entry(f"{'':<5}  {'':<{width}}  → ", result.todo)
    output.data("")
    output.data(verdict(results))


def verdict(results: Sequence[CheckResult]) -> str:
    """Whether all is well, in a sentence."""
    failed = sum(result.state == "wrong" for result in results)
    noted = sum(result.state == "look" for result in results)
    if not failed and not noted:
        return "All is well."
    further = f", {noted} should be looked at" if noted else ""
    return f"{failed or 'None'} of {len(results)} checks failed{further}."


def check_machine() -> Iterator[CheckResult]:
    """The versions, and the engine."""
    installed = versions()
    shown = f"Hansa {installed['hansa']}, Python {installed['python']}, SQLite {installed['sqlite']}"
    if sys.version_info[:2] < PYTHON_OLDEST:
        yield wrong("versions", shown, "Install Python 3.11 or newer.")
    else:
        yield ok("versions", shown)
    yield result_of("engine", _engine, "Run `make setup`, or install a wheel made for this platform.")


def _engine() -> str:
    build = engine_build()
    return f"CometBFT {build.cometbft} for {build.platform}"


def check_folder(folder: Path, environment: Mapping[str, str], clock: Clock) -> Iterator[CheckResult]:
    """A marketplace's folder; the settings alone where they are invalid, as the other checks need them."""
    try:
        settings = load_settings(folder, environment)
    except HansaError as error:
        yield wrong(
            "settings", error.message, "Correct the file or variable that is named; see docs/settings.md."
        )
        return
    yield ok("settings", f"{settings.name} at {settings.endpoint}")
    yield from check_keys(folder)
    yield check_registration(folder, settings)
    yield check_clients(folder / folders.CLIENTS)
    if settings.bus == "light":
        followed = settings.followed_members or ("those that run a validator",)
        yield ok("engine", f"none: a light member that follows {', '.join(followed)}")
    else:
        yield check_engine_keys(folder, settings)
        yield check_validator(folder)
    yield check_disk(folder, settings.limits.disk_free_min_bytes)
    yield check_store(folder / folders.STORE)
    yield check_publications(folder / folders.STORE)
    process = serving_process(folder)
    if process is None:
        yield ok("process", "not running")
        yield from check_ports(settings)
        yield check_ledger_clock(folder, settings, clock)
        yield check_rules(folder)
    else:
        yield ok("process", f"running, process {process}")
        yield from asyncio.run(check_running(settings, _operator_token(folder, clock)))
    yield from asyncio.run(_network(folder, settings, clock))


def _operator_token(folder: Path, clock: Clock) -> str:
    """A token for this check alone, made with the key in the folder."""
    return folders.issue_folder_token(folder, "doctor", [OPERATOR], TOKEN_LIFETIME_S, clock, ENTROPY)


async def _network(folder: Path, settings: Settings, clock: Clock) -> list[CheckResult]:
    try:
        _, document = folders.load_genesis(folder)
    except HansaError:
        return []  # the check of the registration reports it
    members = registered_members(folder) or document.app_state.members
    others = [member for member in members if member.did != settings.did and member.is_current]
    return [
        *await check_peers(settings, others, clock),
        *await check_certificates(settings, others, clock),
    ]


def check_keys(folder: Path) -> Iterator[CheckResult]:
    """Whether our own keys can be read, and everything by its owner alone."""
    for name in (folders.MEMBER_KEY, folders.TOKEN_KEY):
        try:
            key = SigningKey.load(folder / name)
        except HansaError as error:
            yield wrong(f"key {name.name}", error.message, KEY_REMEDY)
        else:
            yield ok(f"key {name.name}", f"{key.public.algorithm}, {key.kid[:16]}")
    yield check_permissions(folder)


def check_permissions(folder: Path) -> CheckResult:
    """Whether everything in the folder is its owner's alone, and of use to that owner."""
    try:
        check_usable(folder)
    except HansaError as error:
        return wrong("permissions", error.message, f"chown -R USER {folder}; chmod -R u+rwX,go-rwx {folder}")
    paths = [str(path) for path in open_to_others(folder)]
    if not paths:
        return ok("permissions", "everything is its owner's alone")
    shown = ", ".join(paths[:PATHS_SHOWN_MAX]) + (" …" if len(paths) > PATHS_SHOWN_MAX else "")
    return wrong("permissions", f"others may use {len(paths)} files: {shown}", f"chmod -R go-rwx {folder}")


def check_registration(folder: Path, settings: Settings) -> CheckResult:
    """Whether the league registered this marketplace as its settings describe it."""

    def attempt() -> str:
        _, document = folders.load_genesis(folder)
        kid = SigningKey.load(folder / folders.MEMBER_KEY).kid
        members = registered_members(folder) or document.app_state.members
        known = preflight.known_as(settings.did, folder, document, members)
        preflight.check_registered(settings, known, folder, kid)
        return f"one of {len(members)} members of {document.chain_id}"

    return result_of("league", attempt, "Take genesis, card and settings of the same league.")


def check_engine_keys(folder: Path, settings: Settings) -> CheckResult:
    """Whether the keys of the engine are those that the league knows."""

    def attempt() -> str:
        _, document = folders.load_genesis(folder)
        known = preflight.known_as(settings.did, folder, document, registered_members(folder))
        if not known:
            return "not compared: the league does not know this marketplace"
        preflight.check_engine_keys(known, folder, folder)
        return "those that the league knows"

    return result_of("engine keys", attempt, KEY_REMEDY)


def check_validator(folder: Path) -> CheckResult:
    """Whether the validator signs, and knows what it has signed."""
    try:
        observing = read_observing(folder)
        if observing is None:
            signed = read_signing_state(folder / folders.LEDGER)
            return ok("validator", f"signs; last at height {signed.height}")
    except Fatal as error:
        todo = "Its next start makes it observe first; docs/operators/recover.md says what that is."
        return wrong("validator", error.message, todo)
    if observing.double is not None:
        return wrong(
            "validator",
            f"another engine signs with its key, seen at height {observing.double.height}",
            f"Stop that one for good, stop this one, then: hansa engine observe {folder}",
        )
    return look(
        "validator",
        f"observes and signs nothing ({observing.reason} {observing.since})",
        "It signs by itself when it cannot sign twice; docs/operators/recover.md says when it cannot.",
    )


def check_disk(folder: Path, free_min_bytes: int) -> CheckResult:
    """Whether there is enough free space on the disk of a folder."""
    try:
        free = free_bytes(folder)
    except OSError as error:
        return wrong("disk", f"{folder}: {error.strerror}", "Make the folder's disk available.")
    shown = f"{free / 1e9:,.1f} GB free"
    if free < free_min_bytes:
        return wrong("disk", shown, f"Free space: writes are refused below {free_min_bytes:,} bytes.")
    if free < free_min_bytes * DISK_FREE_FACTOR:
        return look("disk", shown, "Free space soon.")
    return ok("disk", shown)


def check_store(path: Path) -> CheckResult:
    """Whether the catalogue store can be read, is undamaged, and of this version or an older one."""
    try:
        if is_missing(path):
            return ok("store", "made at the first start")
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(1000)
            version = int(str(connection.pragma("user_version")))
            is_small = path.stat().st_size <= QUICK_CHECK_SIZE_MAX_BYTES
            state = str(connection.execute("PRAGMA quick_check(1)").get) if is_small else UNCHECKED
        finally:
            connection.close()
    except Fatal as error:
        return wrong("store", error.message, "See docs/operators/recover.md.")
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


def check_clients(path: Path) -> CheckResult:
    """The clients of the OpenID Provider, and which of them can be imitated by whoever reads a secret."""
    try:
        clients = read_clients(path)
    except HansaError as error:
        return wrong("clients", error.message, "Correct the file, or register its clients anew.")
    by_secret = [one.client_id for one in clients if one.token_endpoint_auth_method is not None]
    without_pkce = [one.client_id for one in clients if not one.require_pkce]
    parts = [f"{len(clients)} registered"]
    for label, names in (("with a secret", by_secret), ("may do without PKCE", without_pkce)):
        if names:
            more = " …" if len(names) > PATHS_SHOWN_MAX else ""
            parts.append(f"{label}: {', '.join(names[:PATHS_SHOWN_MAX])}{more}")
    if len(parts) == 1:
        return ok("clients", parts[0])
    todo = (
        "Have software sign (private_key_jwt) and use PKCE as soon as it can; see docs/operators/clients.md."
    )
    return look("clients", "; ".join(parts), todo)


def check_publications(path: Path) -> CheckResult:
    """Whether the league takes everything that this marketplace publishes, and leaves it its identifiers."""
    if is_missing(path):
        return ok("publications", "none yet")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(1000)
            rows = connection.execute(_REFUSED, (PATHS_SHOWN_MAX + 1,)).fetchall()
        finally:
            connection.close()
    except apsw.Error as error:
        return look("publications", f"{path}: {error}", "Start the marketplace, which updates its store.")
    if not rows:
        return ok("publications", "nothing was refused")
    shown = ", ".join(f"{entity_id} ({code})" for entity_id, code in rows[:PATHS_SHOWN_MAX])
    more = " …" if len(rows) > PATHS_SHOWN_MAX else ""
    is_claimed = any(code == Code.IDENTIFIER_CLAIMED for _, code in rows)
    todo = "See docs/errors.md for the codes; a change or a restart tries again."
    if is_claimed:
        todo = (
            "Delete entities whose identifier is claimed; create them under another one, or without id. "
            + todo
        )
    return look("publications", f"refused: {shown}{more}", todo)


def check_ports(settings: Settings) -> Iterator[CheckResult]:
    """Whether the ports are free for the next start."""
    ports = [("HTTP", settings.listen_host, http_port(settings))]
    if settings.metrics_listen:
        ports.append(("metrics", *metrics_address(settings.metrics_listen)))
    if settings.bus != "light":
        ports.append(("engine", settings.p2p_host, settings.p2p_port))
    for purpose, host, port in ports:
        try:
            require_free_port(port, purpose, host)
        except HansaError as error:
            yield wrong(f"port {port}", error.message, f"ss -ltnp 'sport = :{port}' shows who has it.")
        else:
            yield ok(f"port {port}", f"free, for {purpose}")


def check_rules(folder: Path) -> CheckResult:
    """Whether this release can go on with the league, by what its members have decided."""
    try:
        plan = preflight.ledger_before_start(folder).upgrade
    except Fatal as error:
        return wrong("rules", error.message, "See docs/operators/upgrade.md.")
    if plan is None:
        return ok("rules", "no change is planned")
    planned = f"{plan.ruleset} from block {plan.height:,} on"
    lacking = own_release().lacks(plan)
    if lacking is None:
        return ok("rules", f"{planned}, which this release has")
    return wrong("rules", f"{planned}; this release lacks {lacking}", "See docs/operators/upgrade.md.")


def check_ledger_clock(folder: Path, settings: Settings, clock: Clock) -> CheckResult:
    """Whether this machine's clock is not behind the ledger."""
    try:
        last_block = preflight.ledger_before_start(folder).last_block
        preflight.check_clock_by_ledger(last_block, clock, settings.limits)
    except Fatal as error:
        return wrong("ledger", error.message, "Set the clock, or see docs/operators/recover.md.")
    return ok(
        "ledger",
        f"last block at {last_block:%Y-%m-%d %H:%M:%S} UTC" if last_block else "begins at the first start",
    )
