"""What this marketplace has heard of on the ledger and has yet to get, what it got, and what did not hold.

`origin` has a row for every member that this one follows: how many retrievals wait, since when it fails and when it
is tried again, and how far its events have been taken in when there were too many of them at once.
`retrieval` has a row for the newest wanted version of an entity, as long as that is not here; a newer event
replaces it. `provenance` tells of each replica where it comes from and which event proves it. `evidence` counts what
members sent that did not hold, and `conflict` names our entities whose identifier another member has claimed.
Times that are compared are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from hansa.store.sqlite.commit.transaction import Transaction
from hansa.store.sqlite.lookups import rows_with
from hansa.store.sqlite.store import Store

FOLLOWER_CURSOR = "follower"
"""Name of the cursor on the ledger."""
CONFLICTS_MAX = 10_000

_RETRIEVAL = "key, type, version, hashlink, position, time, attempts, due_ms, problem"


class Origin(msgspec.Struct, frozen=True):
    """A member that this one retrieves from."""

    number: int
    did: str
    pending: int
    """Retrievals that wait."""
    attempts: int
    """Failures in a row; 0 while it answers."""
    due_ms: int
    """When it may be asked again."""
    failing_since: str | None
    problem: str | None
    """Code of the last failure in a row."""
    deferred_after: int | None
    """Its events after this position have been passed over because too many retrievals waited."""


class Retrieval(msgspec.Struct, frozen=True):
    """A version that is wanted."""

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


class Provenance(msgspec.Struct, frozen=True):
    """Where a replica comes from."""

    entity_id: str
    issuer: str
    key: str
    version: int
    hashlink: str
    position: int
    """Of the event that proves it, on the ledger."""
    time: str
    """When it was stored here."""


class Evidence(msgspec.Struct, frozen=True):
    """Something that a member sent and that did not hold."""

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


# -- reading --------------------------------------------------------------------------------------------------


async def origins(source: Store | Transaction) -> tuple[Origin, ...]:
    """Every member that anything was ever retrieved from, in the order in which they were met."""
    rows = _rows(
        source,
        "SELECT number, did, pending, attempts, due_ms, failing_since, problem, deferred_after FROM origin ORDER BY number",
    )
    return tuple(Origin(*row) for row in rows)


async def due(store: Store, origin: Origin, now_ms: int, limit: int) -> tuple[Retrieval, ...]:
    """Retrievals whose time has come, those that have waited longest first."""
    rows = store.fetch(
        f"SELECT {_RETRIEVAL} FROM retrieval INDEXED BY retrieval_due WHERE origin = ? AND due_ms <= ? "  # noqa: S608 - a constant
        "ORDER BY due_ms, position LIMIT ?",
        (origin.number, now_ms, limit),
    )
    return tuple(_retrieval(origin.did, row) for row in rows)


async def next_due_ms(store: Store, origin: Origin, after_ms: int) -> int | None:
    """When the next retrieval comes due after a moment."""
    rows = store.fetch(
        "SELECT due_ms FROM retrieval INDEXED BY retrieval_due WHERE origin = ? AND due_ms > ? ORDER BY due_ms LIMIT 1",
        (origin.number, after_ms),
    )
    return int(rows[0][0]) if rows else None


async def oldest_pending(store: Store) -> dict[str, tuple[int, str]]:
    """Position and block time of the oldest event whose entity waits, by origin."""
    rows = store.fetch(
        "SELECT did, min(position), time FROM retrieval JOIN origin ON number = origin GROUP BY origin"
    )
    return {did: (int(position), str(time)) for did, position, time in rows}


async def failed_counts(store: Store) -> dict[str, int]:
    """How many pending retrievals failed for a reason of their own, by origin."""
    rows = store.fetch(
        "SELECT did, count(*) FROM retrieval JOIN origin ON number = origin WHERE retrieval.problem IS NOT NULL GROUP BY origin"
    )
    return {str(did): int(count) for did, count in rows}


async def known_keys(store: Store, issuer: str, keys: Sequence[str]) -> frozenset[str]:
    """Those of an issuer's entity keys of which there is a replica here."""
    select = "SELECT key FROM provenance JOIN origin ON number = origin WHERE did = ? AND key"
    rows = rows_with(store.fetch, select, [bytes.fromhex(key) for key in keys], (issuer,))
    return frozenset(key.hex() for (key,) in rows)


async def provenance(store: Store, entity_id: str) -> Provenance | None:
    """Where a replica comes from; None when the entity is not one."""
    rows = store.fetch(
        "SELECT entity_id, did, key, version, hashlink, position, time FROM provenance JOIN origin ON number = origin "
        "WHERE entity_id = ?",
        (entity_id,),
    )
    if not rows:
        return None
    entity, did, key, version, hashlink, position, time = rows[0]
    return Provenance(entity, did, key.hex(), version, hashlink, position, time)


async def evidence(store: Store, limit: int) -> tuple[Evidence, ...]:
    """What did not hold, newest first."""
    rows = store.fetch(
        "SELECT issuer, code, key, version, position, reason, first_time, last_time, count FROM evidence "
        "ORDER BY seq DESC LIMIT ?",
        (limit,),
    )
    return tuple(Evidence(row[0], row[1], row[2].hex(), *row[3:]) for row in rows)


async def evidence_counts(store: Store) -> dict[tuple[str, str], int]:
    """Records of evidence by (issuer, code)."""
    rows = store.fetch("SELECT issuer, code, count(*) FROM evidence GROUP BY issuer, code")
    return {(issuer, code): int(count) for issuer, code, count in rows}


async def conflicts(store: Store, limit: int) -> tuple[Conflict, ...]:
    """Our entities whose identifier another member has claimed."""
    rows = store.fetch("SELECT entity_id, issuer, first_position, time FROM conflict LIMIT ?", (limit,))
    return tuple(Conflict(*row) for row in rows)


async def conflict_count(store: Store) -> int:
    """How many conflicts there are."""
    ((count,),) = store.fetch("SELECT count(*) FROM conflict")
    return int(count)


# -- writing: what the ledger said ------------------------------------------------------------------------------


async def want(tx: Transaction, retrieval: Retrieval) -> None:
    """Note a wanted version in place of an older one; nothing when that version or a newer one is known."""
    number = _number(tx, retrieval.issuer)
    key = bytes.fromhex(retrieval.key)
    have = tx.execute("SELECT position FROM provenance WHERE origin = ? AND key = ?", (number, key))
    if have and have[0][0] >= retrieval.position:
        return
    tx.execute(
        "INSERT INTO retrieval (origin, key, type, version, hashlink, position, time) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET type = excluded.type, version = excluded.version, hashlink = excluded.hashlink, "
        "position = excluded.position, time = excluded.time, attempts = 0, due_ms = 0, problem = NULL "
        "WHERE excluded.position > retrieval.position",
        (
            number,
            key,
            retrieval.type,
            retrieval.version,
            retrieval.hashlink,
            retrieval.position,
            retrieval.time,
        ),
    )


async def forget(tx: Transaction, issuer: str, key: str) -> None:
    """An entity is gone: want it no more, and remove its replica."""
    number, raw = _number(tx, issuer), bytes.fromhex(key)
    tx.execute("DELETE FROM retrieval WHERE origin = ? AND key = ?", (number, raw))
    rows = tx.execute(
        "DELETE FROM provenance WHERE origin = ? AND key = ? RETURNING entity_id", (number, raw)
    )
    for (entity_id,) in rows:
        entity = await tx.entity(entity_id)
        if entity is not None and entity.origin == issuer:
            await tx.delete(entity_id)


async def defer(tx: Transaction, did: str, after: int | None) -> None:
    """From this position on the origin's events have been passed over; None when they have been made up for."""
    tx.execute("UPDATE origin SET deferred_after = ? WHERE number = ?", (after, _number(tx, did)))


async def followed_to(tx: Transaction) -> int:
    """Position up to which events have been looked at."""
    rows = tx.execute("SELECT position FROM cursor WHERE name = ?", (FOLLOWER_CURSOR,))
    return int(rows[0][0]) if rows else 0


# -- writing: what the origins answered ---------------------------------------------------------------------------


async def is_current(tx: Transaction, retrieval: Retrieval) -> bool:
    """Whether that version is still wanted."""
    rows = tx.execute(
        "SELECT 1 FROM retrieval WHERE origin = ? AND key = ? AND position = ?",
        (_number(tx, retrieval.issuer), bytes.fromhex(retrieval.key), retrieval.position),
    )
    return bool(rows)


async def settle(tx: Transaction, retrieval: Retrieval) -> None:
    """Want that version no more."""
    tx.execute(
        "DELETE FROM retrieval WHERE origin = ? AND key = ? AND position = ?",
        (_number(tx, retrieval.issuer), bytes.fromhex(retrieval.key), retrieval.position),
    )


async def postpone(tx: Transaction, retrieval: Retrieval, due_ms: int, problem: str) -> None:
    """Want that version later."""
    tx.execute(
        "UPDATE retrieval SET attempts = attempts + 1, due_ms = ?, problem = ? "
        "WHERE origin = ? AND key = ? AND position = ?",
        (due_ms, problem, _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key), retrieval.position),
    )


async def record_provenance(tx: Transaction, entity_id: str, retrieval: Retrieval) -> None:
    """Note where a replica comes from."""
    number, key = _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key)
    tx.execute(
        "INSERT INTO provenance VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (entity_id) DO UPDATE SET "
        "origin = excluded.origin, key = excluded.key, version = excluded.version, hashlink = excluded.hashlink, "
        "position = excluded.position, time = excluded.time",
        (entity_id, number, key, retrieval.version, retrieval.hashlink, retrieval.position, tx.time),
    )


async def origin_failed(tx: Transaction, did: str, attempts: int, due_ms: int, problem: str) -> None:
    """An exchange with an origin failed."""
    tx.execute(
        "UPDATE origin SET attempts = ?, due_ms = ?, problem = ?, failing_since = ifnull(failing_since, ?) "
        "WHERE number = ?",
        (attempts, due_ms, problem, tx.time, _number(tx, did)),
    )


async def origin_answered(tx: Transaction, did: str) -> None:
    """An exchange with an origin that had failed succeeded."""
    tx.execute(
        "UPDATE origin SET attempts = 0, due_ms = 0, problem = NULL, failing_since = NULL WHERE number = ?",
        (_number(tx, did),),
    )


async def bound_pauses(tx: Transaction, latest_ms: int) -> None:
    """Let nothing wait beyond a moment."""
    tx.execute("UPDATE origin SET due_ms = ? WHERE due_ms > ?", (latest_ms, latest_ms))
    tx.execute("UPDATE retrieval SET due_ms = ? WHERE due_ms > ?", (latest_ms, latest_ms))


async def record_evidence(
    tx: Transaction, issuer: str, code: str, reason: str, rows_max: int, retrieval: Retrieval | None = None
) -> None:
    """Note what did not hold; the oldest notes go when there are more than `rows_max`."""
    key = bytes.fromhex(retrieval.key) if retrieval is not None else b""
    version, position = (retrieval.version, retrieval.position) if retrieval is not None else (0, 0)
    tx.execute(
        "INSERT INTO evidence (issuer, code, key, version, position, reason, first_time, last_time) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (issuer, key, version, code) DO UPDATE SET "
        "count = count + 1, last_time = excluded.last_time, position = excluded.position, reason = excluded.reason",
        (issuer, code, key, version, position, reason, tx.time, tx.time),
    )
    tx.execute("DELETE FROM evidence WHERE seq <= (SELECT max(seq) FROM evidence) - ?", (rows_max,))


async def record_conflicts(tx: Transaction, found: Iterable[tuple[str, str, int]]) -> None:
    """Note (entity, issuer, first position) of claims of others on identifiers of ours."""
    for entity_id, issuer, first_position in found:
        tx.execute(
            "INSERT INTO conflict SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM conflict) < ? ON CONFLICT DO NOTHING",
            (entity_id, issuer, first_position, tx.time, CONFLICTS_MAX),
        )


def _rows(source: Store | Transaction, sql: str) -> list[tuple[Any, ...]]:
    fetch = getattr(source, "fetch", None)
    return fetch(sql) if fetch is not None else source.execute(sql)  # type: ignore[union-attr]


def _number(tx: Transaction, did: str) -> int:
    rows = tx.execute("SELECT number FROM origin WHERE did = ?", (did,))
    if not rows:
        rows = tx.execute("INSERT INTO origin (did) VALUES (?) RETURNING number", (did,))
    return int(rows[0][0])


def _retrieval(issuer: str, row: tuple[Any, ...]) -> Retrieval:
    return Retrieval(issuer, row[0].hex(), *row[1:])
