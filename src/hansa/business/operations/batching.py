"""Requests that come together go through their stages together.

A request that is worked off at once runs through much different code, and each part of it finds the processor's caches full of
the others. So the requests of one turn of the event loop *gather*; then every stage does its work for all of them, one
behind the other, before the next stage begins.

States of a gathering: *empty*; *open*, while every turn of the loop brings more and there are not enough yet; *running*, within
one turn: nothing else happens between two stages, so what a stage found out of the store still holds in the next. One that
fails in a stage leaves with its error, which touches nobody else. One whose `done` is done after a stage leaves too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from hansa.core.errors import HansaError

ENOUGH: Final = 16
"""So many run together, and no more, since others want their turn of the loop; it is as many as the store commits together."""


class BatchItem:
    """One request on its way."""

    __slots__ = ("done",)

    done: asyncio.Future[HansaError | None]
    """Done when it has gone as far as it goes together with others; with its error, when it failed."""


Item = TypeVar("Item", bound=BatchItem)


class BatchPipeline(Generic[Item]):
    """Requests of one kind."""

    def __init__(self, stages: Sequence[Callable[[Item], None]]) -> None:
        """Nothing has come yet.

        Args:
            stages: What is done with each, in this order. The last one, or whom it hands it to, has to see to `done`.
        """
        self._stages = tuple(stages)
        self._open: list[Item] = []

    async def take(self, item: Item) -> None:
        """Take a request through the stages, together with what else comes; returns when it is done.

        Raises:
            HansaError: What it failed with.
        """
        loop = asyncio.get_running_loop()
        item.done = loop.create_future()
        self._open.append(item)
        if len(self._open) == 1:
            loop.call_soon(self._run_unless_growing, 1)
        failure = await item.done
        if failure is not None:
            raise failure

    def _run_unless_growing(self, before: int) -> None:
        """Begin, unless others have come during this turn of the loop: then more may come during the next."""
        count = len(self._open)
        if before < count < ENOUGH:
            asyncio.get_running_loop().call_soon(self._run_unless_growing, count)
            return
        together, self._open = self._open[:ENOUGH], self._open[ENOUGH:]
        if self._open:
            asyncio.get_running_loop().call_soon(self._run_unless_growing, len(self._open))
        self._run(together)

    def _run(self, together: Sequence[Item]) -> None:
        for stage in self._stages:
            for item in together:
                if item.done.done():
                    continue
                try:
                    stage(item)
                except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits has to hear it
                    _fail(item.done, error)


def _fail(done: asyncio.Future[HansaError | None], error: Exception) -> None:
    if done.done():  # who waits has heard of something else meanwhile
        asyncio.get_running_loop().call_exception_handler({"message": "a stage failed", "exception": error})
    elif isinstance(error, HansaError):
        done.set_result(error)
    else:
        done.set_exception(error)
