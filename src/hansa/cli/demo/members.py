"""The processes of a demo league: one `hansa serve` for each member, started and stopped together.

Each runs in a session of its own, so that Ctrl-C reaches the demo alone, and ends when the demo ends, however
that happens. Its log is `serve.log` in its folder. A process that dies is started again, after growing pauses
while that fails; a member that somebody else serves meanwhile is left alone until that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from hansa.cli.client import Client
from hansa.core.backoff import Backoff
from hansa.core.clock import Clock
from hansa.core.errors import EXIT_STATUS, Code, Fatal, HansaError, Refused
from hansa.core.files import read_file
from hansa.node.folder import LOCK, TOKEN
from hansa.node.health import ConditionCode
from hansa.pubsub.engine import require_free_port
from hansa.pubsub.engine.process import dying_with

LOG: Final = "serve.log"
READY_TIMEOUT_S: Final = 60.0
READY_TIMEOUT_PER_MEMBER_S: Final = 15.0
"""Added for each member, because all of them share the machine."""
READY_POLL_MIN_S: Final = 0.1
READY_POLL_MAX_S: Final = 0.5
STOP_TIMEOUT_S: Final = 20.0
RESTART_BACKOFF_MIN_S: Final = 0.5
RESTART_BACKOFF_MAX_S: Final = 30.0
STABLE_AFTER_S: Final = 30.0
"""A process that ran for so long is started again at once when it ends."""
SERVED_POLL_S: Final = 1.0
WITHOUT_LEDGER: Final = frozenset({ConditionCode.LEDGER_NOT_BEGUN, ConditionCode.QUORUM_MISSING})
"""With these a member serves, and a league is not ready."""
LOG_TAIL_BYTES: Final = 8192


class DemoMember(msgspec.Struct, frozen=True):
    """A member of the league."""

    name: str
    folder: Path
    url: str

    @property
    def log(self) -> Path:
        """The log of its process."""
        return self.folder / LOG

    @property
    def token(self) -> str:
        """A bearer token of an operator."""
        path = self.folder / TOKEN
        content = read_file(
            path, f"Make one: hansa token {self.folder} --subject demo --role operator > {path}"
        )
        return content.decode("ascii", errors="replace").strip()


def serving_process(folder: Path) -> int | None:
    """Number of the process that serves a folder, 0 when it is not known; None when no process does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        content = os.read(descriptor, 32).decode(errors="replace").strip()
        return int(content) if content.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


class DemoProcesses:
    """The processes of all members."""

    def __init__(self, members: Sequence[DemoMember], clock: Clock) -> None:
        self._members = tuple(members)
        self._clock = clock
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._is_stopping = False

    def check(self) -> None:
        """Check that all of them can be started.

        Raises:
            Fatal: `Code.FOLDER_IN_USE` or `Code.PORT_IN_USE`.
        """
        for member in self._members:
            process = serving_process(member.folder)
            if process is not None:
                raise Fatal(
                    Code.FOLDER_IN_USE,
                    f"{member.folder} is being served by process {process or '(unknown)'}. Stop that demo or "
                    "`hansa serve`, or choose another folder with --dir and another --base-port.",
                )
        for member in self._members:
            host, _, port = member.url.partition("://")[2].partition(":")
            try:
                require_free_port(int(port), f"HTTP of {member.name}", host)
            except Fatal as error:
                reason = error.message.partition(". ")[0]
                raise Fatal(
                    error.code,
                    f"{reason}. Stop the other program, or make a league at other ports with --dir and "
                    "--base-port.",
                ) from error

    async def start(self) -> None:
        """Start all of them."""
        for member in self._members:
            await self._start(member)

    async def _start(self, member: DemoMember) -> None:
        try:
            log = member.log.open("ab")
        except OSError as error:
            raise Fatal(
                Code.SETTINGS_INVALID, f"{member.log} cannot be written: {error.strerror}."
            ) from error
        with log:
            self._running[member.name] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hansa.cli",
                "serve",
                str(member.folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dying_with(os.getpid()),
            )

    async def keep_running(self, report: Callable[[str], None]) -> None:
        """Start members again whose processes end, until cancelled.

        Args:
            report: Gets a line about each end and each failed start.
        """
        await asyncio.gather(*(self._keep_running(member, report) for member in self._members))

    async def _keep_running(self, member: DemoMember, report: Callable[[str], None]) -> None:
        backoff = Backoff(RESTART_BACKOFF_MIN_S, RESTART_BACKOFF_MAX_S)
        while True:
            started_at_s = self._clock.monotonic()
            status = await self._running[member.name].wait()
            if self._is_stopping:
                return
            if self._clock.monotonic() - started_at_s >= STABLE_AFTER_S:
                backoff.reset()
            pause_s = backoff.next_s()
            report(f"{member.name} ended ({ending(status)}); it is started again. Its log: {member.log}")
            await self._clock.sleep(pause_s)
            while serving_process(member.folder) is not None:
                await self._clock.sleep(SERVED_POLL_S)
            try:
                await self._start(member)
            except (HansaError, OSError) as error:
                report(f"{member.name} cannot be started: {error}")

    async def wait_until_ready(self) -> None:
        """Wait until all of them are ready.

        Raises:
            HansaError: when one ends instead or takes too long; the message says why.
        """
        failure: HansaError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for member in self._members:
                    group.create_task(self._wait_until_ready(member))
        except* HansaError as errors:
            failure = next(error for error in errors.exceptions if isinstance(error, HansaError))
        if failure is not None:
            raise failure

    async def _wait_until_ready(self, member: DemoMember) -> None:
        timeout_s = READY_TIMEOUT_S + READY_TIMEOUT_PER_MEMBER_S * len(self._members)
        deadline_s = self._clock.monotonic() + timeout_s
        backoff, reasons = Backoff(READY_POLL_MIN_S, READY_POLL_MAX_S), "it does not answer"
        async with Client(member.url, member.token, connections_max=1) as client:
            while True:
                status = self.exit_status(member)
                if status is not None:
                    raise _failed(member, status)
                with contextlib.suppress(HansaError):
                    response = await client.request("GET", "/readyz", timeout_s=5.0)
                    content = response.json()
                    content = content if isinstance(content, dict) else {}
                    if response.status == 200 and WITHOUT_LEDGER.isdisjoint(content.get("conditions") or ()):
                        return
                    if isinstance(content.get("reasons"), list):
                        reasons = "; ".join(map(str, content["reasons"]))
                if self._clock.monotonic() >= deadline_s:
                    raise Fatal(
                        Code.ENGINE_FAILED,
                        f"{member.name} was not ready after {timeout_s:g} s: {reasons}. "
                        f"Its log is {member.log}; hansa doctor {member.folder} may know more.",
                    )
                await self._clock.sleep(backoff.next_s())

    def exit_status(self, member: DemoMember) -> int | None:
        """Exit status of a member's process; None while it runs."""
        process = self._running.get(member.name)
        return process.returncode if process is not None else None

    async def stop(self) -> None:
        """Stop all that run: with SIGTERM, and after `STOP_TIMEOUT_S` with SIGKILL."""
        self._is_stopping = True
        running = [process for process in self._running.values() if process.returncode is None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await asyncio.gather(*(process.wait() for process in running))
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End all that run with SIGKILL, with all processes of their sessions."""
        for process in self._running.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        await asyncio.gather(*(process.wait() for process in self._running.values()))


def ending(status: int) -> str:
    """How a process ended, in words."""
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    code = next((code for code, number in EXIT_STATUS.items() if number == status), None)
    return f"exit status {status}" + (f", {code}" if code else "")


def _failed(member: DemoMember, status: int) -> HansaError:
    """The error for a process that ended: its last message, and the code that belongs to its exit status."""
    code = next((code for code, number in EXIT_STATUS.items() if number == status), Code.ENGINE_FAILED)
    reason = last_message(member.log) or f"exit status {status}"
    return Refused(code, f"{member.name} did not start: {reason} (log: {member.log})")


def last_message(log: Path) -> str | None:
    """The last line of a log that is not a structured record; None when there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    return next((line for line in reversed(lines) if line.strip() and not line.startswith("{")), None)
