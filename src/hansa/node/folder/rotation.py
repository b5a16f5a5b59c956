"""A new key for the API's tokens, never half of one.

The key and the operator's token that it signs are two files, which no file system replaces at once. So what
both will hold is written into one file first, which is the decision: from then on the rotation is carried
out, by this process or by the next one that uses the folder, however often it is interrupted.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal
from hansa.core.files import is_missing, read_file, sync_folder, write_failure, write_file
from hansa.core.keys import SigningKey
from hansa.identity import reissue_token
from hansa.node.folder.layout import LOCK, ROTATION, TOKEN, TOKEN_KEY
from hansa.node.folder.lock import FolderLock


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the files will hold."""

    key: str
    """Of the tokens: a private JWK."""
    token: str | None
    """The operator's; None: it has none, or not one that the key before had signed."""


def rotate_token_key(folder: Path) -> SigningKey:
    """Replace the key that signs the API's tokens, or make it where it is missing; all tokens so far end.

    The operator's token in the folder is issued again, as good as before.

    Raises:
        Fatal: `Code.FOLDER_IN_USE`, while the marketplace runs, which would go on with the key before;
            `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    with FolderLock(folder / LOCK, str(folder)):
        finish_rotation(folder)
        new, token = SigningKey.generate(), None
        if not is_missing(folder / TOKEN_KEY) and not is_missing(folder / TOKEN):
            old = SigningKey.load(folder / TOKEN_KEY)
            present = read_file(folder / TOKEN).decode("ascii", errors="replace").strip()
            token = reissue_token(present, old.verifying_key(), new)
        rotation = Rotation(new.private_document().decode(), token)
        write_file(folder / ROTATION, msgspec.json.encode(rotation))
        finish_rotation(folder)
    return new


def finish_rotation(folder: Path) -> None:
    """Carry out a rotation that has been decided; without effect when there is none.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    path = folder / ROTATION
    if is_missing(path):
        return
    try:
        rotation = msgspec.json.decode(read_file(path), type=Rotation)
    except UNREADABLE as error:
        raise Fatal(
            Code.SETTINGS_INVALID, f"{path} is damaged. Remove it, and rotate the key again."
        ) from error
    write_file(folder / TOKEN_KEY, rotation.key.encode())
    try:
        if rotation.token is None:
            (folder / TOKEN).unlink(missing_ok=True)
        else:
            write_file(folder / TOKEN, rotation.token.encode() + b"\n")
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise write_failure(path, error) from error
