"""Required attributes that a body leaves out: what this marketplace can tell, and what it can do without.

The documents are stricter than the world, TM Forum's own examples included. Where the operator chose
`complete`, an attribute is completed when something here tells it: the `@referredType` of a reference from
its identifier, from its address or from the store, an `href` from an identifier, an `id` from an address, an
`@type` from the model, a first state from the state machine, the moment of a record from the clock, the
number of an item from its place. What nothing tells, and the meaning of the entity does not hang on, stays
missing, and the answer names it: a characteristic may have no value yet. What the meaning does hang on is
demanded: a name, the items of an order, the identifier of a reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from hansa.business.models import Api, Models
from hansa.business.models.references import Target
from hansa.business.validation.violations import MissingAttribute
from hansa.core.clock import Clock, rfc3339
from hansa.core.identifiers import kebab

REFERRED_TYPE: Final = "@referredType"
ADDRESS_PARTS: Final = 2
"""Of the path of an address, those that say something: the collection and the identifier."""
URN_PARTS: Final = 4
"""Of `urn:ngsi-ld:<kebab-type>:<rest>`."""
_OF_MEANING: Final = frozenset({"id", "name", "value", "text", "action", "coordinates", "amount"})
"""Attributes of parts on which their meaning hangs."""
_VALUE_OF_CHARACTERISTIC: Final = ("value", "any")
"""Name and type of what a characteristic has, once it is known."""
_EQUIVALENT: Final[Mapping[str, tuple[str, ...]]] = {
    "tradingName": ("name",),
    "givenName": ("fullName", "formattedName"),
    "familyName": ("fullName", "formattedName"),
}
"""Attributes of entities that one of others stands in for."""
_DEMANDED: Final = frozenset({("ServiceTest", "relatedService"), ("ServiceTest", "testSpecification")})
"""References without which an entity says nothing: TM Forum's own kits expect a refusal."""
_INTENDED: Final = ("planned", "requested", "expected", "scheduled")
"""Beginnings of the names of date-times that nobody but the client knows."""


class InferredValues:
    """Completes the bodies of one API with values that follow from others."""

    def __init__(self, api: Api, models: Models, clock: Clock, endpoint: str) -> None:
        self._api = api
        self._models = models
        self._clock = clock
        self._endpoint = endpoint
        self._collections = _collections_by_word(models)
        self._types_by_path = _types_by_path(models)

    def complete(
        self, missing: Iterable[MissingAttribute]
    ) -> tuple[list[MissingAttribute], list[MissingAttribute]]:
        """Complete a body in place; of what stays missing, what is demanded, and what is not."""
        demanded: list[MissingAttribute] = []
        tolerated: list[MissingAttribute] = []
        for one in missing:
            value = self._value(one)
            if value is not None:
                one.holder[one.name] = value
            else:
                (tolerated if self._is_dispensable(one) else demanded).append(one)
        return demanded, tolerated

    def references_to_look_up(self, missing: Iterable[MissingAttribute]) -> list[MissingAttribute]:
        """Those of which the store may tell the type."""
        return [one for one in missing if one.name == REFERRED_TYPE and type(one.holder.get("id")) is str]

    def complete_referred(
        self, missing: Sequence[MissingAttribute], collections: Mapping[str, str]
    ) -> tuple[MissingAttribute, ...]:
        """Complete the types of references to entities that are here; what stays missing.

        `collections` are those of the entities that exist, by identifier.
        """
        rest: list[MissingAttribute] = []
        for one in missing:
            collection = collections.get(str(one.holder.get("id")))
            if one.name == REFERRED_TYPE and collection is not None:
                one.holder[REFERRED_TYPE] = self._models.served(collection)[1].type
            else:
                rest.append(one)
        return tuple(rest)

    def _value(self, one: MissingAttribute) -> object:
        """The value that something here tells; None when nothing does."""
        target = self._models.references.target(one.owner)
        if one.is_at_top:
            return self._value_of_entity(one)
        match one.name:
            case "@referredType":
                return self._referred_type(one.holder, target)
            case "href":
                return self._address(one.holder, target)
            case "@type":
                return one.owner
            case "id" if target is None and one.index is not None:
                return _free_number(one)
            case "id" if target is not None and target.attribute == "id":
                address = self._parts_of_address(one.holder)
                return None if address is None else address[1]
        return None

    def _value_of_entity(self, one: MissingAttribute) -> object:
        resource = next((each for each in self._api.resources if each.type == one.owner), None)
        if one.name == "@type":
            return one.owner
        if resource is not None and one.name == resource.status_attribute:
            machine = self._models.lifecycle(resource)
            return resource.status_initial or (machine.initial[0] if machine is not None else None)
        if one.name.startswith(_INTENDED):
            return None
        if one.type == "TimePeriod" and one.name.endswith("Date"):
            return {"startDateTime": rfc3339(self._clock.now())}
        return rfc3339(self._clock.now()) if one.type == "date-time" else None

    def _referred_type(self, reference: Mapping[str, Any], target: Target | None) -> str | None:
        collection = self._collection_of_identifier(reference.get("id"))
        if collection is None and target is not None and not target.is_any and len(target.collections) == 1:
            collection = target.collections[0]
        if collection is not None:
            return self._models.served(collection)[1].type
        address = self._parts_of_address(reference)
        types = self._types_by_path[address[0]] if address is not None else frozenset[str]()
        return next(iter(types)) if len(types) == 1 else None

    def _parts_of_address(self, reference: Mapping[str, Any]) -> tuple[str, str] | None:
        """The collection's name and the identifier in the `href` of a reference, whoever serves it."""
        href = reference.get("href")
        try:
            parts = urlsplit(href).path.split("/")[-ADDRESS_PARTS:] if type(href) is str else []
        except ValueError:
            return None
        is_address = len(parts) == ADDRESS_PARTS and parts[0] in self._types_by_path and parts[1] != ""
        return (parts[0], unquote(parts[1])) if is_address else None

    def _address(self, reference: Mapping[str, Any], target: Target | None) -> str | None:
        identifier = reference.get("id")
        collection = self._collection_of_identifier(identifier)
        if collection is None and target is not None and not target.is_any and len(target.collections) == 1:
            collection = target.collections[0]
        if collection is None or type(identifier) is not str:
            return None
        base, path = self._models.path_of(collection)
        return f"{self._endpoint}{base}{path}/{identifier}" if "{" not in path else None

    def _collection_of_identifier(self, identifier: object) -> str | None:
        """The collection that an identifier names, as those that marketplaces make do."""
        parts = identifier.split(":", URN_PARTS - 1) if type(identifier) is str else []
        is_urn = len(parts) == URN_PARTS and parts[:2] == ["urn", "ngsi-ld"]
        return self._collections.get(parts[2].lower()) if is_urn else None

    def _is_dispensable(self, one: MissingAttribute) -> bool:
        target = self._models.references.target(one.owner)
        if not one.is_at_top:
            if target is not None:
                return one.name != target.attribute
            return one.name not in _OF_MEANING or (one.name, one.type) == _VALUE_OF_CHARACTERISTIC
        if one.name in _EQUIVALENT:
            return any(one.holder.get(other) is not None for other in _EQUIVALENT[one.name])
        resource = next((each for each in self._api.resources if each.type == one.owner), None)
        is_reference = self._models.references.target(one.type) is not None
        is_demanded = (one.owner, one.name) in _DEMANDED
        return is_reference and not is_demanded and resource is not None and resource.task is None


def _free_number(one: MissingAttribute) -> str:
    """The number of an item at its place, or the next one that no other item has."""
    assert one.index is not None, "only items of arrays are numbered"
    siblings = {item["id"] for item in one.siblings if type(item) is dict and type(item.get("id")) is str}
    number = one.index + 1
    while str(number) in siblings:
        number += 1
    return str(number)


@lru_cache(2)  # all APIs of a marketplace have the same
def _collections_by_word(models: Models) -> Mapping[str, str]:
    """The collection that the kebab-case name of a collection or of a type stands for."""
    by_name = {kebab(name): name for name in models.types}
    return by_name | {kebab(models.served(name)[1].type): name for name in sorted(models.types, reverse=True)}


@lru_cache(2)
def _types_by_path(models: Models) -> Mapping[str, frozenset[str]]:
    """By the last segment of a path, the types of the resources that are served there."""
    types: dict[str, frozenset[str]] = {}
    for name in models.types:
        resource = models.served(name)[1]
        types[resource.name] = types.get(resource.name, frozenset()) | {resource.type}
    return types
