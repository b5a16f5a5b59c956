"""Delivers the events of the league to listeners: each event at least once, in the order of the ledger.

One reader follows the ledger, and looks at the new events for every listener that has everything so far. A
listener with something to receive is queued; the next free worker searches the ledger from the listener's own
place, sends a few events, and queues it again. So a listener that is far behind costs no other anything.

A listener is in one of these states, and its events never overtake each other:

    idle       it has everything that the reader has seen
    queued     it is in the queue, or a worker serves it
    waiting    its last attempt failed; the pause doubles after each failure up to the limit
    paused     nothing is attempted until someone resumes it; its place is retained

What an answer means for event and listener is decided as at the hub (`hansa.business.hub.accounting`): what
does not answer is tried again, what is refused becomes a dead letter, which can be sent again. Places are
positions on the ledger; they are written every few seconds, so after a crash some events are sent again,
under the same `webhook-id`.

Until the ledger has begun there is nothing to deliver, and `run` waits for it. A failure of the store, or of
the ledger later, ends `run`, which can be called again and begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.api.events import CLOUD_EVENT, cloud_event, event_document
from hansa.business.hub.accounting import DeliveryAccounts, Outcome
from hansa.business.hub.events import Event, end_of_row, row_of
from hansa.business.hub.listeners import Listener, ListenerGroup
from hansa.business.hub.registrations import set_aside
from hansa.business.hub.sending import NotificationSender
from hansa.business.hub.subscription_filter import SubscriptionFilter
from hansa.business.hub.throttle import Throttle
from hansa.core.clock import Clock
from hansa.core.errors import HansaError, Refused
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import CommittedEvent, EventFilter
from hansa.replication.registry import MemberRegistry
from hansa.store import Store
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import LEAGUE, Revision, Subscription

EVENTS_PER_TURN: Final = 16
SAVE_INTERVAL_S: Final = 2.0
REFRESH_INTERVAL_S: Final = 0.5
BEGIN_PAUSE_MIN_S: Final = 0.2
BEGIN_PAUSE_MAX_S: Final = 5.0
"""Between looks for a ledger that has not begun."""

ReadFilter = Callable[[str], Awaitable[EventFilter]]
"""The filter of a registration's query. Raises `Refused`."""

log = structlog.get_logger()


class LedgerListener(Listener):
    """A registration, and which events it gets."""

    def __init__(self, subscription: Subscription, filter: EventFilter) -> None:
        group = ListenerGroup((LEAGUE, "", subscription.query, False), SubscriptionFilter(None))
        super().__init__(subscription, group)
        self.event_filter = filter


class _OneEventARow:
    """Positions of the ledger have one event each."""

    def is_last_of_row(self, group: ListenerGroup, place: int) -> bool:
        """Always."""
        del group, place
        return True


class LedgerNotifier:
    """Delivers to all registrations; see the module.

    Args:
        bus: Where the events are.
        registry: Where their issuers serve the entities.
        read_filter: Reads the queries of registrations.
        store: Has the registrations.
        http: Reaches listeners.
        clock: For pauses and times.
        entropy: For jitter.
        limits: `notification_…`, `listener_dead_after_s`, `dead_letters_max`.
    """

    def __init__(
        self,
        bus: BusReads,
        registry: MemberRegistry,
        read_filter: ReadFilter,
        store: Store,
        http: HttpClient,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._read_filter = read_filter
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._sender = NotificationSender(http, clock, limits, CLOUD_EVENT)
        self._throttle = Throttle(clock, lambda: store.writes_waiting)
        self._retry = Retry("webhooks", clock, entropy, BEGIN_PAUSE_MIN_S, BEGIN_PAUSE_MAX_S)
        self._is_running = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget all listeners; their registrations and places are in the store."""
        self._accounts = DeliveryAccounts(self._store, _OneEventARow(), self._clock, self._limits)
        self._listeners: dict[str, LedgerListener] = {}
        self._idle: dict[LedgerListener, None] = {}
        self._queue: asyncio.Queue[LedgerListener] = asyncio.Queue()
        self._revision = Revision(-1, 0)
        self._head = 0
        """Position up to which the reader has seen the ledger."""
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Deliver until cancelled, or until the store or the ledger fails; then places are written."""
        assert not self._is_running, "a notifier runs once at a time"
        self._is_running = True
        self._begin_anew()
        try:
            self._head = await self._retry(self._last_position)
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self._refresh()
                for _ in range(max(1, self._limits.notifications_in_flight_max // 4)):
                    tasks.create_task(self._serve())
                tasks.create_task(self._repeat(REFRESH_INTERVAL_S, self._refresh))
                tasks.create_task(self._repeat(SAVE_INTERVAL_S, self._accounts.save))
                await self._read()
        finally:
            self._is_running = False
            await self._accounts.save()

    async def _last_position(self) -> int:
        return (await self._bus.search(0, EventFilter(), 1)).last_position

    async def _repeat(self, interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(interval_s)
            await work()

    # -- the reader ------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Follow the ledger, and queue the idle listeners that new events are for."""
        async for page in self._bus.follow(self._head):
            # Nothing suspends in here: a listener is idle and looked at, or reads up to this page itself.
            self._head = max(self._head, page.scanned_to)
            for listener in tuple(self._idle):
                if any(listener.event_filter.accepts(one.event) for one in page.events):
                    self._activate(listener)
                else:
                    listener.place = max(listener.place, end_of_row(page.scanned_to))

    # -- registrations ---------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Apply changes of registrations: new ones, removed ones, and requests to resume or to send again."""
        revision, before = await subscriptions.revision(self._store), self._revision
        if revision == before:
            return
        if revision.ended != before.ended:
            present = await subscriptions.identifiers(self._store)
            for removed in self._listeners.keys() - present:
                ended = self._listeners.pop(removed)
                ended.has_ended = True
                self._idle.pop(ended, None)
        for subscription in await subscriptions.since(self._store, before.revision):
            if subscription.api == LEAGUE:
                listener = self._listeners.get(subscription.id) or await self._begin(subscription)
                if listener is not None and await self._accounts.apply_requests(listener, subscription):
                    self._activate(listener)
        self._revision = revision

    async def _begin(self, subscription: Subscription) -> LedgerListener | None:
        """Begin to serve a registration; None when it cannot be served, which concerns no other."""
        try:
            listener = LedgerListener(subscription, await self._read_filter(subscription.query))
        except Refused as error:
            await set_aside(self._store, subscription, error.message)
            return None
        except HansaError:
            raise
        except Exception as error:
            log.exception("subscription_failed", id=subscription.id)
            await set_aside(self._store, subscription, type(error).__name__)
            return None
        self._listeners[listener.id] = listener
        if not listener.is_paused:
            self._activate(listener)
        return listener

    # -- delivery --------------------------------------------------------------------------------------------

    def _activate(self, listener: LedgerListener) -> None:
        """Queue a listener that is not active already."""
        self._idle.pop(listener, None)
        if not listener.is_active:
            listener.is_active = True
            self._queue.put_nowait(listener)

    async def _serve(self) -> None:
        """Serve the listeners of the queue in turn, each with a few events at a time."""
        while True:
            listener = await self._queue.get()
            try:
                outcome = await self._turn(listener)
            except HansaError:
                raise
            except Exception:
                log.exception("delivery_crashed", id=listener.id)
                outcome = self._accounts.settle_crash(listener)
            if outcome == "more":
                self._queue.put_nowait(listener)
            elif outcome == "wait":
                assert self._tasks is not None, "workers run inside the group"
                self._tasks.create_task(self._wait(listener))

    async def _turn(self, listener: LedgerListener) -> Outcome:
        """Send a listener its dead letters that are due, or its next events."""
        if listener.has_ended or listener.is_paused:
            listener.is_active = False
            return "stop"
        if listener.dead_letters_due:
            position = row_of(listener.dead_letters_due[0].place)
            page = await self._bus.search(position - 1, EventFilter(), 1, with_proofs=True)
            if page.events:
                return await self._deliver(listener, page.events[0], await self._endpoints())
            listener.dead_letters_resolved.append(listener.dead_letters_due.popleft().place)
            return "more"
        after = row_of(listener.place)
        page = await self._bus.search(after, listener.event_filter, EVENTS_PER_TURN, with_proofs=True)
        endpoints = await self._endpoints()
        for event in page.events:
            outcome = await self._deliver(listener, event, endpoints)
            if outcome != "more":
                return outcome
        listener.place = max(listener.place, end_of_row(page.scanned_to))
        if page.scanned_to < self._head:
            return "more"
        # Nothing suspends after the comparison with the head: of later events the reader knows.
        self._idle[listener] = None
        listener.is_active = False
        self._accounts.mark_unsaved(listener)
        return "idle"

    async def _endpoints(self) -> Mapping[str, str]:
        """Where the members serve, by DID."""
        return {member.did: member.endpoint for member in await self._registry.members()}

    async def _deliver(
        self, listener: LedgerListener, committed: CommittedEvent, endpoints: Mapping[str, str]
    ) -> Outcome:
        document = event_document(committed, endpoints.get(committed.event.issuer))
        event = Event(
            end_of_row(committed.position),
            LEAGUE,
            "",
            committed.event.type,
            webhook_id(committed.position),
            msgspec.json.encode(cloud_event(committed, document)),
        )
        attempt = await self._throttle.run(partial(self._sender.send, listener, event))
        return self._accounts.settle(listener, event, attempt)

    async def _wait(self, listener: LedgerListener) -> None:
        """Queue a listener again after the pause for its failures."""
        await self._clock.sleep(self._accounts.pause_s(listener, self._entropy))
        self._queue.put_nowait(listener)


def webhook_id(position: int) -> str:
    """By which a listener recognizes an event that is sent again: unique on the ledger."""
    return f"league-{position}"
