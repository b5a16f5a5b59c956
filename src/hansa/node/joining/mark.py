"""The note in a newcomer's folder, `joining.json`: whom it asked, and which block it trusts.

It stays there: until the ledger has begun, it says which blocks and snapshots to fetch from whom; later it
only records how the folder came to be. A folder that was restored from a backup without ledger has one too
(`hansa.node.joining.returning`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from hansa.core.errors import Code, Fatal
from hansa.core.files import is_missing, read_file, write_file
from hansa.node.folder import JOINING
from hansa.pubsub.engine import EVIDENCE_AGE_MAX

TRUST_PERIOD_S: Final = int(EVIDENCE_AGE_MAX.total_seconds()) * 2 // 3
"""How old a block may be from which headers are verified. Validators that misbehave can be punished for
longer."""


class Joining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the note."""

    since: str
    """RFC 3339."""
    members: tuple[str, ...]
    """Endpoints of members, those that were asked first."""
    trusted_height: int
    """Of a recent block on which the members that were asked agree."""
    trusted_hash: str
    """Of its header; hex, upper case."""
    is_observer: bool = False
    """Whether it runs no validator."""


def read_joining(folder: Path) -> Joining | None:
    """The note in a folder; None when its marketplace was there from the genesis on.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file.
    """
    path = folder / JOINING
    if is_missing(path):
        return None
    try:
        return msgspec.json.decode(read_file(path), type=Joining)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Fatal(
            Code.SETTINGS_INVALID, f"{path} is damaged. Restore it, or join again with a new folder."
        ) from error


def write_joining(folder: Path, joining: Joining) -> None:
    """Write the note.

    Raises:
        Fatal: `Code.DISK_FULL` or `Code.SETTINGS_INVALID`.
    """
    write_file(folder / JOINING, encode_joining(joining))


def encode_joining(joining: Joining) -> bytes:
    """The content of the note."""
    return msgspec.json.format(msgspec.json.encode(joining), indent=2) + b"\n"
