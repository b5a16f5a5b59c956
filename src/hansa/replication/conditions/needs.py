"""What entities need of those that they refer to; declared with the models, and handed to replication."""

from __future__ import annotations

from typing import Final, Protocol

from hansa.store import Entity


class Needs(Protocol):
    """The references without which an entity is not usable."""

    def paths_to(self, collection: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Where entities of a collection are needed: collection and path, as `("category", "id")`."""

    def of(self, entity: Entity) -> tuple[str, ...]:
        """The identifiers of the entities that one needs, each once."""


class NoNeeds:
    """The `Needs` of entities that are usable by themselves."""

    def paths_to(self, collection: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Nowhere."""
        del collection
        return ()

    def of(self, entity: Entity) -> tuple[str, ...]:
        """Nothing."""
        del entity
        return ()


NO_NEEDS: Final = NoNeeds()
