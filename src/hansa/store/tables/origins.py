"""The members that this marketplace follows: how their heads stand here, what they cost, whether they answer.

A row of `origin` has how many heads a member has on the ledger (counted by the events that begin a chain),
and how many of them are in each state (counted by triggers on `head`, as rows appear, change and disappear),
so that a head without a state would show; since when exchanges with it fail and when the next attempt is due;
whether the operator has paused it; and how much its replicas take. Times that are compared are milliseconds
since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Transaction
from hansa.store.sql import Readable


class Origin(msgspec.Struct, frozen=True):
    """A member that this one follows."""

    number: int
    did: str
    attempts: int
    """Failures in a row; 0 while it answers."""
    due_ms: int
    """When the next attempt is due."""
    failing_since: str | None
    problem: str | None
    """Code of the last failure in a row."""
    heads: int
    """Keys of its entities on the ledger, as far as it was followed."""
    stored: int
    pending: int
    deferred: int
    skipped: int
    rejected: int
    deleted: int
    failed: int
    """Pending retrievals whose last attempt failed."""
    stored_bytes: int
    """Size of its replicas."""
    day: int
    """Days since 1970 to which the next two figures belong."""
    day_bytes: int
    """Size of what was received of it on that day."""
    day_verification_ms: int
    """Time that verifying it took on that day."""
    paused_since: str | None = None
    """Since when nothing is requested of it, by decision of the operator; RFC 3339."""

    @property
    def unaccounted(self) -> int:
        """Heads without a state: always 0."""
        states = self.stored + self.pending + self.deferred + self.skipped + self.rejected + self.deleted
        return self.heads - states


_ORIGIN: Final = RecordColumns(Origin)


async def origins(source: Readable) -> tuple[Origin, ...]:
    """Every member that anything was ever followed of, in the order of their first events."""
    rows = await source.sql.fetch(f"SELECT {_ORIGIN.sql} FROM origin ORDER BY number")  # noqa: S608 - a constant
    return tuple(map(_ORIGIN.record, rows))


def paused_among(known: Iterable[Origin]) -> frozenset[str]:
    """DIDs of those of some members of which nothing is requested."""
    return frozenset([one.did for one in known if one.paused_since is not None])


async def paused(source: Readable) -> frozenset[str]:
    """DIDs of the members of which nothing is requested, by decision of the operator."""
    rows = await source.sql.fetch("SELECT did FROM origin WHERE paused_since IS NOT NULL")
    return frozenset([did for (did,) in rows])


async def pause(tx: Transaction, did: str) -> str:
    """Request nothing of a member from now on; since when that is so."""
    rows = await tx.sql.execute(
        "UPDATE origin SET paused_since = coalesce(paused_since, ?) WHERE number = ? RETURNING paused_since",
        (tx.time, await number(tx, did)),
    )
    return str(rows[0][0])


async def resume(tx: Transaction, did: str) -> None:
    """Request what waits of a member again, at once."""
    await tx.sql.execute("UPDATE origin SET paused_since = NULL, due_ms = 0 WHERE did = ?", (did,))


async def number(tx: Transaction, did: str) -> int:
    """The number by which heads name a member; it gets its row when it has none."""
    rows = await tx.sql.fetch("SELECT number FROM origin WHERE did = ?", (did,))
    if not rows:
        rows = await tx.sql.execute("INSERT INTO origin (did) VALUES (?) RETURNING number", (did,))
    return int(rows[0][0])


async def count_heads(tx: Transaction, did: str, count: int) -> None:
    """Events began the chains of so many keys of a member."""
    assert count >= 0, "heads are never fewer"
    await tx.sql.execute(
        "UPDATE origin SET heads = heads + ? WHERE number = ?", (count, await number(tx, did))
    )


async def failed(tx: Transaction, did: str, attempts: int, due_ms: int, problem: str) -> None:
    """An exchange with an origin failed."""
    await tx.sql.execute(
        "UPDATE origin SET attempts = ?, due_ms = ?, problem = ?, failing_since = coalesce(failing_since, ?) "
        "WHERE number = ?",
        (attempts, due_ms, problem, tx.time, await number(tx, did)),
    )


async def answered(tx: Transaction, did: str) -> None:
    """An exchange with an origin that had failed succeeded."""
    await tx.sql.execute(
        "UPDATE origin SET attempts = 0, due_ms = 0, problem = NULL, failing_since = NULL WHERE number = ?",
        (await number(tx, did),),
    )


async def attempt(tx: Transaction, issuer: str | None) -> None:
    """Let failing origins be attempted at once; None: all of them."""
    of_issuer, parameters = ("WHERE did = ?", (issuer,)) if issuer is not None else ("", ())
    await tx.sql.execute(f"UPDATE origin SET due_ms = 0 {of_issuer}", parameters)  # noqa: S608 - a constant


async def count_received(tx: Transaction, did: str, day: int, size_bytes: int, verification_ms: int) -> None:
    """Count what was received of an origin on a day, and the time that verifying it took."""
    await tx.sql.execute(
        "UPDATE origin SET day_bytes = CASE WHEN day = ? THEN day_bytes ELSE 0 END + ?, "
        "day_verification_ms = CASE WHEN day = ? THEN day_verification_ms ELSE 0 END + ?, day = ? WHERE number = ?",
        (day, size_bytes, day, verification_ms, day, await number(tx, did)),
    )


async def bound_pauses(tx: Transaction, latest_ms: int) -> None:
    """Let no origin wait beyond a moment."""
    await tx.sql.execute("UPDATE origin SET due_ms = ? WHERE due_ms > ?", (latest_ms, latest_ms))
