"""Distribution: what of this marketplace's own entities the other members get.

An entity can have attributes that stay at home, as an organization's credit rating. What is announced on the
ledger, hashed and served to other members is the published part alone. Publisher and `/league/v1` ask one
`Distribution`, so they cannot disagree: a hash on the ledger is always that of bytes which the origin serves.
"""

from __future__ import annotations

from typing import Any, Final, Generic, Protocol, TypeVar

E = TypeVar("E")
"""An entity of the store, with its body and the hashlink of that body."""


class Distribution(Protocol[E]):
    """Decides which part of an entity is published."""

    def published(self, entity: E) -> E:
        """The part of an entity that other members get, with the hashlink of that part.

        The same object where all of it is published. A replica is what its origin published, and stays as it
        is.
        """


class WholeEntities(Generic[E]):
    """The distribution of a marketplace whose entities have no private attributes."""

    def published(self, entity: E) -> E:
        """The entity itself."""
        return entity


WHOLE_ENTITIES: Final[WholeEntities[Any]] = WholeEntities()
"""Default of whatever takes a distribution."""
