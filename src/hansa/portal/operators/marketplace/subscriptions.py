"""Who is sent what: listeners of the hubs, and of the events of the league; what they did not accept.

/operator/subscriptions             all of them, by state
/operator/subscriptions/{id}        one of them with its dead letters; resend, resume, try, end

Secrets are for whoever registered, and are not shown here.
"""

from __future__ import annotations

from typing import Final, Protocol
from urllib.parse import quote

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import Visit
from hansa.portal.operators.marketplace.acting import BUTTON, Button, asking, field, id_of
from hansa.portal.operators.operator_frame import OperatorFrame, requested_choice
from hansa.portal.operators.paging import ROWS, Turning, number, turning
from hansa.portal.operators.places import OperatorPage

PATH: Final = "/operator/subscriptions"
STATES: Final = ("active", "failing", "paused")


class ListenerRow(msgspec.Struct, frozen=True):
    """A listener."""

    id: str
    api: str
    """As `TMF620`; `league` for the events of the league."""
    callback: str
    query: str
    subscriber: str
    state: str
    """One of `STATES`."""
    delivered: int
    dead_letters: int
    dropped: int
    """Dead letters that were removed to make room."""
    failures: int
    """In a row."""
    failing_since: str | None
    problem: str | None
    """Code of the last failure."""
    answered: int | None
    """Status of the last answer that was none of acceptance."""


class DeadLetterRow(msgspec.Struct, frozen=True):
    """An event that a listener did not accept."""

    event_id: str
    event_type: str
    time: str
    attempts: int
    problem: str
    answered: int | None
    is_due: bool
    """Whether it is to be sent again."""


class TestResult(msgspec.Struct, frozen=True):
    """What became of an event that was sent to try a listener."""

    __test__ = False

    problem: str | None
    """None: it was accepted."""
    answered: int | None


class SubscriptionsPage(OperatorPage, frozen=True):
    """For the template `operating/subscriptions.html`."""

    state: str
    total: int
    listeners: tuple[ListenerRow, ...]
    turning: Turning


class ListenerPage(OperatorPage, frozen=True):
    """For the template `operating/subscription.html`."""

    one: ListenerRow
    total: int
    """Of dead letters."""
    dead_letters: tuple[DeadLetterRow, ...]
    turning: Turning
    csrf: str
    result: TestResult | None = None


class Listeners(Protocol):
    """Has the listeners."""

    async def page(self, state: str, limit: int, offset: int, /) -> tuple[tuple[ListenerRow, ...], int]:
        """Listeners of a state or all, oldest first; how many there are."""

    async def one(self, id: str, /) -> ListenerRow | None:
        """One of them."""

    async def dead_letters(
        self, id: str, limit: int, offset: int, /
    ) -> tuple[tuple[DeadLetterRow, ...], int]:
        """Of one, oldest first; how many there are."""

    async def resend(self, id: str, event_id: str, /) -> None:
        """Send a dead letter again; all when it is empty.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def resume(self, id: str, /) -> None:
        """Go on with one that is paused.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def remove(self, id: str, /) -> None:
        """End it, with its dead letters.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def test(self, id: str, /) -> TestResult:
        """Send an event now, to see whether it is accepted.

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: too many are being sent.
        """


class SubscriptionPages:
    """The handlers.

    Args:
        frame: Of pages for operators.
        listeners: Are shown.
    """

    def __init__(self, frame: OperatorFrame, listeners: Listeners) -> None:
        self._frame = frame
        self._listeners = listeners

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        frame, guarded = self._frame, self._frame.guarded
        resend = Button("subscription-resend", self._resend, _to_one, fields=("event_id",))
        resume = Button("subscription-resume", self._resume, _to_one)
        remove = Button("subscription-remove", self._remove, _to_list)
        return [
            Route("/operator/subscriptions", guarded(self.subscriptions)),
            Route("/operator/subscriptions/{id}", guarded(self.subscription)),
            Route("/operator/subscriptions/{id}/resend", asking(frame, resend), methods=BUTTON),
            Route("/operator/subscriptions/{id}/resume", asking(frame, resume), methods=BUTTON),
            Route("/operator/subscriptions/{id}/remove", asking(frame, remove), methods=BUTTON),
            Route("/operator/subscriptions/{id}/test", guarded(self.test), methods=["POST"]),
        ]

    async def subscriptions(self, visit: Visit) -> Response:
        """`GET /operator/subscriptions?state=&offset=`."""
        request = visit.request
        state, offset = requested_choice(visit, "state", ("", *STATES)), number(request, "offset")
        rows, total = await self._listeners.page(state, ROWS + 1, offset)
        turned = turning(PATH, {"state": state}, offset, len(rows))
        page = SubscriptionsPage(state, total, rows[:ROWS], turned, places=self._frame.places)
        return self._frame.page(visit, "operating/subscriptions.html", page)

    async def subscription(self, visit: Visit) -> Response:
        """`GET /operator/subscriptions/{id}?offset=`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        page = await self._page(visit)
        return self._frame.page(visit, "operating/subscription.html", page)

    async def test(self, visit: Visit) -> Response:
        """`POST /operator/subscriptions/{id}/test`: sends an event, and shows what became of it."""
        id = id_of(visit)
        result = await self._frame.carry_out(visit, "subscription-test", id, lambda: self._listeners.test(id))
        page = msgspec.structs.replace(await self._page(visit), result=result)
        return self._frame.response(visit, "operating/subscription.html", page)

    async def _page(self, visit: Visit) -> ListenerPage:
        one = await self._listeners.one(id_of(visit))
        if one is None:
            raise Refused(Code.NOT_FOUND, "There is no such subscription.")
        offset = number(visit.request, "offset")
        rows, total = await self._listeners.dead_letters(one.id, ROWS + 1, offset)
        turned = turning(_to_one(visit), {}, offset, len(rows))
        return ListenerPage(one, total, rows[:ROWS], turned, visit.person.csrf, places=self._frame.places)

    async def _resend(self, visit: Visit) -> None:
        await self._listeners.resend(id_of(visit), field(visit, "event_id"))

    async def _resume(self, visit: Visit) -> None:
        await self._listeners.resume(id_of(visit))

    async def _remove(self, visit: Visit) -> None:
        await self._listeners.remove(id_of(visit))


def _to_one(visit: Visit) -> str:
    return f"{PATH}/{quote(id_of(visit), safe='')}"


def _to_list(visit: Visit) -> str:
    del visit
    return PATH
