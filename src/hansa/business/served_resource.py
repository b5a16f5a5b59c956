"""One resource of an API, as it is served here: what its operations and its faces share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansa.business.context import Context
from hansa.business.models import Api, Attribute, Resource
from hansa.business.representation import Representation, collection_address
from hansa.business.validation.validator import Validator
from hansa.core.access import AccessTarget, Action, Caller, Grant
from hansa.core.errors import Code, Refused
from hansa.store import Entity

ID_SHOWN_MAX_CHARS: Final = 300
"""Of an identifier in a message."""
_ACTIONS: Final = {
    "list": Action.READ,
    "retrieve": Action.READ,
    "create": Action.CREATE,
    "patch": Action.CHANGE,
    "replace": Action.CHANGE,
    "delete": Action.DELETE,
}
"""The action that a method of a model is."""


class ServedResource:
    """One resource of an API, as it is served here."""

    def __init__(self, api: Api, resource: Resource, validator: Validator, context: Context) -> None:
        self.api = api
        self.resource = resource
        self.validator = validator
        self.path = api.base_path + resource.path
        """With `{…Id}` for the parent of a sub-resource."""
        self.attributes: Mapping[str, Attribute] = api.attributes_of(resource.type)
        self.parent = _parent(api, resource)
        """The resource that a sub-resource belongs to."""
        self._context = context
        operator_methods = set(resource.operator_methods).difference(resource.methods)
        self._target = AccessTarget(
            resource.collection,
            resource.type,
            resource.visibility == "private",
            frozenset(_ACTIONS[method] for method in operator_methods),
        )
        self._representation = self._new_representation(None) if self.parent is None else None

    def authorize(self, caller: Caller, action: Action) -> Grant:
        """The grant of an action at this resource; for operations.

        Raises:
            Refused: `Code.UNAUTHENTICATED` or `Code.FORBIDDEN`; `Code.METHOD_NOT_ALLOWED`, when the action
                exists for operators alone.
        """
        decision = self._context.authorize(caller, action, self._target)
        if decision.refusal is not None:
            assert decision.reason, "a refusal says why"
            raise Refused(decision.refusal, decision.reason)
        return Grant(caller, action, self._target.collection, decision.public_only)

    def is_granted(self, grant: Grant, action: Action) -> bool:
        """Whether a grant is for that action here; for assertions."""
        return grant.action is action and grant.collection == self.resource.collection

    def representation(self, parent_id: str | None) -> Representation:
        """How its entities (below that parent) are shown."""
        return (
            self._representation if self._representation is not None else self._new_representation(parent_id)
        )

    def _new_representation(self, parent_id: str | None) -> Representation:
        return Representation(collection_address(self._context.endpoint, self.api, self.resource, parent_id))

    def path_of(self, entity_id: str | None, parent_id: str | None) -> str:
        """The path of an entity, or of the collection, which every marketplace has it at."""
        shown = self.representation(parent_id)
        address = shown.collection if entity_id is None else shown.address(entity_id)
        return address.removeprefix(self._context.endpoint)

    def not_found(self, entity_id: str) -> Refused:
        """The refusal for an entity that is not here, or not for this caller."""
        return Refused(
            Code.NOT_FOUND, f"There is no {self.resource.name} {entity_id[:ID_SHOWN_MAX_CHARS]!r}."
        )

    async def check_parent(self, parent_id: str | None, *, public_only: bool) -> Entity | None:
        """The parent of a sub-resource; None for other resources.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        if self.parent is None:
            return None
        parent = await self._context.store.entity(parent_id or "")
        if parent is None or parent.type != self.parent.collection or (public_only and not parent.public):
            shown = (parent_id or "")[:ID_SHOWN_MAX_CHARS]
            raise Refused(Code.NOT_FOUND, f"There is no {self.parent.name} {shown!r}.")
        return parent


def _parent(api: Api, resource: Resource) -> Resource | None:
    if resource.parent_name is None:
        return None
    return next(one for one in api.resources if one.path == resource.parent_name)
