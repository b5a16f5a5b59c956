"""Delivers notifications: every event, at least once, in order, to every listener that registered for it.

One reader follows the feed and tells which listeners want a row. What a listener has yet to get waits in its queue,
a short list of row numbers. A listener whose queue is full, or that was away, is *behind*: it forgets its queue and
reads the feed from its own position, a piece at a time, until it has caught up with the reader.

A listener is in at most one of these states, so its events never overtake each other:

    idle       nothing to deliver
    ready      stands in the line of its lane, and is served by the next free worker of that lane
    resting    its last attempt failed; it waits, twice as long after each failure up to the limit, and is ready again

There are two lanes with workers of their own: listeners whose last attempt succeeded, and those whose last attempt
failed. A dead listener costs the lane of the others one timeout, once, and then holds up only other dead ones. It is
tried for ever, ever more rarely; nothing is dropped. After `notification_attempts_max` failures in a row the log
says that it is dead; number and reason of its failures stand in the store.

Positions are written together every few seconds. After a crash, what was delivered since then is delivered again,
under the same `eventId`. An entity is shown as it stands when its event is prepared, which may be a later version.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import structlog

from hansa.business.models import Api, Models
from hansa.business.notifications import SUFFIXES, HubQuery, Notification, event_of, hub_query, notification
from hansa.core.clock import Clock
from hansa.core.errors import HansaError, Refused
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.limits import Limits
from hansa.store import Change, Store, subscriptions
from hansa.store.subscriptions import Progress, Subscription

CHANGES_PER_READ: Final = 256
QUEUE_LENGTH_MAX: Final = 64
WINDOW_LENGTH_MAX: Final = 1024
DELIVERIES_PER_TURN: Final = 16
SAVE_INTERVAL_S: Final = 2.0
IDLE_POSITIONS_SAVED_EVERY: Final = 1000
"""Rows of the feed after which the positions of listeners that wanted none of them are written too."""
ANSWER_SIZE_MAX_BYTES: Final = 65_536
_HEADERS: Final = {"content-type": "application/json;charset=utf-8"}

log = structlog.get_logger()


class Listener:
    """A registration and its delivery."""

    def __init__(self, subscription: Subscription, query: HubQuery, head: int) -> None:
        self.id = subscription.id
        self.api = subscription.api
        self.callback = subscription.callback
        self.query = query
        self.position = subscription.position
        self.failures = subscription.failures
        self.problem = subscription.problem
        self.queue: deque[int] = deque()
        self.is_behind = subscription.position < head
        self.is_busy = False
        """Ready, being served, or resting."""
        self.has_ended = False

    def wants(self, event: Notification) -> bool:
        """Whether it registered for this event."""
        return event.api == self.api and event.is_wanted(self.query)

    def enqueue(self, seq: int) -> None:
        """Remember a row that it wants."""
        if self.is_behind or seq <= self.position:
            return
        if len(self.queue) >= QUEUE_LENGTH_MAX:
            self.position = max(self.position, self.queue[0] - 1)
            self.queue.clear()
            self.is_behind = True
        else:
            self.queue.append(seq)


class HubDispatcher:
    """Delivers the notifications of all registrations; see the module."""

    def __init__(
        self, store: Store, models: Models, http: HttpClient, clock: Clock, limits: Limits, endpoint: str
    ) -> None:
        self._store = store
        self._models = models
        self._apis: dict[str, Api] = {api.id: api for api in models.apis}
        self._http = http
        self._clock = clock
        self._limits = limits
        self._endpoint = endpoint.rstrip("/")
        self._listeners: dict[str, Listener] = {}
        self._by_event: dict[str, list[Listener]] = {}
        self._revision = -1
        self._serial = 0
        self._head = 0
        self._window: dict[int, Notification | None] = {}
        self._healthy: asyncio.Queue[Listener] = asyncio.Queue()
        self._failing: asyncio.Queue[Listener] = asyncio.Queue()
        self._unsaved: set[Listener] = set()
        self._idle_saved_at = 0
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def listeners(self) -> int:
        """Registrations that are served."""
        return len(self._listeners)

    @property
    def listeners_failing(self) -> int:
        """Those whose last attempt failed."""
        return sum(listener.failures > 0 for listener in self._listeners.values())

    async def run(self) -> None:
        """Deliver until cancelled; positions are written before it ends."""
        self._head = self._idle_saved_at = await self._store.last_change()
        failing_lane = max(1, self._limits.notifications_in_flight_max // 4)
        healthy_lane = max(1, self._limits.notifications_in_flight_max - failing_lane)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._refresh()
                for _ in range(healthy_lane):
                    tasks.create_task(self._work(self._healthy))
                for _ in range(failing_lane):
                    tasks.create_task(self._work(self._failing))
                tasks.create_task(self._save_regularly())
                await self._read()
        finally:
            await self._save()

    # -- the reader -------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Follow the feed, and tell listeners what they want of it."""
        while True:
            await self._store.wait_for_change(self._head)
            await self._refresh()
            changes = await self._store.changes(self._head, CHANGES_PER_READ)
            for change in changes:
                event = await self._event_if_wanted(change)
                # No pause between these two: a listener either reads the row from the feed or has it in its queue.
                self._head = change.seq
                self._tell(change.seq, event)
            if self._head - self._idle_saved_at >= IDLE_POSITIONS_SAVED_EVERY:
                self._idle_saved_at = self._head
                self._unsaved.update(
                    one for one in self._listeners.values() if not one.queue and not one.is_behind
                )
            await asyncio.sleep(0)

    async def _event_if_wanted(self, change: Change) -> Notification | None:
        found = event_of(change, self._models)
        if found is None or found[2].lower() not in self._by_event:
            return None
        return await self._notification(change)

    def _tell(self, seq: int, event: Notification | None) -> None:
        if event is None:
            return
        for listener in self._by_event.get(event.event_type.lower(), ()):
            if listener.wants(event):
                listener.enqueue(seq)
                self._make_ready(listener)

    async def _notification(self, change: Change) -> Notification | None:
        if change.seq in self._window:
            return self._window[change.seq]
        entity = None if change.operation == "delete" else await self._store.entity(change.entity_id)
        event = notification(change, entity, self._models, self._endpoint)
        self._window[change.seq] = event
        if len(self._window) > WINDOW_LENGTH_MAX:
            del self._window[next(iter(self._window))]
        return event

    async def _refresh(self) -> None:
        """Notice registrations that came or went."""
        revision = await subscriptions.revision(self._store)
        if revision == self._revision:
            return
        standing = await subscriptions.identifiers(self._store)
        for gone in self._listeners.keys() - standing:
            self._listeners.pop(gone).has_ended = True
        for subscription in await subscriptions.since(self._store, self._serial):
            if subscription.serial <= self._serial:
                continue
            self._serial = subscription.serial
            api = self._apis.get(subscription.api)
            try:
                query = hub_query(subscription.query, api, self._limits) if api else None
            except Refused as error:
                log.warning("subscription_unusable", id=subscription.id, problem=error.message)
                query = None
            if query is not None:
                listener = Listener(subscription, query, self._head)
                self._listeners[listener.id] = listener
                if listener.is_behind:
                    self._make_ready(listener)
        self._index(self._listeners.values())
        self._revision = revision

    def _index(self, listeners: Iterable[Listener]) -> None:
        """Find the listeners of an event without asking each of them."""
        self._by_event = {}
        offered = {
            api.id: {
                resource.event(suffix).lower() for resource in api.resources for suffix in SUFFIXES.values()
            }
            | {event.lower() for resource in api.resources for event in resource.events}
            for api in self._models.apis
        }
        for listener in listeners:
            for event_type in listener.query.event_types or offered[listener.api]:
                self._by_event.setdefault(event_type, []).append(listener)

    # -- delivery ---------------------------------------------------------------------------------------------

    def _make_ready(self, listener: Listener) -> None:
        if not listener.is_busy:
            listener.is_busy = True
            self._stand_in_line(listener)

    def _stand_in_line(self, listener: Listener) -> None:
        (self._failing if listener.failures else self._healthy).put_nowait(listener)

    async def _work(self, line: asyncio.Queue[Listener]) -> None:
        """Serve one listener after the other; each gets a few events at a time, so that all get their turn."""
        while True:
            listener = await line.get()
            await self._refresh()
            went_well = True
            for _ in range(DELIVERIES_PER_TURN):
                event = await self._next(listener)
                if event is None or listener.has_ended:
                    break
                went_well = await self._deliver(listener, event)
                if not went_well:
                    break
            if listener.has_ended:
                continue
            if not went_well:
                assert self._tasks is not None, "workers run inside the group"
                self._tasks.create_task(self._rest(listener))
            elif listener.queue or listener.is_behind:
                self._stand_in_line(listener)
            else:
                listener.is_busy = False

    async def _next(self, listener: Listener) -> Notification | None:
        """The next event that a listener is to get; None when it has all of them."""
        while listener.is_behind:
            changes = await self._store.changes(listener.position, CHANGES_PER_READ)
            for change in changes:
                if change.seq > self._head:
                    break
                event = await self._notification(change)
                if event is not None and listener.wants(event):
                    return event
                listener.position = change.seq
            else:
                if len(changes) == CHANGES_PER_READ:
                    await asyncio.sleep(0)
                    continue
            # Nothing is left up to the head: what the reader tells from now on, it queues.
            listener.position = max(listener.position, self._head)
            listener.is_behind = False
            self._unsaved.add(listener)
        if not listener.queue:
            return None
        (change,) = await self._store.changes(listener.queue[0] - 1, 1)
        return await self._notification(change)

    async def _deliver(self, listener: Listener, event: Notification) -> bool:
        """One attempt; whether it succeeded."""
        request = HttpRequest(
            "POST",
            listener.callback,
            _HEADERS,
            event.body,
            timeout_s=self._limits.notification_timeout_s,
            answer_size_max_bytes=ANSWER_SIZE_MAX_BYTES,
        )
        try:
            answer = await self._http.send(request)
            problem = None if 200 <= answer.status < 300 else f"answered {answer.status}"
        except HansaError as error:
            problem = str(error.code)
        self._unsaved.add(listener)
        listener.problem = problem
        if problem is None:
            listener.failures = 0
            listener.position = event.seq
            if listener.queue and listener.queue[0] == event.seq:
                listener.queue.popleft()
            return True
        listener.failures += 1
        if listener.failures in {1, self._limits.notification_attempts_max}:
            state = "listener_failed" if listener.failures == 1 else "listener_dead"
            host = urlsplit(listener.callback).hostname
            log.warning(state, id=listener.id, host=host, problem=problem, failures=listener.failures)
        return False

    async def _rest(self, listener: Listener) -> None:
        doubled_s = 2.0 ** min(listener.failures - 1, 30)
        await self._clock.sleep(min(doubled_s, self._limits.notification_backoff_max_s))
        self._stand_in_line(listener)

    # -- positions --------------------------------------------------------------------------------------------

    async def _save_regularly(self) -> None:
        while True:
            await self._clock.sleep(SAVE_INTERVAL_S)
            await self._save()

    async def _save(self) -> None:
        """Write the positions that moved; those that cannot be written now are written with the next."""
        moved, self._unsaved = self._unsaved, set()
        if not moved:
            return
        progress = [
            Progress(
                one.id,
                one.position if one.queue or one.is_behind or one.is_busy else max(one.position, self._head),
                one.failures,
                one.problem,
            )
            for one in moved
        ]
        try:
            async with self._store.transaction() as tx:
                await subscriptions.save(tx, progress)
        except HansaError as error:
            self._unsaved |= moved
            log.warning("positions_not_saved", problem=error.message)
