"""Keeps account of deliveries: the consequences of each attempt for its listener, and when they are written.

What a failed attempt means depends on who is to blame. A listener that does not answer, is too busy, or is
behind a proxy that says so (`sending.STATUSES_OF_ABSENCE`) gets the same event again; when it has been
failing for `listener_dead_after_s`, it is paused. An event that a listener refuses (another status 4xx), or
fails at `notification_attempts_max` times, becomes a dead letter, and the next event is sent; after
`refusals_in_row_max` of them in a row, the listener is paused. A dead letter can be sent again; it is the
only event that others overtake. Nothing else is dropped.

Positions and dead letters are written together every few seconds, many listeners in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, Protocol, TypeVar

import structlog

from hansa.business.hub.events import Event, end_of_row, row_of
from hansa.business.hub.feed import caller_of
from hansa.business.hub.listeners import Listener, ListenerGroup
from hansa.business.hub.sending import Attempt
from hansa.core.backoff import backoff_s
from hansa.core.clock import Clock, read_rfc3339, rfc3339
from hansa.core.errors import Code, HansaError
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.store import Store
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import DeadLetter, Subscription

LISTENERS_PER_SAVE: Final = 256
BACKOFF_MIN_S: Final = 1.0

Outcome = Literal["more", "idle", "wait", "stop"]
"""Of a step at a listener: there may be more to deliver, it has everything, it has to wait, it is not
served."""

T = TypeVar("T")

log = structlog.get_logger()


class RowEnds(Protocol):
    """Knows where a listener is done with a row."""

    def is_last_of_row(self, group: ListenerGroup, place: int) -> bool:
        """Whether the group accepts no further event of the row of a place; False when that is unknown."""


class DeliveryAccounts:
    """The accounts of all listeners."""

    def __init__(self, store: Store, rows: RowEnds, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._rows = rows
        self._clock = clock
        self._limits = limits
        self._unsaved: set[Listener] = set()

    def settle(self, listener: Listener, event: Event, attempt: Attempt) -> Outcome:
        """Apply the consequences of an attempt to its listener."""
        assert listener.is_active, "only a listener that is being served is sent an event"
        self._unsaved.add(listener)
        listener.problem = attempt.problem
        listener.answered = attempt.answered if attempt.problem else None
        if attempt.problem is None:
            listener.delivered += 1
            listener.failures = listener.refusals = 0
            listener.failing_since = None
            self._advance(listener, event, is_delivered=True)
            return "more"
        now = self._clock.now()
        listener.attempts += 1
        self._count_failure(listener, now)
        is_last_attempt = listener.attempts >= self._limits.notification_attempts_max
        if attempt.is_refusal or (attempt.is_about_event and is_last_attempt):
            self._give_up(listener, event, attempt, now)
            if listener.refusals < self._limits.refusals_in_row_max:
                return "more"
        elif not self._is_dead(listener, now):
            return "wait"
        return _pause(listener)

    def settle_crash(self, listener: Listener) -> Outcome:
        """Apply the consequences of a fault of ours at a listener: it waits as if it had not answered.

        Nothing is given up, so that a release without the fault delivers what this one could not.
        """
        assert listener.is_active, "only a listener that is being served can crash its step"
        self._unsaved.add(listener)
        now = self._clock.now()
        listener.problem, listener.answered = Code.INTERNAL, None
        self._count_failure(listener, now)
        return _pause(listener) if self._is_dead(listener, now) else "wait"

    def stop(self, listener: Listener) -> Outcome:
        """Serve a listener no longer whose registrant may read nothing here any more."""
        self._unsaved.add(listener)
        listener.problem, listener.answered = Code.FORBIDDEN, None
        return _pause(listener)

    def _count_failure(self, listener: Listener, now: datetime) -> None:
        listener.failures += 1
        listener.failing_since = listener.failing_since or rfc3339(now)
        if listener.failures == 1:
            log.warning("listener_failed", **_health(listener))

    def _is_dead(self, listener: Listener, now: datetime) -> bool:
        """Whether every attempt at a listener has failed for too long."""
        assert listener.failing_since is not None, "a failure was counted"
        failing_s = (now - read_rfc3339(listener.failing_since)).total_seconds()
        return failing_s >= self._limits.listener_dead_after_s

    async def apply_requests(self, listener: Listener, subscription: Subscription) -> bool:
        """Do what was requested for a listener: resume it, send dead letters again, exchange its secret.

        Whether it has something to do now.
        """
        listener.subscription = subscription
        listener.caller = caller_of(subscription)
        is_resumed = listener.is_paused and not subscription.is_paused
        if is_resumed:
            listener.resume()
        due, _ = await subscriptions.dead_letters(self._store, listener.id, due_only=True)
        listener.plan_dead_letters(due)
        return not listener.is_paused and (is_resumed or bool(listener.dead_letters_due))

    def pause_s(self, listener: Listener, entropy: Entropy) -> float:
        """How long a listener whose last attempt failed waits for the next one."""
        max_s = self._limits.notification_backoff_max_s
        return backoff_s(listener.failures, min(BACKOFF_MIN_S, max_s), max_s, entropy)

    def mark_unsaved(self, listener: Listener) -> None:
        """Have the state of a listener written with the next save."""
        self._unsaved.add(listener)

    def _give_up(self, listener: Listener, event: Event, attempt: Attempt, now: datetime) -> None:
        """Make a dead letter of an event."""
        assert attempt.problem is not None, "an event that was accepted is not given up"
        listener.dead_letters_added.append(
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
        self._advance(listener, event, is_delivered=False)

    def _advance(self, listener: Listener, event: Event, *, is_delivered: bool) -> None:
        """Move a listener behind an event."""
        listener.attempts = 0
        due = None
        if listener.dead_letters_due:
            due = next((one for one in listener.dead_letters_due if one.place == event.place), None)
        if due is not None or event.place <= listener.place:
            # A dead letter, which may have been dropped from the store while it was sent.
            if due is not None:
                listener.dead_letters_due.remove(due)
            if is_delivered:
                listener.dead_letters_resolved.append(event.place)
            return
        is_whole = self._rows.is_last_of_row(listener.group, event.place)
        listener.place = end_of_row(row_of(event.place)) if is_whole else event.place

    async def save(self) -> None:
        """Write the state of the listeners that changed; where that fails, with the next save."""
        unsaved, self._unsaved = self._unsaved, set()
        for some in chunks(list(unsaved), LISTENERS_PER_SAVE):
            if not await self._save_together(some):
                for one in some:
                    await self._save_alone(one)

    async def _save_together(self, some: list[Listener]) -> bool:
        """Write the state of some listeners in one transaction; False when one of them cannot be written."""
        progress = [listener.progress() for listener in some]
        try:
            async with self._store.transaction() as tx:
                await subscriptions.save(tx, progress, self._limits.dead_letters_max)
        except HansaError as error:
            self._unsaved.update(some)
            log.warning("positions_not_saved", code=str(error.code), problem=error.message)
            return True
        except Exception:
            if len(some) > 1:
                return False
            raise
        for listener, saved in zip(some, progress, strict=True):
            del listener.dead_letters_added[: len(saved.dead_letters_added)]
            del listener.dead_letters_resolved[: len(saved.dead_letters_resolved)]
        return True

    async def _save_alone(self, listener: Listener) -> None:
        """Write the state of one listener of some that could not be written together.

        The one that cannot be written is served on, and its state is attempted again when it changes.
        """
        try:
            await self._save_together([listener])
        except Exception:
            log.exception("position_not_saved", id=listener.id)

    async def save_idle(self, ids: list[str], position: int) -> None:
        """Write the positions of idle listeners: no event up to a row of the feed is for them."""
        for some in chunks(ids, LISTENERS_PER_SAVE):
            try:
                async with self._store.transaction() as tx:
                    await subscriptions.pass_by(tx, some, position)
            except HansaError as error:
                log.warning("positions_not_saved", code=str(error.code), problem=error.message)
                return


def chunks(items: list[T], length: int) -> Iterator[list[T]]:
    """A list in parts of that length; the last may be shorter."""
    return (items[start : start + length] for start in range(0, len(items), length))


def _pause(listener: Listener) -> Outcome:
    """Serve a listener no longer, until someone resumes it."""
    listener.is_paused = True
    listener.is_active = False
    log.warning("listener_paused", **_health(listener))
    return "stop"


def _health(listener: Listener) -> dict[str, object]:
    """A listener's fields in the log."""
    return {
        "id": listener.id,
        "host": listener.host,
        "problem": listener.problem,
        "answered": listener.answered,
        "failures": listener.failures,
    }
