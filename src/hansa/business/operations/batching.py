"""Requests that arrive together go through their stages together.

A request that is processed alone runs through much different code, and each part of it finds the processor's
caches full of the others. So the requests of one turn of the event loop form a *batch*; then every stage does
its work for all of them, one after the other, before the next stage begins.

States of a pipeline: *idle*; *filling*, while every turn of the loop adds requests and the batch is not full
(`hansa.core.batching`); *running*. A request leaves the pipeline with the outcome that a stage returns, or
with its error, which touches no other request.

Stages are coroutines, awaited in place. With SQLite none of them suspends, so that a batch runs within one
step of the event loop: nothing else happens between two stages, and what one of them read from the store
still holds in the next. A store that does suspend has to hold by its own means what a later stage relies on
(a transaction or a snapshot around the batch, or a check at the write); requests that arrive meanwhile form
the next batch, which begins when this one is through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from hansa.core.batching import BATCH_SIZE_MAX, BatchGrowth
from hansa.core.errors import HansaError


class StageOutcome(Enum):
    """What becomes of a request after a stage."""

    CONTINUE = auto()
    """The next stage follows."""
    DONE = auto()
    """No stage follows. The stage has completed the item's `done`, or has handed it to whoever completes it.
    """
    SLOW_PATH = auto()
    """No stage follows, and nothing is completed: the request needs what cannot be done for many together."""


CONTINUE: Final = StageOutcome.CONTINUE
DONE: Final = StageOutcome.DONE
SLOW_PATH: Final = StageOutcome.SLOW_PATH
# As constants of the module, since every stage of every request returns one: a member of an enumeration is
# looked up more slowly.


class BatchItem:
    """One request in a batch."""

    __slots__ = ("done", "outcome")

    done: asyncio.Future[HansaError | None]
    """Completed when the request has left the pipeline and is durable; with its error, when it failed."""
    outcome: StageOutcome


Item = TypeVar("Item", bound=BatchItem)
Stage = Callable[[Item], Awaitable[StageOutcome]]


class BatchPipeline(Generic[Item]):
    """The stages of one kind of request."""

    def __init__(self, stages: Sequence[Stage[Item]]) -> None:
        """Take the stages in their order; the last one never returns `CONTINUE`."""
        self._stages = tuple(stages)
        self._filling: list[Item] = []
        self._growth = BatchGrowth()
        self._runner: asyncio.Task[None] | None = None

    async def run(self, item: Item) -> StageOutcome:
        """Take a request through the stages, together with others that arrive; `DONE` or `SLOW_PATH`.

        Raises:
            HansaError: What it failed with.
        """
        loop = asyncio.get_running_loop()
        item.done = loop.create_future()
        item.outcome = CONTINUE
        self._filling.append(item)
        if self._runner is None:
            self._growth.restart(1)
            self._runner = loop.create_task(self._run_batches())
        failure = await item.done
        if failure is not None:
            raise failure
        assert item.outcome is not CONTINUE, "a request leaves with an outcome"
        return item.outcome

    async def _run_batches(self) -> None:
        """Run batches until nobody waits; the first step is one turn of the loop after the first request."""
        batch: list[Item] = []
        try:
            while True:
                while self._growth.is_growing(len(self._filling)):  # noqa: ASYNC110 - it counts turns of the loop
                    await asyncio.sleep(0)
                batch, self._filling = self._filling[:BATCH_SIZE_MAX], self._filling[BATCH_SIZE_MAX:]
                await self._run_stages(batch)
                if not self._filling:
                    return
                self._growth.restart(len(self._filling))
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            # The loop is closing: nobody is left waiting for a stage that never runs.
            abandoned, self._filling = (*batch, *self._filling), []
            for item in abandoned:
                if item.outcome is CONTINUE:
                    item.done.cancel()
            raise
        finally:
            self._runner = None

    async def _run_stages(self, batch: Sequence[Item]) -> None:
        for stage in self._stages:
            for item in batch:
                if item.outcome is not CONTINUE or item.done.done():
                    continue
                try:
                    item.outcome = await stage(item)
                except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits gets it
                    item.outcome = DONE
                    _fail(item.done, error)
                else:
                    if item.outcome is SLOW_PATH and not item.done.done():
                        item.done.set_result(None)


def _fail(done: asyncio.Future[HansaError | None], error: Exception) -> None:
    if done.done():  # whoever waits has its result already
        asyncio.get_running_loop().call_exception_handler({"message": "a stage failed", "exception": error})
    elif isinstance(error, HansaError):
        done.set_result(error)
    else:
        done.set_exception(error)
