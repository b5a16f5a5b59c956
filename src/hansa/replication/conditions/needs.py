"""What entities need of those that they refer to; declared with the models, and handed to replication."""

from __future__ import annotations

from typing import Final, Protocol

from hansa.store import Entity


class Needs(Protocol):
    """The references without which an entity is not usable."""

    @property
    def paths(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """By collection, where such references have the identifier, as `("category", "id")`."""

    def of(self, entity: Entity) -> tuple[str, ...]:
        """The identifiers of the entities that one needs, each once."""


class NoNeeds:
    """The `Needs` of entities that are usable by themselves."""

    paths: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def of(self, entity: Entity) -> tuple[str, ...]:
        """Nothing."""
        del entity
        return ()


NO_NEEDS: Final = NoNeeds()
