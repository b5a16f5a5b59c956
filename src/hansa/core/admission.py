"""Admission: a few do something at a time, some more wait, and all others are refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hansa.core.errors import Code, Unavailable

_Result = TypeVar("_Result")


class Admission:
    """Lets so many do something at a time, in the order in which they came.

    Args:
        at_once_max: How many.
        waiting_max: How many more may wait.
        refusal: What the others are answered, as a sentence.
    """

    def __init__(self, at_once_max: int, waiting_max: int, refusal: str) -> None:
        assert at_once_max > 0, "somebody has to be first"
        self._slots = asyncio.Semaphore(at_once_max)
        self._count_max = at_once_max + waiting_max
        self._count = 0
        self._refusal = refusal

    async def __call__(self, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """The result of some work, when there is room.

        Raises:
            Unavailable: `Code.UNAVAILABLE`, when too many wait; what the work raises.
        """
        if self._count >= self._count_max:
            raise Unavailable(Code.UNAVAILABLE, self._refusal)
        self._count += 1
        try:
            async with self._slots:
                return await work()
        finally:
            self._count -= 1
            assert self._count >= 0, "who leaves has come"
