"""Which entities an entity needs to be usable, by its model: `closure` in `references.toml`.

A reference counts when it can refer to an entity of a catalogue type, which others can have: parties that are
people are private everywhere, and so is whoever is named by a DID alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hansa.business.models.records import Models
from hansa.core.errors import Code, Fatal
from hansa.store import Entity


class ClosureNeeds:
    """Reads what entities need (`hansa.replication.conditions.needs.Needs`).

    Args:
        models: Declare it.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`: an attribute is declared that refers to nothing in a catalogue.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._attributes = models.references.closure
        self._paths: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {}
        for collection, names in self._attributes.items():
            api, resource = models.served(collection)
            attributes = api.attributes_of(resource.type)
            for name in names:
                target = models.references.target(attributes[name].type) if name in attributes else None
                public = models.catalogue_types.intersection(target.collections if target is not None else ())
                if not public:
                    message = f"{collection}.{name} refers to no catalogue type, so nothing can need it."
                    raise Fatal(Code.SETTINGS_INVALID, message)
                for one in public:
                    self._paths[one] = (*self._paths.get(one, ()), (collection, (name, "id")))

    def paths_to(self, collection: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Where entities of a collection are needed: collection and path."""
        return self._paths.get(collection, ())

    def of(self, entity: Entity, fields: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Identifiers of the entities that one needs, each once; `fields`: the same, decoded, if it is."""
        names = self._attributes.get(entity.type)
        if names is None:
            return ()
        if fields is None:
            fields = msgspec.json.decode(entity.body, type=dict[str, Any])
        ids: dict[str, None] = {}
        for name in names:
            value = fields.get(name)
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, dict) and self._is_needed(one):
                    ids[one["id"]] = None
        ids.pop(entity.id, None)
        return tuple(ids)

    def _is_needed(self, reference: dict[str, Any]) -> bool:
        target_id, named = reference.get("id"), reference.get("@referredType")
        if not isinstance(target_id, str) or target_id.startswith("did:"):
            return False
        if not isinstance(named, str):
            return True
        collections = self._models.references.collections_of_type(named)
        return collections is None or not self._models.catalogue_types.isdisjoint(collections)
