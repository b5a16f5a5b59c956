"""What is indexed, by collection. The wiring makes the plan from the models and the operator's setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from hansa.store.index.paths import INDEXED_PATHS, AttributePath

TYPE_PATH: Final[AttributePath] = ("@type",)


class CollectionPlan(msgspec.Struct, frozen=True):
    """The indexes of one collection, beside those of `id`, `name`, `lastUpdate`, `@type` and its status."""

    status: str | None = "lifecycleStatus"
    """The attribute that holds the state of an entity; a change of it is a change of state."""
    indexed: tuple[AttributePath, ...] = INDEXED_PATHS
    """Paths of which every value is in the index."""
    references: tuple[AttributePath, ...] = ()
    """Paths of identifiers of other entities, by which referrers are looked up."""


IndexPlan: TypeAlias = Mapping[str, CollectionPlan]
"""By collection; one that it does not name has the plan `CollectionPlan()`."""

DEFAULT_PLAN: Final = CollectionPlan()
