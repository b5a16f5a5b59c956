"""What the store indexes of each collection: what the documents filter by, and the operator's choice.

References can be followed backwards without an index of theirs (`hansa.store.index.extraction`).

`id`, `name`, `lastUpdate`, `@type` and the status are indexed everywhere; here are the others. By related
parties it is found what an organisation may read (`hansa.business.rights`). An operator
names more in the setting `indexed_attributes`: `ProductOffering.version`, or `externalId` for every type that
has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from hansa.business.models import Api, Models, Resource
from hansa.business.rights.organizations import IDENTIFYING, ORGANIZATION
from hansa.business.rights.targets import party_attributes
from hansa.business.rules import reference_paths
from hansa.core.errors import Code, Fatal
from hansa.store.index.paths import AttributePath
from hansa.store.index.plan import CollectionPlan, IndexPlan

COMMON: Final[tuple[AttributePath, ...]] = (("category", "id"), ("relatedParty", "id"))
"""Paths that the documents' own examples filter by."""
_OPEN_TYPES: Final = frozenset({"any", "object"})


def index_plan(models: Models, setting: Sequence[str] = ()) -> IndexPlan:
    """The plan for every collection; `setting` is the operator's `indexed_attributes`.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming what no type has.
    """
    return _index_plan(models, tuple(setting))


@lru_cache(4)
def _index_plan(models: Models, setting: tuple[str, ...]) -> IndexPlan:
    references = reference_paths(models)
    requested = {text: _parse_entry(text) for text in setting}
    used: set[str] = set()
    plan: dict[str, CollectionPlan] = {}
    for api in models.apis:
        for resource in api.resources:
            named = COMMON + tuple(
                (name, member) for name in party_attributes(api, resource) for member in ("id", "name")
            )
            if resource.collection == ORGANIZATION:
                named += IDENTIFYING
            paths = dict.fromkeys(path for path in named if _has(api, resource, path))
            for text, (collection, path) in requested.items():
                if collection in {None, resource.collection} and _has(api, resource, path):
                    paths[path] = None
                    used.add(text)
            plan[resource.collection] = CollectionPlan(
                resource.status_attribute, tuple(paths), references.get(resource.collection, ())
            )
    for text in requested.keys() - used:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"indexed_attributes: {text!r} is no attribute path of a type, as ProductOffering.version or externalId.",
        )
    return MappingProxyType(plan)


def _parse_entry(text: str) -> tuple[str | None, tuple[str, ...]]:
    """Collection (None for all) and path of one entry of the setting."""
    first, _, rest = text.partition(".")
    if first[:1].isupper() and rest:
        return first, tuple(rest.split("."))
    return None, tuple(text.split("."))


def _has(api: Api, resource: Resource, path: tuple[str, ...]) -> bool:
    """Whether a type has an attribute path."""
    current = resource.type
    for name in path:
        if current in _OPEN_TYPES:
            return True
        attributes = api.attributes_of(current) if current in api.types else {}
        if name not in attributes:
            return False
        current = attributes[name].type
    return True
