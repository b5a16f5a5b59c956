"""Delivers notifications: every event, at least once, in order, to every listener that registered for it.

One reader follows the feed and wakes idle listeners for whose group a row has an event. A listener reads on
from its own place in the feed until it has everything up to where the reader is. The events that several
listeners accept are determined once (`listeners`, `feed`), and under load the hub takes a small share of the
event loop (`throttle`): then listeners fall behind, and catch up later.

A listener is in one of these states, so its events never overtake each other:

    idle       it has everything
    queued     it is in a queue, and is served by the next free worker of that queue
    waiting    its last attempt failed; the pause doubles after each failure up to the limit
    paused     nothing is attempted until someone resumes it; its place in the feed is retained

There are three queues with workers of their own: of listeners that accepted their last event, of those that
were never tried, and of those whose last attempt failed. So dead listeners delay other dead ones; a new one
has a short time for its first answer (`sending`). The consequences of an attempt are in `accounting`.

A registration that cannot be served, because its callback or its query is none that this release takes, is
paused with `listener-unusable`. A fault in the service of one listener makes that listener wait; one in a row
of the feed is logged, and the row passed over. A failure of the store ends `run`, which can be called again
and begins anew.

After a crash, what was delivered since positions were last written is delivered again, under the same
`eventId`. An entity is shown as it is when its event is prepared, which may be in a later version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog

from hansa.business.hub.accounting import DeliveryAccounts, Outcome, chunks
from hansa.business.hub.events import Event, end_of_row, row_of
from hansa.business.hub.feed import EventFeed, VisibleEvents
from hansa.business.hub.filter_index import ListenerGroups
from hansa.business.hub.listeners import Listener, ListenerGroup, PendingNotifications
from hansa.business.hub.registrations import set_aside
from hansa.business.hub.sending import NotificationSender
from hansa.business.hub.subscription_filter import api_filter, topic_filter
from hansa.business.hub.throttle import Throttle
from hansa.business.models import Api, Models
from hansa.business.validation.extensions import Extensions
from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.store import Change, Store
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import Revision, State, Subscription

DELIVERIES_PER_TURN: Final = 16
GROUPS_PER_STEP: Final = 64
SAVE_INTERVAL_S: Final = 2.0
IDLE_ROWS: Final = 10_000
IDLE_INTERVAL_S: Final = 60.0
"""Rows of the feed, and time, after which the positions of idle listeners are written too."""

log = structlog.get_logger()


class HubDispatcher:
    """Delivers the notifications of all registrations; see the module."""

    def __init__(
        self,
        store: Store,
        models: Models,
        http: HttpClient,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        endpoint: str,
        extensions: Extensions | None = None,
        visible: VisibleEvents | None = None,
    ) -> None:
        """Make one that does not run yet.

        Args:
            store: Has the feed, and the registrations.
            models: Of the APIs.
            http: To the listeners.
            clock: For all times.
            entropy: For pauses.
            limits: For what grows.
            endpoint: Where this marketplace is reached.
            extensions: What the operator added to the APIs.
            visible: Decides what listeners of organisations see; None: they are not served.
        """
        self._visible = visible
        self._store = store
        self._apis: dict[str, Api] = {
            api.id: api if extensions is None else extensions.extended(api) for api in models.apis
        }
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._feed = EventFeed(store, models, endpoint.rstrip("/"))
        self._pending = PendingNotifications(self._feed, models)
        self._sender = NotificationSender(http, clock, limits)
        self._throttle = Throttle(clock, lambda: store.writes_waiting)
        self._is_running = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget all listeners; their registrations and positions are in the store."""
        self._accounts = DeliveryAccounts(self._store, self._pending, self._clock, self._limits)
        self._groups = ListenerGroups()
        self._listeners: dict[str, Listener] = {}
        self._unusable: set[str] = set()
        """Registrations that cannot be served."""
        self._revision = Revision(-1, 0)
        self._refreshing = asyncio.Lock()
        self._head = 0
        """The last row of the feed that the reader has reached."""
        self._proven: asyncio.Queue[Listener] = asyncio.Queue()
        self._untried: asyncio.Queue[Listener] = asyncio.Queue()
        self._failing: asyncio.Queue[Listener] = asyncio.Queue()
        self._idle_saved = (0, 0.0)
        """Row and time at which the positions of idle listeners were last written."""
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def caches(self) -> tuple[Cache[Any, Any], ...]:
        """The hub's caches, for their figures."""
        return (*self._feed.caches, *self._pending.caches)

    def counts_by_state(self) -> dict[State, int]:
        """How many registrations are active, failing (the last attempt failed) and paused."""
        counts: dict[State, int] = {"active": 0, "failing": 0, "paused": len(self._unusable)}
        for one in self._listeners.values():
            counts["paused" if one.is_paused else "failing" if one.failures else "active"] += 1
        return counts

    async def run(self) -> None:
        """Deliver until cancelled, or until the store fails; positions are written before it ends.

        It can be called again then.
        """
        assert not self._is_running, "a dispatcher runs once at a time"
        self._is_running = True
        self._begin_anew()
        self._head = await self._store.last_change()
        self._idle_saved = (self._head, self._clock.monotonic())
        quarter = max(1, self._limits.notifications_in_flight_max // 4)
        workers = (
            (self._proven, max(1, self._limits.notifications_in_flight_max - 2 * quarter)),
            (self._untried, quarter),
            (self._failing, quarter),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._refresh()
                for queue, count in workers:
                    for _ in range(count):
                        tasks.create_task(self._serve(queue))
                tasks.create_task(self._save_regularly())
                await self._read()
        finally:
            self._is_running = False
            await self._accounts.save()

    # -- the reader ------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Follow the feed, and wake idle listeners."""
        while True:
            await self._store.wait_for_change(self._head)
            await self._refresh()
            last = await self._store.last_change()
            if not self._listeners:  # whoever registers from now on reads from its own place
                self._head = last
                continue
            rows, read_to = await self._throttle.run(partial(self._feed.rows_after, self._head, last))
            for change in rows:
                # Nothing suspends between these two: a listener either reads up to this row or is idle and
                # woken.
                self._head = max(self._head, change.seq)
                try:
                    for some in chunks(await self._idle_groups(change), GROUPS_PER_STEP):
                        await self._throttle.run(partial(self._wake, some, change))
                except HansaError:
                    raise
                except Exception:
                    log.exception("row_not_dispatched", row=change.seq, type=change.type)
            self._head = max(self._head, read_to)
            await asyncio.sleep(0)

    async def _idle_groups(self, change: Change) -> list[ListenerGroup]:
        """Groups with idle members whose filter may accept an event of a row."""
        notifications = self._pending.notifications_of(change)
        if notifications is None:
            return []
        indexes = self._groups.indexes(notifications.api, "", notifications.names)
        if notifications.topic:
            indexes += self._groups.indexes(notifications.api, notifications.topic, ())
        events: tuple[Event, ...] = ()
        if any(index.needs_content for index in indexes):
            events = await self._throttle.run(partial(self._feed.events, change))
        return [group for index in indexes for group in index.candidates(events) if group.idle]

    async def _wake(self, groups: Sequence[ListenerGroup], change: Change) -> None:
        before = end_of_row(change.seq - 1)
        for group in groups:
            place, _ = await self._pending.next_place(group, before, self._head)
            if place is not None:
                for listener in list(group.idle):
                    # The rows before this one have no event for those that are idle.
                    listener.place = max(listener.place, before)
                    self._activate(listener)

    # -- registrations ---------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Apply changes of registrations: new ones, removed ones, and requests to resume or to send again."""
        if await subscriptions.revision(self._store) == self._revision:
            return
        async with self._refreshing:
            revision = await subscriptions.revision(self._store)
            before = self._revision
            assert revision.revision >= before.revision, "the revision of registrations only grows"
            assert revision.ended >= before.ended, "registrations do not come back"
            if revision.ended != before.ended:
                present = await subscriptions.identifiers(self._store)
                self._unusable &= present
                for removed in self._listeners.keys() - present:
                    self._end(self._listeners.pop(removed))
            for subscription in await subscriptions.since(self._store, before.revision):
                if subscription.api == subscriptions.LEAGUE:
                    continue
                listener = self._listeners.get(subscription.id) or await self._begin(subscription)
                if listener is not None and await self._accounts.apply_requests(listener, subscription):
                    self._activate(listener)
            self._revision = revision

    async def _begin(self, subscription: Subscription) -> Listener | None:
        """Begin to serve a registration; None when it cannot be served, which concerns no other."""
        try:
            group = await self._group(subscription)
            listener = Listener(subscription, group)
        except Refused as error:
            await self._set_aside(subscription, error.message)
            return None
        except HansaError:
            raise
        except Exception as error:
            log.exception("subscription_failed", id=subscription.id)
            await self._set_aside(subscription, type(error).__name__)
            return None
        self._unusable.discard(subscription.id)
        if not group.members:
            self._groups.add(group)
        group.members += 1
        self._listeners[listener.id] = listener
        if row_of(listener.place) >= self._head and not listener.is_paused:
            group.idle[listener] = None
        elif not listener.is_paused:
            self._activate(listener)
        return listener

    async def _group(self, subscription: Subscription) -> ListenerGroup:
        """The group of a registration; a new one is added with its first member.

        Raises:
            Refused: The API is not served any more, or the query is none that it takes.
        """
        is_restricted = bool(subscription.organization)
        if is_restricted and self._visible is None:
            raise Refused(Code.FORBIDDEN, "Nothing here decides what organisations may see.")
        key = (subscription.api, subscription.topic, subscription.query, is_restricted)
        group = self._groups.get(key)
        if group is not None:
            return group
        api = self._apis.get(subscription.api)
        if api is None:
            raise Refused(Code.NOT_FOUND, f"{subscription.api} is not served here.")
        if subscription.topic:
            topic = await self._store.entity(subscription.topic)
            subscription_filter = topic_filter(subscription.query, topic, api, self._limits)
        else:
            subscription_filter = api_filter(subscription.query, api, self._limits)
        return ListenerGroup(key, subscription_filter)

    async def _set_aside(self, subscription: Subscription, problem: str) -> None:
        self._unusable.add(subscription.id)
        await set_aside(self._store, subscription, problem)

    def _end(self, listener: Listener) -> None:
        assert not listener.has_ended, "a registration ends once"
        listener.has_ended = True
        group = listener.group
        group.idle.pop(listener, None)
        group.members -= 1
        assert group.members >= 0, "every member was counted"
        if not group.members:
            self._groups.remove(group)

    # -- delivery --------------------------------------------------------------------------------------------

    def _activate(self, listener: Listener) -> None:
        """Queue a listener that is not active already."""
        listener.group.idle.pop(listener, None)
        if not listener.is_active:
            listener.is_active = True
            self._enqueue(listener)

    def _enqueue(self, listener: Listener) -> None:
        assert listener.is_active, "idle and paused listeners are in no queue"
        queue = self._failing if listener.failures else self._proven if listener.delivered else self._untried
        queue.put_nowait(listener)

    async def _serve(self, queue: asyncio.Queue[Listener]) -> None:
        """Serve the listeners of a queue in turn, each with a few events at a time."""
        while True:
            listener = await queue.get()
            await self._refresh()
            outcome: Outcome = "more"
            for _ in range(DELIVERIES_PER_TURN):
                try:
                    outcome = await self._throttle.run(partial(self._step, listener))
                except HansaError:
                    raise
                except Exception:
                    log.exception("delivery_crashed", id=listener.id)
                    outcome = self._accounts.settle_crash(listener)
                if outcome != "more":
                    break
            if outcome == "more":
                self._enqueue(listener)
            elif outcome == "wait":
                assert self._tasks is not None, "workers run inside the group"
                self._tasks.create_task(self._wait(listener))

    async def _step(self, listener: Listener) -> Outcome:
        """Deliver one event, or search one chunk of the feed in which there is none."""
        if listener.has_ended or listener.is_paused:
            listener.is_active = False
            return "stop"
        if self._visible is not None and not self._visible.is_served(listener.caller):
            return self._accounts.stop(listener)
        event = await self._next_event(listener)
        if event is not None:
            return self._accounts.settle(listener, event, await self._sender.send(listener, event))
        if not listener.dead_letters_due and row_of(listener.place) >= self._head:
            # Nothing suspends after the comparison with the head: for later rows the reader wakes this
            # listener.
            listener.group.idle[listener] = None
            listener.is_active = False
            self._accounts.mark_unsaved(listener)
            return "idle"
        return "more"

    async def _next_event(self, listener: Listener) -> Event | None:
        """The next event for a listener; None when there was none as far as was searched."""
        if listener.dead_letters_due:
            letter = listener.dead_letters_due[0]
            event = await self._event_at(letter.place, listener)
            if event is None:
                log.warning("dead_letter_without_event", id=listener.id, type=letter.event_type)
                listener.dead_letters_resolved.append(listener.dead_letters_due.popleft().place)
            return event
        place, searched_to = await self._pending.next_place(listener.group, listener.place, self._head)
        if place is None:
            listener.place = searched_to
            return None
        listener.place = max(listener.place, end_of_row(row_of(place) - 1))
        event = await self._event_at(place, listener)
        if event is None:
            listener.place = place
        return event

    async def _event_at(self, place: int, listener: Listener) -> Event | None:
        """The event at a place, as a listener may see it now; None when it may not."""
        change = await self._feed.row(row_of(place), self._head)
        if change is None:
            return None
        if listener.group.is_restricted:
            assert self._visible is not None, "without it there is no such group"
            event = await self._visible.event(listener.caller, change, place)
            return event if event is not None and listener.group.tested.accepts(event) else None
        return next((one for one in await self._feed.events(change) if one.place == place), None)

    async def _wait(self, listener: Listener) -> None:
        """Queue a listener again after the pause for its failures."""
        await self._clock.sleep(self._accounts.pause_s(listener, self._entropy))
        self._enqueue(listener)

    # -- positions -------------------------------------------------------------------------------------------

    async def _save_regularly(self) -> None:
        while True:
            await self._clock.sleep(SAVE_INTERVAL_S)
            await self._refresh()
            await self._accounts.save()
            await self._save_idle()

    async def _save_idle(self) -> None:
        """Write the positions of idle listeners now and then, so that a restart need not search as much."""
        seq, saved_s = self._idle_saved
        now_s = self._clock.monotonic()
        if self._head - seq < IDLE_ROWS or now_s - saved_s < IDLE_INTERVAL_S:
            return
        self._idle_saved = (self._head, now_s)
        idle = [one.id for one in self._listeners.values() if not one.is_active and not one.is_paused]
        # The reader may still be waking listeners for the row at which it is.
        await self._accounts.save_idle(idle, self._head - 1)
