"""What of an entity a caller may see: its public part, where its type has private attributes.

The model marks such attributes of a catalogue type with the word `private`. A caller who may read only what
is public sees the entity without them, cannot filter or sort by them, and gets the hashlink of that part. The
same part is what is announced on the ledger, hashed and served to other members (`hansa.core.distribution`);
a change of a private attribute is no new version there. A replica holds what its origin published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from hansa.business.models import PUBLIC_STATUSES, Models
from hansa.business.models.confidentiality import CONFIDENTIAL_TYPES
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code, Refused
from hansa.core.visibility import visibility_of
from hansa.core.work import Checkpoint
from hansa.store import AllOf, AnyOf, Condition, Entity, Filter, IsPublic, Query, Test


class PublicParts:
    """Separates the public part of entities."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._private = models.private_attributes

    def rule(self) -> str:
        """Digest of what is public and which part of it, of every type: another one for another rule; hex."""
        types = []
        for collection in sorted(self._models.catalogue_types):
            _, resource = self._models.served(collection)
            machine = self._models.lifecycle(resource)
            states = sorted(machine.public) if machine is not None else []
            private = sorted(self._private.get(collection, ()))
            types.append((collection, resource.status_attribute, resource.has_lifecycle, states, private))
        described = msgspec.json.encode((sorted(PUBLIC_STATUSES), types))
        return hashlib.sha256(described).hexdigest()

    def is_public(self, entity: Entity) -> bool:
        """Whether an own entity may be public here, by its type, its state and its provider."""
        if entity.type not in self._models.catalogue_types or not visibility_of(entity.body).is_public_here:
            return False
        return self._models.is_public(entity.type, _status(self._models, entity))

    def has_private(self, collection: str) -> bool:
        """Whether entities of a collection can have a part that is not public."""
        return collection in self._private

    def private_attributes(self, collection: str) -> frozenset[str]:
        """The attributes of a collection that are not public."""
        return self._private.get(collection, frozenset())

    def published(self, entity: Entity) -> Entity:
        """An entity as other members get it."""
        return entity if entity.origin is not None else self.public_part(entity)

    def public_part(self, entity: Entity) -> Entity:
        """An entity as everybody may see it."""
        body = self.body(entity.type, entity.body)
        if body is entity.body:
            return entity
        return msgspec.structs.replace(entity, body=body, hashlink=hashlink(body))

    def body(self, collection: str, body: bytes) -> bytes:
        """The public part of a stored body; the same object, when all of it is public."""
        private = self._private.get(collection)
        if private is None:
            return body
        fields: dict[str, Any] = msgspec.json.decode(body)
        if private.isdisjoint(fields):
            return body
        return canonical_json({name: value for name, value in fields.items() if name not in private})

    def bodies(self, collection: str, bodies: Iterable[bytes]) -> tuple[bytes, ...]:
        """The public parts of stored bodies."""
        return tuple(self.body(collection, body) for body in bodies)

    def confined(self, query: Query) -> Query:
        """A query on the public parts alone.

        Raises:
            Refused: `Code.INVALID`, when it filters or sorts by a private attribute.
        """
        private = self._private.get(query.type)
        if private is None:
            return query
        for key in query.sort:
            _check_public(key.path, private)
        return msgspec.structs.replace(
            query, filters=tuple(_confined(condition, private) for condition in query.filters)
        )


def _confined(condition: Condition, private: frozenset[str]) -> Condition:
    match condition:
        case Filter():
            _check_public(condition.path, private)
            return condition
        case Test(name, holds):
            return Test(name, _on_public_part(holds, private))
        case IsPublic():
            return condition
        case AnyOf(conditions):
            return AnyOf(tuple(_confined(one, private) for one in conditions))
        case AllOf(conditions):
            return AllOf(tuple(_confined(one, private) for one in conditions))


def _on_public_part(
    holds: Callable[[Any, Checkpoint], bool], private: frozenset[str]
) -> Callable[[Any, Checkpoint], bool]:
    def holds_of_public_part(entity: Any, checkpoint: Checkpoint) -> bool:
        return holds({name: value for name, value in entity.items() if name not in private}, checkpoint)

    return holds_of_public_part


def _check_public(path: tuple[str, ...], private: frozenset[str]) -> None:
    if path[0] in private:
        raise Refused(Code.INVALID, f"{path[0]} is private: filter and sort by it with a bearer token.")


class ConfidentialEntities:
    """Which entities are for some members alone (`hansa.replication.confidential.audience`)."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.types: Final = CONFIDENTIAL_TYPES & models.types
        """Types whose entities go to the operators of their parties."""
        assert self.types.isdisjoint(models.catalogue_types), "a type is one of both"

    def is_ready(self, entity: Entity) -> bool:
        """Whether an own entity of a catalogue type is in a state in which others may see it."""
        return self._models.is_public(entity.type, _status(self._models, entity))


def _status(models: Models, entity: Entity) -> str | None:
    """The state of an entity, as its model names it."""
    _, resource = models.served(entity.type)
    if resource.status_attribute is None:
        return None
    status = msgspec.json.decode(entity.body).get(resource.status_attribute)
    return status if isinstance(status, str) else None
