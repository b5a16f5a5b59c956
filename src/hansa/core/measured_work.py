"""How much work a request makes: the time that its coroutine runs on the event loop, and what is added to it.

A coroutine runs in steps, from one suspension to the next; the time between them belongs to others.
`MeasuredWork` drives a coroutine and adds up the time of its steps. Whoever does work for a request
elsewhere, as in a thread, adds that with `add_work` in a step of the same coroutine.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Current:
    """The work whose step runs now; there is one at most, because a step is not suspended."""

    work: MeasuredWork[Any] | None = None


def add_work(seconds: float) -> None:
    """Add time that was spent elsewhere to the work whose step runs now, if there is one."""
    assert seconds >= 0, "work takes time"
    if _Current.work is not None:
        _Current.work.seconds += seconds


class MeasuredWork(Generic[T]):
    """Drives a coroutine when it is awaited, and measures it.

    Args:
        coroutine: What is done.
        monotonic: Seconds since some fixed moment.
    """

    __slots__ = ("_coroutine", "_monotonic", "seconds")

    def __init__(self, coroutine: Coroutine[Any, Any, T], monotonic: Callable[[], float]) -> None:
        self._coroutine = coroutine
        self._monotonic = monotonic
        self.seconds = 0.0
        """Of work so far."""

    def __await__(self) -> Generator[Any, Any, T]:
        """The result of the coroutine, or its exception."""
        coroutine, monotonic = self._coroutine, self._monotonic
        failure: BaseException | None = None
        while True:
            outer, _Current.work = _Current.work, self
            started_s = monotonic()
            try:
                waits_for = coroutine.send(None) if failure is None else coroutine.throw(failure)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.seconds += monotonic() - started_s
                _Current.work = outer
            failure = None
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's, as a cancellation
                failure = error
