"""Background tasks, which are started again when they end.

    running ── fails or ends ──▶ waiting ── time is up ──▶ running

A task is a coroutine that runs until it is cancelled. One that fails, or ends by itself, is logged and
started again after a pause that doubles up to `backoff_max_s`, and begins anew once a task ran for
`STABLE_AFTER_S`. All of them are reported by `/readyz` and `/metrics`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.backoff import Backoff
from hansa.core.clock import Clock
from hansa.core.errors import HansaError

BACKOFF_MIN_S: Final = 0.2
STABLE_AFTER_S: Final = 30.0


class TaskState(msgspec.Struct, frozen=True):
    """The state of a background task."""

    name: str
    is_running: bool
    restarts: int
    problem: str | None
    """What ended it last."""


class BackgroundTasks:
    """The background tasks of a marketplace."""

    def __init__(self, clock: Clock, logger: FilteringBoundLogger, backoff_max_s: float) -> None:
        self._clock = clock
        self._logger = logger
        self._backoff_max_s = backoff_max_s
        self._runs: dict[str, Callable[[], Awaitable[None]]] = {}
        self._states: dict[str, TaskState] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Add a coroutine that is run from `start` on, and again whenever it ends."""
        assert name not in self._runs, f"there is a task {name} already"
        self._runs[name] = run
        self._states[name] = TaskState(name, is_running=False, restarts=0, problem=None)

    def start(self) -> None:
        """Start all of them."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._keep_running(name, run), name=name) for name, run in self._runs.items()
        ]

    async def stop(self) -> None:
        """Cancel all of them and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @property
    def states(self) -> tuple[TaskState, ...]:
        """All tasks, in the order in which they were added."""
        return tuple(self._states.values())

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(BACKOFF_MIN_S, self._backoff_max_s)
        while True:
            started_at_s = self._clock.monotonic()
            self._set(name, is_running=True)
            problem = await self._run(name, run)
            if self._clock.monotonic() - started_at_s >= STABLE_AFTER_S:
                backoff.reset()
            self._set(name, is_running=False, problem=problem)
            await self._clock.sleep(backoff.next_s())
            self._set(name, is_restart=True)

    async def _run(self, name: str, run: Callable[[], Awaitable[None]]) -> str:
        """Run it once; what ended it."""
        try:
            await run()
        except HansaError as error:
            self._logger.error("task_failed", task=name, code=error.code, reason=error.message)
            return f"{error.code}: {error.message}"
        except Exception as error:
            self._logger.exception("task_crashed", task=name)
            return type(error).__name__
        self._logger.error("task_ended", task=name)
        return "ended by itself"

    def _set(
        self, name: str, *, is_running: bool = False, problem: str | None = None, is_restart: bool = False
    ) -> None:
        state = self._states[name]
        self._states[name] = TaskState(
            name, is_running, state.restarts + is_restart, problem if problem is not None else state.problem
        )
