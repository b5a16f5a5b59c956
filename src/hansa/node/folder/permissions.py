"""Permissions in a marketplace's folder: everything in it is its owner's alone.

Processes that write there begin with `restrict_new_files` of `hansa.core.files`; their children inherit it.
What is in the folder already, from a copy or an older release, is put right when the marketplace starts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

OTHERS: Final = 0o077
"""The bits of a mode that let the group or everybody in."""


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
