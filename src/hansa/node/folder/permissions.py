"""Permissions in a marketplace's folder: everything in it is its owner's alone, and of use to that owner.

Processes that write there begin with `restrict_new_files` of `hansa.core.files`; their children inherit it.
What is in the folder already, from a copy or an older release, is put right when the marketplace starts.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hansa.core.errors import Code, Fatal
from hansa.core.files import is_missing, read_failure
from hansa.node.folder.layout import HISTORY, JOBS, LEDGER, POLICIES, SCHEMAS, SNAPSHOTS

OTHERS: Final = 0o077
"""The bits of a mode that let the group or everybody in."""

READ: Final = (Path("keys"), SCHEMAS, POLICIES)
"""Folders that a marketplace only reads, but for the commands that rotate keys."""
WRITTEN: Final = (Path(), JOBS, LEDGER, LEDGER / "config", LEDGER / "data", SNAPSHOTS, HISTORY)


def check_usable(folder: Path) -> None:
    """Check that this user can use every folder of a marketplace that is there.

    What finds out later that it cannot, as a job or the engine, would stop or be repeated for ever.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the first that is no folder, or that cannot be read or written.
    """
    engine = () if is_missing(folder / LEDGER / "data") else _folders_in(folder / LEDGER / "data")
    for path in (*(folder / each for each in (*READ, *WRITTEN)), *engine):
        if is_missing(path):
            continue
        if not path.is_dir():
            raise read_failure(path, NotADirectoryError(errno.ENOTDIR, ""))
        is_written = path.relative_to(folder) not in READ
        mode = os.R_OK | os.X_OK | (os.W_OK if is_written else 0)
        if not os.access(path, mode, effective_ids=True):
            raise Fatal(
                Code.SETTINGS_INVALID,
                f"{path} cannot be {'read and written' if is_written else 'read'} by the user that runs Hansa. Do not "
                "remove it: give it back to that user (chown, then chmod u+rwX,go-rwx).",
            )


def _folders_in(folder: Path) -> tuple[Path, ...]:
    """The folders in a folder; those in one that cannot be read are not known."""
    try:
        with os.scandir(folder) as entries:
            return tuple(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return ()


def open_to_others(folder: Path) -> Iterator[Path]:
    """What in a folder, itself included, the group or everybody may read, write or enter.

    Links are not followed, and what vanishes or cannot be looked at is left out.
    """
    for path in (folder, *_below(folder)):
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & OTHERS:
            yield path


def close_to_others(folder: Path) -> tuple[int, int]:
    """Take the permissions of group and others from everything in a folder.

    Returns how many files, folders and sockets were changed, and how many could not be, as those of another
    user.
    """
    changed = failed = 0
    for path in list(open_to_others(folder)):
        try:
            path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~OTHERS)
        except OSError:
            failed += 1
        else:
            changed += 1
    return changed, failed


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)
