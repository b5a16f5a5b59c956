"""Work in threads beside the event loop.

`MadeOnce` is for a value that not everybody needs. `run_in_thread` is for work that uses something which is
somebody else's again only when the thread has ended it. `LargeWork` is for pure computations on values of
which a few are large: small ones are done in place, since a thread costs more than they do, and large ones by
a thread, so that nobody else waits for them. The interpreter's lock goes round among all threads every
fraction of a millisecond.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar, cast

from hansa.core.errors import Code, HansaError, Unavailable
from hansa.core.measured_work import add_work

SMALL_MAX_BYTES: Final = 16_384
"""Of a value that is worked on in place; at ten microseconds for each of its nodes, at most some ten
milliseconds."""
CHEAP: Final = 8
"""Decoding, encoding and selecting by name take an eighth of that or less: their sizes are divided by
this."""
WAITING_MAX: Final = 64
"""Large values that wait for a thread, of each class of callers."""

T = TypeVar("T")


async def run_in_thread(threads: Executor, work: Callable[[], T], cancel: Callable[[], None]) -> T:
    """What `work` returns, or raises, in one of the threads.

    Whoever is cancelled meanwhile is so only after the thread has noticed: until then it has what it works
    with.

    Args:
        threads: Where it runs.
        work: Blocking.
        cancel: Has `work` end soon; called from this thread.
    """
    running = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # retrieved, so that asyncio does not complain of it
        raise


async def run_refusable(threads: Executor | None, work: Callable[[], T]) -> T:
    """What `work` returns in one of the threads; when it refuses a large value, nothing retains that.

    A future that holds an error whose traceback leads to the future is freed by the collector of cycles
    alone, which comes after many objects, whatever their size: refused values of a megabyte would pile up
    until then.

    Args:
        threads: Where it runs; None: in one of the event loop's own.
        work: Blocking.
    """
    loop = asyncio.get_running_loop()
    result, refusal = await loop.run_in_executor(threads, _result_or_refusal, work)
    if refusal is None:
        return cast("T", result)
    try:
        raise refusal
    finally:
        del refusal


def _result_or_refusal(work: Callable[[], T]) -> tuple[T | None, HansaError | None]:
    try:
        return work(), None
    except HansaError as error:
        return None, error.with_traceback(None)


def unsuspended(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never suspends; also in a thread without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    coroutine.close()
    raise AssertionError("the coroutine suspended")


class MadeOnce(Generic[T]):
    """A value that is made in a thread when somebody first needs it, once for all who need it meanwhile.

    Args:
        make: Makes it; called again by the next who needs it when it has failed.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._value: T | None = None
        self._making: asyncio.Task[T] | None = None

    async def value(self) -> T:
        """The value; whoever leaves meanwhile does not end the making of it."""
        if self._value is not None:
            return self._value
        if self._making is None:
            self._making = asyncio.create_task(asyncio.to_thread(self._make))
        making = self._making
        try:
            self._value = await asyncio.shield(making)
        finally:
            if making.done() and self._making is making:
                self._making = None
        return self._value


class LargeWork:
    """Works on large values in a thread; those of strangers, and those of all others, have one each."""

    def __init__(self) -> None:
        self._threads: dict[bool, ThreadPoolExecutor] = {}
        self._waiting = {False: 0, True: 0}
        self.in_threads = 0
        """How many values have been worked on in a thread."""

    async def run(self, size_bytes: int, work: Callable[[], T], *, is_stranger: bool = False) -> T:
        """What `work` returns, or raises. Whoever needs it is charged for it (`hansa.core.measured_work`).

        Args:
            size_bytes: Of the value, as JSON.
            work: Touches nothing that somebody else may change meanwhile.
            is_stranger: Nobody knows who needs it.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many wait.
        """
        if size_bytes <= SMALL_MAX_BYTES:
            return work()
        if self._waiting[is_stranger] >= WAITING_MAX:
            raise Unavailable(
                Code.OVERLOADED, "Too many large entities are being processed; try again shortly."
            )
        threads = self._threads.get(is_stranger)
        if threads is None:
            threads = self._threads[is_stranger] = ThreadPoolExecutor(1, thread_name_prefix="hansa-large")
        self._waiting[is_stranger] += 1
        self.in_threads += 1
        used_s = 0.0

        def measured() -> T:
            nonlocal used_s
            started_s = time.thread_time()
            try:
                return work()
            finally:
                used_s = time.thread_time() - started_s

        try:
            return await run_refusable(threads, measured)
        finally:
            add_work(used_s)
            self._waiting[is_stranger] -= 1
            assert self._waiting[is_stranger] >= 0, "every value is counted once"
