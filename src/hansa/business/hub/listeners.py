"""Listeners, and groups of those with the same filter.

Listeners with the same query at the same hub form a group: one filter accepts events for all of them, so it
is tested once. Chunk by chunk of the feed, the places of the events that a group's filter accepts are cached;
a member searches there for its next event.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from hansa.business.hub.events import (
    PLACES_PER_ROW,
    Event,
    end_of_row,
    event_names_of,
    place_of,
    row_of,
    topic_of,
)
from hansa.business.hub.feed import CHUNK_ROWS, EventFeed, caller_of
from hansa.business.hub.subscription_filter import SubscriptionFilter
from hansa.business.models import Models
from hansa.core.cache import Cache
from hansa.core.clock import rfc3339
from hansa.core.web_addresses import web_address
from hansa.store import Change
from hansa.store.records import Operation
from hansa.store.tables.subscriptions import DeadLetter, DeliveryProgress, Subscription

GROUP_CHUNKS_MAX: Final = 8192
NAMES_MAX: Final = 4096
"""Combinations of type, operation and state whose event names are cached."""

GroupKey = tuple[str, str, str, bool]
"""API, topic, query; and whether the listeners see different parts of the same events."""

log = structlog.get_logger()


class Listener:
    """A registration and its delivery.

    Raises:
        Refused: `Code.HOST_NOT_ALLOWED`, when its callback is no address that notifications can be sent to.
    """

    def __init__(self, subscription: Subscription, group: ListenerGroup) -> None:
        self.id = subscription.id
        self.callback = subscription.callback
        self.host = web_address(subscription.callback).host
        self.group = group
        self.caller = caller_of(subscription)
        self.place = end_of_row(subscription.position)
        """Up to which every event was delivered, given up, or not accepted by the filter."""
        self.delivered = subscription.delivered
        self.failures = subscription.failures
        self.refusals = subscription.refusals
        self.problem = subscription.problem
        self.answered = subscription.answered
        self.failing_since = subscription.failing_since
        self.is_paused = subscription.is_paused
        self.subscription = subscription
        """As it was when a request for it last arrived."""
        self.attempts = 0
        """At the next event."""
        self.is_active = False
        """It is in a queue, is being served, or waits after a failure."""
        self.has_ended = False
        """Its registration was removed."""
        self.dead_letters_due: deque[DeadLetter] = deque()
        """To be sent again, before anything else."""
        self.dead_letters_added: list[DeadLetter] = []
        """Since its progress was last written."""
        self.dead_letters_resolved: list[int] = []
        """Places of those delivered, or given up for good, since its progress was last written."""

    def resume(self) -> None:
        """Serve it again, as if it had never failed."""
        assert self.is_paused, "it was paused"
        self.is_paused = False
        self.failures = self.refusals = self.attempts = 0
        self.failing_since = None

    def plan_dead_letters(self, due: Iterable[DeadLetter]) -> None:
        """Have dead letters sent again, but for those whose outcome is not written yet."""
        in_progress = {*self.dead_letters_resolved, *(letter.place for letter in self.dead_letters_added)}
        self.dead_letters_due.clear()
        self.dead_letters_due.extend(letter for letter in due if letter.place not in in_progress)

    def secrets(self, now: datetime) -> list[str]:
        """With which its notifications are signed now."""
        return signing_secrets(self.subscription, now)

    @property
    def position(self) -> int:
        """The last row of the feed that is done with."""
        is_whole = self.place % PLACES_PER_ROW == PLACES_PER_ROW - 1
        return row_of(self.place) if is_whole else row_of(self.place) - 1

    def progress(self) -> DeliveryProgress:
        """Its state as it is written to the store."""
        return DeliveryProgress(
            id=self.id,
            position=self.position,
            is_behind=self.is_active,
            delivered=self.delivered,
            failures=self.failures,
            refusals=self.refusals,
            problem=self.problem,
            answered=self.answered,
            failing_since=self.failing_since,
            is_paused=self.is_paused,
            dead_letters_added=tuple(self.dead_letters_added),
            dead_letters_resolved=tuple(self.dead_letters_resolved),
        )


def signing_secrets(subscription: Subscription, now: datetime) -> list[str]:
    """The secrets with which notifications of a registration are signed now, the current one first."""
    keys = [subscription.secret]
    if subscription.secret_before_until is not None and rfc3339(now) < subscription.secret_before_until:
        keys.append(subscription.secret_before)
    return [key for key in keys if key]


class ListenerGroup:
    """Listeners with the same filter at the same hub."""

    def __init__(self, key: GroupKey, subscription_filter: SubscriptionFilter) -> None:
        self.key = key
        self.api, self.topic, self.query, self.is_restricted = key
        """Its members see different parts of the same events. The conditions are tested on what each sees:
        what nobody may see decides about nothing."""
        self.tested = subscription_filter
        self.filter = (
            msgspec.structs.replace(subscription_filter, conditions=())
            if self.is_restricted
            else subscription_filter
        )
        """What is tested once for all members."""
        self.members = 0
        self.idle: dict[Listener, None] = {}
        """Members with nothing left to deliver up to the head of the feed."""

    def accepts(self, event: Event) -> bool:
        """Whether an event is for its members; so it is when their filter cannot tell."""
        if event.api != self.api or event.topic != self.topic:
            return False
        try:
            return self.filter.accepts(event)
        except Exception:
            log.exception("filter_failed", api=self.api, query=self.query[:200], event_id=event.event_id)
            return True


class Notifications(msgspec.Struct, frozen=True):
    """Which events a row of the feed causes, and at which hubs, as far as the row itself says."""

    api: str
    names: tuple[str, ...]
    """Of its events at the hub of the API, in lower case and in the order of their parts."""
    topic: str
    """The topic at whose hub there is one more; empty for none."""


class ChunkMatches(NamedTuple):
    """The events that a group's filter accepts, in some consecutive rows of a chunk."""

    from_row: int
    """The row before the first that was searched."""
    to_row: int
    """The last row that was searched."""
    places: array[int]


class PendingNotifications:
    """The places of the events that groups accept, in the chunks of the feed that were searched."""

    def __init__(self, feed: EventFeed, models: Models) -> None:
        self._feed = feed
        self._models = models
        self._names: Cache[tuple[str, Operation, str | None], tuple[str, ...]] = Cache(
            "hub_event_names", NAMES_MAX
        )
        self._matches: Cache[tuple[GroupKey, int], ChunkMatches] = Cache("hub_matches", GROUP_CHUNKS_MAX)
        """By group and number of the chunk."""

    @property
    def caches(self) -> tuple[Cache[Any, Any], ...]:
        """Its caches, for their figures."""
        return self._names, self._matches

    def notifications_of(self, change: Change) -> Notifications | None:
        """The events that a row causes; None when it is pending, or no API serves its type."""
        if change.is_pending or change.type not in self._models.types:
            return None
        api, resource = self._models.served(change.type)
        key = (change.type, change.operation, change.status)
        names = self._names.get(key)
        if names is None:
            names = tuple(name.lower() for name in event_names_of(change, resource))
            self._names.put(key, names)
        return Notifications(api.id, names, topic_of(change, resource))

    async def next_place(self, group: ListenerGroup, after: int, head: int) -> tuple[int | None, int]:
        """The first event behind a place that the group accepts, and the place up to which was searched.

        Searches one chunk of the feed at most, and never beyond row `head`.
        """
        number = (row_of(after + 1) - 1) // CHUNK_ROWS
        matches = await self._chunk_matches(group, number, after, head)
        at = bisect_right(matches.places, after)
        place = matches.places[at] if at < len(matches.places) else None
        return place, max(after, end_of_row(matches.to_row))

    def is_last_of_row(self, group: ListenerGroup, place: int) -> bool:
        """Whether the group accepts no further event of that row; False when that is no longer cached."""
        matches = self._matches.get((group.key, (row_of(place) - 1) // CHUNK_ROWS))
        if matches is None:
            return False
        at = bisect_right(matches.places, place)
        return at == len(matches.places) or row_of(matches.places[at]) != row_of(place)

    async def _chunk_matches(self, group: ListenerGroup, number: int, after: int, head: int) -> ChunkMatches:
        """The events of a chunk that a group accepts: at least those behind a place, up to row `head`."""
        key = (group.key, number)
        matches = self._matches.get(key)
        start = max(number * CHUNK_ROWS, row_of(after + 1) - 1)
        if matches is None or start < matches.from_row:
            matches = ChunkMatches(start, start, array("q"))
        end = min(head, (number + 1) * CHUNK_ROWS)
        if matches.to_row < end:
            places = array("q", matches.places)
            for change in await self._feed.chunk(number, head):
                if matches.to_row < change.seq <= end:
                    places.extend(await self._places_in_row(group, change))
            matches = ChunkMatches(matches.from_row, end, places)
            self._matches.put(key, matches)
        return matches

    async def _places_in_row(self, group: ListenerGroup, change: Change) -> Iterable[int]:
        """Places of the events of a row that a group accepts."""
        notifications = self.notifications_of(change)
        if notifications is None or notifications.api != group.api:
            return ()
        if group.topic and group.topic != notifications.topic:
            return ()
        types = group.filter.event_types
        if not group.topic and types is not None and types.isdisjoint(notifications.names):
            return ()
        if group.filter.conditions:
            return [event.place for event in await self._feed.events(change) if group.accepts(event)]
        if group.topic:
            return (end_of_row(change.seq),)
        return [
            place_of(change.seq, part)
            for part, name in enumerate(notifications.names)
            if types is None or name in types
        ]
