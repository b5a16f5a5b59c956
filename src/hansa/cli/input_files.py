"""Files that a command line names: an error says which file it is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hansa.core.errors import Refused
from hansa.core.files import read_file

Content = TypeVar("Content")


def read_input(path: Path, parse: Callable[[bytes], Content]) -> Content:
    """What a file holds.

    Args:
        path: As the command line names it.
        parse: Makes of the bytes what the file should hold.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when it is missing or cannot be read.
        Refused: What `parse` raises, with the path in front.
    """
    content = read_file(path, "Name an existing file.")
    try:
        return parse(content)
    except Refused as error:
        raise Refused(error.code, f"{path}: {error.message}") from error
