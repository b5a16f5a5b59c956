"""What a demo shows while it runs: a live table on a terminal, else a line whenever a value changes."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hansa.cli.client import Client
from hansa.cli.demo.members import DemoMember
from hansa.cli.output import Output, table_of
from hansa.cli.status import entities_in, fetch_status, state_in, text_of
from hansa.core.clock import Clock
from hansa.core.errors import HansaError
from hansa.core.foreign_text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

LIVE_INTERVAL_S: Final = 0.5
LINES_INTERVAL_S: Final = 2.0
RATE_WINDOW_S: Final = 5.0
STATUS_TIMEOUT_S: Final = 3.0
HEADINGS: Final = ("member", "port", "state", "height", "events", "lag", "pending", "entities")
MESSAGES_SHOWN_MAX: Final = 3
NAME_SHOWN_MAX_CHARS: Final = 14


class MemberView(msgspec.Struct, frozen=True):
    """The state of a member; a figure is None where it is not known."""

    state: str
    """`ready`, `degraded`, `not ready` or `down`."""
    height: int | None = None
    position: int | None = None
    lag: int | None = None
    pending: int | None = None
    failed: int | None = None
    entities: int | None = None
    reasons: tuple[str, ...] = ()
    """Why it is not ready, or degraded."""


DOWN: Final = MemberView("down")


class RateMeter:
    """Events a second, over the last `RATE_WINDOW_S` seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, position: int | None) -> None:
        """Add the current position of the ledger; None where it is not known."""
        now_s = self._clock.monotonic()
        if position is not None:
            self._samples.append((now_s, position))
        while len(self._samples) > 1 and now_s - self._samples[0][0] > RATE_WINDOW_S:
            self._samples.popleft()

    @property
    def per_s(self) -> float:
        """The rate; 0 before there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (start_s, first), (end_s, last) = self._samples[0], self._samples[-1]
        return (last - first) / (end_s - start_s) if end_s > start_s else 0.0


class DemoView:
    """Gets the status of all members again and again, and shows it."""

    def __init__(self, members: Sequence[DemoMember], clock: Clock, output: Output) -> None:
        self._members = tuple(members)
        self._clock = clock
        self._output = output
        self._meter = RateMeter(clock)
        self._messages: deque[str] = deque(maxlen=MESSAGES_SHOWN_MAX)
        self._is_live = False

    def report(self, text: str) -> None:
        """Show a message: below the table, or in a line of its own."""
        if self._is_live:
            self._messages.append(f"{self._clock.now():%H:%M:%S} {text}")
        else:
            self._output.message(text)

    async def show(self, *, is_live: bool) -> None:
        """Show until cancelled."""
        self._is_live = is_live
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(Client(member.url, member.token, connections_max=1))
                for member in self._members
            ]
            await (self._show_live(clients) if is_live else self._show_lines(clients))

    async def _show_live(self, clients: Sequence[Client]) -> None:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=sys.stdout), auto_refresh=False, transient=True) as live:
            while True:
                live.update(self._rendered(await self._current(clients)), refresh=True)
                await self._clock.sleep(LIVE_INTERVAL_S)

    async def _show_lines(self, clients: Sequence[Client]) -> None:
        shown: tuple[MemberView, ...] = ()
        while True:
            views = await self._current(clients)
            for member, before, after in zip(
                self._members, shown or (DOWN,) * len(views), views, strict=True
            ):
                if before.state != after.state:
                    why = f": {'; '.join(after.reasons)}" if after.reasons else ""
                    self._output.data(f"{member.name} is {after.state}{why}")
            if views != shown:
                self._output.data(f"{self._clock.now():%H:%M:%S}  {self.summary(views)}")
            shown = views
            await self._clock.sleep(LINES_INTERVAL_S)

    async def _current(self, clients: Sequence[Client]) -> tuple[MemberView, ...]:
        views = tuple(await asyncio.gather(*map(view_of, clients)))
        self._meter.add(max((view.position for view in views if view.position is not None), default=None))
        return views

    def summary(self, views: Sequence[MemberView]) -> str:
        """The state of all members in one line."""
        up = [view for view in views if view is not DOWN]
        return (
            f"{len(up)} of {len(views)} members up, height {_highest(view.height for view in up)}, "
            f"{_highest(view.position for view in up)} events ({self._meter.per_s:.1f}/s), "
            f"lag {' '.join(_shown(view.lag) for view in views)}, "
            f"pending {' '.join(_shown(view.pending) for view in views)}, "
            f"entities {' '.join(_shown(view.entities) for view in views)}"
        )

    def _rendered(self, views: Sequence[MemberView]) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        pairs = list(zip(self._members, views, strict=True))
        are_ready = all(view.state == "ready" for view in views)
        state = "league ready" if are_ready else "not all members are ready"
        lines = [Text(f"{state}, {self._meter.per_s:.1f} events a second", style="bold")]
        further = [
            *(
                Text(f"{member.name}: {reason}", style="red")
                for member, view in pairs
                for reason in view.reasons
            ),
            *(Text(message, style="yellow") for message in self._messages),
            Text("Ctrl-C stops the league; the next `hansa demo` resumes it.", style="dim"),
        ]
        return Group(*lines, table_of(HEADINGS, [row_of(*pair) for pair in pairs]), *further)


def row_of(member: DemoMember, view: MemberView) -> list[str]:
    """A member's row of the table."""
    figures = (view.height, view.position, view.lag, view.pending, view.entities)
    port = member.url.rpartition(":")[2]
    return [printable(member.name, NAME_SHOWN_MAX_CHARS), port, view.state, *map(_shown, figures)]


async def view_of(client: Client) -> MemberView:
    """The state of a member."""
    try:
        async with asyncio.timeout(STATUS_TIMEOUT_S):
            report = await fetch_status(client)
    except (HansaError, TimeoutError):
        return DOWN
    reasons = report.get("reasons")
    return MemberView(
        state=state_in(report),
        reasons=tuple(map(text_of, reasons)) if isinstance(reasons, list) else (),
        height=_number(report, "height"),
        position=_number(report, "position"),
        lag=_number(report, "lag"),
        pending=_number(report, "pending"),
        failed=_number(report, "failed"),
        entities=entities_in(report),
    )


def _number(report: Mapping[str, Any], name: str) -> int | None:
    value = report.get(name)
    return value if isinstance(value, int) else None


def _highest(values: Iterable[int | None]) -> str:
    return _shown(max((value for value in values if value is not None), default=None))


def _shown(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
