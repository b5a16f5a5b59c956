"""Listeners, and groups of those that want the same.

Listeners with the same query at the same hub form a group: what one of them wants, all want, so it is found out once.
A group keeps, piece by piece of the feed, the places of the events that its members want; a member that looks for its
next event searches there.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from hansa.business.hub.events import (
    PARTS,
    Event,
    end_of,
    names_of,
    place_of,
    row_of,
    topic_of,
)
from hansa.business.hub.feed import PIECE, EventFeed
from hansa.business.hub.subscription_filter import SubscriptionFilter
from hansa.business.models import Models
from hansa.store import Change
from hansa.store.records import Operation
from hansa.store.tables.subscriptions import DeadLetter, DeliveryProgress, Subscription

PIECES_OF_ALL_GROUPS_MAX: Final = 8192
NAMES_MAX: Final = 4096
"""Combinations of type, operation and state whose names are remembered."""

GroupKey = tuple[str, str, str]
"""API, topic, query."""


class Listener:
    """A registration and its delivery."""

    def __init__(self, subscription: Subscription, group: ListenerGroup) -> None:
        self.id = subscription.id
        self.callback = subscription.callback
        self.group = group
        self.place = end_of(subscription.position)
        """Of the last event that it took or that was given up; or behind the last that it did not want."""
        self.delivered = subscription.delivered
        self.failures = subscription.failures
        self.refusals = subscription.refusals
        self.problem = subscription.problem
        self.answered = subscription.answered
        self.failing_since = subscription.failing_since
        self.is_paused = subscription.is_paused
        self.attempts = 0
        """At the event that is next."""
        self.is_in_work = False
        """Stands in a line, is being served, or rests."""
        self.has_ended = False
        self.due: deque[DeadLetter] = deque()
        """Letters to be sent again, before anything else."""
        self.kept: list[DeadLetter] = []
        self.taken: list[int] = []
        """What has become of letters since progress was written."""

    @property
    def position(self) -> int:
        """The last row that it has been served whole."""
        return row_of(self.place) if self.place % PARTS == PARTS - 1 else row_of(self.place) - 1

    def progress(self) -> DeliveryProgress:
        """What is to be written of it."""
        return DeliveryProgress(
            id=self.id,
            position=self.position,
            is_behind=self.is_in_work,
            delivered=self.delivered,
            failures=self.failures,
            refusals=self.refusals,
            problem=self.problem,
            answered=self.answered,
            failing_since=self.failing_since,
            is_paused=self.is_paused,
            letters_kept=tuple(self.kept),
            letters_taken=tuple(self.taken),
        )


class ListenerGroup:
    """Listeners that want the same."""

    def __init__(self, key: GroupKey, wish: SubscriptionFilter) -> None:
        self.key = key
        self.api, self.topic, _ = key
        self.wish = wish
        self.members = 0
        self.idle: dict[Listener, None] = {}
        """Members that have got everything up to the head of the feed."""

    def wants(self, event: Event) -> bool:
        """Whether an event is for its members."""
        return event.api == self.api and event.topic == self.topic and self.wish.is_for(event)


class Notifications(msgspec.Struct, frozen=True):
    """Whom a row of the feed tells what, as far as the row itself says."""

    api: str
    names: tuple[str, ...]
    """Of its events at the hub of the API, in lower case and in the order of their parts."""
    topic: str
    """The topic at whose hub there is one more; empty for none."""


class Chunk(NamedTuple):
    """What a group wants of some rows that follow each other."""

    from_row: int
    """The row before the first that was looked at."""
    to_row: int
    """The last row that was looked at."""
    places: array[int]


class PendingNotifications:
    """The places of the events that groups want, as far as they were looked for."""

    def __init__(self, feed: EventFeed, models: Models) -> None:
        self._feed = feed
        self._models = models
        self._names: dict[tuple[str, Operation, str | None], tuple[str, ...]] = {}
        self._pieces: OrderedDict[tuple[GroupKey, int], Chunk] = OrderedDict()

    def told(self, change: Change) -> Notifications | None:
        """What a row tells; None when no API serves its type."""
        if change.type not in self._models.types:
            return None
        api, resource = self._models.served(change.type)
        key = (change.type, change.operation, change.status)
        names = self._names.get(key)
        if names is None:
            names = tuple(name.lower() for name in names_of(change, resource))
            if len(self._names) < NAMES_MAX:
                self._names[key] = names
        return Notifications(api.id, names, topic_of(change, resource))

    async def next_place(self, group: ListenerGroup, after: int, head: int) -> tuple[int | None, int]:
        """The first event behind a place that the group wants, and up to which place was looked.

        Looks at one piece of the feed at most, and never beyond row `head`.
        """
        number = (row_of(after + 1) - 1) // PIECE
        piece = await self._piece(group, number, after, head)
        at = bisect_right(piece.places, after)
        return piece.places[at] if at < len(piece.places) else None, max(after, end_of(piece.to_row))

    def is_last_of_row(self, group: ListenerGroup, place: int) -> bool:
        """Whether the group wants nothing more of the row of an event; False when that is not known any more."""
        found = self._pieces.get((group.key, (row_of(place) - 1) // PIECE))
        if found is None:
            return False
        at = bisect_right(found.places, place)
        return at == len(found.places) or row_of(found.places[at]) != row_of(place)

    async def _piece(self, group: ListenerGroup, number: int, after: int, head: int) -> Chunk:
        """What a group wants of a piece of the feed, behind a place and up to a row at least."""
        key = (group.key, number)
        piece = self._pieces.get(key)
        start = max(number * PIECE, row_of(after + 1) - 1)
        if piece is None or start < piece.from_row:
            piece = Chunk(start, start, array("q"))
        end = min(head, (number + 1) * PIECE)
        if piece.to_row < end:
            places = array("q", piece.places)
            for change in await self._feed.piece(number, head):
                if piece.to_row < change.seq <= end:
                    places.extend(await self._of_row(group, change))
            piece = Chunk(piece.from_row, end, places)
            self._pieces[key] = piece
            if len(self._pieces) > PIECES_OF_ALL_GROUPS_MAX:
                self._pieces.popitem(last=False)
        if key in self._pieces:
            self._pieces.move_to_end(key)
        return piece

    async def _of_row(self, group: ListenerGroup, change: Change) -> Iterable[int]:
        """Places of the events of a row that a group wants."""
        told = self.told(change)
        if told is None or told.api != group.api or (group.topic and group.topic != told.topic):
            return ()
        wished = group.wish.event_types
        if not group.topic and wished is not None and wished.isdisjoint(told.names):
            return ()
        if group.wish.conditions:
            return [event.place for event in await self._feed.events(change) if group.wants(event)]
        if group.topic:
            return (end_of(change.seq),)
        return [
            place_of(change.seq, part)
            for part, name in enumerate(told.names)
            if wished is None or name in wished
        ]
