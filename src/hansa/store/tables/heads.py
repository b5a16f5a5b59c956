"""The heads of the ledger: one row for every key of every other member, with its state here.

A *head* is the newest version of a key that was followed. It has exactly one state:

    stored      its replica is in the store
    pending     to be retrieved; after failures with their code, their number and the next attempt
    deferred    put off while its origin is over one of its bounds (`hansa.replication.replicas.bounds`)
    skipped     not retrieved, for a reason of this marketplace alone
    rejected    retrieved and not valid, for good: whoever looks at this version finds the same
    deleted     deleted or withdrawn by its origin

Nothing else ends a state than a newer version, a success, or the operator's command. The row of a head also
says which entity its replica is and how large it is; and of which version the replica is, while that is an
older one than the head. An entity that changes faster than it is retrieved has such a replica most of the
time, and each version that arrives replaces it.

So what is missing, why, since when, and what every replica is proved by are queries on one table. Times that
are compared are milliseconds since 1970. The members themselves are in `hansa.store.tables.origins`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from hansa.core.audit import ANCHOR_TYPE
from hansa.store.columns import RecordColumns
from hansa.store.interface import Store, Transaction
from hansa.store.sql import Parameter, Readable, placeholders, statements_for, upsert
from hansa.store.tables import origins
from hansa.store.tables.origins import Origin

FOLLOWER_CURSOR: Final = "follower"
"""Name of the cursor on the ledger."""

State = Literal["stored", "pending", "deferred", "skipped", "rejected", "deleted"]
STATES: Final[tuple[State, ...]] = get_args(State)
POSITION_MAX: Final = 2**63 - 1
ENDED: Final[tuple[State, ...]] = ("skipped", "rejected", "deleted")
"""States of what is not to be retrieved, and has no replica."""
RETRYABLE: Final[tuple[State, ...]] = ("pending", "deferred", "skipped", "rejected")
"""States of what a command can have requested again."""


class Retrieval(msgspec.Struct, frozen=True):
    """A version of a key, as its event announced it: to be retrieved, or to become the head."""

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
    type: str
    attempts: int = 0
    due_ms: int = 0
    problem: str | None = None
    reason: str | None = None
    replica_version: int | None = None
    """Of the replica, while it is an older one than this."""
    replica_hashlink: str | None = None
    replica_position: int | None = None

    @property
    def proved_hashlink(self) -> str | None:
        """Hashlink of the version that the replica is; None without one."""
        return self.hashlink if self.state == "stored" else self.replica_hashlink

    @property
    def proved_position(self) -> int:
        """Position of the event that proves the replica; 0 without one."""
        return self.position if self.state == "stored" else self.replica_position or 0

    def is_due(self, retrieval: Retrieval) -> bool:
        """Whether a version is the one that is to be retrieved."""
        return self.state == "pending" and self.position == retrieval.position

    def is_brought_forward_by(self, retrieval: Retrieval) -> bool:
        """Whether a version is newer than the replica, and no newer than what is to be retrieved."""
        return self.state == "pending" and self.proved_position < retrieval.position <= self.position


class Replica(msgspec.Struct, frozen=True):
    """Which version a replica is."""

    issuer: str
    key: str
    entity_id: str
    hashlink: str


class NewHead(msgspec.Struct, frozen=True):
    """A version that is to be the head of its key, and its state."""

    version: Retrieval
    state: State
    problem: str | None = None
    reason: str | None = None
    entity_id: str | None = None
    """Its replica; there if, and only if, it is stored."""
    size_bytes: int = 0


_RETRIEVAL: Final = RecordColumns(
    Retrieval,
    issuer="origin.did",
    attempts="head.attempts",
    due_ms="head.due_ms",
    problem="head.problem",
)
_HEAD: Final = RecordColumns(
    HeadState,
    issuer="origin.did",
    attempts="head.attempts",
    due_ms="head.due_ms",
    problem="head.problem",
)
_FROM: Final = "FROM head JOIN origin ON origin.number = head.origin"
_REPLICA: Final = RecordColumns(
    Replica,
    issuer="origin.did",
    hashlink="CASE WHEN head.state = 'stored' THEN head.hashlink ELSE head.replica_hashlink END",
)
_REPLICAS: Final = (
    f"SELECT {_REPLICA.sql} {_FROM} "  # noqa: S608 - constants
    "WHERE head.entity_id IS NOT NULL AND head.origin IN (SELECT number FROM origin)"
)
_HEADS: Final = f"SELECT {_HEAD.sql} {_FROM}"
_RECORD: Final = (
    upsert(
        "head",
        (
            *("origin", "key", "type", "version", "hashlink", "position", "time", "nonce"),
            *("state", "problem", "reason"),
        ),
        ("origin", "key"),
        *("attempts = 0", "due_ms = 0"),
        *(
            f"replica_{column} = CASE WHEN head.state = 'stored' THEN head.{column} ELSE head.replica_{column} END"
            for column in ("version", "hashlink", "position")
        ),
    )
    + " WHERE excluded.position > head.position"
)
_STORE: Final = upsert(
    "head",
    (
        *("origin", "key", "type", "version", "hashlink", "position", "time", "nonce"),
        *("state", "entity_id", "size_bytes"),
    ),
    ("origin", "key"),
    *("attempts = 0", "due_ms = 0", "problem = NULL", "reason = NULL"),
    *("replica_version = NULL", "replica_hashlink = NULL", "replica_position = NULL"),
)
_STORE_OLDER: Final = (
    "UPDATE head SET replica_version = ?, replica_hashlink = ?, replica_position = ?, entity_id = ?, "
    "size_bytes = ? WHERE origin = ? AND key = ?"
)
_NO_REPLICA: Final = "entity_id = NULL, size_bytes = 0, replica_version = NULL, replica_hashlink = NULL, replica_position = NULL"
_RETRY: Final = "state = 'pending', problem = NULL, reason = NULL, attempts = 0, due_ms = 0"
_DUE: Final = "WHERE origin = ? AND key = ? AND position = ? AND state = 'pending'"


# -- reading -----------------------------------------------------------------------------------------------


async def due(
    store: Store, origin: Origin, now_ms: int, limit: int, *, untried_only: bool = False
) -> tuple[Retrieval, ...]:
    """Pending versions that are due, those that have waited longest first."""
    untried = "AND head.attempts = 0 " if untried_only else ""
    rows = await store.sql.fetch(
        f"SELECT {_RETRIEVAL.sql} {_FROM} "
        f"WHERE head.origin = ? AND head.state = 'pending' AND head.due_ms <= ? {untried}"
        "ORDER BY head.due_ms, position LIMIT ?",
        (origin.number, now_ms, limit),
    )
    return tuple(map(_RETRIEVAL.record, rows))


async def next_due_ms(store: Store, origin: Origin, after_ms: int) -> int | None:
    """When the next version is due after a moment; milliseconds since 1970."""
    rows = await store.sql.fetch(
        "SELECT due_ms FROM head WHERE origin = ? AND state = 'pending' AND due_ms > ? ORDER BY due_ms LIMIT 1",
        (origin.number, after_ms),
    )
    return int(rows[0][0]) if rows else None


async def oldest_pending(store: Store) -> dict[str, tuple[int, str]]:
    """Position and block time of the oldest event whose entity waits, by origin."""
    oldest = f"SELECT did, min(position), min(time) {_FROM} WHERE state = 'pending' GROUP BY did"
    rows = await store.sql.fetch(oldest)  # the time of blocks grows with the position of their events
    return {did: (int(position), str(time)) for did, position, time in rows}


async def known_keys(source: Readable, issuer: str, keys: Sequence[str]) -> frozenset[str]:
    """Those of an issuer's entity keys of which there is a replica here."""
    known = await of_keys(source, issuer, keys)
    return frozenset([key for key, head in known.items() if head.entity_id is not None])


async def of_keys(source: Readable, issuer: str, keys: Sequence[str]) -> dict[str, HeadState]:
    """The heads of some keys (hex) of a member that there are, by key."""
    statements = statements_for(
        f"{_HEADS} WHERE head.origin = (SELECT number FROM origin WHERE did = ?) AND head.key",  # noqa: S608 - constants
        [bytes.fromhex(key) for key in keys],
        (issuer,),
    )
    heads = [_HEAD.record(row) for each in statements for row in await source.sql.fetch(*each)]
    return {head.key: head for head in heads}


async def of_key(source: Readable, issuer: str, key: str) -> HeadState | None:
    """The head of a member's key (hex); None when there is none."""
    return (await of_keys(source, issuer, (key,))).get(key)


async def pending(
    store: Store,
    origin: Origin,
    attempts: tuple[int, int],
    between: tuple[int, int],
    limit: int,
    order: Literal["ASC", "DESC"],
) -> tuple[Retrieval, ...]:
    """Pending versions of an origin that have failed so often, after one position and before another."""
    rows = await store.sql.fetch(
        f"SELECT {_RETRIEVAL.sql} {_FROM} WHERE head.origin = ? AND head.state = 'pending' "
        "AND head.attempts BETWEEN ? AND ? AND head.position > ? AND head.position < ? "
        f"ORDER BY head.position {order} LIMIT ?",
        (origin.number, *attempts, *between, limit),
    )
    return tuple(map(_RETRIEVAL.record, rows))


async def replicas(source: Readable, keys: Sequence[str]) -> tuple[Replica, ...]:
    """The replicas under some ledger keys (hex), of whatever members."""
    statements = statements_for(f"{_REPLICAS} AND head.key", [bytes.fromhex(key) for key in keys])
    return tuple([_REPLICA.record(row) for each in statements for row in await source.sql.fetch(*each)])


async def page(
    store: Store, states: Sequence[State], issuer: str | None, after: int, limit: int
) -> tuple[HeadState, ...]:
    """Heads in some states, by position, after one; `issuer` None: of all members."""
    numbers = [one.number for one in await origins.origins(store) if issuer in {None, one.did}]
    rows = [
        row
        for number in numbers
        for state in states
        for row in await store.sql.fetch(
            f"{_HEADS} WHERE head.origin = ? AND head.state = ? AND head.position > ? ORDER BY head.position LIMIT ?",
            (number, state, after, limit),
        )
    ]
    return tuple(sorted(map(_HEAD.record, rows), key=lambda one: one.position)[:limit])


async def of_all_members(store: Store, key: str) -> tuple[HeadState, ...]:
    """The heads of a ledger key (hex); several, when several members have claimed it."""
    rows = await store.sql.fetch(
        f"{_HEADS} WHERE head.key = ? AND head.origin IN (SELECT number FROM origin)",  # noqa: S608 - constants
        (bytes.fromhex(key),),
    )
    return tuple(map(_HEAD.record, rows))


# -- writing: events of the ledger -------------------------------------------------------------------------


async def record(
    tx: Transaction, issuer: str, heads: Sequence[NewHead], before: Mapping[str, HeadState] | None = None
) -> None:
    """Make versions of a member the heads of their keys, unless those or newer ones are already.

    A replica of an older version is removed where the new head is neither stored nor to be retrieved.

    Args:
        tx: The transaction.
        issuer: The member.
        heads: Of different keys. Of those that are stored the replicas have been written.
        before: The heads of these keys; None: they are read.
    """
    assert len({one.version.key for one in heads}) == len(heads), "a key has one head"
    if before is None:
        before = await of_keys(tx, issuer, [one.version.key for one in heads])
    newer = [one for one in heads if is_newer(one.version, before.get(one.version.key))]
    number = await origins.number(tx, issuer)
    rows = [(number, *_event_row(one.version), one.state, one.problem, one.reason) for one in newer]
    await tx.sql.execute_many(
        _RECORD, [row for row, one in zip(rows, newer, strict=True) if one.state != "stored"]
    )
    await record_stored(tx, issuer, [one for one in newer if one.state == "stored"], before)
    for one in newer:
        replaced = before.get(one.version.key)
        if replaced is not None and one.state in ENDED:
            await remove_replica(tx, replaced)


async def schedule(tx: Transaction, one: Retrieval) -> None:
    """Record a version to be retrieved, unless that version or a newer one has its state already."""
    await record(tx, one.issuer, [NewHead(one, "pending")])


async def skip(tx: Transaction, retrieval: Retrieval, state: State, code: str | None, reason: str) -> None:
    """Record a version that is not to be retrieved, and remove the replica of an older one."""
    assert state in ENDED, "it has an end without a retrieval"
    await record(tx, retrieval.issuer, [NewHead(retrieval, state, code, reason)])


async def forget(tx: Transaction, did: str, key: str) -> None:
    """Remove the head of a member's key (hex), to give it another state in the same transaction."""
    number = await origins.number(tx, did)
    await tx.sql.execute("DELETE FROM head WHERE origin = ? AND key = ?", (number, bytes.fromhex(key)))


async def forget_replica(tx: Transaction, did: str, key: str) -> None:
    """The replica of a member's key (hex) is removed in the same transaction; so is a head that it was."""
    place = (await origins.number(tx, did), bytes.fromhex(key))
    await tx.sql.execute("DELETE FROM head WHERE origin = ? AND key = ? AND state = 'stored'", place)
    await tx.sql.execute(f"UPDATE head SET {_NO_REPLICA} WHERE origin = ? AND key = ?", place)  # noqa: S608 - a constant


async def displace(tx: Transaction, did: str, key: str, code: str, reason: str) -> None:
    """The replica of a member's key (hex) is replaced: another member owns its identifier."""
    place = (await origins.number(tx, did), bytes.fromhex(key))
    await tx.sql.execute(
        "UPDATE head SET state = 'rejected', problem = ?, reason = ? WHERE origin = ? AND key = ? AND state = 'stored'",
        (code, reason, *place),
    )
    await tx.sql.execute(f"UPDATE head SET {_NO_REPLICA} WHERE origin = ? AND key = ?", place)  # noqa: S608 - a constant


async def remove_replica(tx: Transaction, head: HeadState) -> None:
    """Remove the replica of a key, if there is one; as it was before the head got its present state."""
    if head.entity_id is None:
        return
    await forget_replica(tx, head.issuer, head.key)
    entity = await tx.entity(head.entity_id)
    if entity is not None and entity.origin == head.issuer:
        await tx.delete(head.entity_id)


def is_newer(version: Retrieval, head: HeadState | None) -> bool:
    """Whether a version is newer than the head of its key."""
    return head is None or version.position > head.position


def _event_row(version: Retrieval) -> tuple[bytes, str, int, str, int, str, str | None]:
    """What of a head its event says."""
    key = bytes.fromhex(version.key)
    return key, version.type, version.version, version.hashlink, version.position, version.time, version.nonce


# -- writing: answers of the origins -----------------------------------------------------------------------


async def record_stored(
    tx: Transaction, issuer: str, heads: Sequence[NewHead], before: Mapping[str, HeadState]
) -> None:
    """Replicas of a member were written: record which versions they are.

    Args:
        tx: The transaction that wrote them.
        issuer: The member.
        heads: The versions, with their replicas; each is newer than the replica before it.
        before: The heads of their keys.
    """
    if not heads:
        return
    number = await origins.number(tx, issuer)
    newest: list[tuple[Parameter, ...]] = []
    for one in heads:
        assert one.state == "stored", "these are stored"
        assert one.entity_id is not None, "a replica was written"
        version, head = one.version, before.get(one.version.key)
        if head is None or version.position >= head.position:
            newest.append((number, *_event_row(version), "stored", one.entity_id, one.size_bytes))
        else:
            await tx.sql.execute(
                _STORE_OLDER,
                (
                    *(version.version, version.hashlink, version.position, one.entity_id, one.size_bytes),
                    *(number, bytes.fromhex(version.key)),
                ),
            )
    await tx.sql.execute_many(_STORE, newest)


async def conclude(
    tx: Transaction, retrieval: Retrieval, state: State, code: str | None, reason: str | None
) -> None:
    """End a pending retrieval in another state than `stored`; an older replica remains."""
    assert state in {"skipped", "rejected", "deferred"}, "a retrieval that was not stored ends so"
    await tx.sql.execute(
        f"UPDATE head SET state = ?, problem = ?, reason = ? {_DUE}",  # noqa: S608 - a constant
        (state, code, reason, *await _version(tx, retrieval)),
    )


async def postpone(
    tx: Transaction, retrieval: Retrieval, due_ms: int, problem: str, reason: str | None = None
) -> None:
    """Count a failed attempt, and set when the next is due."""
    await tx.sql.execute(
        f"UPDATE head SET attempts = attempts + 1, due_ms = ?, problem = ?, reason = ? {_DUE}",  # noqa: S608 - a constant
        (due_ms, problem, reason, *await _version(tx, retrieval)),
    )


async def bring_forward(
    tx: Transaction, did: str, problems: Sequence[str], now_ms: int, due_ms: int, limit: int
) -> None:
    """Let some pending versions of an origin that failed for one of these reasons be due by a moment."""
    number = await origins.number(tx, did)
    await tx.sql.execute(
        "UPDATE head SET due_ms = ? WHERE origin = ? AND key IN (SELECT key FROM head "  # noqa: S608 - constants
        f"WHERE origin = ? AND state = 'pending' AND problem IN ({placeholders(len(problems))}) "
        "AND due_ms > ? ORDER BY due_ms LIMIT ?)",
        (due_ms, number, number, *problems, max(now_ms, due_ms), limit),
    )


async def release_deferred(tx: Transaction, origin: Origin, limit: int) -> None:
    """Let some deferred versions of an origin be pending, those of the oldest events first."""
    first = "SELECT key FROM head WHERE origin = ? AND state = 'deferred' ORDER BY position LIMIT ?"
    release = f"UPDATE head SET {_RETRY} WHERE origin = ? AND key IN ({first})"  # noqa: S608 - constants
    await tx.sql.execute(release, (origin.number, origin.number, limit))


async def retry(
    tx: Transaction, states: Sequence[State], limit: int, issuer: str | None = None, key: str | None = None
) -> int:
    """Have versions in some states requested again at once; how many.

    Anchors of audit logs are skipped for good: they are no entities, and nobody serves them.

    Args:
        tx: The transaction.
        states: Of `RETRYABLE`.
        limit: How many at most.
        issuer: DID of their origin; None: of every member.
        key: Ledger key, hex; None: every one.
    """
    assert set(states) <= set(RETRYABLE), "what is stored or deleted is not retrieved"
    conditions = [
        "head.origin IN (SELECT number FROM origin)",
        f"state IN ({placeholders(len(states))})",
        *("(head.attempts > 0 OR state != 'pending')", "head.type != ?"),
    ]
    parameters: list[str | bytes] = [*states, ANCHOR_TYPE]
    if issuer is not None:
        conditions.append("origin.did = ?")
        parameters.append(issuer)
    if key is not None:
        conditions.append("key = ?")
        parameters.append(bytes.fromhex(key))
    select = f"SELECT origin, key {_FROM} WHERE {' AND '.join(conditions)} LIMIT ?"
    rows = await tx.sql.fetch(select, (*parameters, limit))
    await tx.sql.execute_many(f"UPDATE head SET {_RETRY} WHERE origin = ? AND key = ?", rows)  # noqa: S608 - a constant
    return len(rows)


async def bound_pauses(tx: Transaction, latest_ms: int) -> None:
    """Let nothing wait beyond a moment."""
    update = "UPDATE head SET due_ms = ? WHERE state = 'pending' AND due_ms > ?"
    await tx.sql.execute(update, (latest_ms, latest_ms))


async def _version(tx: Transaction, retrieval: Retrieval) -> tuple[int, bytes, int]:
    return await origins.number(tx, retrieval.issuer), bytes.fromhex(retrieval.key), retrieval.position
