"""The mark in a folder whose validator must not sign yet: `observing.json`.

It is there after a restore, after the memory of what was signed was lost, and when an operator asks for it.
While it is there the engine runs with a throw-away key. It is removed, after a new memory was written, when
the ledger shows that the validator cannot sign twice any more, or by the operator's explicit decision.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.files import is_missing, read_file, sync_folder, write_failure, write_file
from hansa.node.folder import OBSERVING
from hansa.pubsub.engine import SigningState


class Reason(StrEnum):
    """Why a validator observes."""

    RESTORED = "restored"
    """Its folder comes from a backup: it may have signed since."""
    MEMORY_LOST = "memory-lost"
    """The file that says what it signed last is missing or damaged."""
    MEMORY_BEHIND = "memory-behind"
    """The ledger has a signature of its key that its engine did not make: its folder is an older copy, or
    another engine has its key."""
    REQUESTED = "requested"
    """Its operator asked for it."""


class Sighting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A block that proves that somebody else signs with this validator's key."""

    height: int
    time: str
    """When it was seen here; RFC 3339."""


class Standstill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A block that the league does not decide without this validator, and what others have of its votes."""

    height: int
    round: int
    step: int
    """The last one of this validator's that anybody has who is not away, as in `SigningState`; 1 at least."""
    away: tuple[str, ...] = ()
    """Names of validators that were not connected: what they have is not known."""

    @property
    def signed(self) -> SigningState:
        """What this validator has signed at most, as far as those have it who are not away."""
        return SigningState(self.height, self.round, self.step)


class Observing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the mark."""

    since: str
    """RFC 3339."""
    reason: Reason
    signed: SigningState | None = None
    """What the validator is known to have signed; it may have signed more."""
    caught_up_at: int | None = None
    """Height at which it was up to date with the other members, for the first time since the mark."""
    double: Sighting | None = None
    """When another engine was seen signing with its key. Only the operator can decide which of them stays."""
    standstill: Standstill | None = None
    """The last block that the league was seen waiting for this validator with."""

    def standstill_after(self, height: int) -> Standstill | None:
        """The standstill after a block, if it is in the round that the validator is known to have signed in.

        In another round there is nothing to decide: an earlier one is over, and a later one may yet come.
        """
        standstill, signed = self.standstill, self.signed
        if standstill is None or signed is None or standstill.height != height + 1:
            return None
        is_same = (signed.height, signed.round) == (standstill.height, standstill.round)
        return standstill if is_same and standstill.signed < signed else None


def read_observing(folder: Path) -> Observing | None:
    """The mark of a folder; None when its validator may sign. A damaged mark is a mark.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when it cannot be read.
    """
    path = folder / OBSERVING
    if is_missing(path):
        return None
    content = read_file(path)
    try:
        return msgspec.json.decode(content, type=Observing)
    except UNREADABLE:
        return Observing("unknown", Reason.MEMORY_LOST)


def write_observing(folder: Path, observing: Observing) -> None:
    """Mark a folder.

    Raises:
        Fatal: `Code.DISK_FULL` or `Code.SETTINGS_INVALID`.
    """
    write_file(folder / OBSERVING, msgspec.json.format(msgspec.json.encode(observing), indent=2) + b"\n")


def remove_observing(folder: Path) -> None:
    """Remove the mark, durably: from now on the validator signs.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """
    try:
        (folder / OBSERVING).unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise write_failure(folder / OBSERVING, error) from error
