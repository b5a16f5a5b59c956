"""At which paths references stand: for the store's index, from which it is known who refers to whom.

Each indexed value costs a row when it is written. So the paths reach the references of an entity and of its parts,
as `productOrderItem.productOffering.id`, two levels of parts at most and none within one of its own kind; and
those to entities of any type whatever only at the top.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hansa.business.models import Models, Resource, Target
from hansa.business.rules.walk import Walk
from hansa.store.index.paths import AttributePath

DEPTH_MAX: Final = 3
"""Attribute names down to a reference: itself, within a part, within a part of a part."""


class ReferencePath(msgspec.Struct, frozen=True):
    """Where references of a collection stand."""

    collection: str
    path: AttributePath
    """Down to the identifier, as `("category", "id")`."""
    collections: tuple[str, ...] | None
    """What they refer to; None for anything."""


def reference_places(models: Models) -> tuple[ReferencePath, ...]:
    """All indexed paths of references."""

    def mark(type_name: str) -> Target | None:
        target = models.references.target(type_name)
        return target if target is not None and target.is_checkable else None

    return tuple(
        place
        for api in models.apis
        for walk in (Walk(api, mark),)
        for resource in api.resources
        if resource.embedded is None
        for place in _places(walk, resource)
    )


def reference_paths(models: Models) -> Mapping[str, tuple[AttributePath, ...]]:
    """By collection, the paths that the store has to index so that references can be followed backwards."""
    found: dict[str, tuple[AttributePath, ...]] = {}
    for place in reference_places(models):
        found[place.collection] = (*found.get(place.collection, ()), place.path)
    return found


def _places(walk: Walk[Target], resource: Resource) -> tuple[ReferencePath, ...]:
    found: dict[AttributePath, ReferencePath] = {}
    for names, target in walk.paths(resource.type, DEPTH_MAX, (resource.type,)):
        path = (*names, target.attribute)
        if not target.is_any or len(names) == 1:
            allowed = None if target.is_any else target.collections
            found.setdefault(path, ReferencePath(resource.collection, path, allowed))
    return tuple(found.values())
