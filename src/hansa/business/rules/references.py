"""Checks what entities refer to, with three outcomes.

    found           the entity is here, and of a type that the attribute refers to
    missing         no entity with that identifier is here. In a league it may arrive later: the operator chooses
                    whether this is told (`warn`) or refused
    wrong type      an entity with that identifier is here, and can never be what is meant: refused

What a reference refers to follows from its type (`hansa.business.models.references`) and, within that, from its
`@referredType`. A type of an extension there is taken at its word: no model says what it derives from. Where a model
allows a reference or a value, an object is a reference when it says so (by `href`, `@referredType` or `isRef`) or
when it has nothing but what references have; a value with an identifier refers to nothing.

Only what a write changes is checked: what was unresolved before does not stand in the way of another change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from hansa.business.models import Api, Models, Resource, Target
from hansa.business.rules.walk import Walk
from hansa.core.errors import Code, Refused

Missing = Literal["warn", "refuse"]
"""What becomes of a write that refers to what is not here."""

REFERENCE_ATTRIBUTES: Final = frozenset(
    {
        *("id", "href", "name", "version", "role", "description", "isRef"),
        *("@type", "@baseType", "@schemaLocation", "@referredType"),
    }
)
"""What references have; an object with more is a value, unless it says that it is none."""
SHOWN_MAX: Final = 10
VALUE_SHOWN_MAX_CHARS: Final = 100


class UnresolvedReference(msgspec.Struct, frozen=True):
    """A reference that does not lead to an entity of the right type."""

    path: str
    """As `category[0].id`."""
    target_id: str
    targets: tuple[str, ...]
    """Collections in which the entity may be; none when it may be in any."""
    outcome: Literal["missing", "wrong-type"]
    found: str | None = None
    """Collection of the entity that is here, of the wrong type."""

    def __str__(self) -> str:
        """For the person who sent it."""
        shown = self.target_id[:VALUE_SHOWN_MAX_CHARS]
        wanted = " or ".join(self.targets) or "entity"
        if self.outcome == "missing":
            return f"{self.path}: no {wanted} {shown!r} is here"
        return f"{self.path}: {shown!r} is of type {self.found}, not {wanted}"


class Reference(msgspec.Struct, frozen=True):
    """A reference within a body."""

    path: str
    target_id: str
    collections: tuple[str, ...] | None
    """Where its entity can be; None: anywhere."""


class Here(Protocol):
    """Where the store, or a transaction with what it wrote, is asked."""

    def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of the entities that are here, by identifier."""


class ReferenceRules:
    """Checks references of all APIs."""

    def __init__(self, models: Models, missing: Missing, references_max: int) -> None:
        self._models = models
        self._missing = missing
        self._references_max = references_max
        self._walks: dict[str, Walk[Target]] = {}

    def check(
        self, here: Here, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any]
    ) -> tuple[UnresolvedReference, ...]:
        """References that a write adds and that lead to nothing that is here.

        Raises:
            Refused: `Code.REFERENCE_WRONG_TYPE`; `Code.REFERENCE_UNRESOLVED`, where the operator refuses these;
                `Code.INVALID`, when there are too many.
        """
        added = self._added(resource, before, after)
        if not added:
            return ()
        if len(added) > self._references_max:
            raise Refused(Code.INVALID, f"A body has at most {self._references_max} references.")
        found = here.collections_of([reference.target_id for reference in added])
        found[str(after.get("id"))] = resource.collection
        missing, wrong = _findings(added, found)
        if wrong:
            raise Refused(Code.REFERENCE_WRONG_TYPE, _message(wrong))
        if missing and self._missing == "refuse":
            raise Refused(Code.REFERENCE_UNRESOLVED, _message(missing))
        return tuple(missing)

    def references(
        self, resource: Resource, body: Mapping[str, Any], before: Mapping[str, Any] | None = None
    ) -> list[Reference]:
        """The references of a body whose entities can be here; without those in attributes that are as before."""
        api, _ = self._models.served(resource.collection)
        found: list[Reference] = []
        for path, value, target in self.walk(api).values(resource.type, body, before):
            attribute = target.attribute
            target_id = value.get(attribute)
            if type(target_id) is not str or not target_id:
                continue
            if target.is_value_possible and _is_value(value):
                continue
            allowed = None if target.is_any else target.collections
            if attribute == "id" and "@referredType" in value:
                allowed = self._referred(value["@referredType"], allowed)
            found.append(Reference(f"{path}.{attribute}", target_id, allowed))
        return found

    def walk(self, api: Api) -> Walk[Target]:
        """The walk to the references of an API."""
        found = self._walks.get(api.id)
        if found is None:
            found = self._walks[api.id] = Walk(api, self._checkable)
        return found

    def _checkable(self, type_name: str) -> Target | None:
        target = self._models.references.target(type_name)
        return target if target is not None and target.is_checkable else None

    def _added(
        self, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any]
    ) -> list[Reference]:
        found = self.references(resource, after, before)
        if not found or before is None:
            return found
        standing = {
            (reference.target_id, reference.collections) for reference in self.references(resource, before)
        }
        return [each for each in found if (each.target_id, each.collections) not in standing]

    def _referred(self, named: object, allowed: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Where the entity of a reference can be that names its type."""
        if not isinstance(named, str) or not named:
            return allowed
        collections = self._models.references.named(named)
        if allowed is None or collections is None:
            return collections
        return tuple([each for each in allowed if each in collections]) or allowed


def _is_value(value: Mapping[str, Any]) -> bool:
    """Whether an object, where there may be a value or a reference, is the entity itself."""
    is_reference = value.get("isRef")
    if type(is_reference) is bool:
        return not is_reference
    return not value.keys() <= REFERENCE_ATTRIBUTES and not (value.get("href") or value.get("@referredType"))


def _findings(
    references: Sequence[Reference], found: Mapping[str, str]
) -> tuple[list[UnresolvedReference], list[UnresolvedReference]]:
    """References to what is not here, and those to what is of a wrong type, by the collections of what was found."""
    missing: list[UnresolvedReference] = []
    wrong: list[UnresolvedReference] = []
    for reference in references:
        wanted = reference.collections
        place = found.get(reference.target_id)
        if place is None:
            missing.append(UnresolvedReference(reference.path, reference.target_id, wanted or (), "missing"))
        elif wanted is not None and place not in wanted:
            wrong.append(
                UnresolvedReference(reference.path, reference.target_id, wanted, "wrong-type", place)
            )
    return missing, wrong


def _message(findings: Sequence[UnresolvedReference]) -> str:
    more = len(findings) - SHOWN_MAX
    return "; ".join(map(str, findings[:SHOWN_MAX])) + (f"; and {more} more" if more > 0 else "") + "."
