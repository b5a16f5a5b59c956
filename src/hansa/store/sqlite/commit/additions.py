"""A new entity in a commit group: its rows, numbers, and what follows from them, all at once.

Every create takes this way, in a transaction or without one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hansa.store.index.extraction import IndexedFields, Indexes
from hansa.store.records import Entity, EntityDraft, Operation
from hansa.store.sqlite.changes import Delta
from hansa.store.sqlite.commit.added_rows import INSERT_ADDED
from hansa.store.sqlite.commit.group import Changes, CommitGroup
from hansa.store.sqlite.database.rows import entity_row, stored
from hansa.store.sqlite.index_tail import TailEntity, index_rows


def add_entity(
    group: CommitGroup,
    changes: Changes,
    draft: EntityDraft,
    indexes: Indexes,
    time: str,
    revision: int = 1,
    nonce: bytes | None = None,
) -> Entity:
    """Add an entity whose identifier is free; SQLite runs nothing for it before the commit.

    Args:
        group: In which it is committed.
        changes: Of the transaction that adds it, or of the create alone.
        draft: The entity.
        indexes: What of it is indexed.
        time: Of the write; RFC 3339.
        revision: Its first one, unless the identifier was used before.
        nonce: What binds the identifier.
    """
    assert not (draft.is_pending and draft.public), "what is pending is not public yet"
    pending: Operation | None = "create" if draft.is_pending else None
    index = indexes.of(draft.type)
    fields = draft.indexed or indexed_fields(indexes, draft)
    number, seq = group.numbers.next_created(changes)
    fingerprints = fields.fingerprints or None
    if fingerprints is not None and draft.origin is None:
        group.reference_tail.add(index.number, number, fingerprints)
    row = entity_row(number, draft, fields, revision, time, nonce, pending)
    group.defer_insert(changes, INSERT_ADDED, ((*row, seq, index.number, fingerprints, None),))
    changes.entity_ids.append(draft.id)
    group.collections.put(draft.id, draft.type, is_pending=draft.is_pending)
    assert number > group.tail_after, "a new entity is behind all others"
    rows = index_rows(number, fields.index, public=draft.public)
    changes.index_rows[number] = TailEntity(rows, len(draft.body))
    kind = (draft.type, draft.origin is None, draft.public, fields.status)
    changes.deltas.append(Delta(kind, fields.postings, 1, number))
    assert seq > changes.last_change, "rows of the feed are numbered upwards"
    changes.last_change = seq
    return stored(draft, revision, time, nonce, pending)


def indexed_fields(indexes: Indexes, draft: EntityDraft) -> IndexedFields:
    """What of an entity is indexed."""
    return indexes.of(draft.type).fields(decoded(draft.body), draft.parent)


def decoded(body: bytes) -> dict[str, Any]:
    """An entity from its stored bytes."""
    return msgspec.json.decode(body, type=dict[str, Any])
