"""Work that is ended from elsewhere: it looks at a checkpoint now and then.

What runs in a thread cannot be cancelled. Code that takes long where its caller says how long (the evaluation
of a JSONPath, a function that a search calls for each entity) calls a checkpoint every few hundred
microseconds; it raises what is to end the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Checkpoint: TypeAlias = Callable[[], None]
"""Returns, or raises what is to end the work."""


def no_checkpoint() -> None:
    """The checkpoint of work that nobody ends."""
