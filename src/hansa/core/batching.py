"""When a batch that is filling is ready.

Requests that arrive together are processed together, and nobody waits for others.

Used where requests are batched before their stages (`hansa.business.operations.batching`) and where
transactions are committed in groups (`hansa.store.sqlite.commit.writer`). Both wait for growth in turns of
the event loop, never in time.
"""

from __future__ import annotations

from typing import Final

BATCH_SIZE_MAX: Final = 16
"""A batch of so many is full.

One number for requests and for commits: what is prepared together is committed together.
"""


class BatchGrowth:
    """Decides, once a turn of the event loop, whether a batch waits one more turn.

    It does as long as every turn adds to it, until it is full. A batch of one that nobody joins is ready
    after the first turn in which its size stayed the same.
    """

    __slots__ = ("_size", "_size_max")

    def __init__(self, size_max: int = BATCH_SIZE_MAX) -> None:
        assert size_max > 0, "a batch has room for one at least"
        self._size = 0
        self._size_max = size_max

    def restart(self, size: int) -> None:
        """Begin with a new batch, which has this size."""
        self._size = size

    def is_growing(self, size: int) -> bool:
        """Whether to wait one more turn.

        The batch has grown to this size since the turn before, and is not full.
        """
        before, self._size = self._size, size
        return before < size < self._size_max
