"""Delivers notifications: every event, at least once, in order, to every listener that registered for it.

One reader follows the feed and wakes listeners that want a row. A listener reads on from its own place in the feed
until it has everything up to where the reader stands. What several listeners look for is found once (`listeners`,
`feed`), and under load the hub takes a small share of the event loop (`pace`): then listeners fall behind, and catch
up later.

A listener is in one of these states, so its events never overtake each other:

    idle       it has everything
    in line    stands in the line of its lane, and is served by the next free worker of that lane
    resting    its last attempt failed; it waits, twice as long after each failure up to the limit
    paused     nothing is attempted until someone resumes; its place stands

There are three lanes with workers of their own: listeners that took their last event, those that were never tried,
and those whose last attempt failed. So dead listeners hold up other dead ones; a new one is given a short time for
its first answer.

What an attempt that failed means depends on who is to blame. A listener that does not answer, is too busy, or hides
behind a proxy that says so (`AWAY`) gets the same event again; when it has been failing for `listener_dead_after_s`,
it is paused. An event that a listener refuses (another status 4xx), or fails at `notification_attempts_max` times,
becomes a dead letter, and the next event is sent; after `refusals_in_row_max` of them in a row, it is paused. A dead
letter can be sent again; it is the only event that others overtake. Nothing else is dropped.

Positions and dead letters are written together every few seconds. After a crash, what was delivered since then is
delivered again, under the same `eventId`. An entity is shown as it stands when its event is prepared, which may be a
later version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from hansa.business.hub.events import Event, end_of, row_of
from hansa.business.hub.feed import EventFeed
from hansa.business.hub.filter_index import ListenerGroups
from hansa.business.hub.listeners import Listener, ListenerGroup, PendingNotifications
from hansa.business.hub.subscription_filter import topic_wish, wish
from hansa.business.hub.throttle import Throttle
from hansa.business.models import Api, Models
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.limits import Limits
from hansa.store import Change, Store
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import DeadLetter, Revision, Subscription

DELIVERIES_PER_TURN: Final = 16
GROUPS_PER_STEP: Final = 64
SAVE_INTERVAL_S: Final = 2.0
LISTENERS_PER_SAVE: Final = 256
IDLE_ROWS: Final = 10_000
IDLE_INTERVAL_S: Final = 60.0
"""Rows of the feed, and time, after which the positions of listeners that wanted none of them are written too."""
FIRST_TIMEOUT_S: Final = 2.0
ANSWER_SIZE_MAX_BYTES: Final = 65_536
AWAY: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses that say that the listener is not there, or too busy, and nothing about the event."""
_HEADERS: Final = {"content-type": "application/json;charset=utf-8"}
_CODES: Final = {
    Code.RETRIEVAL_UNREACHABLE: Code.LISTENER_UNREACHABLE,
    Code.RETRIEVAL_TIMEOUT: Code.LISTENER_TIMEOUT,
}

Outcome = Literal["more", "idle", "rest", "over"]
"""Of a step at a listener: there may be more, it has everything, it has to wait, or it is served no more."""

T = TypeVar("T")

log = structlog.get_logger()


class Attempt(msgspec.Struct, frozen=True):
    """What came of sending an event."""

    problem: Code | None = None
    answered: int | None = None

    @property
    def is_about_event(self) -> bool:
        """Whether the listener was there and did not take the event."""
        return self.answered is not None and self.answered not in AWAY

    @property
    def is_refusal(self) -> bool:
        """Whether sending it again is no use."""
        return self.is_about_event and 400 <= (self.answered or 0) < 500


class HubDispatcher:
    """Delivers the notifications of all registrations; see the module."""

    def __init__(
        self, store: Store, models: Models, http: HttpClient, clock: Clock, limits: Limits, endpoint: str
    ) -> None:
        self._store = store
        self._apis: dict[str, Api] = {api.id: api for api in models.apis}
        self._http = http
        self._clock = clock
        self._limits = limits
        self._feed = EventFeed(store, models, endpoint.rstrip("/"))
        self._wanted = PendingNotifications(self._feed, models)
        self._groups = ListenerGroups()
        self._pace = Throttle(clock, lambda: store.writes_waiting)
        self._listeners: dict[str, Listener] = {}
        self._revision = Revision(-1, 0)
        self._head = 0
        self._settled: asyncio.Queue[Listener] = asyncio.Queue()
        self._untried: asyncio.Queue[Listener] = asyncio.Queue()
        self._failing: asyncio.Queue[Listener] = asyncio.Queue()
        self._unsaved: set[Listener] = set()
        self._idle_saved = (0, 0.0)
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def listeners(self) -> int:
        """Registrations that are served, or paused."""
        return len(self._listeners)

    @property
    def listeners_failing(self) -> int:
        """Those whose last attempt failed, and which are tried again."""
        return sum(one.failures > 0 and not one.is_paused for one in self._listeners.values())

    @property
    def listeners_paused(self) -> int:
        """Those that wait for someone to resume."""
        return sum(one.is_paused for one in self._listeners.values())

    async def run(self) -> None:
        """Deliver until cancelled; positions are written before it ends."""
        self._head = await self._store.last_change()
        self._idle_saved = (self._head, self._clock.monotonic())
        quarter = max(1, self._limits.notifications_in_flight_max // 4)
        lanes = (
            (self._settled, max(1, self._limits.notifications_in_flight_max - 2 * quarter)),
            (self._untried, quarter),
            (self._failing, quarter),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._refresh()
                for line, workers in lanes:
                    for _ in range(workers):
                        tasks.create_task(self._work(line))
                tasks.create_task(self._save_regularly())
                await self._read()
        finally:
            await self._save()

    # -- the reader -------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Follow the feed, and wake listeners that want something of it."""
        while True:
            await self._store.wait_for_change(self._head)
            await self._refresh()
            last = await self._store.last_change()
            rows, read_to = await self._pace.run(partial(self._feed.after, self._head, last))
            for change in rows:
                # No pause between these two: a listener either looks as far as this row or is idle and woken.
                self._head = max(self._head, change.seq)
                for some in _parts(await self._idle_groups(change), GROUPS_PER_STEP):
                    await self._pace.run(partial(self._wake, some, change))
            self._head = max(self._head, read_to)
            await asyncio.sleep(0)

    async def _idle_groups(self, change: Change) -> list[ListenerGroup]:
        """Groups with idle members that may want a row."""
        told = self._wanted.told(change)
        if told is None:
            return []
        shelves = self._groups.shelves(told.api, "", told.names)
        if told.topic:
            shelves += self._groups.shelves(told.api, told.topic, ())
        events: tuple[Event, ...] = ()
        if any(shelf.asks_content for shelf in shelves):
            events = await self._pace.run(partial(self._feed.events, change))
        return [group for shelf in shelves for group in shelf.groups(events) if group.idle]

    async def _wake(self, groups: Sequence[ListenerGroup], change: Change) -> None:
        before = end_of(change.seq - 1)
        for group in groups:
            place, _ = await self._wanted.next_place(group, before, self._head)
            if place is not None:
                for listener in list(group.idle):
                    # The reader has found nothing for those that are idle in the rows before this one.
                    listener.place = max(listener.place, before)
                    self._make_ready(listener)

    async def _refresh(self) -> None:
        """Notice registrations that came or went, and what was asked of them."""
        revision = await subscriptions.revision(self._store)
        if revision == self._revision:
            return
        before, self._revision = self._revision, revision
        if revision.ended != before.ended:
            for gone in self._listeners.keys() - await subscriptions.identifiers(self._store):
                self._end(self._listeners.pop(gone))
        for subscription in await subscriptions.since(self._store, before.revision):
            listener = self._listeners.get(subscription.id)
            if listener is None:
                listener = await self._begin(subscription)
            if listener is not None:
                await self._hear(listener, subscription)

    async def _begin(self, subscription: Subscription) -> Listener | None:
        group = await self._group(subscription)
        if group is None:
            return None
        group.members += 1
        listener = Listener(subscription, group)
        self._listeners[listener.id] = listener
        if row_of(listener.place) >= self._head and not listener.is_paused:
            group.idle[listener] = None
        elif not listener.is_paused:
            self._make_ready(listener)
        return listener

    async def _group(self, subscription: Subscription) -> ListenerGroup | None:
        key = (subscription.api, subscription.topic, subscription.query)
        group = self._groups.get(key)
        api = self._apis.get(subscription.api)
        if group is None and api is not None:
            try:
                if subscription.topic:
                    topic = await self._store.entity(subscription.topic)
                    wanted = topic_wish(subscription.query, topic, api, self._limits)
                else:
                    wanted = wish(subscription.query, api, self._limits)
            except Refused as error:
                log.warning("subscription_unusable", id=subscription.id, problem=error.message)
                return None
            group = ListenerGroup(key, wanted)
            self._groups.add(group)
        return group

    def _end(self, listener: Listener) -> None:
        listener.has_ended = True
        group = listener.group
        group.idle.pop(listener, None)
        group.members -= 1
        if not group.members:
            self._groups.remove(group)

    async def _hear(self, listener: Listener, subscription: Subscription) -> None:
        """Do what was asked of a listener: resume, or send dead letters again."""
        if listener.is_paused and not subscription.is_paused:
            listener.is_paused = False
            listener.failures = listener.refusals = listener.attempts = 0
            listener.failing_since = None
            self._make_ready(listener)
        under_way = {*listener.taken, *(letter.place for letter in listener.kept)}
        due, _ = await subscriptions.letters(self._store, listener.id, due_only=True)
        listener.due.clear()
        listener.due.extend(letter for letter in due if letter.place not in under_way)
        if listener.due and not listener.is_paused:
            self._make_ready(listener)

    # -- delivery ---------------------------------------------------------------------------------------------

    def _make_ready(self, listener: Listener) -> None:
        listener.group.idle.pop(listener, None)
        if not listener.is_in_work:
            listener.is_in_work = True
            self._stand_in_line(listener)

    def _stand_in_line(self, listener: Listener) -> None:
        line = self._failing if listener.failures else self._settled if listener.delivered else self._untried
        line.put_nowait(listener)

    async def _work(self, line: asyncio.Queue[Listener]) -> None:
        """Serve one listener after the other; each gets a few events at a time, so that all get their turn."""
        while True:
            listener = await line.get()
            await self._refresh()
            outcome: Outcome = "more"
            for _ in range(DELIVERIES_PER_TURN):
                outcome = await self._pace.run(partial(self._step, listener))
                if outcome != "more":
                    break
            if outcome == "more":
                self._stand_in_line(listener)
            elif outcome == "rest":
                assert self._tasks is not None, "workers run inside the group"
                self._tasks.create_task(self._rest(listener))

    async def _step(self, listener: Listener) -> Outcome:
        """One event, or one piece of the feed in which there is none."""
        if listener.has_ended or listener.is_paused:
            listener.is_in_work = False
            return "over"
        event = await self._next(listener)
        if event is not None:
            return self._settle(listener, event, await self._send(listener, event))
        if not listener.due and row_of(listener.place) >= self._head:
            # No pause since the look at the head: what the reader meets from now on, it wakes this listener for.
            listener.group.idle[listener] = None
            listener.is_in_work = False
            self._unsaved.add(listener)
            return "idle"
        return "more"

    async def _next(self, listener: Listener) -> Event | None:
        """The next event that a listener is to get; None when there was none as far as was looked."""
        if listener.due:
            letter = listener.due[0]
            event = await self._event(letter.place)
            if event is None:
                log.warning("dead_letter_gone", id=listener.id, type=letter.event_type)
                listener.taken.append(listener.due.popleft().place)
            return event
        place, looked_to = await self._wanted.next_place(listener.group, listener.place, self._head)
        if place is None:
            listener.place = looked_to
            return None
        listener.place = max(listener.place, end_of(row_of(place) - 1))
        event = await self._event(place)
        if event is None:
            listener.place = place
        return event

    async def _event(self, place: int) -> Event | None:
        change = await self._feed.row(row_of(place), self._head)
        if change is None:
            return None
        return next((one for one in await self._feed.events(change) if one.place == place), None)

    async def _send(self, listener: Listener, event: Event) -> Attempt:
        """One attempt."""
        timeout_s = self._limits.notification_timeout_s
        is_first = not listener.delivered and not listener.failures
        request = HttpRequest(
            "POST",
            listener.callback,
            _HEADERS,
            listener.group.wish.body(event),
            timeout_s=min(timeout_s, FIRST_TIMEOUT_S) if is_first else timeout_s,
            answer_size_max_bytes=ANSWER_SIZE_MAX_BYTES,
        )
        try:
            status = (await self._http.send(request)).status
        except HansaError as error:
            return Attempt(_CODES.get(error.code, error.code))
        if 200 <= status < 300:
            return Attempt(None, status)
        return Attempt(Code.LISTENER_REFUSED if 400 <= status < 500 else Code.LISTENER_FAILED, status)

    def _settle(self, listener: Listener, event: Event, attempt: Attempt) -> Outcome:
        """Draw the consequences of an attempt."""
        self._unsaved.add(listener)
        listener.problem = attempt.problem
        listener.answered = attempt.answered if attempt.problem else None
        if attempt.problem is None:
            listener.delivered += 1
            listener.failures = listener.refusals = 0
            listener.failing_since = None
            self._pass(listener, event)
            return "more"
        now = self._clock.now()
        listener.failures += 1
        listener.attempts += 1
        listener.failing_since = listener.failing_since or rfc3339(now)
        if listener.failures == 1:
            self._log("listener_failed", listener)
        is_worn_out = listener.attempts >= self._limits.notification_attempts_max
        if attempt.is_refusal or (attempt.is_about_event and is_worn_out):
            self._give_up(listener, event, attempt, now)
            if listener.refusals < self._limits.refusals_in_row_max:
                return "more"
        else:
            failing_s = (now - datetime.fromisoformat(listener.failing_since)).total_seconds()
            if failing_s < self._limits.listener_dead_after_s:
                return "rest"
        listener.is_paused = True
        listener.is_in_work = False
        self._log("listener_paused", listener)
        return "over"

    def _give_up(self, listener: Listener, event: Event, attempt: Attempt, now: datetime) -> None:
        """Make a dead letter of an event."""
        listener.kept.append(
            DeadLetter(
                event.event_id,
                event.event_type,
                event.place,
                rfc3339(now),
                listener.attempts,
                str(attempt.problem),
                attempt.answered,
            )
        )
        listener.refusals += 1
        self._pass(listener, event, is_taken=False)

    def _pass(self, listener: Listener, event: Event, *, is_taken: bool = True) -> None:
        """Go on behind an event."""
        listener.attempts = 0
        if listener.due and listener.due[0].place == event.place:
            listener.due.popleft()
            if is_taken:
                listener.taken.append(event.place)
            return
        whole = self._wanted.is_last_of_row(listener.group, event.place)
        listener.place = end_of(row_of(event.place)) if whole else event.place

    def _log(self, told: str, listener: Listener) -> None:
        log.warning(
            told,
            id=listener.id,
            host=urlsplit(listener.callback).hostname,
            problem=listener.problem,
            answered=listener.answered,
            failures=listener.failures,
        )

    async def _rest(self, listener: Listener) -> None:
        doubled_s = 2.0 ** min(listener.failures - 1, 30)
        await self._clock.sleep(min(doubled_s, self._limits.notification_backoff_max_s))
        self._stand_in_line(listener)

    # -- positions --------------------------------------------------------------------------------------------

    async def _save_regularly(self) -> None:
        while True:
            await self._clock.sleep(SAVE_INTERVAL_S)
            await self._refresh()
            await self._save()
            await self._save_idle()

    async def _save(self) -> None:
        """Write what has happened to listeners; what cannot be written now is written with the next."""
        moved, self._unsaved = self._unsaved, set()
        for some in _parts(list(moved), LISTENERS_PER_SAVE):
            progress = [listener.progress() for listener in some]
            try:
                async with self._store.transaction() as tx:
                    await subscriptions.save(tx, progress, self._limits.dead_letters_max)
            except HansaError as error:
                self._unsaved.update(some)
                log.warning("positions_not_saved", problem=error.message)
                continue
            for listener, written in zip(some, progress, strict=True):
                del listener.kept[: len(written.letters_kept)]
                del listener.taken[: len(written.letters_taken)]

    async def _save_idle(self) -> None:
        """Write now and then how far listeners were passed by, so that a restart need not look through it all again."""
        seq, saved_s = self._idle_saved
        now_s = self._clock.monotonic()
        if self._head - seq < IDLE_ROWS or now_s - saved_s < IDLE_INTERVAL_S:
            return
        self._idle_saved = (self._head, now_s)
        idle = [one.id for one in self._listeners.values() if not one.is_in_work and not one.is_paused]
        # The reader may still be waking listeners for the row at which it stands.
        passed = self._head - 1
        for some in _parts(idle, LISTENERS_PER_SAVE):
            try:
                async with self._store.transaction() as tx:
                    await subscriptions.pass_by(tx, some, passed)
            except HansaError as error:
                log.warning("positions_not_saved", problem=error.message)
                return


def _parts(items: list[T], length: int) -> Iterator[list[T]]:
    return (items[start : start + length] for start in range(0, len(items), length))
