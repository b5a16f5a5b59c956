"""Hub registrations: who receives which events, how far each listener has been served, and its dead letters.

Each registration carries its own position in the feed, so that one listener's troubles are no other's. Two
numbers tell the dispatcher what to look at, whichever process made the change: the revision grows whenever a
registration is made or ends, or a request for it arrives (resume, resend), and each row carries the revision
of its last such change; `ended` counts those that ended.

A dead letter names an event by its row of the feed and does not keep its content: that is prepared anew when
the event is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Store, Transaction
from hansa.store.sql import insert, placeholders, statements_for

State = Literal["active", "failing", "paused"]

STATES: Final[tuple[State, ...]] = get_args(State)
LEAGUE: Final = "league"
"""In place of an API: registrations for the events of the league, whose positions are those of the ledger."""

DELETIONS_MAX: Final = 10_000
"""Entities that were deleted, of which is known as much as decides about who is notified of it."""
COUNTED_AT_ONCE: Final = 100
"""Registrations whose dead letters are counted within one turn of the event loop: a few milliseconds."""

_IN_STATE: Final[dict[State, str]] = {
    "active": "failures = 0 AND is_paused = 0",
    "failing": "failures > 0 AND is_paused = 0",
    "paused": "is_paused = 1",
}


class Subscription(msgspec.Struct, frozen=True):
    """A registration at the hub of an API, or of a topic."""

    serial: int
    id: str
    api: str
    """As `TMF620`."""
    topic: str
    """Identifier of the topic at whose hub it was made; empty for the hub of the API."""
    callback: str
    query: str
    """As registered; empty for every event."""
    subscriber: str
    """Subject of the token with which it was made."""
    organization: str
    """For which that acts; empty for none."""
    caller: str
    """Whose rights hold for it, as JSON; empty for a token of the operator."""
    position: int
    """The last row of the feed that the listener has been served whole."""
    is_behind: bool
    """Whether there was something left to deliver when the position was written."""
    delivered: int
    """Events that the listener accepted."""
    failures: int
    """Failed attempts since the last that succeeded."""
    refusals: int
    """Events that became dead letters since the last that the listener accepted."""
    problem: str | None
    """Code of the failure of the last attempt."""
    answered: int | None
    """HTTP status with which the listener did not accept the event; None without an answer."""
    failing_since: str | None
    """When the first of the failures was; None without failures."""
    is_paused: bool
    """Nothing is attempted until someone resumes."""
    dead_letters_dropped: int
    """Dead letters that were removed to make room for newer ones."""
    revision: int
    """Revision of the registrations when this one was made, or a request for it arrived."""
    secret: str
    """With which its notifications are signed; empty when they are not."""
    secret_before: str
    """The one before; empty when there was none."""
    secret_before_until: str | None
    """Until when notifications are signed with that one too."""

    @property
    def state(self) -> State:
        """`active`, `failing` or `paused`."""
        return "paused" if self.is_paused else "failing" if self.failures else "active"


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that a listener did not accept."""

    event_id: str
    event_type: str
    place: int
    """Of the event in the feed, as the hub counts events."""
    time: str
    """When delivery was abandoned."""
    attempts: int
    problem: str
    """Code of the failure of the last attempt."""
    answered: int | None = None
    is_due: bool = False
    """It is to be sent again."""


class DeliveryProgress(msgspec.Struct, frozen=True):
    """The state of a listener's delivery, as it is written."""

    id: str
    position: int
    is_behind: bool = False
    delivered: int = 0
    failures: int = 0
    refusals: int = 0
    problem: str | None = None
    answered: int | None = None
    failing_since: str | None = None
    is_paused: bool = False
    dead_letters_added: tuple[DeadLetter, ...] = ()
    """New ones, and those that were refused again."""
    dead_letters_resolved: tuple[int, ...] = ()
    """Places of events that were sent again and accepted, or that no longer exist."""


class DeliveryTotals(msgspec.Struct, frozen=True):
    """Sums over all registrations."""

    delivered: int
    """Notifications that were accepted."""
    dead_letters: int


class Revision(msgspec.Struct, frozen=True):
    """What has happened to registrations so far, as two numbers that only grow."""

    revision: int
    ended: int


_ADDED: Final = (
    *("id", "api", "topic", "callback", "query"),
    *("subscriber", "organization", "caller", "position", "secret"),
)
_SUBSCRIPTION: Final = RecordColumns(Subscription, dead_letters_dropped="letters_dropped")
_LETTER: Final = RecordColumns(DeadLetter)
_ADD: Final = f"{insert('subscription', _ADDED)} ON CONFLICT DO NOTHING RETURNING {_SUBSCRIPTION.sql}"
_SAVE: Final = (
    "UPDATE subscription SET position = ?, is_behind = ?, delivered = ?, failures = ?, refusals = ?, problem = ?, "
    "answered = ?, failing_since = ?, is_paused = ? WHERE id = ? RETURNING id"
)
_SAVE_LETTER: Final = (
    "INSERT INTO dead_letter (subscription, event_id, event_type, place, time, attempts, problem, answered) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (subscription, place) DO UPDATE SET time = excluded.time, "
    "attempts = dead_letter.attempts + excluded.attempts, problem = excluded.problem, "
    "answered = excluded.answered, is_due = 0"
)


async def add(
    tx: Transaction,
    *,
    id: str,
    api: str,
    callback: str,
    query: str,
    subscriber: str,
    organization: str = "",
    caller: str = "",
    topic: str = "",
    secret: str = "",
    position: int | None = None,
) -> Subscription | None:
    """Register; None when the same registration is there already.

    Args:
        tx: In which it is made.
        id: Its identifier.
        api: See `Subscription`, as for what follows.
        callback: Where events are sent.
        query: Which ones.
        subscriber: Whose it is.
        organization: For which that one acts.
        caller: See `Subscription`.
        topic: At whose hub.
        secret: With which they are signed.
        position: After which it is served; None: from the next row of the feed on.
    """
    if position is None:
        position = await tx.feed_end()
    whose = subscriber, organization, caller
    rows = await tx.sql.execute(_ADD, (id, api, topic, callback, query, *whose, position, secret))
    return _SUBSCRIPTION.record(rows[0]) if rows else None


async def remove(tx: Transaction, id: str) -> bool:
    """End a registration; whether there was one."""
    return bool(await tx.sql.execute("DELETE FROM subscription WHERE id = ? RETURNING id", (id,)))


async def resume(tx: Transaction, id: str, caller: str = "") -> None:
    """Let a paused listener be served again, as if it had never failed.

    Args:
        tx: In which it is.
        id: Of the registration.
        caller: Whose rights hold for it from now on, as JSON; empty: whose they were.
    """
    if caller:
        await tx.sql.execute("UPDATE subscription SET caller = ? WHERE id = ?", (caller, id))
    await tx.sql.execute(
        "UPDATE subscription SET is_paused = 0, failures = 0, refusals = 0, failing_since = NULL WHERE id = ?",
        (id,),
    )
    await _revise(tx, id)


async def exchange_secret(tx: Transaction, id: str, secret: str, *, before_until: str) -> None:
    """Give a registration another secret; the present one is good until that time."""
    await tx.sql.execute(
        "UPDATE subscription SET secret_before = secret, secret_before_until = ?, secret = ? WHERE id = ?",
        (before_until, secret, id),
    )
    await _revise(tx, id)


async def set_aside(tx: Transaction, id: str, problem: str) -> None:
    """Pause a registration that cannot be served."""
    await tx.sql.execute("UPDATE subscription SET is_paused = 1, problem = ? WHERE id = ?", (problem, id))


async def resend(tx: Transaction, id: str, event_id: str | None = None) -> int:
    """Have dead letters sent again, all of them or one; how many that are."""
    condition, parameters = ("", (id,)) if event_id is None else (" AND event_id = ?", (id, event_id))
    due = await tx.sql.execute(
        f"UPDATE dead_letter SET is_due = 1 WHERE subscription = ?{condition} RETURNING 1",  # noqa: S608 - a constant
        parameters,
    )
    await _revise(tx, id)
    return len(due)


async def _revise(tx: Transaction, id: str) -> None:
    await tx.sql.execute("UPDATE subscription_revision SET revision = revision + 1")
    await tx.sql.execute(
        "UPDATE subscription SET revision = (SELECT revision FROM subscription_revision) WHERE id = ?", (id,)
    )


async def save(tx: Transaction, progress: Iterable[DeliveryProgress], dead_letters_max: int = 1000) -> None:
    """Write the state of deliveries; of each listener, the newest `dead_letters_max` dead letters."""
    for one in progress:
        rows = await tx.sql.execute(
            _SAVE,
            (
                one.position,
                one.is_behind,
                one.delivered,
                one.failures,
                one.refusals,
                one.problem,
                one.answered,
                one.failing_since,
                one.is_paused,
                one.id,
            ),
        )
        if not rows:  # it has ended, and its letters with it
            continue
        for place in one.dead_letters_resolved:
            await tx.sql.execute(
                "DELETE FROM dead_letter WHERE subscription = ? AND place = ?", (one.id, place)
            )
        for letter in one.dead_letters_added:
            await tx.sql.execute(
                _SAVE_LETTER,
                (
                    one.id,
                    letter.event_id,
                    letter.event_type,
                    letter.place,
                    letter.time,
                    letter.attempts,
                    letter.problem,
                    letter.answered,
                ),
            )
        if one.dead_letters_added:
            await _make_room(tx, one.id, dead_letters_max)


async def _make_room(tx: Transaction, id: str, dead_letters_max: int) -> None:
    dropped = await tx.sql.execute(
        "DELETE FROM dead_letter WHERE subscription = ? AND serial <= "
        "(SELECT serial FROM dead_letter WHERE subscription = ? ORDER BY serial DESC LIMIT 1 OFFSET ?) RETURNING 1",
        (id, id, dead_letters_max),
    )
    if dropped:
        await tx.sql.execute(
            "UPDATE subscription SET letters_dropped = letters_dropped + ? WHERE id = ?", (len(dropped), id)
        )


async def pass_by(tx: Transaction, ids: Sequence[str], position: int) -> None:
    """Note that there is nothing for these listeners up to a row of the feed."""
    sql = "UPDATE subscription SET position = ?, is_behind = 0 WHERE position < ? AND id"
    for statement in statements_for(sql, ids, (position, position)):
        await tx.sql.execute(*statement)


async def get(store: Store, id: str) -> Subscription | None:
    """A registration."""
    rows = await store.sql.fetch(f"SELECT {_SUBSCRIPTION.sql} FROM subscription WHERE id = ?", (id,))  # noqa: S608 - a constant
    return _SUBSCRIPTION.record(rows[0]) if rows else None


async def page(
    store: Store,
    api: str,
    *,
    subscriber: str | None,
    organization: str = "",
    offset: int,
    limit: int,
    topic: str = "",
    state: State | None = None,
) -> tuple[tuple[Subscription, ...], int]:
    """Registrations at a hub in order of age, and how many there are.

    Those of one subscriber who acts for an organisation, or for none; and those in one state.
    """
    conditions = "api = ? AND topic = ?"
    values: tuple[str, ...] = (api, topic)
    if subscriber is not None:
        conditions = f"{conditions} AND subscriber = ? AND organization = ?"
        values = (*values, subscriber, organization)
    if state is not None:
        conditions = f"{conditions} AND {_IN_STATE[state]}"
    return await _page(store, conditions, values, offset, limit)


async def every(
    store: Store, state: State | None, *, offset: int, limit: int
) -> tuple[tuple[Subscription, ...], int]:
    """Registrations of all subscribers, in one state or all, in order of age; how many there are."""
    return await _page(store, "true" if state is None else _IN_STATE[state], (), offset, limit)


async def _page(
    store: Store, conditions: str, values: tuple[str, ...], offset: int, limit: int
) -> tuple[tuple[Subscription, ...], int]:
    rows = await store.sql.fetch(
        f"SELECT {_SUBSCRIPTION.sql} FROM subscription WHERE {conditions} ORDER BY serial LIMIT ? OFFSET ?",  # noqa: S608 - constants
        (*values, limit, offset),
    )
    ((total,),) = await store.sql.fetch(f"SELECT count(*) FROM subscription WHERE {conditions}", values)  # noqa: S608 - constants
    return tuple(map(_SUBSCRIPTION.record, rows)), int(total)


async def since(store: Store, revision: int) -> tuple[Subscription, ...]:
    """Registrations that were made, or requests for which arrived, after a revision."""
    rows = await store.sql.fetch(
        f"SELECT {_SUBSCRIPTION.sql} FROM subscription WHERE revision > ? ORDER BY revision",  # noqa: S608 - a constant
        (revision,),
    )
    return tuple(map(_SUBSCRIPTION.record, rows))


async def identifiers(store: Store) -> frozenset[str]:
    """Identifiers of all registrations."""
    return frozenset(row[0] for row in await store.sql.fetch("SELECT id FROM subscription"))


async def count(tx: Transaction, subscriber: str | None = None, organization: str = "") -> int:
    """How many registrations there are, or how many a subject or an organisation has."""
    if organization:
        ((total,),) = await tx.sql.fetch(
            "SELECT count(*) FROM subscription WHERE organization = ?", (organization,)
        )
    elif subscriber is None:
        ((total,),) = await tx.sql.fetch("SELECT count(*) FROM subscription")
    else:
        ((total,),) = await tx.sql.fetch(
            "SELECT count(*) FROM subscription WHERE subscriber = ?", (subscriber,)
        )
    return int(total)


async def revision(store: Store) -> Revision:
    """How much has happened to registrations."""
    ((revision, ended),) = await store.sql.fetch("SELECT revision, ended FROM subscription_revision")
    return Revision(int(revision), int(ended))


async def dead_letters(
    store: Store, id: str, *, offset: int = 0, limit: int = 1000, due_only: bool = False
) -> tuple[tuple[DeadLetter, ...], int]:
    """Dead letters of a registration, oldest first, and their number; `due_only`: those to be sent again."""
    conditions = "subscription = ? AND is_due = 1" if due_only else "subscription = ?"
    rows = await store.sql.fetch(
        f"SELECT {_LETTER.sql} FROM dead_letter WHERE {conditions} ORDER BY serial LIMIT ? OFFSET ?",  # noqa: S608 - constants
        (id, limit, offset),
    )
    ((total,),) = await store.sql.fetch(f"SELECT count(*) FROM dead_letter WHERE {conditions}", (id,))  # noqa: S608 - constants
    return tuple(map(_LETTER.record, rows)), int(total)


async def dead_letter_counts(store: Store, ids: Sequence[str]) -> dict[str, int]:
    """How many dead letters registrations have; lets others in after so many of them."""
    counts = dict.fromkeys(ids, 0)
    for start in range(0, len(ids), COUNTED_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        part = tuple(ids[start : start + COUNTED_AT_ONCE])
        rows = await store.sql.fetch(
            "SELECT subscription, count(*) FROM dead_letter "  # noqa: S608 - placeholders only
            f"WHERE subscription IN ({placeholders(len(part))}) GROUP BY subscription",
            part,
        )
        counts.update(rows)
    return counts


async def delivery_totals(store: Store) -> DeliveryTotals:
    """Notifications that were accepted, and dead letters, of all registrations together."""
    ((delivered, dead_letters),) = await store.sql.fetch(
        "SELECT (SELECT coalesce(sum(delivered), 0) FROM subscription), (SELECT count(*) FROM dead_letter)"
    )
    return DeliveryTotals(int(delivered), int(dead_letters))


async def callbacks(store: Store, after_revision: int = -1) -> frozenset[str]:
    """Addresses of the registrations of later revisions, to which notifications may be sent."""
    rows = await store.sql.fetch(
        "SELECT DISTINCT callback FROM subscription WHERE revision > ?", (after_revision,)
    )
    return frozenset(callback for (callback,) in rows)


class Deletion(msgspec.Struct, frozen=True):
    """An entity that was deleted."""

    was_public: bool
    facts: bytes
    """Some of its attributes, as JSON."""


async def note_deletion(tx: Transaction, entity_id: str, facts: bytes, *, was_public: bool) -> None:
    """An entity is deleted in this transaction."""
    rows = await tx.sql.execute(
        "INSERT INTO deletion (entity_id, was_public, facts) VALUES (?, ?, ?) RETURNING serial",
        (entity_id, was_public, facts),
    )
    await tx.sql.execute("DELETE FROM deletion WHERE serial <= ?", (int(rows[0][0]) - DELETIONS_MAX,))


async def deletion(store: Store, entity_id: str) -> Deletion | None:
    """What is known of the last entity with an identifier that was deleted."""
    rows = await store.sql.fetch("SELECT was_public, facts FROM deletion WHERE entity_id = ?", (entity_id,))
    return Deletion(bool(rows[0][0]), bytes(rows[0][1])) if rows else None
