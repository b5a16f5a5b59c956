"""The events of the league, as they come, and one of them with its proof.

/operator/events              a page of them, with filters; goes on by itself where script runs
/operator/events/{position}   one event: what it says, whether its signature holds, how it is proved
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.clock import rfc3339
from hansa.core.errors import Code, Refused
from hansa.core.instants import moment
from hansa.portal.frame.people import Visit
from hansa.portal.operators.operator_frame import OperatorFrame, requested_number
from hansa.portal.operators.paging import address
from hansa.portal.operators.places import OperatorPage

EVENTS_PATH: Final = "/operator/events"
STREAM_PATH: Final = "/league/v1/events/stream"
PAGE_SIZE: Final = 50
POSITION_MAX: Final = 2**53 - 1
TEXT_MAX_CHARS: Final = 256


class EventChoice(msgspec.Struct, frozen=True):
    """Which events; empty texts let everything pass."""

    type: str = ""
    """Name of an event, as `categoryCreateEvent`, or type of an entity, as `Category`."""
    issuer: str = ""
    entity: str = ""
    """Identifier or ledger key."""
    since: str = ""
    """RFC 3339."""
    until: str = ""

    @property
    def is_everything(self) -> bool:
        """Whether all pass."""
        return self == EventChoice()

    @property
    def names_an_event(self) -> bool:
        """Whether the type is that of an event."""
        return self.type.endswith("Event")

    def query(self) -> dict[str, str]:
        """As `/league/v1/events/stream` takes it."""
        return {
            "type" if self.names_an_event else "entityType": self.type,
            "issuer": self.issuer,
            "entity": self.entity,
            "from": self.since,
        }


class ShownEvent(msgspec.Struct, frozen=True):
    """An event in the list."""

    position: int
    height: int
    time: str
    type: str
    issuer_name: str
    key: str
    entity_type: str
    version: int


class EventList(msgspec.Struct, frozen=True):
    """Some events in the order of the ledger."""

    events: tuple[ShownEvent, ...]
    scanned_to: int
    last_position: int


class EventDetails(msgspec.Struct, frozen=True, kw_only=True):
    """One event, with what shows that it is what it says."""

    shown: ShownEvent
    id: str
    issuer: str
    hashlink: str
    previous: str | None
    payload: str
    """What was signed, as indented JSON."""
    signature: str
    """Of the batch that it is part of; compact JWS."""
    kid: str
    place: int
    """In the batch, from 0."""
    path: tuple[str, ...]
    """From its leaf to the signed root; hex."""
    is_verified: bool
    problem: str
    """Why the signature could not be verified; empty: it holds."""
    location: str | None
    """Of the version at its origin."""


class LedgerEvents(Protocol):
    """Knows the events. All raise `Unavailable`, while the ledger does not answer."""

    async def page(self, choice: EventChoice, after: int, limit: int, /) -> EventList:
        """Those after a position. Raises `Refused` for a choice that cannot be."""

    async def newest(self, limit: int, /) -> EventList:
        """The last ones."""

    async def one(self, position: int, /) -> EventDetails | None:
        """The event at a position; None when there is none."""

    def issuers(self) -> tuple[tuple[str, str], ...]:
        """DIDs and names of the members."""


class EventListPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/events.html`."""

    choice: EventChoice
    page: EventList
    issuers: tuple[tuple[str, str], ...]
    stream: str
    """Address of what comes after the page; empty: it is not the last one."""
    older: str
    """Path of the page before; empty: there is none, or it is not known."""
    newer: str
    """Path of the page after; empty: there is none."""


class EventDetailsPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/event.html`."""

    event: EventDetails
    endpoint: str
    """Of this marketplace, for the commands."""


class EventsPages:
    """The handlers of these paths.

    Args:
        frame: Of pages for operators.
        events: Knows them.
        endpoint: Of this marketplace.
    """

    def __init__(self, frame: OperatorFrame, events: LedgerEvents, endpoint: str) -> None:
        self._frame = frame
        self._events = events
        self._endpoint = endpoint

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route(EVENTS_PATH, self._frame.guarded(self.list)),
            Route(f"{EVENTS_PATH}/{{position}}", self._frame.guarded(self.one)),
        ]

    async def list(self, visit: Visit) -> Response:
        """`GET /operator/events`."""
        choice = _choice(visit)
        after = requested_number(visit, "after", -1, 0, POSITION_MAX)
        if after < 0 and choice.is_everything:
            page = await self._events.newest(PAGE_SIZE)
        else:
            page = await self._events.page(choice, max(after, 0), PAGE_SIZE)
        is_last = page.scanned_to >= page.last_position
        first = page.events[0].position if page.events else page.scanned_to + 1
        is_older_known = choice.is_everything and first > 1
        shown = EventListPage(
            places=self._frame.places,
            choice=choice,
            page=page,
            issuers=self._events.issuers(),
            stream=_address(STREAM_PATH, choice.query(), page.scanned_to)
            if is_last and not choice.until
            else "",
            older=_address(EVENTS_PATH, {}, max(first - 1 - PAGE_SIZE, 0)) if is_older_known else "",
            newer="" if is_last else _address(EVENTS_PATH, msgspec.structs.asdict(choice), page.scanned_to),
        )
        return self._frame.page(visit, "league/events.html", shown)

    async def one(self, visit: Visit) -> Response:
        """`GET /operator/events/{position}`."""
        text = visit.request.path_params["position"]
        is_number = text.isascii() and text.isdigit() and len(text) <= 16
        event = await self._events.one(int(text)) if is_number else None
        if event is None:
            raise Refused(Code.NOT_FOUND, "There is no event at this position; /operator/events lists them.")
        page = EventDetailsPage(places=self._frame.places, event=event, endpoint=self._endpoint)
        return self._frame.page(visit, "league/event.html", page)


def _address(path: str, query: dict[str, str], after: int) -> str:
    return address(path, {**query, "after": str(after)})


def _choice(visit: Visit) -> EventChoice:
    """What is requested.

    Raises:
        Refused: `Code.INVALID`.
    """
    query = visit.request.query_params
    texts = {name: query.get(name, "").strip() for name in ("type", "issuer", "entity")}
    if any(len(one) > TEXT_MAX_CHARS or not one.isprintable() for one in texts.values()):
        raise Refused(Code.INVALID, f"A text to filter by has {TEXT_MAX_CHARS} characters at most.")
    return EventChoice(**texts, since=_moment(query.get("since", "")), until=_moment(query.get("until", "")))


def _moment(text: str) -> str:
    """A time of a form, which is UTC when it has no zone, in the form of the ledger.

    Raises:
        Refused: `Code.INVALID`.
    """
    if not text:
        return ""
    at = moment(text)
    if at is None:
        raise Refused(Code.INVALID, "A time is written as 2026-01-31T12:00.")
    return rfc3339(at)
