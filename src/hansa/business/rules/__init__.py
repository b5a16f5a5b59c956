"""The rules of the business: what TM Forum's documents say beyond the form of a body.

States follow each other by state machines; references lead to entities of the right type; what others refer to is not
deleted; periods begin before they end; money is exact. The page docs/integrators/rules.md tells an integrator the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hansa.business.models import Models, Resource
from hansa.business.rules.content import Content
from hansa.business.rules.dangling import DanglingReference, dangling_references
from hansa.business.rules.deletion import Deletion, DeletionRules
from hansa.business.rules.paths import reference_paths
from hansa.business.rules.references import Here, Missing, ReferenceRules, UnresolvedReference
from hansa.business.rules.states import States
from hansa.core.clock import Clock
from hansa.core.limits import Limits
from hansa.store import Entity, Store, Transaction

__all__ = ["DanglingReference", "Deletion", "Missing", "Rules", "UnresolvedReference", "reference_paths"]


class Rules:
    """The rules, for one marketplace."""

    def __init__(
        self,
        models: Models,
        *,
        unresolved_references: Missing = "warn",
        referenced_deletion: Deletion = "refuse",
        limits: Limits | None = None,
    ) -> None:
        """Prepare the rules.

        Args:
            models: What is served.
            unresolved_references: What becomes of a write that refers to what is not here.
            referenced_deletion: What becomes of the deletion of what others refer to.
            limits: Bounds the number of references in a body.
        """
        self._models = models
        self._states = States(models)
        self._content = Content(models)
        self._references = ReferenceRules(models, unresolved_references, (limits or Limits()).references_max)
        self._deletion = DeletionRules(models, self._references, referenced_deletion)

    def check_content(
        self, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any]
    ) -> None:
        """Check states, periods and prices of a body that is in accord with its model.

        Args:
            resource: Whose entity it is.
            before: The entity as it stands; None when it is created.
            after: The entity as it is to be.

        Raises:
            Refused: `Code.TRANSITION_REFUSED` or `Code.INVALID`.
        """
        self._states.check(resource, before, after)
        self._content.check(resource, before, after)

    def check_references(
        self, here: Here, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any]
    ) -> tuple[UnresolvedReference, ...]:
        """Check the references that a write adds; those that lead to nothing here are returned.

        Raises:
            Refused: `Code.REFERENCE_WRONG_TYPE`, `Code.REFERENCE_UNRESOLVED` (when the operator chose so), or
                `Code.INVALID` when there are too many.
        """
        return self._references.check(here, resource, before, after)

    async def check_delete(self, tx: Transaction, resource: Resource, entity: Entity) -> None:
        """Check that an entity can be deleted.

        Raises:
            Refused: `Code.STILL_REFERENCED`, naming entities that refer to it.
        """
        del resource
        await self._deletion.check(tx, entity)

    async def dangling_references(
        self, store: Store, clock: Clock, limit: int
    ) -> tuple[DanglingReference, ...]:
        """References to what is not here, `limit` at most; those deep within entities are not looked for."""
        return await dangling_references(store, self._models, self._references, clock, limit)
