"""Own confidential entities: what was announced to whom, the parts that they may retrieve, and the outbox.

`confidential_publication` has a row for each own entity that was for somebody, or is to be, with the digest
of all on which its audience depended (`rule`). `confidential_part` has the encrypted bytes of each event,
with the members to which it was addressed: nobody else gets them. They end when a later version is announced,
and are removed a while after, or at once when a member is not among the audience any more. Events wait in
`confidential_outbox` until they are committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Store, Transaction
from hansa.store.sql import Readable, insert, statements_for, upsert

_decode_audience: Final = msgspec.json.Decoder(tuple[str, ...]).decode


class AnnouncedEntity(msgspec.Struct, frozen=True):
    """What was announced of an own entity."""

    entity_id: str
    type: str
    version: int = 0
    """Of the last notice; 0: there was none."""
    hashlink: str | None = None
    """Of the bytes of that version; None: nobody has any."""
    audience: str = "[]"
    """The members that have it, each as DID, space, and the key for which it was sealed; sorted; JSON."""
    rule: str = ""
    """Digest of what the audience depended on."""
    problem: str | None = None
    """Why it is not announced, or not to everybody for whom it is, as a sentence."""
    last_position: int | None = None
    """Of the last of its events that were committed; None while those of a change are under way."""

    @property
    def members(self) -> frozenset[str]:
        """DIDs of the members that have it."""
        return frozenset(one.partition(" ")[0] for one in _decode_audience(self.audience))


class SealedPart(msgspec.Struct, frozen=True):
    """The encrypted bytes of one event."""

    key: str
    """Of the event on the ledger, hex."""
    entity_id: str
    version: int
    audience: str
    """DIDs of the members to which the event is addressed; JSON."""
    body: bytes

    @property
    def members(self) -> frozenset[str]:
        """The same DIDs."""
        return frozenset(_decode_audience(self.audience))


class Announcement(msgspec.Struct, frozen=True):
    """How far the announcement of an entity is."""

    is_under_way: bool = False
    """It is to be looked at, or an event of it is not committed yet."""
    last_position: int | None = None
    """Of the last event about it; None: there is none."""


class WaitingEvent(msgspec.Struct, frozen=True):
    """An event in the outbox."""

    seq: int
    entity_id: str
    content: bytes


_ENTITY: Final = RecordColumns(AnnouncedEntity)
_PART: Final = RecordColumns(SealedPart)
_WAITING: Final = RecordColumns(WaitingEvent)
_RECORD: Final = upsert(
    "confidential_publication", (*AnnouncedEntity.__struct_fields__, "is_due"), ("entity_id",)
)
_DEMAND: Final = (
    "INSERT INTO confidential_publication (entity_id, type, version, audience, rule, is_due) "
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (entity_id) DO UPDATE SET is_due = 1"
)
_ADD_PART: Final = insert("confidential_part", SealedPart.__struct_fields__)
_ADD_EVENT: Final = insert("confidential_outbox", ("entity_id", "content"))


def audience_text(members: Iterable[str]) -> str:
    """An audience as the rows have it."""
    return msgspec.json.encode(sorted(members)).decode()


# -- reading -----------------------------------------------------------------------------------------------


async def states(source: Readable, entity_ids: Sequence[str]) -> dict[str, AnnouncedEntity]:
    """What was announced of some entities, by identifier; those that were for nobody have nothing."""
    select = f"SELECT {_ENTITY.sql} FROM confidential_publication WHERE entity_id"  # noqa: S608 - a constant
    rows = [row for each in statements_for(select, entity_ids) for row in await source.sql.fetch(*each)]
    return {one.entity_id: one for one in map(_ENTITY.record, rows)}


async def all_versions(source: Readable) -> dict[str, int]:
    """The last versions of all entities that were ever for some members, by identifier."""
    rows = await source.sql.fetch("SELECT entity_id, version FROM confidential_publication")
    return {str(entity_id): int(version) for entity_id, version in rows}


async def is_any(source: Readable) -> bool:
    """Whether anything was ever for some members alone."""
    return bool(await source.sql.fetch("SELECT 1 FROM confidential_publication LIMIT 1"))


async def due(store: Store, limit: int) -> tuple[str, ...]:
    """Identifiers of entities that have to be looked at again."""
    rows = await store.sql.fetch(
        "SELECT entity_id FROM confidential_publication WHERE is_due = 1 ORDER BY entity_id LIMIT ?", (limit,)
    )
    return tuple(entity_id for (entity_id,) in rows)


async def parts(source: Readable, keys: Sequence[str]) -> dict[str, SealedPart]:
    """Those of some parts that are here, by their keys (hex)."""
    select = f"SELECT {_PART.sql} FROM confidential_part WHERE key"  # noqa: S608 - a constant
    values = [bytes.fromhex(key) for key in keys]
    rows = [row for each in statements_for(select, values) for row in await source.sql.fetch(*each)]
    return {one.key: one for one in map(_PART.record, rows)}


async def announcement(source: Readable, entity_id: str) -> Announcement | None:
    """How far the announcement of an entity is; None: it was never for some members alone."""
    rows = await source.sql.fetch(
        "SELECT is_due <> 0 OR EXISTS (SELECT 1 FROM confidential_outbox AS waiting "
        "WHERE waiting.entity_id = confidential_publication.entity_id), last_position "
        "FROM confidential_publication WHERE entity_id = ?",
        (entity_id,),
    )
    return Announcement(bool(rows[0][0]), rows[0][1]) if rows else None


async def current_keys(source: Readable, entity_id: str, member: str) -> tuple[str, ...]:
    """Keys (hex) of the events by which a member has the current version of an entity."""
    rows = await source.sql.fetch(
        f"SELECT {_PART.sql} FROM confidential_part WHERE entity_id = ? AND ended_ms IS NULL",  # noqa: S608 - a constant
        (entity_id,),
    )
    return tuple(one.key for one in map(_PART.record, rows) if member in one.members)


async def waiting(store: Store, limit: int) -> tuple[WaitingEvent, ...]:
    """Events of the outbox, oldest first."""
    rows = await store.sql.fetch(
        f"SELECT {_WAITING.sql} FROM confidential_outbox ORDER BY seq LIMIT ?",  # noqa: S608 - a constant
        (limit,),
    )
    return tuple(map(_WAITING.record, rows))


async def waiting_count(source: Readable) -> int:
    """How many events are under way."""
    ((count,),) = await source.sql.fetch("SELECT count(*) FROM confidential_outbox")
    return int(count)


async def problems(store: Store, limit: int) -> tuple[AnnouncedEntity, ...]:
    """Entities that are not announced, or not to everybody for whom they are, by identifier."""
    rows = await store.sql.fetch(
        f"SELECT {_ENTITY.sql} FROM confidential_publication "  # noqa: S608 - a constant
        "WHERE problem IS NOT NULL ORDER BY entity_id LIMIT ?",
        (limit,),
    )
    return tuple(map(_ENTITY.record, rows))


# -- writing -----------------------------------------------------------------------------------------------


async def demand(tx: Transaction, entities: Sequence[tuple[str, str]]) -> None:
    """Have entities looked at, by identifier and type."""
    await tx.sql.execute_many(_DEMAND, [(*one, 0, "[]", "", 1) for one in entities])


async def postpone(tx: Transaction, entity_ids: Sequence[str]) -> None:
    """Entities wait for something: they are due again when `resume` says so."""
    await tx.sql.execute_many(
        "UPDATE confidential_publication SET is_due = 2 WHERE entity_id = ?", [(one,) for one in entity_ids]
    )


async def resume(tx: Transaction) -> bool:
    """Have everything looked at that waits; whether anything does."""
    rows = await tx.sql.execute(
        "UPDATE confidential_publication SET is_due = 1 WHERE is_due = 2 RETURNING entity_id"
    )
    return bool(rows)


async def record(tx: Transaction, entity: AnnouncedEntity) -> None:
    """Record what is announced of an entity, which is not due any more."""
    await tx.sql.execute(_RECORD, (*msgspec.structs.astuple(entity), 0))


async def forget(tx: Transaction, entity_id: str) -> None:
    """An entity is for nobody, and nobody ever had it."""
    await tx.sql.execute("DELETE FROM confidential_publication WHERE entity_id = ?", (entity_id,))


async def add_event(tx: Transaction, entity_id: str, content: bytes) -> None:
    """Put an event into the outbox."""
    await tx.sql.execute(_ADD_EVENT, (entity_id, content))


async def renew_event(tx: Transaction, seq: int, content: bytes) -> None:
    """Give an event of the outbox another content."""
    await tx.sql.execute("UPDATE confidential_outbox SET content = ? WHERE seq = ?", (content, seq))


async def remove_events(tx: Transaction, events: Iterable[WaitingEvent]) -> None:
    """Some events were committed, or never will be."""
    for event in events:
        await tx.sql.execute("DELETE FROM confidential_outbox WHERE seq = ?", (event.seq,))


async def note_committed(tx: Transaction, events: Sequence[WaitingEvent], positions: Sequence[int]) -> None:
    """Events of the outbox are on the ledger, each at its position."""
    await tx.sql.execute_many(
        "UPDATE confidential_publication SET last_position = ? WHERE entity_id = ? "
        "AND (last_position IS NULL OR last_position < ?)",
        [(position, event.entity_id, position) for event, position in zip(events, positions, strict=True)],
    )
    await remove_events(tx, events)


async def refuse(tx: Transaction, event: WaitingEvent, problem: str) -> None:
    """The ledger does not take an event of an entity: note why."""
    await remove_events(tx, (event,))
    await tx.sql.execute(
        "UPDATE confidential_publication SET problem = ? WHERE entity_id = ?", (problem, event.entity_id)
    )


async def add_part(tx: Transaction, part: SealedPart) -> None:
    """Retain the encrypted bytes of an event."""
    await tx.sql.execute(_ADD_PART, (bytes.fromhex(part.key), *msgspec.structs.astuple(part)[1:]))


async def end_parts(tx: Transaction, entity_id: str, now_ms: int) -> None:
    """A later version is announced: the parts of those before are retained for a while more."""
    await tx.sql.execute(
        "UPDATE confidential_part SET ended_ms = ? WHERE entity_id = ? AND ended_ms IS NULL",
        (now_ms, entity_id),
    )


async def remove_parts(tx: Transaction, entity_id: str) -> None:
    """Remove all parts of an entity."""
    await tx.sql.execute("DELETE FROM confidential_part WHERE entity_id = ?", (entity_id,))


async def prune(tx: Transaction, ended_before_ms: int) -> None:
    """Remove what ended before a moment."""
    await tx.sql.execute("DELETE FROM confidential_part WHERE ended_ms < ?", (ended_before_ms,))


async def mark_due(tx: Transaction, rule: str, limit: int) -> int:
    """Make entities due whose audience depended on something else than what holds now; how many."""
    rows = await tx.sql.execute(
        "UPDATE confidential_publication SET is_due = 1, rule = ? WHERE entity_id IN "
        "(SELECT entity_id FROM confidential_publication WHERE rule <> ? ORDER BY entity_id LIMIT ?) "
        "RETURNING entity_id",
        (rule, rule, limit),
    )
    return len(rows)
