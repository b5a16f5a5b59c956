"""What this marketplace has published on the ledger, and events that wait to be published.

A row of `publication` is the end of an entity's version chain: its last committed version. A row of `outbox`
is an event on its way; an entity has one at most, so no two versions of it are ever under way together.
What changes meanwhile makes the publication *due*: checked again when the event under way has been committed.
An event that the ledger refused leaves its code here.

Rows are never removed when entities are: a re-created entity continues its chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hansa.core.errors import Code
from hansa.store.columns import RecordColumns
from hansa.store.interface import Store, Transaction
from hansa.store.records import Entity
from hansa.store.sql import Parameter, Readable, insert, statements_for, upsert


class Publication(msgspec.Struct, frozen=True):
    """What the ledger knows of one of our entities, as far as we know."""

    entity_id: str
    key: str
    type: str
    version: int
    """Of the last committed event; 0 before the first."""
    hashlink: str | None
    """Of the last committed version; None before the first."""
    lifecycle_status: str | None
    first_position: int | None
    last_position: int | None
    is_withdrawn: bool
    """Whether the last committed event was a deletion."""
    refusal_code: str | None
    """Why the ledger refused the last attempt."""
    refusal_message: str | None
    is_due: bool
    """Whether the entity has to be looked at again."""
    is_under_way: bool
    """Whether an event waits in the outbox."""
    claimed_by: str | None = None
    """DID of the member whose claim on the identifier is earlier than ours; it owns the identifier."""


class Outgoing(msgspec.Struct, frozen=True):
    """An event in the outbox."""

    seq: int
    entity_id: str
    key: str
    type: str
    version: int
    hashlink: str
    lifecycle_status: str | None
    is_delete: bool
    content: bytes
    """What will be signed, with the rest of its batch (`hansa.core.events`)."""
    previous: str | None
    """Hashlink that the event continues from."""


class ClaimState(msgspec.Struct, frozen=True):
    """Whether the claim of this marketplace on an identifier holds."""

    is_committed: bool
    """It is on the ledger, and no other member's is earlier."""
    refusal: str | None = None
    """Code of the reason why it is not; None while nothing speaks against it."""


class ChainEnd(msgspec.Struct, frozen=True):
    """The end of an entity's chain, as the ledger itself tells it."""

    version: int = 0
    hashlink: str | None = None
    first_position: int | None = None
    last_position: int | None = None
    is_withdrawn: bool = False


class KnownEnd(msgspec.Struct, frozen=True):
    """How far the chain of an entity of ours goes, as the store knows."""

    entity_id: str
    version: int
    is_under_way: bool


class LostEntity(msgspec.Struct, frozen=True):
    """An entity of this marketplace that the ledger has and the store has lost."""

    key: str
    """On the ledger, hex; the identifier is not known here."""
    type: str
    version: int
    hashlink: str
    """Of its last version."""
    position: int
    """Of the event that announced it."""
    time: str
    """Of that event's block."""
    entity_id: str | None = None
    """Of the older version that is here, while the newest is taken from the league; None: nothing is here."""


_LOST_COLUMNS: Final = ("key", "type", "version", "hashlink", "position", "time")
_LOST: Final = RecordColumns(
    LostEntity,
    **{name: f"lost_entity.{name}" for name in _LOST_COLUMNS},
    entity_id="publication.entity_id",
)
_LOST_ENTITIES: Final = (
    f"SELECT {_LOST.sql} FROM lost_entity LEFT JOIN publication ON publication.key = lost_entity.key"  # noqa: S608 - constants
)
_RECORD_LOST: Final = upsert("lost_entity", _LOST_COLUMNS, ("key",))
_NOTE: Final = f"{insert('publication', ('entity_id', 'key', 'type'))} ON CONFLICT (entity_id) DO NOTHING"
_ADOPT: Final = upsert(
    "publication",
    ("entity_id", "key", "type", "version", "hashlink", "first_position", "last_position"),
    ("entity_id",),
    *("is_withdrawn = 0", "is_due = 0", "lifecycle_status = NULL", "waits_for = NULL"),
)
_PUBLICATION: Final = RecordColumns(
    Publication,
    entity_id="publication.entity_id",
    version="publication.version",
    hashlink="publication.hashlink",
    lifecycle_status="publication.lifecycle_status",
    is_under_way="outbox.seq IS NOT NULL",
)
_PUBLICATIONS: Final = (
    f"SELECT {_PUBLICATION.sql} FROM publication "  # noqa: S608 - constants
    "LEFT JOIN outbox ON outbox.entity_id = publication.entity_id"
)
_OUTGOING: Final = RecordColumns(
    Outgoing,
    entity_id="outbox.entity_id",
    version="outbox.version",
    hashlink="outbox.hashlink",
    lifecycle_status="outbox.lifecycle_status",
    previous="publication.hashlink",
)
_PREPARE: Final = upsert(
    "publication",
    ("entity_id", "key", "type"),
    ("entity_id",),
    "is_due = 0",
    "waits_for = NULL",
    "refusal_code = CASE WHEN publication.claimed_by IS NULL THEN NULL ELSE publication.refusal_code END",
    "refusal_message = CASE WHEN publication.claimed_by IS NULL THEN NULL ELSE publication.refusal_message END",
)
_LOSE: Final = upsert(
    "publication",
    ("entity_id", "key", "type", "claimed_by", "refusal_code", "refusal_message"),
    ("entity_id",),
    "is_due = publication.version > 0",
)
_REFUSE: Final = upsert(
    "publication",
    ("entity_id", "key", "type", "refusal_code", "refusal_message"),
    ("entity_id",),
    "is_due = 0",
)
_WAIT: Final = upsert("publication", ("entity_id", "key", "type", "waits_for"), ("entity_id",), "is_due = 0")
_DEMAND: Final = upsert("publication", ("entity_id", "key", "type", "is_due"), ("entity_id",))
_ENQUEUE: Final = insert(
    "outbox", ("entity_id", "version", "hashlink", "lifecycle_status", "is_delete", "content")
)


# -- reading -----------------------------------------------------------------------------------------------


async def states(store: Store, entity_ids: Sequence[str]) -> dict[str, Publication]:
    """Publications of some entities, by identifier; entities never looked at have none."""
    return {one.entity_id: one for one in await _with(store, "publication.entity_id", entity_ids)}


async def by_keys(store: Store, keys: Sequence[str]) -> dict[str, Publication]:
    """Publications by the entities' ledger keys (hex)."""
    return {one.key: one for one in await _with(store, "key", [bytes.fromhex(key) for key in keys])}


async def due(store: Store, limit: int) -> tuple[str, ...]:
    """Identifiers of entities that have to be looked at again, have nothing under way, and are not held."""
    rows = await store.sql.fetch(
        "SELECT entity_id FROM publication WHERE is_due = 1 "
        "AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.entity_id = publication.entity_id) "
        "AND NOT EXISTS (SELECT 1 FROM lost_entity WHERE lost_entity.key = publication.key) LIMIT ?",
        (limit,),
    )
    return tuple(entity_id for (entity_id,) in rows)


async def outgoing(store: Store, after: int, limit: int) -> tuple[Outgoing, ...]:
    """Events of the outbox after a sequence number, oldest first."""
    rows = await store.sql.fetch(
        f"SELECT {_OUTGOING.sql} FROM outbox "  # noqa: S608 - a constant
        "JOIN publication ON publication.entity_id = outbox.entity_id WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
    )
    return tuple(map(_OUTGOING.record, rows))


async def claim_state(source: Readable, entity_id: str) -> ClaimState:
    """Whether the claim on the identifier of an entity of ours holds."""
    rows = await source.sql.fetch(
        "SELECT version, claimed_by, refusal_code FROM publication WHERE entity_id = ?", (entity_id,)
    )
    if not rows:
        return ClaimState(is_committed=False)
    version, claimed_by, refusal_code = rows[0]
    refusal = str(Code.IDENTIFIER_CLAIMED) if claimed_by is not None else refusal_code
    return ClaimState(version > 0 and claimed_by is None, refusal)


async def is_any_waiting(source: Readable) -> bool:
    """Whether an entity waits for another one."""
    return bool(await source.sql.fetch("SELECT 1 FROM publication WHERE waits_for IS NOT NULL LIMIT 1"))


async def waiting(source: Readable, after: str, limit: int) -> tuple[tuple[str, str], ...]:
    """Entities that wait for another one, and that, by identifier after one."""
    rows = await source.sql.fetch(
        "SELECT entity_id, waits_for FROM publication WHERE waits_for IS NOT NULL AND entity_id > ? "
        "ORDER BY entity_id LIMIT ?",
        (after, limit),
    )
    return tuple((entity_id, waits_for) for entity_id, waits_for in rows)


async def outbox_size(store: Store) -> int:
    """How many events are under way."""
    ((count,),) = await store.sql.fetch("SELECT count(*) FROM outbox")
    return int(count)


async def lost(store: Store, after: int, limit: int) -> tuple[LostEntity, ...]:
    """Entities of ours that the ledger has and the store has lost, in ledger order after a position."""
    rows = await store.sql.fetch(
        f"{_LOST_ENTITIES} WHERE lost_entity.position > ? ORDER BY lost_entity.position LIMIT ?",
        (after, limit),
    )
    return tuple(map(_LOST.record, rows))


async def lost_count(store: Store) -> int:
    """How many there are."""
    ((count,),) = await store.sql.fetch("SELECT count(*) FROM lost_entity")
    return int(count)


async def known_ends(tx: Transaction, keys: Sequence[str]) -> dict[str, KnownEnd]:
    """How far the chains of some of our keys (hex) go, by key; of those of which the store knows."""
    statements = statements_for(
        "SELECT publication.key, publication.entity_id, publication.version, outbox.seq IS NOT NULL "
        "FROM publication LEFT JOIN outbox ON outbox.entity_id = publication.entity_id WHERE publication.key",
        [bytes.fromhex(key) for key in keys],
    )
    rows = [row for each in statements for row in await tx.sql.fetch(*each)]
    return {
        key.hex(): KnownEnd(entity_id, version, bool(is_under_way))
        for key, entity_id, version, is_under_way in rows
    }


async def lost_of(source: Readable, keys: Sequence[str]) -> tuple[LostEntity, ...]:
    """Those of some keys (hex) that are lost, in no order."""
    values = [bytes.fromhex(key) for key in keys]
    statements = statements_for(f"{_LOST_ENTITIES} WHERE lost_entity.key", values)
    return tuple([_LOST.record(row) for each in statements for row in await source.sql.fetch(*each)])


async def known_end(tx: Transaction, key: str) -> KnownEnd | None:
    """How far the chain of one of our keys (hex) goes; None when the store knows nothing of it."""
    return (await known_ends(tx, (key,))).get(key)


async def outgoing_hashlink(source: Readable, entity_id: str) -> str | None:
    """Hashlink that the event of an entity names which is under way; None when there is none."""
    rows = await source.sql.fetch("SELECT hashlink FROM outbox WHERE entity_id = ?", (entity_id,))
    return rows[0][0] if rows else None


async def refusals(store: Store, limit: int) -> tuple[Publication, ...]:
    """Entities whose last event the ledger refused."""
    rows = await store.sql.fetch(f"{_PUBLICATIONS} WHERE refusal_code IS NOT NULL LIMIT ?", (limit,))
    return tuple(map(_PUBLICATION.record, rows))


async def refusal_counts(store: Store) -> dict[str, int]:
    """How many entities' last events were refused, by code."""
    rows = await store.sql.fetch(
        "SELECT refusal_code, count(*) FROM publication WHERE refusal_code IS NOT NULL GROUP BY refusal_code"
    )
    return {str(code): int(count) for code, count in rows}


async def counts_by_status(store: Store) -> dict[tuple[str, str], int]:
    """How many entities are published, by type and the lifecycle status that was announced last."""
    rows = await store.sql.fetch(
        "SELECT type, lifecycle_status, count(*) FROM publication "
        "WHERE version > 0 AND is_withdrawn = 0 AND lifecycle_status IS NOT NULL GROUP BY type, lifecycle_status"
    )
    return {(str(type_name), str(status)): int(count) for type_name, status, count in rows}


# -- writing -----------------------------------------------------------------------------------------------


async def enqueue(tx: Transaction, events: Sequence[Outgoing]) -> None:
    """Put events into the outbox, which allocates their `seq` in their order."""
    await tx.sql.execute_many(
        _PREPARE, [(event.entity_id, bytes.fromhex(event.key), event.type) for event in events]
    )
    await tx.sql.execute_many(
        _ENQUEUE,
        [
            (
                *(event.entity_id, event.version, event.hashlink, event.lifecycle_status),
                *(int(event.is_delete), event.content),
            )
            for event in events
        ],
    )


async def mark_due(tx: Transaction, entity_ids: Iterable[str], is_due: bool = True) -> None:
    """Note that entities have to be looked at again, or that they have been."""
    await tx.sql.execute_many(
        "UPDATE publication SET is_due = ? WHERE entity_id = ?",
        [(int(is_due), entity_id) for entity_id in entity_ids],
    )


async def demand(tx: Transaction, entity_id: str, key: str, type: str) -> None:
    """Have an entity looked at, whether or not it was ever announced."""
    await tx.sql.execute(_DEMAND, (entity_id, bytes.fromhex(key), type, 1))


async def committed(tx: Transaction, events: Sequence[tuple[Outgoing, int]]) -> None:
    """Move events with their positions from the outbox to the chains."""
    await tx.sql.execute_many("DELETE FROM outbox WHERE seq = ?", [(event.seq,) for event, _ in events])
    await tx.sql.execute_many(
        "UPDATE publication SET version = ?, hashlink = ?, lifecycle_status = ?, is_withdrawn = ?, last_position = ?, "
        "first_position = coalesce(first_position, ?) WHERE entity_id = ?",
        [
            (
                *(event.version, event.hashlink, event.lifecycle_status, int(event.is_delete)),
                *(position, position, event.entity_id),
            )
            for event, position in events
        ],
    )


async def refused(tx: Transaction, event: Outgoing, code: str, message: str) -> None:
    """Take an event out of the outbox, noting why the ledger does not take it."""
    await tx.sql.execute("DELETE FROM outbox WHERE seq = ?", (event.seq,))
    await tx.sql.execute(
        "UPDATE publication SET refusal_code = ?, refusal_message = ? WHERE entity_id = ?",
        (code, message, event.entity_id),
    )


async def refuse(tx: Transaction, entity: Entity, key: str, code: str, message: str) -> None:
    """Note why an entity is not announced."""
    await tx.sql.execute(_REFUSE, (entity.id, bytes.fromhex(key), entity.type, code, message))


async def rebase(tx: Transaction, event: Outgoing, end: ChainEnd) -> None:
    """Drop an event that does not continue the chain; the entity is due on the chain as the ledger has it."""
    await tx.sql.execute("DELETE FROM outbox WHERE seq = ?", (event.seq,))
    await tx.sql.execute(
        "UPDATE publication SET version = ?, hashlink = ?, lifecycle_status = NULL, first_position = ?, "
        "last_position = ?, is_withdrawn = ?, is_due = 1 WHERE entity_id = ?",
        (
            end.version,
            end.hashlink,
            end.first_position,
            end.last_position,
            int(end.is_withdrawn),
            event.entity_id,
        ),
    )


async def continue_chain(tx: Transaction, entity_id: str, end: ChainEnd, *, is_due: bool = True) -> None:
    """The ledger has a newer version of an entity than the store announced: its chain goes on from there."""
    await tx.sql.execute(
        "UPDATE publication SET version = ?, hashlink = ?, lifecycle_status = NULL, last_position = ?, "
        "first_position = coalesce(first_position, ?), is_withdrawn = ?, is_due = ? WHERE entity_id = ?",
        (
            *(end.version, end.hashlink, end.last_position, end.last_position, int(end.is_withdrawn)),
            *(int(is_due), entity_id),
        ),
    )


async def record_lost(tx: Transaction, entity: LostEntity, *, is_deleted: bool) -> None:
    """Record an entity of ours of which the store knows nothing; or that the ledger has it deleted."""
    key = bytes.fromhex(entity.key)
    await tx.sql.execute("DELETE FROM lost_entity WHERE key = ?", (key,))
    if not is_deleted:
        await tx.sql.execute(_RECORD_LOST, (key, *msgspec.structs.astuple(entity)[1 : len(_LOST_COLUMNS)]))


async def note(tx: Transaction, entities: Iterable[tuple[str, str, str]]) -> None:
    """Note entities of ours of which nothing is published, each with its key (hex) and type.

    What the ledger has of one all the same, since an earlier store had published it, becomes due by that.
    """
    rows = [(entity_id, bytes.fromhex(key), type_name) for entity_id, key, type_name in entities]
    await tx.sql.execute_many(_NOTE, rows)


async def drop_outgoing(tx: Transaction, entity_id: str) -> None:
    """Drop the event of an entity that waits, if there is one."""
    await tx.sql.execute("DELETE FROM outbox WHERE entity_id = ?", (entity_id,))


async def adopt(tx: Transaction, entity_id: str, key: str, type: str, end: ChainEnd) -> None:
    """A lost entity is here again, in the newest version that the ledger has of it."""
    row = (entity_id, bytes.fromhex(key), type, end.version, end.hashlink)
    await tx.sql.execute(_ADOPT, (*row, end.first_position, end.last_position))
    await forget_lost(tx, (key,))


async def forget_lost(tx: Transaction, keys: Iterable[str]) -> None:
    """These keys (hex) are not lost any more."""
    await tx.sql.execute_many(
        "DELETE FROM lost_entity WHERE key = ?", [(bytes.fromhex(key),) for key in keys]
    )


async def give_up(tx: Transaction, keys: Sequence[str]) -> int:
    """Settle lost entities of which nobody has the bytes; how many of these keys (hex) were lost.

    What is here in an older version is due. For what is not, a row stands that is due, to be withdrawn; it is
    called after the entity when one with its identifier is written again.
    """
    rows = await lost_of(tx, keys)
    held = [one for one in rows if one.entity_id is not None]
    await note(tx, [(f"~{one.key}", one.key, one.type) for one in rows if one.entity_id is None])
    await forget_lost(tx, [one.key for one in held])
    await mark_due(tx, [one.entity_id for one in held if one.entity_id is not None])
    return len(rows)


async def lose(tx: Transaction, entity_id: str, key: str, type: str, owner: str) -> None:
    """Note that the identifier of an entity of ours belongs to another member, whose claim is earlier.

    An event of the entity that waits is dropped. When one was committed, the entity is due, to be withdrawn.
    """
    await tx.sql.execute("DELETE FROM outbox WHERE entity_id = ?", (entity_id,))
    message = (
        f"{owner} has claimed this identifier before. Delete the entity; create it under another identifier."
    )
    await tx.sql.execute(
        _LOSE,
        (entity_id, bytes.fromhex(key), type, owner, str(Code.IDENTIFIER_CLAIMED), message),
    )


async def wait_for(tx: Transaction, entity_id: str, key: str, type: str, other_id: str) -> None:
    """Look at an entity again when another one, on which it depends, has been announced or is settled."""
    await tx.sql.execute(_WAIT, (entity_id, bytes.fromhex(key), type, other_id))


async def release(tx: Transaction, other_id: str) -> None:
    """An entity is announced, or its claim is settled or not made any more: what waits for it is due."""
    await tx.sql.execute(
        "UPDATE publication SET waits_for = NULL, is_due = 1 WHERE waits_for = ?", (other_id,)
    )


async def resolve_refusal(tx: Transaction, entity_id: str) -> None:
    """Nothing is to be published of an entity any more, so that no refusal is reported."""
    await tx.sql.execute(
        "UPDATE publication SET refusal_code = NULL, refusal_message = NULL WHERE entity_id = ?", (entity_id,)
    )


async def retry_refused(tx: Transaction) -> None:
    """Make everything due that was refused, but not what belongs to another member."""
    await tx.sql.execute(
        "UPDATE publication SET is_due = 1, refusal_code = NULL, refusal_message = NULL "
        "WHERE refusal_code IS NOT NULL AND claimed_by IS NULL"
    )


async def _with(store: Store, column: str, values: Sequence[Parameter]) -> list[Publication]:
    statements = statements_for(f"{_PUBLICATIONS} WHERE {column}", values)
    return [_PUBLICATION.record(row) for each in statements for row in await store.sql.fetch(*each)]
