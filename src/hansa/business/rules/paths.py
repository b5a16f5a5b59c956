"""The paths of references, for the store's index, which answers who refers to an entity.

Each indexed value costs a row when it is written. So the paths cover the references of an entity and of its
parts, as `productOrderItem.productOffering.id`, two levels of parts at most and none within one of its own
type; and references to entities of any type only at the top.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from hansa.business.models import Models, Resource, Target
from hansa.business.rules.walk import Walk
from hansa.store.index.paths import AttributePath

DEPTH_MAX: Final = 3
"""Attribute names down to a reference: itself, within a part, within a part of a part."""


class ReferencePath(msgspec.Struct, frozen=True):
    """A path at which entities of a collection refer to others."""

    collection: str
    path: AttributePath
    """Down to the identifier, as `("category", "id")`."""
    collections: tuple[str, ...] | None
    """Collections to which they refer; None for any."""


@lru_cache(2)  # the store's index and the rules of deletion need the same
def reference_index_paths(models: Models) -> tuple[ReferencePath, ...]:
    """All indexed paths of references."""

    def mark(type_name: str) -> Target | None:
        target = models.references.target(type_name)
        return target if target is not None and target.is_checkable else None

    return tuple(
        path
        for api in models.apis
        for walk in (Walk(api, mark),)
        for resource in api.resources
        if resource.embedded is None
        for path in _paths_of(walk, resource)
    )


def reference_paths(models: Models) -> Mapping[str, tuple[AttributePath, ...]]:
    """By collection, the paths that the store indexes so that referrers can be looked up."""
    paths: dict[str, tuple[AttributePath, ...]] = {}
    for one in reference_index_paths(models):
        paths[one.collection] = (*paths.get(one.collection, ()), one.path)
    return paths


def _paths_of(walk: Walk[Target], resource: Resource) -> tuple[ReferencePath, ...]:
    paths: dict[AttributePath, ReferencePath] = {}
    for names, target in walk.paths(resource.type, DEPTH_MAX, (resource.type,)):
        path = (*names, target.attribute)
        if not target.is_any or len(names) == 1:
            allowed = None if target.is_any else target.collections
            paths.setdefault(path, ReferencePath(resource.collection, path, allowed))
    return tuple(paths.values())
