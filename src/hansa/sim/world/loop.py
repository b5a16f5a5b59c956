"""An event loop whose time is simulated, and on which everything happens in one order.

While any task can run, time stands still; when none can, it jumps to the next timer. Work for threads is done
in place. Tasks have numbers as their hashes, so that even sets of tasks have one order in every run.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from hansa.core.clock import Clock

T = TypeVar("T")

START: Final = datetime(2026, 1, 1, tzinfo=UTC)


class StuckError(AssertionError):
    """Everybody waits for something that will never happen."""


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where it is in memory."""

    _numbers = itertools.count()

    def __init__(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: when the loop would wait, its time jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("Everybody waits, and no timer runs.")
        self.elapsed_s += max(0.0, timeout)
        return []


class SimulationLoop(asyncio.SelectorEventLoop):
    """The loop of one simulated league."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self.unhandled: list[str] = []
        """What was raised, and handled by nobody."""
        super().__init__(self._jumping)
        self.set_task_factory(_new_task)

    def time(self) -> float:
        """Simulated seconds since the loop was made."""
        return self._jumping.elapsed_s

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, work: Callable[..., T], *arguments: Any
    ) -> asyncio.Future[T]:
        """Do the work in place; it is done one turn later."""
        del executor
        result: asyncio.Future[T] = self.create_future()
        try:
            value = work(*arguments)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self.call_soon(_complete, result, None, error)
        else:
            self.call_soon(_complete, result, value, None)
        return result


def _complete(result: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if result.done():
        return
    if error is None:
        result.set_result(value)
    else:
        result.set_exception(error)


def _new_task(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    return _Task(coroutine, loop=loop, **options)


def _raise(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody handles ends the simulation."""
    assert isinstance(loop, SimulationLoop), "it is the handler of one"
    loop.unhandled.append(str(context.get("exception") or context["message"]))


class SimulatedClock:
    """The `Clock` of a simulated league: the time of its loop."""

    def __init__(self, loop: SimulationLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """The time of day, UTC, in milliseconds."""
        return START + timedelta(milliseconds=int(self._loop.time() * 1000))

    def monotonic(self) -> float:
        """Simulated seconds."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait; for nothing: let the others run."""
        await asyncio.sleep(max(0.0, seconds))


class MemberClock:
    """The `Clock` of one member, whose time of day may be wrong.

    Args:
        clock: The league's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = timedelta()
        self.was_wrong = False
        """Whether its time of day ever was."""

    def set_offset(self, seconds: float) -> None:
        """Step to a time of day that is so much later than the league's."""
        self._offset = timedelta(seconds=seconds)
        self.was_wrong |= seconds != 0.0

    def now(self) -> datetime:
        """The time of day, UTC, as this member has it."""
        return self._clock.now() + self._offset

    def monotonic(self) -> float:
        """Simulated seconds, which no step changes."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; for nothing: let the others run."""
        await self._clock.sleep(seconds)


def run_simulated(main: Callable[[SimulationLoop], Coroutine[Any, Any, T]]) -> T:
    """What a coroutine returns on a loop of its own."""
    loop = SimulationLoop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_raise)
    _Task._numbers = itertools.count()  # noqa: SLF001 - a run begins with the same numbers
    try:
        return loop.run_until_complete(main(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
