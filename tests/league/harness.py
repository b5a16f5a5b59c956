"""A league of real processes for tests: made in a folder, started, looked at, killed, started again.

Every member is `hansa serve` with its two children. Its log is in `<name>.log` beside its folder, and the end
of it is part of the message when waiting for something takes too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import msgspec

from hansa.core.clock import SystemClock
from hansa.core.files import write_file
from hansa.node.folder import LEDGER, PROVIDER_KEYS
from hansa.node.folder.demo_league import HOST, create_or_resume_league
from hansa.node.settings.setting import Value
from hansa.pubsub.engine import RPC_SOCKET, SocketFolder
from tests.support.provider_keys import provider_key_file

CLOCK: Final = SystemClock()
SERVE: Final = (sys.executable, "-m", "hansa.cli", "serve")
READY_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.05
LOG_TAIL_LINES: Final = 25
WORKERS_APART: Final = 61
"""In steps of 64 ports; the engines' ports are a thousand above those of HTTP."""
LOG_LINE_MAX_CHARS: Final = 240
SHOWN_OF_STATUS: Final = (
    "height",
    "position",
    "peers",
    "catching_up",
    "followed_to",
    "unpublished",
    "refused",
    "pending",
    "failed",
    "evidence",
    "reasons",
)
"""What of `/league/v1/status` a failed test shows of a member."""
OFFERINGS: Final = "/tmf-api/productCatalogManagement/v4/productOffering"
UNANSWERED: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""Of whoever does not answer: it does not run, or is starting."""

Role = Literal["serve", "ledger", "cometbft"]
"""The three kinds of process that a member has."""
ROLES: Final[tuple[Role, ...]] = ("serve", "ledger", "cometbft")


class Answer:
    """What a member answered."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


class RunningMember:
    """One marketplace of the league.

    Args:
        folder: Its folder.
        port: Where it serves HTTP.
        session: For requests to it.
        host: Where it serves HTTP.
        launcher: What its command line begins with, as `ip netns exec NAME`.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        session: aiohttp.ClientSession,
        host: str = HOST,
        launcher: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.name = folder.name
        self.port = port
        self.url = f"http://{host}:{port}"
        self._launcher = launcher
        self.log = folder.with_name(f"{folder.name}.log")
        self.process: asyncio.subprocess.Process | None = None
        self._session = session

    @property
    def token(self) -> str:
        """A bearer token of the operator."""
        return (self.folder / "token").read_text().strip()

    # -- asking ---------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        with_token: bool = False,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send a request; `body` is sent as JSON unless it is bytes.

        Raises:
            TimeoutError: when there is no answer within `timeout_s`, by default that of the session.
        """
        sent = dict(headers or {})
        if with_token:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        async with (
            asyncio.timeout(timeout_s),
            self._session.request(method, self.url + path, data=data, headers=sent) as answer,
        ):
            return Answer(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any) -> Answer:
        """POST with the operator's token."""
        return await self.request("POST", path, body, with_token=True)

    async def create_offering(self, **attributes: Any) -> str:
        """Create a public offering; its identifier."""
        answer = await self.post(
            OFFERINGS, {"name": "an offering", "lifecycleStatus": "Launched", **attributes}
        )
        assert answer.status == 201, answer.body
        return str(answer.json()["id"])

    async def has(self, path: str) -> bool:
        """Whether a GET of this path is answered 200 now."""
        try:
            return (await self.get(path)).status == 200
        except UNANSWERED:
            return False

    async def is_ready(self) -> bool:
        """Whether it calls itself ready."""
        return await self.has("/readyz")

    async def status(self) -> Any:
        """`/league/v1/status`, as an operator reads it.

        What it says of the ledger may be half a second old: whoever has just done something waits for what it
        led to.

        Raises:
            ConnectionError: it answers that it cannot answer now.
        """
        answer = await self.get("/league/v1/status", with_token=True)
        if answer.status == 503:
            raise ConnectionError(f"{self.name} has no status now: {answer.body[:200]!r}")
        assert answer.status == 200, answer.body
        return answer.json()

    async def pid(self, role: Role) -> int:
        """Number of a process; 0 while it does not run."""
        assert self.process is not None
        if role == "serve":
            return self.process.pid
        children = (await self.status())["children"]
        return next(child["pid"] for child in children if child["name"] == role) or 0

    async def pids(self) -> tuple[int, ...]:
        """Numbers of all its processes that run."""
        return tuple(pid for pid in [await self.pid(role) for role in ROLES] if pid)

    # -- running --------------------------------------------------------------------------------------------------

    async def start(
        self, environment: Mapping[str, str] | None = None, command: Sequence[str] = SERVE
    ) -> None:
        """Start `hansa serve`, or what a test puts in its place; does not wait for it."""
        assert self.process is None or self.process.returncode is not None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._launcher,
                *command,
                str(self.folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

    async def wait_until_ready(self) -> None:
        """Wait until it calls itself ready."""

        async def is_ready_or_ended() -> bool:
            assert self.process is not None
            assert self.process.returncode is None, f"{self.name} ended:\n{self.log_tail()}"
            return await self.is_ready()

        await wait_until(is_ready_or_ended, f"{self.name} is ready", READY_TIMEOUT_S, [self])

    async def run_to_end(
        self, environment: Mapping[str, str] | None = None, command: Sequence[str] = SERVE
    ) -> tuple[int, str]:
        """Run `hansa serve` when it is expected to end by itself: exit status and what it said."""
        process = await asyncio.create_subprocess_exec(
            *command,
            str(self.folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                _, said = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"{self.name} runs, although it should refuse to") from None
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def kill(self, role: Role) -> None:
        """SIGKILL one of its processes. Children of `hansa serve` end a moment after it."""
        await self._signal(role, signal.SIGKILL)
        if role == "serve":
            assert self.process is not None
            await self.process.wait()

    async def kill_whole(self) -> None:
        """SIGKILL `hansa serve`, and wait for the end of its children: nobody has its folder any more."""
        pids = await self.pids()
        await self.kill("serve")

        async def have_ended() -> bool:
            return not any(map(is_running, pids))

        await wait_until(have_ended, f"the processes of {self.name} have ended", STOP_TIMEOUT_S)

    async def hang(self, role: Role) -> None:
        """Have one of its processes live on without doing anything."""
        await self._signal(role, signal.SIGSTOP)

    async def wake(self, role: Role) -> None:
        """Have a process go on that hangs."""
        await self._signal(role, signal.SIGCONT)

    async def _signal(self, role: Role, number: signal.Signals) -> None:
        """Send a process a signal; one that is being started again gets it as soon as it runs."""

        async def is_sent() -> bool:
            pid = await self.pid(role)
            if not pid or not is_running(pid):  # it has ended by itself, and is not reported yet
                return False
            os.kill(pid, number)
            return True

        await wait_until(is_sent, f"{self.name} has a {role} that gets a signal", READY_TIMEOUT_S, [self])

    async def stop(self) -> int | None:
        """SIGTERM; its exit status."""
        process = self.process
        if process is None:
            return None
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
                raise AssertionError(f"{self.name} does not stop:\n{self.log_tail()}") from None
        return process.returncode

    async def state_text(self) -> str:
        """Where it stands, in one line."""
        try:
            status = await self.status()
        except (*UNANSWERED, msgspec.DecodeError) as error:
            return f"{self.name} does not tell where it stands: {error!r}"
        public = public_count(status)
        shown = {name: status[name] for name in SHOWN_OF_STATUS}
        return f"{self.name}: public={public} " + " ".join(f"{name}={value}" for name, value in shown.items())

    def log_tail(self) -> str:
        """The end of its log."""
        if not self.log.exists():
            return "(no log)"
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(line[:LOG_LINE_MAX_CHARS] for line in lines)


def public_count(status: Any) -> int:
    """How many public entities a member has, by its `/league/v1/status`."""
    return sum(entry["count"] for entry in status["entities"] if entry["public"])


class League:
    """The members of a league on this machine."""

    def __init__(self, members: Sequence[RunningMember]) -> None:
        self.members = tuple(members)

    def __getitem__(self, index: int) -> RunningMember:
        return self.members[index]

    async def start(self) -> None:
        """Start all members and wait until all are ready."""
        for member in self.members:
            await member.start()
        for member in self.members:
            await member.wait_until_ready()

    async def wait_until_visible(self, path: str, timeout_s: float = 30.0) -> None:
        """Wait until every member answers a GET of this path with 200."""

        async def is_visible() -> bool:
            return all([await member.has(path) for member in self.members])

        await wait_until(is_visible, f"{path} is visible at all members", timeout_s, self.members)


async def wait_until(
    condition: Callable[[], Awaitable[bool]],
    what: str,
    timeout_s: float,
    members: Sequence[RunningMember] = (),
) -> None:
    """Wait for a condition; fails with where the members stand and the ends of their logs.

    A condition that asks somebody who does not answer does not hold yet.
    """
    deadline_s = CLOCK.monotonic() + timeout_s
    while True:
        try:
            if await condition():
                return
            problem = ""
        except UNANSWERED as error:
            problem = f" ({error!r})"
        if CLOCK.monotonic() > deadline_s:
            states = [await member.state_text() for member in members]
            tails = [f"--- {member.name}\n{member.log_tail()}" for member in members]
            raise AssertionError(
                "\n".join((f"not so after {timeout_s:g} s: {what}{problem}", *states, *tails))
            )
        await CLOCK.sleep(POLL_S)


async def engine_rpc(member: RunningMember, method: str, **parameters: str) -> Any:
    """The result of a call of a member's engine (CometBFT's RPC); one that is starting is asked again."""
    results: list[Any] = []

    async def has_answered() -> bool:
        results.append(await _engine_result(member, method, parameters))
        return True

    await wait_until(has_answered, f"the engine of {member.name} answers {method}", READY_TIMEOUT_S, [member])
    return results[-1]


async def _engine_result(member: RunningMember, method: str, parameters: Mapping[str, str]) -> Any:
    with SocketFolder(member.folder / LEDGER) as sockets:
        connector = aiohttp.UnixConnector(sockets.path(RPC_SOCKET))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://engine/{method}", params=parameters) as answer,
        ):
            content = msgspec.json.decode(await answer.read())
    assert "result" in content, content
    return content["result"]


@contextlib.asynccontextmanager
async def league(
    folder: Path, members: int, settings: dict[str, Value] | None = None, *, is_started: bool = True
) -> AsyncIterator[League]:
    """A new league, running unless told otherwise; everything is stopped at the end of the block."""
    base_port = free_base_port(members)
    folders = create_or_resume_league(folder, members, base_port, CLOCK, os.urandom, settings)
    for each in folders:
        write_file(each / PROVIDER_KEYS, provider_key_file())
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        made = League([RunningMember(each, base_port + k, session) for k, each in enumerate(folders, 1)])
        try:
            if is_started:
                await made.start()
            yield made
        finally:
            results = await asyncio.gather(
                *(member.stop() for member in made.members), return_exceptions=True
            )
        for result in results:
            if isinstance(result, BaseException):
                raise result


def free_base_port(members: int) -> int:
    """A base port whose following ports are free; tests that run at the same time begin at different ones.

    Processes of one run of the tests are further apart than a league's ports are.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    place = os.getpid() if worker is None else os.getppid() + WORKERS_APART * int(worker.removeprefix("gw"))
    first = 20_000 + place * 64 % 8_000
    for base_port in range(first, 31_000, 64):
        if all(_is_free(base_port + k) for k in range(1, members + 1)):
            return base_port
    raise AssertionError("no free ports")


def is_running(pid: int) -> bool:
    """Whether a process is there, and is no mere remainder."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
