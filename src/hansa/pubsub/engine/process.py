"""A child process that is restarted whenever it ends.

    stopped ── start ──▶ running ── exits ──▶ ending ──▶ backing off ── time is up ──▶ running
       ▲                    │                     │
       └─────── stop ───────┴─────────────────────┤
                                                  └── failed too often ──▶ failed

A child that exits, for whatever reason, is started again. The pause before that doubles from
`restart_backoff_min_s` to `restart_backoff_max_s` while starts keep failing, and begins anew after the child
ran for `stable_after_s`. With `failures_max` set, so many failures in a row end the attempts.

To stop, the child gets SIGTERM and, when it has not ended after `stop_timeout_s`, SIGKILL with everything it
started. A child never outlives this process, however this process ends (on Linux the kernel sees to it).
It runs in a session of its own, so that Ctrl-C in a terminal reaches the parent alone, which then stops its
children in the right order.

The child's output is read here line by line. The pipe is large, so that a busy parent does not hold up the
child.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.backoff import backoff_s
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, HansaError
from hansa.pubsub.engine.relay import LineRelay

PIPE_SIZE_BYTES: Final = 1_048_576
LINE_SIZE_MAX_BYTES: Final = 16_384
LAST_LINES_MAX: Final = 20
OUTPUT_END_TIMEOUT_S: Final = 1.0
"""How long to read on after the child's end: a process that escaped its group may hold the pipe open."""

PR_SET_PDEATHSIG: Final = 1
"""`prctl(2)`."""


class ChildState(StrEnum):
    """State of a supervised child."""

    STOPPED = "stopped"
    RUNNING = "running"
    ENDING = "ending"
    """It has ended by itself, and the rest of its output is being read."""
    BACKING_OFF = "backing-off"
    FAILED = "failed"


class ChildSpec(msgspec.Struct, frozen=True):
    """What to run, and its time limits."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    """Its working folder."""
    environment: Mapping[str, str]
    """All of its environment; nothing is inherited."""
    stop_timeout_s: float = 10.0
    restart_backoff_min_s: float = 0.2
    restart_backoff_max_s: float = 15.0
    stable_after_s: float = 10.0
    failures_max: int | None = None
    """Failures in a row after which it is not started again; None: no limit."""
    final_statuses: frozenset[int] = frozenset()
    """Exit statuses after which starting it again is no use."""


class Exit(msgspec.Struct, frozen=True):
    """How a run of the child ended."""

    status: int
    """Its exit status, or minus the number of the signal that ended it."""
    uptime_s: float
    is_requested: bool
    """Whether `stop` ended it."""


class Supervised:
    """Runs a child, restarts it when it ends, and stops it.

    Args:
        spec: What to run.
        clock: For back-off and time limits.
        logger: Gets a line for every start, exit and kill.
        relay: Gets every line of output.
        before_start: Runs before every start, for what has to be in place first (a stale socket removed, a
            neighbour up). Raising a `HansaError` counts as a failed start.
        on_exit: Called with every exit.
    """

    def __init__(
        self,
        spec: ChildSpec,
        clock: Clock,
        logger: FilteringBoundLogger,
        relay: LineRelay,
        *,
        before_start: Callable[[], Awaitable[None]] | None = None,
        on_exit: Callable[[Exit], None] | None = None,
    ) -> None:
        self.spec = spec
        self._clock = clock
        self._logger = logger.bind(child=spec.name)
        self._relay = relay
        self._before_start = before_start
        self._on_exit = on_exit
        self._state = ChildState.STOPPED
        self._process: asyncio.subprocess.Process | None = None
        self._output: OutputLines | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._starts = 0
        self._is_killed = False
        """Whether the child of this start is to be killed."""
        self._started_at_s = 0.0
        self._failures = 0
        self.last_exit: Exit | None = None
        """How the latest run ended; None before the first end."""
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES_MAX)

    @property
    def state(self) -> ChildState:
        """The state of the child."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process id of the running child; None when it does not run."""
        return self._process.pid if self._process is not None and self._state is ChildState.RUNNING else None

    @property
    def cpu_s(self) -> float | None:
        """Processor time that the running child has used, in seconds; None when that is not known."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return None

    @property
    def starts(self) -> int:
        """Number of starts so far."""
        return self._starts

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The latest lines of output, for a message about a failure."""
        return tuple(self._last_lines)

    async def start(self) -> None:
        """Start the child and keep it running.

        Raises:
            HansaError: of `before_start`; or `Fatal` with `Code.ENGINE_FAILED`, when it cannot be executed.
        """
        assert self._task is None or self._task.done(), f"{self.spec.name} is already supervised"
        self._stop.clear()
        self._failures = 0
        await self._begin()
        if self._process is not None:
            self._task = asyncio.get_running_loop().create_task(
                self._supervise(), name=f"supervise-{self.spec.name}"
            )

    async def stop(self) -> None:
        """Stop the child and wait until it has ended; without effect when there is none."""
        self._stop.set()
        if self._task is not None:
            await asyncio.shield(self._task)

    def kill(self) -> None:
        """Kill the child if it runs or is being started; it is started again as after any other end."""
        self._is_killed = True
        if self._process is not None:
            self._signal(self._process, signal.SIGKILL)

    async def wait_until_ended(self) -> None:
        """Wait until the child was stopped, or raise what made it fail for good.

        Raises:
            Fatal: `Code.ENGINE_FAILED`, with the child's last lines.
        """
        if self._task is not None:
            await asyncio.shield(self._task)
        if self._state is ChildState.FAILED:
            raise self._failure()

    # -- the supervising task --------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        try:
            while True:
                await self._watch()
                if self._stop.is_set() or self._is_final() or not await self._begin_again():
                    return
        finally:
            await self._end(signal.SIGKILL)
            if self._state is not ChildState.FAILED:
                self._state = ChildState.STOPPED

    async def _watch(self) -> None:
        """Wait until the child has ended, by itself or on request."""
        process = self._process
        assert process is not None
        await self._unless_stopped(process.wait())
        is_requested = self._stop.is_set()
        if not is_requested:
            self._state = ChildState.ENDING
        await self._end(signal.SIGTERM)
        uptime_s = self._clock.monotonic() - self._started_at_s
        self.last_exit = Exit(cast("int", process.returncode), round(uptime_s, 3), is_requested)
        self._failures = 1 if uptime_s >= self.spec.stable_after_s else self._failures + 1
        log = self._logger.info if is_requested else self._logger.error
        log("child_ended", status=process.returncode, uptime_s=self.last_exit.uptime_s)
        if self._on_exit is not None:
            self._on_exit(self.last_exit)

    def _is_final(self) -> bool:
        """Whether the child ended with a status after which it is not started again."""
        if self.last_exit is None or self.last_exit.status not in self.spec.final_statuses:
            return False
        self._state = ChildState.FAILED
        self._logger.error("child_given_up", status=self.last_exit.status)
        return True

    async def _begin_again(self) -> bool:
        """Start the child after a pause, and after longer ones while that fails; False when it shall end."""
        while True:
            if self.spec.failures_max is not None and self._failures >= self.spec.failures_max:
                self._state = ChildState.FAILED
                self._logger.error("child_given_up", failures=self._failures)
                return False
            self._state = ChildState.BACKING_OFF
            pause_s = backoff_s(
                self._failures, self.spec.restart_backoff_min_s, self.spec.restart_backoff_max_s
            )
            await self._unless_stopped(self._clock.sleep(pause_s))
            if not self._stop.is_set():
                try:
                    await self._begin()
                except HansaError as error:
                    self._failures += 1
                    self._logger.error("child_not_started", code=error.code, reason=error.message)
                    continue
            return self._process is not None

    async def _begin(self) -> None:
        """Start the child, unless a stop is requested meanwhile."""
        if self._before_start is not None:
            await self._unless_stopped(as_coroutine(self._before_start()))
            if self._stop.is_set():
                return
        output, write_end = await OutputLines.open(self._receive_line)
        self._is_killed = False
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                cwd=self.spec.folder,
                env=dict(self.spec.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
                preexec_fn=dying_with(os.getpid()),
            )
        except OSError as error:
            output.close()
            raise Fatal(
                Code.ENGINE_FAILED,
                f"{self.spec.name} cannot be started ({self.spec.argv[0]}): {error.strerror}.",
            ) from error
        finally:
            os.close(write_end)
        self._output = output
        if self._is_killed:  # by something in its output, which came before the process was known here
            self._signal(self._process, signal.SIGKILL)
        self._starts += 1
        self._started_at_s = self._clock.monotonic()
        self._state = ChildState.RUNNING
        self._logger.info("child_started", pid=self._process.pid, starts=self._starts)

    async def _end(self, first_signal: signal.Signals) -> None:
        """End the child and read the rest of its output."""
        process, output = self._process, self._output
        if process is None or output is None:
            return
        if process.returncode is None:
            self._signal(process, first_signal)
            await first_of(process.wait(), self._clock.sleep(self.spec.stop_timeout_s))
        if process.returncode is None:
            self._logger.error("child_killed", pid=process.pid, stop_timeout_s=self.spec.stop_timeout_s)
        # Also after its end: processes that it started must not go on and hold its ports and sockets.
        self._signal_group(process, signal.SIGKILL)
        await process.wait()
        await first_of(output.finished(), self._clock.sleep(OUTPUT_END_TIMEOUT_S))
        output.close()
        self._process = self._output = None

    def _signal(self, process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    def _signal_group(self, process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)

    async def _unless_stopped(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        await first_of(coroutine, self._stop.wait())

    def _receive_line(self, line: str) -> None:
        self._last_lines.append(line)
        self._relay(line)

    def _failure(self) -> Fatal:
        status = "was not started" if self.last_exit is None else f"ended with status {self.last_exit.status}"
        output = "".join(f"\n    {line[:200]}" for line in self.last_lines[-5:])
        return Fatal(
            Code.ENGINE_FAILED,
            f"{self.spec.name} {status}, {self._failures} times in a row. Its last output:{output}",
        )


# -- output --------------------------------------------------------------------------------------------------


class OutputLines(asyncio.Protocol):
    """The reading end of a child's output: passes on complete lines; an overlong one is cut."""

    def __init__(self, receive_line: Callable[[str], None]) -> None:
        self._receive_line = receive_line
        self._partial = bytearray()
        self._is_dropping = False
        self._transport: asyncio.ReadTransport | None = None
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, receive_line: Callable[[str], None]) -> tuple[OutputLines, int]:
        """A pipe: its reading end, at work, and the descriptor of its writing end; the caller closes that."""
        read_end, write_end = large_pipe()
        loop = asyncio.get_running_loop()
        _, protocol = await loop.connect_read_pipe(lambda: cls(receive_line), read_end)
        return protocol, write_end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is being read."""
        self._transport = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Some output."""
        *complete, rest = data.split(b"\n")
        for chunk in complete:
            self._append(chunk)
            if not self._is_dropping:
                self._flush()
            self._is_dropping = False
        self._append(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Every writer has closed its end."""
        del exc  # nothing more can be read of a broken pipe
        if self._partial:
            self._flush()
        if not self._end.done():
            self._end.set_result(None)

    async def finished(self) -> None:
        """Wait for the end of the output."""
        await self._end

    def close(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.close()

    def _append(self, chunk: bytes) -> None:
        if self._is_dropping:
            return
        self._partial += chunk
        if len(self._partial) > LINE_SIZE_MAX_BYTES:
            del self._partial[LINE_SIZE_MAX_BYTES:]
            self._flush()
            self._is_dropping = True

    def _flush(self) -> None:
        line = self._partial.decode(errors="replace").rstrip("\r")
        self._partial.clear()
        self._receive_line(line)


# -- the operating system ------------------------------------------------------------------------------------


def large_pipe() -> tuple[BinaryIO, int]:
    """The two ends of a pipe that holds more than the usual 64 kB, where the system allows it."""
    read_end, write_end = os.pipe()
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # beyond the user's share of pipe memory it keeps its usual size
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE_SIZE_BYTES)
    return os.fdopen(read_end, "rb", buffering=0), write_end


def dying_with(parent_pid: int) -> Callable[[], None] | None:
    """What a new child does first: ask the kernel to kill it when its parent ends; Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def request_signal() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent_pid:  # it ended before the request
            os._exit(1)

    return request_signal


async def first_of(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Wait for the first of several to end; the others are cancelled. An error of the first is raised."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def as_coroutine(awaitable: Awaitable[None]) -> None:
    """An awaitable as a coroutine."""
    await awaitable
