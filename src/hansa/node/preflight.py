"""Checks before a marketplace starts: no start is better than one that does damage."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, NamedTuple

from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, HansaError
from hansa.core.files import RESTORE_IT, is_missing
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.node.folder import (
    CARD,
    GENESIS,
    LEDGER_STATE,
    NODE_KEY,
    VALIDATOR_KEY,
    GenesisDocument,
    read_card,
)
from hansa.node.folder.disk import free_bytes
from hansa.node.joining.mark import read_joining
from hansa.node.settings.loading import FILE_NAME, Settings
from hansa.pubsub.engine import EngineKey, read_key, require_free_port
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.upgrades import UpgradePlan, planned_upgrade
from hansa.pubsub.ledger.sqlite_state import SqliteState

CLOCK_TIMEOUT_S: Final = 1.5
CLOCK_MEMBERS_MAX: Final = 16
PORT_WAIT_S: Final = 3.0
"""How long a port may still be held by a predecessor that is just ending."""
PORT_POLL_S: Final = 0.1


def check_disk(folder: Path, limits: Limits, shown: str) -> None:
    """Raise `Fatal` with `Code.DISK_FULL`, naming the folder as `shown`, when too little space is left."""
    free = free_bytes(folder)
    if free < limits.disk_free_min_bytes:
        raise Fatal(
            Code.DISK_FULL,
            f"{shown} has {free:,} bytes free; {limits.disk_free_min_bytes:,} are needed (disk_free_min_bytes).",
        )


def known_as(
    did: str, folder: Path, genesis: GenesisDocument, registered: Sequence[Member]
) -> tuple[Member, ...]:
    """A marketplace as the ledger here, its genesis and its card name it; nothing when no league knows it.

    Each of them may be behind: the genesis does not know a rotated key, nor does a ledger that a backup did
    not include and that is fetched anew. The card is written together with a new key or endpoint.

    Args:
        did: Of the marketplace.
        folder: Its folder.
        genesis: In the folder.
        registered: The members, as the ledger in the folder has them; nobody before it has begun.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the card cannot be read.
    """
    in_league = [one for one in (*registered, *genesis.app_state.members) if one.did == did]
    if not is_missing(folder / CARD) and (in_league or read_joining(folder) is not None):
        card = read_card(folder / CARD).member
        in_league += [card] if card.did == did else []
    return tuple(in_league)


def check_registered(settings: Settings, known: Sequence[Member], folder: Path, kid: str) -> None:
    """Check that the settings and the member's key are those of the marketplace that the league knows.

    Args:
        settings: Of the folder.
        known: The marketplace as it is known (`known_as`).
        folder: How messages name it.
        kid: Of the key in the folder.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the league does not know it, or knows it otherwise.
    """
    if not known:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{folder / FILE_NAME}: did: the league in {GENESIS} has no member {settings.did}.",
        )
    if all(one.endpoint != settings.endpoint for one in known):
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{folder / FILE_NAME}: endpoint: the league knows this marketplace at {known[0].endpoint}. To move it, "
            f"set that again, start it, and run: hansa league endpoint {folder} {settings.endpoint}",
        )
    if all(one.key(kid) is None for one in known):
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{folder / 'keys' / 'member.jwk'} is not the key that the league knows for this marketplace "
            f"(see {CARD}).",
        )


def check_engine_keys(known: Sequence[Member], folder: Path, shown: Path) -> None:
    """Check that the engine's keys are those that the league knows for this marketplace.

    With another node key the engines of the others refuse it; with another validator key its votes count for
    nothing.

    Args:
        known: This marketplace as it is known (`known_as`).
        folder: Its folder.
        shown: How messages name the folder.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file: it is missing, cannot be read, or holds another key.
    """
    node_key, validator_key = (_engine_key(folder, shown, path) for path in (NODE_KEY, VALIDATOR_KEY))
    if all(node_key.node_id not in one.node_ids for one in known):
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{shown / NODE_KEY} is not the key that the league knows for the engine of this marketplace. "
            f"{RESTORE_IT}",
        )
    registered = {one.validator_key for one in known if one.validator_key}
    if registered and validator_key.public.hex() not in registered:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{shown / VALIDATOR_KEY} is not the key that the league knows for this validator. {RESTORE_IT}",
        )


def _engine_key(folder: Path, shown: Path, path: Path) -> EngineKey:
    """A key of the engine in `folder`; errors name it as it is `shown`."""
    try:
        return read_key(folder / path)
    except Fatal as error:
        raise Fatal(error.code, error.message.replace(str(folder / path), str(shown / path))) from error


async def wait_for_port(port: int, purpose: str, host: str, clock: Clock) -> None:
    """Raise `Fatal` with `Code.PORT_IN_USE` when a port stays taken."""
    deadline_s = clock.monotonic() + PORT_WAIT_S
    while True:
        try:
            require_free_port(port, purpose, host)
        except Fatal as error:
            if error.code is not Code.PORT_IN_USE or clock.monotonic() >= deadline_s:
                raise
            await clock.sleep(PORT_POLL_S)
        else:
            return


class LedgerBefore(NamedTuple):
    """The ledger in a folder before a start."""

    last_block: datetime | None = None
    """Its time; None before the first start."""
    members: tuple[Member, ...] = ()
    params: LedgerParams | None = None
    upgrade: UpgradePlan | None = None
    """A change of rules that is to come."""


def ledger_before_start(folder: Path) -> LedgerBefore:
    """The ledger that is here.

    Raises:
        Fatal: `Code.STORE_NEWER`, `Code.LEDGER_OLDER` or `Code.STORE_DAMAGED`.
    """
    file = folder / LEDGER_STATE
    if is_missing(file):
        return LedgerBefore()
    state = SqliteState(file)
    try:
        if state.is_empty:
            return LedgerBefore()
        last_block = datetime.fromtimestamp(state.head.time_ms / 1000, UTC)
        return LedgerBefore(last_block, state.members, state.params, planned_upgrade(state))
    finally:
        state.close()


def check_clock_by_ledger(last_block: datetime | None, clock: Clock, limits: Limits) -> None:
    """Raise `Fatal` with `Code.CLOCK_WRONG` when the ledger's last block is in the future."""
    if last_block is None:
        return
    ahead_s = (last_block - clock.now()).total_seconds()
    if ahead_s > limits.clock_skew_max_s:
        raise Fatal(
            Code.CLOCK_WRONG,
            f"The ledger's last block is {_span(ahead_s)} in the future: this machine's clock is slow. Set it.",
        )


async def check_clock_by_members(
    http: HttpClient, others: Sequence[Member], clock: Clock, limits: Limits
) -> float | None:
    """Seconds by which this machine's clock is ahead of the other members' (median); None: none answered.

    A single answer decides nothing in a league with more members: its clock may be the wrong one.

    Raises:
        Fatal: `Code.CLOCK_WRONG`, naming the offset.
    """
    requests = [_ahead_of(http, member, clock) for member in others[:CLOCK_MEMBERS_MAX]]
    offsets = [offset for offset in await asyncio.gather(*requests) if offset is not None]
    if not offsets:
        return None
    median_s = statistics.median(offsets)
    is_conclusive = len(offsets) >= min(2, len(others))
    if is_conclusive and abs(median_s) > limits.clock_skew_max_s:
        direction = "ahead of" if median_s > 0 else "behind"
        raise Fatal(
            Code.CLOCK_WRONG,
            f"This machine's clock is {_span(abs(median_s))} {direction} that of {len(offsets)} other "
            f"member{'s' if len(offsets) > 1 else ''} (at most {limits.clock_skew_max_s:g} s are accepted: "
            "clock_skew_max_s). Set it.",
        )
    return median_s


async def _ahead_of(http: HttpClient, member: Member, clock: Clock) -> float | None:
    request = HttpRequest(
        "GET", f"{member.endpoint}/livez", timeout_s=CLOCK_TIMEOUT_S, answer_size_max_bytes=4096
    )
    before = clock.now()
    try:
        answer = await http.send(request)
        reported = parsedate_to_datetime(answer.headers["date"])
    except (HansaError, KeyError, ValueError):
        return None  # a member that does not answer decides nothing
    if reported.tzinfo is None:
        return None
    middle = before + (clock.now() - before) / 2
    return (middle - reported).total_seconds()


def _span(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
