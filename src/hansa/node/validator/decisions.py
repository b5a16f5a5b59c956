"""What an operator decides about the validator of a stopped marketplace: to observe, or to sign."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import is_missing
from hansa.node.folder import LEDGER, LEDGER_STATE, LOCK, load_genesis
from hansa.node.folder.lock import FolderLock
from hansa.node.membership.registered import has_other_members
from hansa.node.settings.loading import load_settings
from hansa.node.validator.guard import sign_after
from hansa.node.validator.observing import Observing, Reason, read_observing, write_observing
from hansa.pubsub.engine import SigningState, read_signing_state
from hansa.pubsub.ledger.sqlite_state import SqliteState


def observe(folder: Path, clock: Clock) -> Observing:
    """Have the validator observe from its next start on; one that observes begins anew.

    A sighting of another engine is forgotten: the operator has stopped it.

    Raises:
        Fatal: `Code.FOLDER_IN_USE`, `Code.SETTINGS_INVALID`, `Code.DISK_FULL`.
    """
    load_settings(folder, {})
    with FolderLock(folder / LOCK, str(folder)):
        before = read_observing(folder)
        observing = Observing(rfc3339(clock.now()), Reason.REQUESTED)
        if before is not None:
            observing = msgspec.structs.replace(
                before, since=observing.since, caught_up_at=None, double=None, standstill=None
            )
        write_observing(folder, observing)
    return observing


def sign(folder: Path, *, without_away: bool = False) -> SigningState:
    """Have the validator sign from its next start on, after everything that it is known to have signed.

    Returns what stands in its memory from now on.

    Args:
        folder: The marketplace's.
        without_away: Whether validators that were away count as such that have no vote of this one.

    Raises:
        Fatal: `Code.FOLDER_IN_USE`, `Code.SETTINGS_INVALID`, `Code.DISK_FULL`.
        Refused: `Code.CONFLICT`: it signs already, somebody else was seen signing with its key, it has not
            been up to date with the other members yet, or some that are away may have its vote for the round
            that is being decided.
    """
    settings = load_settings(folder, {})
    _, genesis = load_genesis(folder)
    with FolderLock(folder / LOCK, str(folder)):
        observing = read_observing(folder)
        if observing is None:
            raise Refused(Code.CONFLICT, f"The validator of {folder} does not observe: it signs as it is.")
        if observing.double is not None:
            raise Refused(
                Code.CONFLICT,
                f"Another engine signed with its key at height {observing.double.height}. Stop that one for good; "
                f"then have this one observe anew: hansa engine observe {folder}",
            )
        if observing.caught_up_at is None and has_other_members(folder, settings, genesis):
            raise Refused(
                Code.CONFLICT,
                f"The validator of {folder} has not been up to date with the other members since it observes, so "
                "nothing here says what it may have signed. Start it first, until `hansa status` counts blocks.",
            )
        height = _height(folder)
        standstill = observing.standstill_after(height)
        if standstill is not None and standstill.away and not without_away:
            names = ", ".join(standstill.away)
            raise Refused(
                Code.CONFLICT,
                f"The validator of {folder} signed in the round that the league waits in, and {names}, which is away, "
                "may have that vote. When it starts, the league goes on without this one. When it never does: "
                f"hansa engine sign {folder} --without-away",
            )
        sign_after(folder, height, observing, without_away=without_away)
        return read_signing_state(folder / LEDGER)


def _height(folder: Path) -> int:
    """Of the ledger's last block here; 0 when there is none."""
    if is_missing(folder / LEDGER_STATE):
        return 0
    try:
        state = SqliteState(folder / LEDGER_STATE)
    except Fatal as error:
        if error.code is Code.STORE_DAMAGED:
            return 0  # its memory of what was signed is what counts then
        raise
    try:
        return 0 if state.is_empty else state.head.height
    finally:
        state.close()
