"""Listeners, and groups of those that want the same.

Listeners with the same query at the same hub form a group: what one of them wants, all want, so it is found out once.
A group keeps, piece by piece of the feed, the places of the events that its members want; a member that looks for its
next event searches there.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Final

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
from hansa.business.hub.wishes import Wish
from hansa.business.models import Models
from hansa.store import Change
from hansa.store.records import Operation
from hansa.store.subscriptions import DeadLetter, Progress, Subscription

PIECES_OF_ALL_GROUPS_MAX: Final = 8192
NAMES_MAX: Final = 4096
"""Combinations of type, operation and state whose names are remembered."""

GroupKey = tuple[str, str, str]
"""API, topic, query."""


class Listener:
    """A registration and its delivery."""

    def __init__(self, subscription: Subscription, group: Group) -> None:
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

    def progress(self) -> Progress:
        """What is to be written of it."""
        return Progress(
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


class Group:
    """Listeners that want the same."""

    def __init__(self, key: GroupKey, wish: Wish) -> None:
        self.key = key
        self.api, self.topic, _ = key
        self.wish = wish
        self.members = 0
        self.idle: dict[Listener, None] = {}
        """Members that have got everything up to the head of the feed."""

    def wants(self, event: Event) -> bool:
        """Whether an event is for its members."""
        return event.api == self.api and event.topic == self.topic and self.wish.is_for(event)


class Groups:
    """All groups, found by what happened."""

    def __init__(self) -> None:
        self._all: dict[GroupKey, Group] = {}
        self._by_type: dict[tuple[str, str], dict[Group, None]] = {}
        self._by_hub: dict[tuple[str, str], dict[Group, None]] = {}

    def get(self, key: GroupKey) -> Group | None:
        """The group of a query at a hub."""
        return self._all.get(key)

    def add(self, group: Group) -> None:
        """Find this one, too."""
        self._all[group.key] = group
        for place, name in self._places(group):
            place.setdefault(name, {})[group] = None

    def remove(self, group: Group) -> None:
        """Find it no more."""
        del self._all[group.key]
        for place, name in self._places(group):
            del place[name][group]

    def of_api(self, api: str, event_types: Iterable[str]) -> Iterator[Group]:
        """Groups at the hub of an API that may want an event of one of these types (lower case)."""
        for event_type in event_types:
            yield from self._by_type.get((api, event_type), ())
        yield from self._by_hub.get((api, ""), ())

    def of_topic(self, api: str, topic: str) -> Iterator[Group]:
        """Groups at the hub of a topic."""
        yield from self._by_hub.get((api, topic), ())

    def _places(self, group: Group) -> list[tuple[dict[tuple[str, str], dict[Group, None]], tuple[str, str]]]:
        if group.wish.event_types is None or group.topic:
            return [(self._by_hub, (group.api, group.topic))]
        return [(self._by_type, (group.api, event_type)) for event_type in group.wish.event_types]


class Told(msgspec.Struct, frozen=True):
    """Whom a row of the feed tells what, as far as the row itself says."""

    api: str
    names: tuple[str, ...]
    """Of its events at the hub of the API, in lower case and in the order of their parts."""
    topic: str
    """The topic at whose hub there is one more; empty for none."""


class Wanted:
    """The places of the events that groups want, as far as they were looked for."""

    def __init__(self, feed: EventFeed, models: Models) -> None:
        self._feed = feed
        self._models = models
        self._names: dict[tuple[str, Operation, str | None], tuple[str, ...]] = {}
        self._pieces: OrderedDict[tuple[GroupKey, int], tuple[array[int], int]] = OrderedDict()

    def told(self, change: Change) -> Told | None:
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
        return Told(api.id, names, topic_of(change, resource))

    async def next_place(self, group: Group, after: int, head: int) -> tuple[int | None, int]:
        """The first event behind a place that the group wants, and up to which place was looked.

        Looks at one piece of the feed at most, and never beyond row `head`.
        """
        number = (row_of(after + 1) - 1) // PIECE
        places, read_to = await self._places(group, number, head)
        at = bisect_right(places, after)
        return places[at] if at < len(places) else None, max(after, end_of(read_to))

    def is_last_of_row(self, group: Group, place: int) -> bool:
        """Whether the group wants nothing more of the row of an event; False when that is not known any more."""
        found = self._pieces.get((group.key, (row_of(place) - 1) // PIECE))
        if found is None:
            return False
        at = bisect_right(found[0], place)
        return at == len(found[0]) or row_of(found[0][at]) != row_of(place)

    async def _places(self, group: Group, number: int, head: int) -> tuple[array[int], int]:
        key = (group.key, number)
        places, read_to = self._pieces.get(key, (array("q"), number * PIECE))
        end = min(head, (number + 1) * PIECE)
        if read_to < end:
            found = array("q", places)
            for change in await self._feed.piece(number, head):
                if read_to < change.seq <= end:
                    found.extend(await self._of_row(group, change))
            places, read_to = found, end
            self._pieces[key] = places, read_to
            if len(self._pieces) > PIECES_OF_ALL_GROUPS_MAX:
                self._pieces.popitem(last=False)
        if key in self._pieces:
            self._pieces.move_to_end(key)
        return places, read_to

    async def _of_row(self, group: Group, change: Change) -> Iterable[int]:
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
