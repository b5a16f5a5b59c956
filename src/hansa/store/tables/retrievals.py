"""Versions of entities of other members that are to be retrieved, provenance of replicas, and evidence.

`origin` has a row for every member that this one follows: how many retrievals are pending, since when
exchanges with it fail and when the next attempt is due, and the position after which its events were passed
over because too many retrievals were pending. `retrieval` has a row for the newest version of an entity that
is not stored here yet; a newer event replaces it. `provenance` says of each replica which event proves it.
`evidence` counts what members sent that was not valid, and `conflict` names our entities whose identifier
another member has claimed. Times that are compared are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hansa.store.interface import Store, Transaction
from hansa.store.sql import Readable, insert, statements_for, upsert
from hansa.store.tables.columns import RecordColumns

FOLLOWER_CURSOR = "follower"
"""Name of the cursor on the ledger."""
CONFLICTS_MAX = 10_000


class Origin(msgspec.Struct, frozen=True):
    """A member that this one retrieves from."""

    number: int
    did: str
    pending: int
    """Retrievals that wait."""
    attempts: int
    """Failures in a row; 0 while it answers."""
    due_ms: int
    """When the next attempt is due."""
    failing_since: str | None
    problem: str | None
    """Code of the last failure in a row."""
    deferred_after: int | None
    """Its events after this position have been passed over because too many retrievals waited."""


class Retrieval(msgspec.Struct, frozen=True):
    """A version that is to be retrieved."""

    issuer: str
    key: str
    type: str
    version: int
    hashlink: str
    position: int
    time: str
    """Of the block that committed the event."""
    attempts: int = 0
    due_ms: int = 0
    problem: str | None = None
    """Code of the last failure of this very entity."""
    nonce: str | None = None
    """What binds the entity's identifier to the issuer, as the event says; hex."""


class Evidence(msgspec.Struct, frozen=True):
    """Something that a member sent and that was not valid."""

    issuer: str
    code: str
    key: str
    version: int
    position: int
    reason: str
    first_time: str
    last_time: str
    count: int


class Conflict(msgspec.Struct, frozen=True):
    """An entity of ours whose identifier another member has claimed on the ledger."""

    entity_id: str
    issuer: str
    first_position: int
    """Of the other member's claim."""
    time: str


_ORIGIN: Final = RecordColumns(Origin)
_RETRIEVAL: Final = RecordColumns(
    Retrieval,
    issuer="origin.did",
    attempts="retrieval.attempts",
    due_ms="retrieval.due_ms",
    problem="retrieval.problem",
)
_EVIDENCE: Final = RecordColumns(Evidence)
_CONFLICT: Final = RecordColumns(Conflict)

_SCHEDULE: Final = (
    upsert(
        "retrieval",
        ("origin", "key", "type", "version", "hashlink", "position", "time", "nonce"),
        ("origin", "key"),
        *("attempts = 0", "due_ms = 0", "problem = NULL"),
    )
    + " WHERE excluded.position > retrieval.position"
)
_PROVENANCE: Final = upsert(
    "provenance",
    ("entity_id", "origin", "key", "version", "hashlink", "position", "time"),
    ("entity_id",),
)
_CONFLICT_NEW: Final = (
    f"{insert('conflict', ('entity_id', 'issuer', 'first_position', 'time'))} ON CONFLICT DO NOTHING"
)


# -- reading -----------------------------------------------------------------------------------------------


async def origins(source: Readable) -> tuple[Origin, ...]:
    """Every member that anything was ever retrieved from, in the order of their first events."""
    rows = await source.sql.fetch(f"SELECT {_ORIGIN.sql} FROM origin ORDER BY number")  # noqa: S608 - a constant
    return tuple(map(_ORIGIN.record, rows))


async def due(store: Store, origin: Origin, now_ms: int, limit: int) -> tuple[Retrieval, ...]:
    """Retrievals that are due, those that have waited longest first."""
    rows = await store.sql.fetch(
        f"SELECT {_RETRIEVAL.sql} FROM retrieval JOIN origin ON origin.number = retrieval.origin "  # noqa: S608 - a constant
        "WHERE retrieval.origin = ? AND retrieval.due_ms <= ? ORDER BY retrieval.due_ms, position LIMIT ?",
        (origin.number, now_ms, limit),
    )
    return tuple(map(_RETRIEVAL.record, rows))


async def next_due_ms(store: Store, origin: Origin, after_ms: int) -> int | None:
    """When the next retrieval is due after a moment; milliseconds since 1970."""
    rows = await store.sql.fetch(
        "SELECT due_ms FROM retrieval WHERE origin = ? AND due_ms > ? ORDER BY due_ms LIMIT 1",
        (origin.number, after_ms),
    )
    return int(rows[0][0]) if rows else None


async def oldest_pending(store: Store) -> dict[str, tuple[int, str]]:
    """Position and block time of the oldest event whose entity waits, by origin."""
    rows = await store.sql.fetch(
        "SELECT did, min(position), min(time) FROM retrieval JOIN origin ON origin.number = retrieval.origin GROUP BY did"
    )  # the time of blocks grows with the position of their events
    return {did: (int(position), str(time)) for did, position, time in rows}


async def failed_counts(store: Store) -> dict[str, int]:
    """How many pending retrievals failed for a reason of their own, by origin."""
    rows = await store.sql.fetch(
        "SELECT did, count(*) FROM retrieval JOIN origin ON origin.number = retrieval.origin "
        "WHERE retrieval.problem IS NOT NULL GROUP BY did"
    )
    return {str(did): int(count) for did, count in rows}


async def known_keys(store: Store, issuer: str, keys: Sequence[str]) -> frozenset[str]:
    """Those of an issuer's entity keys of which there is a replica here."""
    statements = statements_for(
        "SELECT key FROM provenance JOIN origin ON origin.number = provenance.origin WHERE did = ? AND key",
        [bytes.fromhex(key) for key in keys],
        (issuer,),
    )
    return frozenset([row[0].hex() for each in statements for row in await store.sql.fetch(*each)])


async def evidence(store: Store, limit: int) -> tuple[Evidence, ...]:
    """Evidence, newest first."""
    rows = await store.sql.fetch(f"SELECT {_EVIDENCE.sql} FROM evidence ORDER BY seq DESC LIMIT ?", (limit,))  # noqa: S608 - a constant
    return tuple(map(_EVIDENCE.record, rows))


async def evidence_counts(store: Store) -> dict[tuple[str, str], int]:
    """Records of evidence by (issuer, code)."""
    rows = await store.sql.fetch("SELECT issuer, code, count(*) FROM evidence GROUP BY issuer, code")
    return {(issuer, code): int(count) for issuer, code, count in rows}


async def conflicts(store: Store, limit: int) -> tuple[Conflict, ...]:
    """Our entities whose identifier another member has claimed."""
    rows = await store.sql.fetch(f"SELECT {_CONFLICT.sql} FROM conflict LIMIT ?", (limit,))  # noqa: S608 - a constant
    return tuple(map(_CONFLICT.record, rows))


async def conflict_count(store: Store) -> int:
    """How many conflicts there are."""
    ((count,),) = await store.sql.fetch("SELECT count(*) FROM conflict")
    return int(count)


# -- writing: events of the ledger -------------------------------------------------------------------------


async def schedule(tx: Transaction, retrieval: Retrieval) -> None:
    """Record a version to be retrieved, unless that version or a newer one is stored or recorded already."""
    number = await _number(tx, retrieval.issuer)
    key = bytes.fromhex(retrieval.key)
    stored = await tx.sql.fetch("SELECT position FROM provenance WHERE origin = ? AND key = ?", (number, key))
    if stored and stored[0][0] >= retrieval.position:
        return
    await tx.sql.execute(
        _SCHEDULE,
        (
            number,
            key,
            retrieval.type,
            retrieval.version,
            retrieval.hashlink,
            retrieval.position,
            retrieval.time,
            retrieval.nonce,
        ),
    )


async def remove_replica(tx: Transaction, issuer: str, key: str) -> None:
    """An entity was deleted: remove its retrieval and its replica."""
    number, raw = await _number(tx, issuer), bytes.fromhex(key)
    await tx.sql.execute("DELETE FROM retrieval WHERE origin = ? AND key = ?", (number, raw))
    rows = await tx.sql.execute(
        "DELETE FROM provenance WHERE origin = ? AND key = ? RETURNING entity_id", (number, raw)
    )
    for (entity_id,) in rows:
        entity = await tx.entity(entity_id)
        if entity is not None and entity.origin == issuer:
            await tx.delete(entity_id)


async def defer(tx: Transaction, did: str, after: int | None) -> None:
    """The origin's events after a position have been passed over; None: they have been read since."""
    await tx.sql.execute(
        "UPDATE origin SET deferred_after = ? WHERE number = ?", (after, await _number(tx, did))
    )


# -- writing: answers of the origins -----------------------------------------------------------------------


async def is_current(tx: Transaction, retrieval: Retrieval) -> bool:
    """Whether that version is still to be retrieved."""
    rows = await tx.sql.fetch(
        "SELECT 1 FROM retrieval WHERE origin = ? AND key = ? AND position = ?",
        (await _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key), retrieval.position),
    )
    return bool(rows)


async def settle(tx: Transaction, retrieval: Retrieval) -> None:
    """Remove a retrieval that has its result."""
    await tx.sql.execute(
        "DELETE FROM retrieval WHERE origin = ? AND key = ? AND position = ?",
        (await _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key), retrieval.position),
    )


async def postpone(tx: Transaction, retrieval: Retrieval, due_ms: int, problem: str) -> None:
    """Count a failed attempt, and set when the next is due."""
    await tx.sql.execute(
        "UPDATE retrieval SET attempts = attempts + 1, due_ms = ?, problem = ? "
        "WHERE origin = ? AND key = ? AND position = ?",
        (
            due_ms,
            problem,
            await _number(tx, retrieval.issuer),
            bytes.fromhex(retrieval.key),
            retrieval.position,
        ),
    )


async def record_provenance(tx: Transaction, entity_id: str, retrieval: Retrieval) -> None:
    """Record which event proves a replica."""
    number, key = await _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key)
    await tx.sql.execute(
        _PROVENANCE,
        (entity_id, number, key, retrieval.version, retrieval.hashlink, retrieval.position, tx.time),
    )


async def origin_failed(tx: Transaction, did: str, attempts: int, due_ms: int, problem: str) -> None:
    """An exchange with an origin failed."""
    await tx.sql.execute(
        "UPDATE origin SET attempts = ?, due_ms = ?, problem = ?, failing_since = coalesce(failing_since, ?) "
        "WHERE number = ?",
        (attempts, due_ms, problem, tx.time, await _number(tx, did)),
    )


async def origin_answered(tx: Transaction, did: str) -> None:
    """An exchange with an origin that had failed succeeded."""
    await tx.sql.execute(
        "UPDATE origin SET attempts = 0, due_ms = 0, problem = NULL, failing_since = NULL WHERE number = ?",
        (await _number(tx, did),),
    )


async def bound_pauses(tx: Transaction, latest_ms: int) -> None:
    """Let no retrieval or origin wait beyond a moment."""
    await tx.sql.execute("UPDATE origin SET due_ms = ? WHERE due_ms > ?", (latest_ms, latest_ms))
    await tx.sql.execute("UPDATE retrieval SET due_ms = ? WHERE due_ms > ?", (latest_ms, latest_ms))


async def record_evidence(
    tx: Transaction, issuer: str, code: str, reason: str, rows_max: int, retrieval: Retrieval | None = None
) -> None:
    """Count what was not valid; the oldest rows are removed when there are more than `rows_max`."""
    key = bytes.fromhex(retrieval.key) if retrieval is not None else b""
    version, position = (retrieval.version, retrieval.position) if retrieval is not None else (0, 0)
    await tx.sql.execute(
        "INSERT INTO evidence (issuer, code, key, version, position, reason, first_time, last_time) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (issuer, key, version, code) DO UPDATE SET "
        "count = evidence.count + 1, last_time = excluded.last_time, position = excluded.position, reason = excluded.reason",
        (issuer, code, key, version, position, reason, tx.time, tx.time),
    )
    await tx.sql.execute(
        "DELETE FROM evidence WHERE seq <= (SELECT seq FROM evidence ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (rows_max,),
    )


async def record_conflicts(tx: Transaction, conflicts: Iterable[tuple[str, str, int]]) -> None:
    """Note (entity, issuer, first position) of others' claims on our identifiers; `CONFLICTS_MAX` at most."""
    for entity_id, issuer, first_position in conflicts:
        ((count,),) = await tx.sql.fetch("SELECT count(*) FROM conflict")
        if count >= CONFLICTS_MAX:
            return
        await tx.sql.execute(_CONFLICT_NEW, (entity_id, issuer, first_position, tx.time))


async def resolve_conflicts(tx: Transaction, entity_id: str) -> None:
    """An entity of ours does not use an identifier any more that another member has claimed."""
    await tx.sql.execute("DELETE FROM conflict WHERE entity_id = ?", (entity_id,))


async def _number(tx: Transaction, did: str) -> int:
    rows = await tx.sql.fetch("SELECT number FROM origin WHERE did = ?", (did,))
    if not rows:
        rows = await tx.sql.execute("INSERT INTO origin (did) VALUES (?) RETURNING number", (did,))
    return int(rows[0][0])
