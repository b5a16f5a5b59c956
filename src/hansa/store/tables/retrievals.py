"""The state of every entity key that other members have on the ledger, and the provenance of replicas.

A *head* is the newest version of a key that was followed. Each has exactly one state here:

    stored      its replica is in the store, with its provenance
    pending     to be retrieved; after failures with their code, their number and the next attempt
    deferred    put off while its origin is over one of its bounds (`hansa.replication.replicas.bounds`)
    skipped     not retrieved, for a reason of this marketplace alone
    rejected    retrieved and not valid, for good: whoever looks at this version finds the same
    deleted     deleted or withdrawn by its origin

Nothing else ends a state than a newer version, a success, or the operator's command. `retrieval` has a row
for every head that is not stored; `provenance` says of each replica which event proves it. A key can have
both, while a newer version than the stored one is not stored yet; then the row of `retrieval` is its state.

`origin` has a row for every member that anything was followed of: how many heads there are (counted by the
events that begin a chain) and how many of them are in each state (counted by triggers, as rows appear and
disappear), so that a head without a state would show; since when exchanges with it fail and when the next
attempt is due; and how much its replicas take. Times that are compared are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

from hansa.store.interface import Store, Transaction
from hansa.store.sql import Readable, placeholders, statements_for, upsert
from hansa.store.tables.columns import RecordColumns

FOLLOWER_CURSOR: Final = "follower"
"""Name of the cursor on the ledger."""

State = Literal["stored", "pending", "deferred", "skipped", "rejected", "deleted"]
STATES: Final[tuple[State, ...]] = get_args(State)
RETRYABLE: Final[tuple[State, ...]] = ("pending", "deferred", "skipped", "rejected")
"""States of what a command can have requested again."""


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

    @property
    def unaccounted(self) -> int:
        """Heads without a state: always 0."""
        states = self.stored + self.pending + self.deferred + self.skipped + self.rejected + self.deleted
        return self.heads - states


class Retrieval(msgspec.Struct, frozen=True):
    """A head that is not stored, or the version of an event that is to become one."""

    issuer: str
    key: str
    type: str
    version: int
    hashlink: str
    position: int
    time: str
    """Of the block that committed the event."""
    attempts: int = 0
    """Failures since it is pending."""
    due_ms: int = 0
    """When the next attempt is due."""
    problem: str | None = None
    """Code of the last failure of this very entity."""
    nonce: str | None = None
    """What binds the entity's identifier to the issuer, as the event says; hex."""
    state: State = "pending"
    reason: str | None = None
    """Why it is in its state, as a sentence for the operator."""


class HeadState(msgspec.Struct, frozen=True):
    """The newest version of a key, and its state here."""

    issuer: str
    key: str
    state: State
    version: int
    hashlink: str
    position: int
    entity_id: str | None
    """None unless a replica of this or an older version is in the store."""
    type: str | None = None
    """None of a stored one: its entity says it."""
    attempts: int = 0
    due_ms: int = 0
    problem: str | None = None
    reason: str | None = None


_ORIGIN: Final = RecordColumns(Origin)
_RETRIEVAL: Final = RecordColumns(
    Retrieval,
    issuer="origin.did",
    attempts="retrieval.attempts",
    due_ms="retrieval.due_ms",
    problem="retrieval.problem",
)
_HEAD: Final = RecordColumns(
    HeadState,
    issuer="origin.did",
    key="retrieval.key",
    version="retrieval.version",
    hashlink="retrieval.hashlink",
    position="retrieval.position",
    entity_id="provenance.entity_id",
    attempts="retrieval.attempts",
    due_ms="retrieval.due_ms",
    problem="retrieval.problem",
)
_HEADS: Final = (
    f"SELECT {_HEAD.sql} FROM retrieval JOIN origin ON origin.number = retrieval.origin "  # noqa: S608 - constants
    "LEFT JOIN provenance ON provenance.origin = retrieval.origin AND provenance.key = retrieval.key"
)
_FROM_EVENT: Final = ("origin", "key", "type", "version", "hashlink", "position", "time", "nonce")
_SET_HEAD: Final = (
    upsert(
        "retrieval",
        (*_FROM_EVENT, "state", "problem", "reason"),
        ("origin", "key"),
        *("attempts = 0", "due_ms = 0"),
    )
    + " WHERE excluded.position > retrieval.position"
)
_PROVENANCE: Final = upsert(
    "provenance",
    ("entity_id", "origin", "key", "version", "hashlink", "position", "time", "size_bytes"),
    ("entity_id",),
)
_VERSION: Final = "WHERE origin = ? AND key = ? AND position = ? AND state = 'pending'"


# -- reading -----------------------------------------------------------------------------------------------


async def origins(source: Readable) -> tuple[Origin, ...]:
    """Every member that anything was ever followed of, in the order of their first events."""
    rows = await source.sql.fetch(f"SELECT {_ORIGIN.sql} FROM origin ORDER BY number")  # noqa: S608 - a constant
    return tuple(map(_ORIGIN.record, rows))


async def due(
    store: Store, origin: Origin, now_ms: int, limit: int, *, untried_only: bool = False
) -> tuple[Retrieval, ...]:
    """Pending retrievals that are due, those that have waited longest first."""
    untried = "AND retrieval.attempts = 0 " if untried_only else ""
    rows = await store.sql.fetch(
        f"SELECT {_RETRIEVAL.sql} FROM retrieval JOIN origin ON origin.number = retrieval.origin "  # noqa: S608 - constants
        f"WHERE retrieval.origin = ? AND retrieval.state = 'pending' AND retrieval.due_ms <= ? {untried}"
        "ORDER BY retrieval.due_ms, position LIMIT ?",
        (origin.number, now_ms, limit),
    )
    return tuple(map(_RETRIEVAL.record, rows))


async def next_due_ms(store: Store, origin: Origin, after_ms: int) -> int | None:
    """When the next retrieval is due after a moment; milliseconds since 1970."""
    rows = await store.sql.fetch(
        "SELECT due_ms FROM retrieval WHERE origin = ? AND state = 'pending' AND due_ms > ? ORDER BY due_ms LIMIT 1",
        (origin.number, after_ms),
    )
    return int(rows[0][0]) if rows else None


async def oldest_pending(store: Store) -> dict[str, tuple[int, str]]:
    """Position and block time of the oldest event whose entity waits, by origin."""
    rows = await store.sql.fetch(
        "SELECT did, min(position), min(time) FROM retrieval JOIN origin ON origin.number = retrieval.origin "
        "WHERE state = 'pending' GROUP BY did"
    )  # the time of blocks grows with the position of their events
    return {did: (int(position), str(time)) for did, position, time in rows}


async def known_keys(source: Readable, issuer: str, keys: Sequence[str]) -> frozenset[str]:
    """Those of an issuer's entity keys of which there is a replica here."""
    statements = statements_for(
        "SELECT key FROM provenance JOIN origin ON origin.number = provenance.origin WHERE did = ? AND key",
        [bytes.fromhex(key) for key in keys],
        (issuer,),
    )
    return frozenset([row[0].hex() for each in statements for row in await source.sql.fetch(*each)])


async def heads(
    store: Store, states: Sequence[State], issuer: str | None, after: int, limit: int
) -> tuple[HeadState, ...]:
    """Heads in some states other than `stored`, by position, after one; `issuer` None: of all members."""
    assert "stored" not in states, "what is stored is listed by the catalogue"
    of_issuer, parameters = ("AND origin.did = ? ", (issuer,)) if issuer is not None else ("", ())
    rows = await store.sql.fetch(
        f"{_HEADS} WHERE retrieval.state IN ({placeholders(len(states))}) AND retrieval.position > ? "
        f"{of_issuer}ORDER BY retrieval.position LIMIT ?",
        (*states, after, *parameters, limit),
    )
    return tuple(map(_HEAD.record, rows))


async def heads_of_key(store: Store, key: str) -> tuple[HeadState, ...]:
    """The states of a ledger key (hex); several, when several members have claimed it."""
    raw = bytes.fromhex(key)
    rows = await store.sql.fetch(f"{_HEADS} WHERE retrieval.key = ?", (raw,))
    unsettled = tuple(map(_HEAD.record, rows))
    stored = await store.sql.fetch(
        "SELECT did, version, hashlink, position, entity_id FROM provenance "
        "JOIN origin ON origin.number = provenance.origin WHERE key = ?",
        (raw,),
    )
    known = {one.issuer for one in unsettled}
    return unsettled + tuple(
        HeadState(did, key, "stored", version, hashlink, position, entity_id)
        for did, version, hashlink, position, entity_id in stored
        if did not in known
    )


async def head(tx: Transaction, did: str, key: str) -> HeadState | None:
    """The newest followed version of a member's key (hex), and its state; None when there is none."""
    raw = bytes.fromhex(key)
    rows = await tx.sql.fetch(f"{_HEADS} WHERE origin.did = ? AND retrieval.key = ?", (did, raw))
    if rows:
        return _HEAD.record(rows[0])
    rows = await tx.sql.fetch(
        "SELECT version, hashlink, position, entity_id FROM provenance WHERE key = ? "
        "AND origin = (SELECT number FROM origin WHERE did = ?)",
        (raw, did),
    )
    return HeadState(did, key, "stored", *rows[0]) if rows else None


async def proved_hashlink(tx: Transaction, did: str, key: str) -> str | None:
    """Hashlink of the version of which a member's key (hex) has a replica here; None without one."""
    rows = await tx.sql.fetch(
        "SELECT hashlink FROM provenance WHERE key = ? AND origin = (SELECT number FROM origin WHERE did = ?)",
        (bytes.fromhex(key), did),
    )
    return str(rows[0][0]) if rows else None


# -- writing: events of the ledger -------------------------------------------------------------------------


async def count_heads(tx: Transaction, did: str, count: int) -> None:
    """Events began the chains of so many keys of a member."""
    assert count >= 0, "heads are never fewer"
    number = await _number(tx, did)
    await tx.sql.execute("UPDATE origin SET heads = heads + ? WHERE number = ?", (count, number))


async def schedule(tx: Transaction, retrieval: Retrieval) -> None:
    """Record a version to be retrieved, unless that version or a newer one has its state already."""
    await _set_head(tx, retrieval, "pending", None, None)


async def forget(tx: Transaction, did: str, key: str) -> None:
    """Remove the state of a member's key (hex), to give it another one in the same transaction."""
    number, raw = await _number(tx, did), bytes.fromhex(key)
    await forget_provenance(tx, did, key)
    await tx.sql.execute("DELETE FROM retrieval WHERE origin = ? AND key = ?", (number, raw))


async def forget_provenance(tx: Transaction, did: str, key: str) -> None:
    """Remove what proved the replica of a member's key (hex), which is removed in the same transaction."""
    await tx.sql.execute(
        "DELETE FROM provenance WHERE origin = ? AND key = ?", (await _number(tx, did), bytes.fromhex(key))
    )


async def skip(tx: Transaction, retrieval: Retrieval, state: State, code: str | None, reason: str) -> None:
    """Record a version that is not to be retrieved, and remove the replica of an older one."""
    assert state in {"skipped", "rejected", "deleted"}, "it has an end without a retrieval"
    if not await _set_head(tx, retrieval, state, code, reason):
        return
    rows = await tx.sql.execute(
        "DELETE FROM provenance WHERE origin = ? AND key = ? RETURNING entity_id",
        (await _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key)),
    )
    for (entity_id,) in rows:
        entity = await tx.entity(entity_id)
        if entity is not None and entity.origin == retrieval.issuer:
            await tx.delete(entity_id)


async def _set_head(
    tx: Transaction, retrieval: Retrieval, state: State, problem: str | None, reason: str | None
) -> bool:
    """Make a version the head of its key, in a state; False when that or a newer one is the head already."""
    number, key = await _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key)
    rows = await tx.sql.fetch(
        "SELECT position FROM provenance WHERE origin = ? AND key = ? UNION ALL "
        "SELECT position FROM retrieval WHERE origin = ? AND key = ?",
        (number, key, number, key),
    )
    if any(position >= retrieval.position for (position,) in rows):
        return False
    version = (retrieval.type, retrieval.version, retrieval.hashlink, retrieval.position, retrieval.time)
    await tx.sql.execute(_SET_HEAD, (number, key, *version, retrieval.nonce, state, problem, reason))
    return True


# -- writing: answers of the origins -----------------------------------------------------------------------


async def is_current(tx: Transaction, retrieval: Retrieval) -> bool:
    """Whether that version is still to be retrieved."""
    return bool(await tx.sql.fetch(f"SELECT 1 FROM retrieval {_VERSION}", await _version(tx, retrieval)))  # noqa: S608 - a constant


async def record_stored(tx: Transaction, entity_id: str, retrieval: Retrieval, size_bytes: int) -> None:
    """A replica was written: record which event proves it, and end its retrieval."""
    number, key = await _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key)
    version = (retrieval.version, retrieval.hashlink, retrieval.position)
    await tx.sql.execute(_PROVENANCE, (entity_id, number, key, *version, tx.time, size_bytes))
    await tx.sql.execute(
        "DELETE FROM retrieval WHERE origin = ? AND key = ? AND position = ?",
        (number, key, retrieval.position),
    )


async def conclude(
    tx: Transaction, retrieval: Retrieval, state: State, code: str | None, reason: str | None
) -> None:
    """End a pending retrieval in another state than `stored`; an older replica remains."""
    assert state in {"skipped", "rejected", "deferred"}, "a retrieval that was not stored ends so"
    await tx.sql.execute(
        f"UPDATE retrieval SET state = ?, problem = ?, reason = ? {_VERSION}",  # noqa: S608 - a constant
        (state, code, reason, *await _version(tx, retrieval)),
    )


async def postpone(
    tx: Transaction, retrieval: Retrieval, due_ms: int, problem: str, reason: str | None = None
) -> None:
    """Count a failed attempt, and set when the next is due."""
    await tx.sql.execute(
        f"UPDATE retrieval SET attempts = attempts + 1, due_ms = ?, problem = ?, reason = ? {_VERSION}",  # noqa: S608 - a constant
        (due_ms, problem, reason, *await _version(tx, retrieval)),
    )


async def bring_forward(
    tx: Transaction, did: str, problems: Sequence[str], now_ms: int, due_ms: int, limit: int
) -> None:
    """Let some retrievals of an origin that failed for one of these reasons be due by a moment."""
    number = await _number(tx, did)
    await tx.sql.execute(
        "UPDATE retrieval SET due_ms = ? WHERE origin = ? AND key IN (SELECT key FROM retrieval "  # noqa: S608 - constants
        f"WHERE origin = ? AND state = 'pending' AND problem IN ({placeholders(len(problems))}) "
        "AND due_ms > ? ORDER BY due_ms LIMIT ?)",
        (due_ms, number, number, *problems, max(now_ms, due_ms), limit),
    )


async def release_deferred(tx: Transaction, origin: Origin, limit: int) -> None:
    """Let some deferred retrievals of an origin be pending, those of the oldest events first."""
    await tx.sql.execute(
        "UPDATE retrieval SET state = 'pending', problem = NULL, reason = NULL, attempts = 0, due_ms = 0 "
        "WHERE origin = ? AND key IN (SELECT key FROM retrieval WHERE +origin = ? AND state = 'deferred' "
        "ORDER BY position LIMIT ?)",
        (origin.number, origin.number, limit),
    )


async def retry(
    tx: Transaction, states: Sequence[State], limit: int, issuer: str | None = None, key: str | None = None
) -> int:
    """Have retrievals in some states requested again at once; how many.

    Args:
        tx: The transaction.
        states: Of `RETRYABLE`.
        limit: How many at most.
        issuer: DID of their origin; None: of every member.
        key: Ledger key, hex; None: every one.
    """
    assert set(states) <= set(RETRYABLE), "what is stored or deleted is not retrieved"
    conditions = [f"state IN ({placeholders(len(states))})", "(attempts > 0 OR state != 'pending')"]
    parameters: list[str | bytes] = [*states]
    if issuer is not None:
        conditions.append("origin.did = ?")
        parameters.append(issuer)
    if key is not None:
        conditions.append("key = ?")
        parameters.append(bytes.fromhex(key))
    rows = await tx.sql.fetch(
        "SELECT origin, key FROM retrieval JOIN origin ON origin.number = retrieval.origin "  # noqa: S608 - constants
        f"WHERE {' AND '.join(conditions).replace('(attempts', '(retrieval.attempts')} LIMIT ?",
        (*parameters, limit),
    )
    for row in rows:
        await tx.sql.execute(
            "UPDATE retrieval SET state = 'pending', problem = NULL, reason = NULL, attempts = 0, due_ms = 0 "
            "WHERE origin = ? AND key = ?",
            row,
        )
    return len(rows)


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


async def attempt_origins(tx: Transaction, issuer: str | None) -> None:
    """Let failing origins be attempted at once; None: all of them."""
    of_issuer, parameters = ("WHERE did = ?", (issuer,)) if issuer is not None else ("", ())
    await tx.sql.execute(f"UPDATE origin SET due_ms = 0 {of_issuer}", parameters)  # noqa: S608 - a constant


async def count_received(tx: Transaction, did: str, day: int, size_bytes: int, verification_ms: int) -> None:
    """Count what was received of an origin on a day, and the time that verifying it took."""
    await tx.sql.execute(
        "UPDATE origin SET day_bytes = CASE WHEN day = ? THEN day_bytes ELSE 0 END + ?, "
        "day_verification_ms = CASE WHEN day = ? THEN day_verification_ms ELSE 0 END + ?, day = ? WHERE number = ?",
        (day, size_bytes, day, verification_ms, day, await _number(tx, did)),
    )


async def bound_pauses(tx: Transaction, origin_latest_ms: int, latest_ms: int) -> None:
    """Let no origin wait beyond a moment, and no retrieval beyond another one."""
    await tx.sql.execute(
        "UPDATE origin SET due_ms = ? WHERE due_ms > ?", (origin_latest_ms, origin_latest_ms)
    )
    await tx.sql.execute("UPDATE retrieval SET due_ms = ? WHERE due_ms > ?", (latest_ms, latest_ms))


async def _version(tx: Transaction, retrieval: Retrieval) -> tuple[int, bytes, int]:
    return await _number(tx, retrieval.issuer), bytes.fromhex(retrieval.key), retrieval.position


async def _number(tx: Transaction, did: str) -> int:
    rows = await tx.sql.fetch("SELECT number FROM origin WHERE did = ?", (did,))
    if not rows:
        rows = await tx.sql.execute("INSERT INTO origin (did) VALUES (?) RETURNING number", (did,))
    return int(rows[0][0])
