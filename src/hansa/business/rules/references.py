"""Checks the references of an entity, with three outcomes.

    resolved        the entity is in the store, and of a type to which the attribute refers
    missing         the store has no entity with that identifier. In a league it may arrive later: the
                    operator chooses whether the write succeeds with a warning (`warn`) or is refused
    wrong type      the store has an entity with that identifier, which cannot be the one meant: refused

What a reference refers to follows from its type (`hansa.business.models.references`) and, within that, from
its `@referredType`. A type of an extension there is accepted as it is: no model says from what it is derived.
Where a model allows a reference or a value, an object is a reference when it says so (by `href`,
`@referredType` or `isRef`) or when it has only the attributes of references; a value with an identifier
refers to nothing.

Only references that a write changes are checked: those that were unresolved before do not prevent another
change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from hansa.business.models import Api, Models, Resource, Target
from hansa.business.rules.walk import Walk
from hansa.core.errors import Code, Refused
from hansa.core.policies import UnresolvedPolicy

"""Outcome of a write that refers to an entity that is not in the store."""

REFERENCE_ATTRIBUTES: Final = frozenset(
    {
        *("id", "href", "name", "version", "role", "description", "isRef"),
        *("@type", "@baseType", "@schemaLocation", "@referredType"),
    }
)
"""Attributes of references; an object with others is a value, unless it says that it is a reference."""
SHOWN_MAX: Final = 10
VALUE_SHOWN_MAX_CHARS: Final = 100


class UnresolvedReference(msgspec.Struct, frozen=True):
    """A reference that does not lead to an entity of the right type."""

    path: str
    """As `category[0].id`."""
    target_id: str
    targets: tuple[str, ...]
    """Collections to which the entity may belong; empty for any."""
    outcome: Literal["missing", "wrong-type"]
    actual: str | None = None
    """Collection of the entity, where it is of the wrong type."""

    def __str__(self) -> str:
        """For the person who sent the body."""
        shown = self.target_id[:VALUE_SHOWN_MAX_CHARS]
        expected = " or ".join(self.targets) or "entity"
        if self.outcome == "missing":
            return f"{self.path}: there is no {expected} {shown!r} here"
        return f"{self.path}: {shown!r} is of type {self.actual}, not {expected}"


class Reference(msgspec.Struct, frozen=True):
    """A reference within a body."""

    path: str
    target_id: str
    collections: tuple[str, ...] | None
    """Collections to which its entity can belong; None for any."""


class CollectionLookup(Protocol):
    """The store, or a transaction including what it wrote."""

    async def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of the entities that exist, by identifier."""


class ReferenceRules:
    """Checks references of all APIs."""

    def __init__(self, models: Models, policy: UnresolvedPolicy, references_max: int) -> None:
        self._models = models
        self._policy = policy
        self._references_max = references_max
        self._walks: dict[str, Walk[Target]] = {}

    async def check(
        self,
        lookup: CollectionLookup,
        resource: Resource,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any],
    ) -> tuple[UnresolvedReference, ...]:
        """References that a write adds and whose entity is not in the store.

        Raises:
            Refused: `Code.REFERENCE_WRONG_TYPE`; `Code.REFERENCE_UNRESOLVED`, where the policy refuses these;
                `Code.INVALID`, when there are too many.
        """
        added = self._added(resource, before, after)
        if not added:
            return ()
        if len(added) > self._references_max:
            raise Refused(Code.INVALID, f"A body has at most {self._references_max} references.")
        collections = await lookup.collections_of([reference.target_id for reference in added])
        collections[str(after.get("id"))] = resource.collection
        missing, wrong = _missing_and_wrong(added, collections)
        if wrong:
            raise Refused(Code.REFERENCE_WRONG_TYPE, _message(wrong))
        if missing and self._policy == "refuse":
            raise Refused(Code.REFERENCE_UNRESOLVED, _message(missing))
        return tuple(missing)

    def references(
        self, resource: Resource, body: Mapping[str, Any], before: Mapping[str, Any] | None = None
    ) -> list[Reference]:
        """The checkable references of a body, but for those in attributes that are as in `before`."""
        api, _ = self._models.served(resource.collection)
        references: list[Reference] = []
        for path, value, target in self.walk(api).values(resource.type, body, before):
            attribute = target.attribute
            target_id = value.get(attribute)
            if type(target_id) is not str or not target_id:
                continue
            if target.is_value_possible and _is_value(value):
                continue
            allowed = None if target.is_any else target.collections
            if attribute == "id" and "@referredType" in value:
                allowed = self._referred_collections(value["@referredType"], allowed)
            references.append(Reference(f"{path}.{attribute}", target_id, allowed))
        return references

    def walk(self, api: Api) -> Walk[Target]:
        """The walk to the references of an API."""
        walk = self._walks.get(api.id)
        if walk is None:
            walk = self._walks[api.id] = Walk(api, self._checkable_target)
        return walk

    def _checkable_target(self, type_name: str) -> Target | None:
        target = self._models.references.target(type_name)
        return target if target is not None and target.is_checkable else None

    def _added(
        self, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any]
    ) -> list[Reference]:
        references = self.references(resource, after, before)
        if not references or before is None:
            return references
        existing = {
            (reference.target_id, reference.collections) for reference in self.references(resource, before)
        }
        return [one for one in references if (one.target_id, one.collections) not in existing]

    def _referred_collections(
        self, referred_type: object, allowed: tuple[str, ...] | None
    ) -> tuple[str, ...] | None:
        """Collections to which the entity of a reference with an `@referredType` can belong."""
        if not isinstance(referred_type, str) or not referred_type:
            return allowed
        collections = self._models.references.collections_of_type(referred_type)
        if allowed is None or collections is None:
            return collections
        return tuple([one for one in allowed if one in collections]) or allowed


def _is_value(value: Mapping[str, Any]) -> bool:
    """Whether an object that may be a value or a reference is a value."""
    is_reference = value.get("isRef")
    if type(is_reference) is bool:
        return not is_reference
    return not value.keys() <= REFERENCE_ATTRIBUTES and not (value.get("href") or value.get("@referredType"))


def _missing_and_wrong(
    references: Sequence[Reference], collections: Mapping[str, str]
) -> tuple[list[UnresolvedReference], list[UnresolvedReference]]:
    """References to entities that do not exist, and to entities of a wrong type.

    `collections` are those of the entities that exist, by identifier.
    """
    missing: list[UnresolvedReference] = []
    wrong: list[UnresolvedReference] = []
    for reference in references:
        expected = reference.collections
        actual = collections.get(reference.target_id)
        if actual is None:
            missing.append(
                UnresolvedReference(reference.path, reference.target_id, expected or (), "missing")
            )
        elif expected is not None and actual not in expected:
            wrong.append(
                UnresolvedReference(reference.path, reference.target_id, expected, "wrong-type", actual)
            )
    return missing, wrong


def _message(unresolved: Sequence[UnresolvedReference]) -> str:
    more = len(unresolved) - SHOWN_MAX
    return "; ".join(map(str, unresolved[:SHOWN_MAX])) + (f"; and {more} more" if more > 0 else "") + "."
