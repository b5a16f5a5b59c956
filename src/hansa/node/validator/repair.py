"""Gets a member's engine over what stops it, while the member is stopped.

What is in the way is moved aside, never deleted, and neither the keys nor the memory of what was signed is
ever touched: that memory is what keeps an engine without its write-ahead log from voting twice. It goes on in
the round after the last one that it voted in (`hansa.node.validator.round_log`). An engine that has lost that
memory observes first (`hansa.node.validator.guard`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import is_missing, sync_folder, write_failure, write_file
from hansa.node.folder import LEDGER, LEDGER_STATE, LOCK, load_genesis
from hansa.node.folder.lock import FolderLock
from hansa.node.membership.registered import has_other_members
from hansa.node.settings.loading import load_settings
from hansa.node.validator.round_log import has_voted, log_after
from hansa.pubsub.engine import SIGNING_STATE, read_signing_state

ASIDE: Final = LEDGER / "aside"
DATA: Final = LEDGER / "data"
WRITE_AHEAD_LOG: Final = DATA / "cs.wal"
BLOCKS: Final = DATA / "blockstore.db"
NANOS: Final = 1_000_000_000
DATABASE_SUFFIXES: Final = ("", "-wal", "-shm")


class Move(msgspec.Struct, frozen=True):
    """Something that was moved; paths below the folder."""

    path: str
    to: str


def repair_engine(
    folder: Path, clock: Clock, *, rebuilds_ledger: bool = False, fetches_blocks: bool = False
) -> tuple[Move, ...]:
    """Move aside what stops the engine.

    Args:
        folder: The marketplace's; it is stopped.
        clock: For the name of the folder that takes what is moved.
        rebuilds_ledger: Whether the ledger's state is moved too, to be rebuilt from the engine's blocks.
        fetches_blocks: Whether the blocks are moved too, and the state with them, to be fetched from the
            other members.

    Raises:
        Fatal: `Code.FOLDER_IN_USE`; `Code.SETTINGS_INVALID` (not a marketplace's folder, or something cannot
            be moved).
        Refused: `Code.CONFLICT`, when what would be moved exists nowhere else.
    """
    settings = load_settings(folder, {})
    _, genesis = load_genesis(folder)
    with FolderLock(folder / LOCK, str(folder)):
        if fetches_blocks and not has_other_members(folder, settings, genesis):
            raise Refused(
                Code.CONFLICT, "This is a league of one member: nobody else has its blocks. Nothing was done."
            )
        if rebuilds_ledger and not fetches_blocks and is_missing(folder / BLOCKS):
            raise Refused(
                Code.CONFLICT,
                f"{folder / BLOCKS} is missing, so the ledger cannot be rebuilt from it. Nothing was done.",
            )
        if rebuilds_ledger and not fetches_blocks and settings.ledger_blocks_retained > 0:
            raise Refused(
                Code.CONFLICT,
                "The first blocks are not retained here (ledger_blocks_retained), so the ledger cannot be rebuilt "
                "from them. Nothing was done; have them fetched again: --refetch-blocks.",
            )
        paths = list(_in_the_way(folder, rebuilds_ledger=rebuilds_ledger, fetches_blocks=fetches_blocks))
        moves = tuple(_move(folder, paths, f"{clock.now():%Y%m%dT%H%M%SZ}"))
        if WRITE_AHEAD_LOG in paths:
            _write_round_log(folder, clock)
        return moves


def _write_round_log(folder: Path, clock: Clock) -> None:
    """Have the engine go on in the round after the last one that it voted in."""
    try:
        signed = read_signing_state(folder / LEDGER)
    except Fatal:
        return  # whoever has lost that memory observes first, and with another key
    if not has_voted(signed):
        return
    log = folder / WRITE_AHEAD_LOG / "wal"
    try:
        log.parent.mkdir(mode=0o700)
    except OSError as error:
        raise write_failure(log.parent, error) from error
    write_file(log, log_after(signed, epoch_s(clock) * NANOS))


def _in_the_way(folder: Path, *, rebuilds_ledger: bool, fetches_blocks: bool) -> Iterator[Path]:
    """What is moved, as paths below the folder."""
    if fetches_blocks:
        keep = (LEDGER / SIGNING_STATE).name
        try:
            names = sorted(path.name for path in (folder / DATA).iterdir() if path.name != keep)
        except OSError as error:
            raise write_failure(folder / DATA, error) from error
        yield from (DATA / name for name in names)
    elif not is_missing(folder / WRITE_AHEAD_LOG):
        yield WRITE_AHEAD_LOG
    if rebuilds_ledger or fetches_blocks:
        for suffix in DATABASE_SUFFIXES:
            path = LEDGER_STATE.with_name(LEDGER_STATE.name + suffix)
            if not is_missing(folder / path):
                yield path


def _move(folder: Path, paths: Sequence[Path], time: str) -> Iterator[Move]:
    if not paths:
        return
    try:
        (folder / ASIDE).mkdir(mode=0o700, exist_ok=True)
        number = 1
        while not is_missing(folder / ASIDE / f"{time}-{number}"):
            number += 1
        place = ASIDE / f"{time}-{number}"
        (folder / place).mkdir(mode=0o700)
        for path in paths:
            to = place / path.relative_to(LEDGER)
            (folder / to).parent.mkdir(mode=0o700, exist_ok=True)
            (folder / path).rename(folder / to)
            yield Move(str(path), str(to))
        for parent in {folder / path.parent for path in paths} | {folder / place}:
            sync_folder(parent)
    except OSError as error:
        raise write_failure(folder / ASIDE, error) from error
