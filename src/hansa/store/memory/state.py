"""What the store in memory holds, and what one write makes of it."""

from __future__ import annotations

from typing import Any

import msgspec

from hansa.core.clock import Clock, rfc3339
from hansa.store.index.extraction import CollectionIndex, Indexes
from hansa.store.index.paths import values_at
from hansa.store.records import Change, Entity, EntityDraft, Operation


class State:
    """Entities in the order in which they were created, the feed, cursors, and revisions.

    A transaction works on a copy, which takes the place of the original when it commits.
    """

    def __init__(self, indexes: Indexes) -> None:
        self.indexes = indexes
        self.entities: dict[str, Entity] = {}
        self.deleted: dict[str, tuple[int, bytes | None]] = {}
        """Of identifiers that are free again: the last revision, and the nonce of a bound one."""
        self.changes: list[Change] = []
        self.cursors: dict[str, int] = {}
        self.collection_revisions: dict[str, int] = {}

    def copied(self) -> State:
        """The same state once more; its records are immutable."""
        copy = State(self.indexes)
        copy.entities = dict(self.entities)
        copy.deleted = dict(self.deleted)
        copy.changes = list(self.changes)
        copy.cursors = dict(self.cursors)
        copy.collection_revisions = dict(self.collection_revisions)
        return copy

    @property
    def last_change(self) -> int:
        """Number of the newest row of the feed; 0 before the first."""
        return len(self.changes)

    def index(self, collection: str) -> CollectionIndex:
        """What of a collection is indexed."""
        return self.indexes.of(collection)

    def status(self, entity: Entity | EntityDraft) -> str | None:
        """The state in its lifecycle."""
        return self.index(entity.type).fields(decoded(entity), entity.parent).status

    def references(self, entity: Entity) -> frozenset[Any]:
        """The identifiers to which an entity refers at the paths of the plan."""
        fields = decoded(entity)
        values = [value for path in self.index(entity.type).references for value in values_at(fields, path)]
        return frozenset([value for value in values if isinstance(value, str)])

    def put(self, draft: EntityDraft, time: str) -> Entity:
        """Write an entity, unless it is already so."""
        before = self.entities.get(draft.id)
        if before is None:
            revision, nonce = self.deleted.pop(draft.id, (0, None))
            operation: Operation = "create"
            nonce = nonce or draft.nonce
        else:
            if draft.is_pending == (before.pending is not None) and before == entity_of(
                draft, before.revision, before.modified, before.nonce, before.pending
            ):
                return before
            revision, nonce = before.revision, before.nonce
            has_same_state = (self.status(before), before.type) == (self.status(draft), draft.type)
            operation = before.pending or ("change" if has_same_state else "state")
        entity = entity_of(draft, revision + 1, time, nonce, operation if draft.is_pending else None)
        self.entities[draft.id] = entity
        self._append(entity, operation, time, is_pending=draft.is_pending)
        if before is not None:
            self._revise(before.type)
        return entity

    def delete(self, entity_id: str, time: str) -> Entity | None:
        """Remove an entity; as it was."""
        entity = self.entities.pop(entity_id, None)
        if entity is not None:
            self.deleted[entity_id] = entity.revision, entity.nonce
            self._append(entity, "delete", time, is_pending=entity.pending == "create")
        return entity

    def _append(self, entity: Entity, operation: Operation, time: str, *, is_pending: bool) -> None:
        number, status = self.last_change + 1, self.status(entity)
        row = Change(
            number, time, entity.id, entity.type, operation, entity.origin, status, entity.parent, is_pending
        )
        self.changes.append(row)
        self._revise(entity.type)

    def _revise(self, collection: str) -> None:
        self.collection_revisions[collection] = self.collection_revisions.get(collection, 0) + 1


def entity_of(
    draft: EntityDraft, revision: int, modified: str, nonce: bytes | None, pending: Operation | None
) -> Entity:
    """What a draft is as a stored entity."""
    return Entity(
        id=draft.id,
        type=draft.type,
        body=draft.body,
        hashlink=draft.hashlink,
        public=draft.public,
        origin=draft.origin,
        revision=revision,
        parent=draft.parent,
        modified=modified,
        nonce=nonce,
        pending=pending,
    )


def decoded(entity: Entity | EntityDraft) -> dict[str, Any]:
    """The attributes of a body."""
    return msgspec.json.decode(entity.body, type=dict[str, Any])


def time_of(clock: Clock) -> str:
    """The moment of a write."""
    return rfc3339(clock.now())
