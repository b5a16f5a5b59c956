"""What entities need of those that they refer to; declared with the models, and handed to replication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from hansa.store import Entity


class Needs(Protocol):
    """The references without which an entity is not usable."""

    def paths_to(self, collection: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Where entities of a collection are needed: collection and path, as `("category", "id")`."""

    def of(self, entity: Entity, fields: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Identifiers of the entities that one needs, each once; `fields`: the same, decoded, if it is."""


class NoNeeds:
    """The `Needs` of entities that are usable by themselves."""

    def paths_to(self, collection: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Nowhere."""
        del collection
        return ()

    def of(self, entity: Entity, fields: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Nothing."""
        del entity, fields
        return ()


NO_NEEDS: Final = NoNeeds()
