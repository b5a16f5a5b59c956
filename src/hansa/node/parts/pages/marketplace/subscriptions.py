"""The listeners of the store, as the pages of operators show and operate them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from hansa.api.events import CLOUD_EVENT
from hansa.api.webhooks.registrations import test_event
from hansa.business.context import Context
from hansa.business.hub.registrations import resend
from hansa.business.hub.test_events import TestEvents
from hansa.core.errors import Code, Refused
from hansa.portal.operators.marketplace.subscriptions import DeadLetterRow, ListenerRow, TestResult
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import LEAGUE, Subscription

QUERY_MAX_CHARS: Final = 400
"""Of a query that is shown."""


class StoredListeners:
    """The `Listeners` of the pages.

    Args:
        context: Has the store, and what reaches listeners.
    """

    def __init__(self, context: Context) -> None:
        self._store = context.store
        parts = context.to_listeners, context.clock, context.entropy, context.limits
        self._to_hubs = TestEvents(*parts)
        self._to_webhooks = TestEvents(*parts, partial(test_event, context.endpoint), CLOUD_EVENT)

    async def page(self, state: str, limit: int, offset: int) -> tuple[tuple[ListenerRow, ...], int]:
        """See `Listeners`, as for what follows."""
        known = next((one for one in subscriptions.STATES if one == state), None)
        rows, total = await subscriptions.every(self._store, known, offset=offset, limit=limit)
        return await self._rows(rows), total

    async def one(self, id: str) -> ListenerRow | None:
        """One of them."""
        row = await subscriptions.get(self._store, id)
        return None if row is None else (await self._rows((row,)))[0]

    async def dead_letters(self, id: str, limit: int, offset: int) -> tuple[tuple[DeadLetterRow, ...], int]:
        """Of one."""
        rows, total = await subscriptions.dead_letters(self._store, id, offset=offset, limit=limit)
        shown = (
            DeadLetterRow(
                *(one.event_id, one.event_type, one.time, one.attempts),
                *(one.problem, one.answered, one.is_due),
            )
            for one in rows
        )
        return tuple(shown), total

    async def resend(self, id: str, event_id: str) -> None:
        """Send dead letters again."""
        await resend(self._store, await self._known(id), event_id or None)

    async def resume(self, id: str) -> None:
        """Go on with one that is paused."""
        await self._known(id)
        async with self._store.transaction() as tx:
            await subscriptions.resume(tx, id)

    async def remove(self, id: str) -> None:
        """End it."""
        async with self._store.transaction() as tx:
            if not await subscriptions.remove(tx, id):
                raise _absent()

    async def test(self, id: str) -> TestResult:
        """Send an event now."""
        subscription = await self._known(id)
        tests = self._to_webhooks if subscription.api == LEAGUE else self._to_hubs
        attempt = await tests.send(subscription)
        return TestResult(attempt.problem, attempt.answered)

    async def _known(self, id: str) -> Subscription:
        subscription = await subscriptions.get(self._store, id)
        if subscription is None:
            raise _absent()
        return subscription

    async def _rows(self, rows: Sequence[Subscription]) -> tuple[ListenerRow, ...]:
        counts = await subscriptions.dead_letter_counts(self._store, [row.id for row in rows])
        return tuple(
            ListenerRow(
                id=row.id,
                api=row.api,
                callback=row.callback,
                query=row.query[:QUERY_MAX_CHARS],
                subscriber=row.subscriber,
                state=row.state,
                delivered=row.delivered,
                dead_letters=counts[row.id],
                dropped=row.dead_letters_dropped,
                failures=row.failures,
                failing_since=row.failing_since,
                problem=row.problem,
                answered=row.answered,
            )
            for row in rows
        )


def _absent() -> Refused:
    return Refused(Code.NOT_FOUND, "There is no such subscription.")
