"""The note in a newcomer's folder, `joining.json`: whom it asked, and which block it trusts.

It stays there: until the ledger has begun, it says which blocks and snapshots to fetch from whom; later it
only records how the folder came to be. A folder that was restored from a backup without ledger has one too
(`hansa.node.joining.returning`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import is_missing, read_file, write_file
from hansa.node.folder import JOINING
from hansa.node.settings.loading import load_settings
from hansa.pubsub.engine import EVIDENCE_AGE_MAX
from hansa.pubsub.light.chain.blocks import HEIGHT_MAX

_HASH: Final = re.compile("[0-9A-Fa-f]{64}", re.ASCII)
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
    except UNREADABLE as error:
        raise Fatal(
            Code.SETTINGS_INVALID, f"{path} is damaged. Restore it, or join again with a new folder."
        ) from error


def trust_block(folder: Path, height: int, header_hash: str) -> None:
    """Note a block that the operator has compared by other means.

    Raises:
        Refused: `Code.INVALID`.
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    if not 1 <= height <= HEIGHT_MAX or _HASH.fullmatch(header_hash) is None:
        raise Refused(
            Code.INVALID, "A block is its height, from 1, and the hash of its header: 64 hexadecimal digits."
        )
    if load_settings(folder, {}).bus != "light":
        raise Refused(Code.INVALID, f"{folder} is no light member's: its own engine verifies the ledger.")
    joining = read_joining(folder) or Joining("", (), 0, "")
    write_joining(
        folder,
        msgspec.structs.replace(joining, trusted_height=height, trusted_hash=header_hash.upper()),
    )


def write_joining(folder: Path, joining: Joining) -> None:
    """Write the note.

    Raises:
        Fatal: `Code.DISK_FULL` or `Code.SETTINGS_INVALID`.
    """
    write_file(folder / JOINING, encode_joining(joining))


def encode_joining(joining: Joining) -> bytes:
    """The content of the note."""
    return msgspec.json.format(msgspec.json.encode(joining), indent=2) + b"\n"
