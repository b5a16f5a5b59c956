"""The business rules: what TM Forum's documents require beyond the form of a body.

States follow each other as their state machine allows; references lead to entities of the right type; an
entity that others refer to is not deleted; periods begin before they end; money is exact. The page
docs/integrators/rules.md explains them to integrators.

`states`, `content` (with `periods`, `prices` and `amounts`), `references` and `deletion` check one kind each;
`dangling` lists references to missing entities, and `paths` are the references that the store indexes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from hansa.business.models import Models, Resource
from hansa.business.rules.content import ContentRules
from hansa.business.rules.dangling import DanglingReference, dangling_references
from hansa.business.rules.deletion import DeletionRules
from hansa.business.rules.paths import reference_paths
from hansa.business.rules.references import (
    CollectionLookup,
    ReferenceRules,
    UnresolvedReference,
)
from hansa.business.rules.states import StateRules, UnknownWord
from hansa.business.validation.violations import InvalidBody, collected, refuse
from hansa.core.limits import Limits
from hansa.core.policies import DeletionPolicy, UnresolvedPolicy
from hansa.store import Entity, Store, Transaction

__all__ = [
    "CollectionLookup",
    "DanglingReference",
    "Rules",
    "UnknownWord",
    "UnresolvedReference",
    "reference_paths",
]


class Rules:
    """The rules of one marketplace."""

    def __init__(
        self,
        models: Models,
        *,
        unresolved_references: UnresolvedPolicy = "warn",
        referenced_deletion: DeletionPolicy = "refuse",
        limits: Limits | None = None,
    ) -> None:
        """Prepare the rules.

        Args:
            models: What is served.
            unresolved_references: Outcome of a write that refers to an entity that is not in the store.
            referenced_deletion: Outcome of deleting an entity that others refer to.
            limits: For the number of references that a write may add.
        """
        self._models = models
        self._states = StateRules(models)
        self._content = ContentRules(models)
        self._references = ReferenceRules(models, unresolved_references, (limits or Limits()).references_max)
        self._deletion = DeletionRules(models, self._references, referenced_deletion)

    def check_content(
        self, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any]
    ) -> None:
        """Check states, periods and prices of a body that is valid against its model.

        Args:
            resource: Whose entity it is.
            before: The entity before the write; None when it is created.
            after: The entity after the write.

        Raises:
            Refused: `Code.TRANSITION_REFUSED` or `Code.INVALID`.
        """
        try:
            self._states.check(resource, before, after)
            self._content.check(resource, before, after)
        except InvalidBody:
            checks = (self._states.check, self._content.check)
            refuse(collected(partial(check, resource, before, after) for check in checks))
            raise

    def unknown_words(self, resource: Resource, entity: Mapping[str, Any]) -> tuple[UnknownWord, ...]:
        """Words in an entity that its model does not know, where it knows others."""
        return self._states.unknown_words(resource, entity)

    async def check_references(
        self,
        lookup: CollectionLookup,
        resource: Resource,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any],
    ) -> tuple[UnresolvedReference, ...]:
        """Check the references that a write adds; return those whose entity is not in the store.

        Raises:
            Refused: `Code.REFERENCE_WRONG_TYPE`, `Code.REFERENCE_UNRESOLVED` (when the operator chose so), or
                `Code.INVALID` when there are too many.
        """
        return await self._references.check(lookup, resource, before, after)

    def referenced_ids(self, resource: Resource, body: Mapping[str, Any]) -> frozenset[str]:
        """Identifiers of all entities to which a body refers."""
        return frozenset(one.target_id for one in self._references.references(resource, body))

    def references_of(self, entity: Entity) -> frozenset[str]:
        """Identifiers of all entities to which a stored one refers."""
        _, resource = self._models.served(entity.type)
        return self.referenced_ids(resource, msgspec.json.decode(entity.body))

    async def check_delete(self, tx: Transaction, resource: Resource, entity: Entity) -> None:
        """Check that an entity can be deleted.

        Raises:
            Refused: `Code.STILL_REFERENCED`, naming entities that refer to it.
        """
        del resource
        await self._deletion.check(tx, entity)

    async def dangling_references(self, store: Store, limit: int) -> tuple[DanglingReference, ...]:
        """Indexed references to entities that are not in the store, `limit` at most."""
        return await dangling_references(store, self._models, self._references, limit)
