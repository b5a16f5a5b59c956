"""The network between simulated members: slow, lossy, parted, and with proxies that change what passes.

Each message takes a time drawn anew, so messages overtake each other. What is lost is lost in either
direction: the other side may have done what was requested. A request can arrive twice. Whoever is parted from
another, or whose process does not run, cannot be reached.

Whatever passes is shown to observers before it arrives, as a listener on the line would see it.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import ENTITIES_PATH
from hansa.core.http import HttpRequest, HttpResponse
from hansa.replication.announced.bundles import BUNDLES_PATH
from hansa.sim.world.exchange import Application, exchange

FAST_S: Final = (0.0005, 0.004)
"""Least and most time that a message takes, where nothing is slow."""
CONNECT_S: Final = 0.01
"""Until it is known that somebody cannot be reached."""


class Host(Protocol):
    """A running process that answers."""

    @property
    def name(self) -> str:
        """Of the member."""

    @property
    def endpoint(self) -> str:
        """Where it is reached."""

    @property
    def application(self) -> Application:
        """What answers."""

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run a coroutine that ends with the process."""


class Exchanged(msgspec.Struct, frozen=True):
    """A request that was answered, as a listener sees it."""

    sender: str
    receiver: str
    request: HttpRequest
    response: HttpResponse
    began_at_s: float
    """When the request was sent, in simulated seconds."""


Observer = Callable[[Exchanged], None]
Change = Callable[[HttpRequest, HttpResponse], HttpResponse]


def _status(code: int) -> Change:
    return lambda *_: HttpResponse(code, {}, b"<html>The other side is not well.</html>")


def _replaced(old: bytes, new: bytes) -> Change:
    return lambda _, answer: msgspec.structs.replace(answer, body=answer.body.replace(old, new))


def _cut(_: HttpRequest, answer: HttpResponse) -> HttpResponse:
    return msgspec.structs.replace(answer, body=answer.body[: len(answer.body) // 2])


PROXIES: Final[dict[str, Change]] = {
    "404": _status(404),
    "500": _status(500),
    "503": _status(503),
    "200": _status(200),
    "bytes": _replaced(b'"name":', b'"nome":'),
    "nonsense": _replaced(b"}", b"]"),
    "cut": _cut,
    "endless": lambda _, answer: msgspec.structs.replace(answer, body=answer.body + b" " * 40_000_000),
}
"""What can stand before a member, by name."""


class SimulatedNetwork:
    """Who reaches whom, and how.

    Args:
        clock: The league's.
        drawn: For delays and losses.
    """

    def __init__(self, clock: Clock, drawn: random.Random) -> None:
        self._clock = clock
        self._drawn = drawn
        self._hosts: dict[str, Host] = {}
        self.parted: set[frozenset[str]] = set()
        """Pairs of members that do not reach each other."""
        self.slow_s: dict[str, float] = {}
        """How much longer messages from and to a member take."""
        self.loss = 0.0
        """Share of messages that are lost."""
        self.duplication = 0.0
        """Share of requests that arrive twice."""
        self.proxies: dict[str, str] = {}
        """What stands before members, by their names."""
        self.failing_once: set[tuple[str, str]] = set()
        """Who gets an error as the next answer to a request for entities, and of whom."""
        self.is_without_bundles = False
        """Whether nothing that is pushed arrives, so that everything has to be requested."""
        self._arrivals: dict[str, list[Callable[[], None]]] = {}
        self.changes: dict[str, Change] = {}
        """What members that lie do to their own answers."""
        self.observers: list[Observer] = []
        self.messages = 0
        self.digest = 0
        """Over all that was sent, with its times: equal for equal runs."""

    def heal(self) -> None:
        """Let everything be well from now on, but for those that lie."""
        self.parted.clear()
        self.slow_s.clear()
        self.proxies.clear()
        self.failing_once.clear()
        self._arrivals.clear()
        self.is_without_bundles = False
        self.loss = self.duplication = 0.0

    def after_arrival(self, name: str, act: Callable[[], None]) -> None:
        """Do something as soon as the next request arrives at a member."""
        self._arrivals.setdefault(name, []).append(act)

    def begin(self, host: Host) -> None:
        """A member's process can be reached."""
        self._hosts[host.endpoint] = host

    def end(self, host: Host) -> None:
        """It cannot any more."""
        if self._hosts.get(host.endpoint) is host:
            del self._hosts[host.endpoint]

    def client(self, name: str, is_running: Callable[[], bool]) -> MemberClient:
        """The `HttpClient` of one member's process."""
        return MemberClient(self, name, is_running)

    async def carry(self, sender: str, request: HttpRequest) -> HttpResponse:
        """Bring a request to whom it is for, and the answer back. Raises what `HttpClient.send` raises."""
        self.messages += 1
        endpoint = "/".join(request.url.split("/", 3)[:3])
        entry = f"{sender} {request.method} {request.url} {len(request.body)} {self._clock.monotonic():.6f}"
        self.digest = zlib.crc32(entry.encode(), self.digest)
        began_at_s = self._clock.monotonic()
        deadline_s = began_at_s + request.timeout_s
        host = self._hosts.get(endpoint)
        is_dropped = self.is_without_bundles and BUNDLES_PATH in request.url
        if host is None or is_dropped or frozenset((sender, host.name)) in self.parted:
            await self._clock.sleep(CONNECT_S)
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The connection was refused.")
        await self._travel(sender, host.name, deadline_s)
        for act in self._arrivals.pop(host.name, ()):
            act()
        if self._hosts.get(endpoint) is not host:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The connection was refused.")
        if self._drawn.random() < self.duplication:
            host.spawn(self._repeat(host, request, endpoint))
        answering = host.spawn(self._answered(host, request, endpoint))
        try:
            answer = await self._until(answering, deadline_s)
        except asyncio.CancelledError:
            if not answering.cancelled():
                raise  # it is the sender whose process has ended
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The connection broke.") from None
        if self._hosts.get(endpoint) is not host:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The connection broke.")
        await self._travel(host.name, sender, deadline_s)
        answer = self._changed(sender, host.name, request, answer)
        for observer in self.observers:
            observer(Exchanged(sender, host.name, request, answer, began_at_s))
        if len(answer.body) > request.answer_size_max_bytes:
            raise Refused(Code.RETRIEVAL_TOO_LARGE, "The answer is too large.")
        return answer

    async def _until(self, answering: asyncio.Task[HttpResponse], deadline_s: float) -> HttpResponse:
        timeout_s = max(0.0, deadline_s - self._clock.monotonic())
        done, _ = await asyncio.wait({answering}, timeout=timeout_s)
        if not done:
            raise _too_slow()
        return answering.result()

    async def _travel(self, sender: str, receiver: str, deadline_s: float) -> None:
        """Let a message take its time, or be lost on the way."""
        slow_s = self.slow_s.get(sender, 0.0) + self.slow_s.get(receiver, 0.0)
        takes_s = self._drawn.uniform(*FAST_S) + slow_s * self._drawn.uniform(0.5, 1.0)
        left_s = max(0.0, deadline_s - self._clock.monotonic())
        if takes_s > left_s or self._drawn.random() < self.loss:
            await self._clock.sleep(left_s)
            raise _too_slow()
        await self._clock.sleep(takes_s)

    async def _repeat(self, host: Host, request: HttpRequest, endpoint: str) -> None:
        await self._clock.sleep(self._drawn.uniform(0.0, 0.5))
        await self._answered(host, request, endpoint)

    @staticmethod
    async def _answered(host: Host, request: HttpRequest, endpoint: str) -> HttpResponse:
        target = request.url.removeprefix(endpoint)
        return await exchange(host.application, request.method, target, request.headers, request.body)

    def _changed(self, sender: str, name: str, request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if name in self.changes:
            answer = self.changes[name](request, answer)
        if (sender, name) in self.failing_once and request.url.endswith(ENTITIES_PATH):
            self.failing_once.discard((sender, name))
            return PROXIES["503"](request, answer)
        proxy = self.proxies.get(name)
        return PROXIES[proxy](request, answer) if proxy is not None else answer


def _too_slow() -> Unavailable:
    return Unavailable(Code.RETRIEVAL_TIMEOUT, "The exchange took too long.")


class MemberClient:
    """The network as one process of a member sees it: when that has ended, nothing is sent any more."""

    def __init__(self, network: SimulatedNetwork, name: str, is_running: Callable[[], bool]) -> None:
        self._network = network
        self._name = name
        self._is_running = is_running

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send and wait for the whole answer. See `HttpClient.send`."""
        if not self._is_running():
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The process has ended.")
        return await self._network.carry(self._name, request)
