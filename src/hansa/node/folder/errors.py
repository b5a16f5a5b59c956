"""How a failure of the file system or of a decoder reads in a message to an operator."""

from __future__ import annotations

import os


def reason_of(error: Exception) -> str:
    """The reason alone, without the path, which the message names already."""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
