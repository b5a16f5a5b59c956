"""Hub registrations: who wants to hear of which events, and how far each listener has been served.

Each registration carries its own position in the feed, so that one listener's troubles are no other's. A counter
that triggers keep tells the dispatcher that registrations came or went, whichever process made them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # the store imports the schema of this module
    from hansa.store.store import Store
    from hansa.store.transaction import Transaction

SCHEMA = """
CREATE TABLE subscription (
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  api TEXT NOT NULL,
  callback TEXT NOT NULL,
  query TEXT NOT NULL,
  subscriber TEXT NOT NULL,
  position INTEGER NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0,
  problem TEXT,
  UNIQUE (api, callback, query)
) STRICT;
CREATE TABLE subscription_revision (revision INTEGER NOT NULL) STRICT;
INSERT INTO subscription_revision VALUES (0);
CREATE TRIGGER subscription_made AFTER INSERT ON subscription BEGIN
  UPDATE subscription_revision SET revision = revision + 1;
END;
CREATE TRIGGER subscription_ended AFTER DELETE ON subscription BEGIN
  UPDATE subscription_revision SET revision = revision + 1;
END;
"""

_COLUMNS = "serial, id, api, callback, query, subscriber, position, failures, problem"


class Subscription(msgspec.Struct, frozen=True):
    """A registration at the hub of an API."""

    serial: int
    id: str
    api: str
    """As `TMF620`."""
    callback: str
    query: str
    """As registered; empty for every event of the API."""
    subscriber: str
    """Subject of the token with which it was made."""
    position: int
    """The last row of the feed that the listener has been served."""
    failures: int = 0
    """Failed attempts since the last that succeeded."""
    problem: str | None = None
    """What the last attempt met."""


class Progress(msgspec.Struct, frozen=True):
    """How far a listener has been served."""

    id: str
    position: int
    failures: int
    problem: str | None


async def add(
    tx: Transaction, *, id: str, api: str, callback: str, query: str, subscriber: str
) -> Subscription | None:
    """Register; served from what happens next on. None when the same registration is there already."""
    ((position,),) = tx.execute("SELECT ifnull(max(seq), 0) FROM change")
    rows = tx.execute(
        "INSERT INTO subscription (id, api, callback, query, subscriber, position) VALUES (?, ?, ?, ?, ?, ?) "  # noqa: S608 - a constant
        f"ON CONFLICT DO NOTHING RETURNING {_COLUMNS}",
        (id, api, callback, query, subscriber, position),
    )
    return Subscription(*rows[0]) if rows else None


async def remove(tx: Transaction, id: str) -> bool:
    """End a registration; whether there was one."""
    return bool(tx.execute("DELETE FROM subscription WHERE id = ? RETURNING id", (id,)))


async def save(tx: Transaction, progress: Iterable[Progress]) -> None:
    """Note how far listeners have been served."""
    for one in progress:
        tx.execute(
            "UPDATE subscription SET position = ?, failures = ?, problem = ? WHERE id = ?",
            (one.position, one.failures, one.problem, one.id),
        )


async def get(store: Store, id: str) -> Subscription | None:
    """A registration."""
    rows = store.fetch(f"SELECT {_COLUMNS} FROM subscription WHERE id = ?", (id,))  # noqa: S608 - a constant
    return Subscription(*rows[0]) if rows else None


async def page(
    store: Store, api: str, *, subscriber: str | None, offset: int, limit: int
) -> tuple[tuple[Subscription, ...], int]:
    """Registrations of an API, oldest first, and how many there are; of one subscriber only, when it is given."""
    conditions = "api = ?" if subscriber is None else "api = ? AND subscriber = ?"
    values = (api,) if subscriber is None else (api, subscriber)
    rows = store.fetch(
        f"SELECT {_COLUMNS} FROM subscription WHERE {conditions} ORDER BY serial LIMIT ? OFFSET ?",  # noqa: S608 - constants
        (*values, limit, offset),
    )
    ((total,),) = store.fetch(f"SELECT count(*) FROM subscription WHERE {conditions}", values)  # noqa: S608 - constants
    return tuple(Subscription(*row) for row in rows), int(total)


async def since(store: Store, serial: int) -> tuple[Subscription, ...]:
    """Registrations made after the one of that serial number."""
    rows = store.fetch(f"SELECT {_COLUMNS} FROM subscription WHERE serial > ? ORDER BY serial", (serial,))  # noqa: S608 - a constant
    return tuple(Subscription(*row) for row in rows)


async def identifiers(store: Store) -> frozenset[str]:
    """Identifiers of all registrations."""
    return frozenset(id for (id,) in store.fetch("SELECT id FROM subscription"))


async def count(tx: Transaction) -> int:
    """How many registrations there are."""
    ((found,),) = tx.execute("SELECT count(*) FROM subscription")
    return int(found)


async def revision(store: Store) -> int:
    """A number that grows whenever a registration comes or goes."""
    ((found,),) = store.fetch("SELECT revision FROM subscription_revision")
    return int(found)


async def callbacks(store: Store) -> frozenset[str]:
    """Addresses that notifications may be sent to."""
    return frozenset(callback for (callback,) in store.fetch("SELECT DISTINCT callback FROM subscription"))
