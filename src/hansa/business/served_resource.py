"""One resource of an API, as it is served here: what its operations and its faces share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hansa.business.context import Context
from hansa.business.models import Api, Attribute, Resource
from hansa.business.representation import Representation, collection_address
from hansa.business.rights.bound import BoundRule
from hansa.business.rights.organizations import IDENTIFYING, ORGANIZATION
from hansa.business.rights.targets import access_target
from hansa.business.validation.validator import Validator
from hansa.core.access import Action, Caller, Grant
from hansa.core.errors import Code, Refused
from hansa.store import Entity

ID_SHOWN_MAX_CHARS: Final = 300
"""Of an identifier in a message."""


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
        self._target = access_target(api, resource)
        self._parent_target = None if self.parent is None else access_target(api, self.parent)
        self._aliases = context.aliases
        self._representation = self._new_representation(None) if self.parent is None else None

    @property
    def deciding_attributes(self) -> tuple[str, ...]:
        """The attributes of an entity that decisions of the shipped kind depend on."""
        status = self._target.status_attribute
        describing = [path[0] for path in IDENTIFYING] if self.resource.collection == ORGANIZATION else []
        own = ("id", "@type", *self._target.party_attributes, *describing)
        return own if status is None else (*own, status)

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
        return Grant(caller, action, self._target.collection, decision.public_only, decision.rule)

    async def bound(self, grant: Grant) -> BoundRule | None:
        """The rule of a grant about entities here; None: it is the same about all."""
        if grant.rule is None:
            return None
        return BoundRule(grant.rule, self._target, await self.aliases_of(grant.caller))

    async def bound_to_parent(self, caller: Caller, action: Action) -> BoundRule | None:
        """The rule about the parent of a sub-resource, which decides about what is below it.

        Raises:
            Refused: As `authorize`.
        """
        assert self._parent_target is not None, "a sub-resource has a parent"
        decision = self._context.authorize(caller, action, self._parent_target)
        if decision.refusal is not None:
            raise Refused(decision.refusal, decision.reason)
        if decision.rule is None:
            return None
        return BoundRule(decision.rule, self._parent_target, await self.aliases_of(caller))

    async def bound_to_target_of_task(self, caller: Caller, collection: str) -> BoundRule | None:
        """The rule of creating a task here, to be asked about an entity that the task is about.

        Raises:
            Refused: As `authorize`.
        """
        about = access_target(*self._context.models.served(collection))
        target = msgspec.structs.replace(
            self._target,
            party_attributes=about.party_attributes,
            status_attribute=about.status_attribute,
        )
        decision = self._context.authorize(caller, Action.CREATE, target)
        if decision.refusal is not None:
            raise Refused(decision.refusal, decision.reason)
        if decision.rule is None:
            return None
        return BoundRule(decision.rule, target, await self.aliases_of(caller))

    async def reads_of(self, caller: Caller, collection: str) -> BoundRule | None:
        """The rule of reading entities of another collection; None: the caller reads all of them.

        Raises:
            Refused: As `authorize`.
        """
        target = access_target(*self._context.models.served(collection))
        decision = self._context.authorize(caller, Action.READ, target)
        if decision.refusal is not None:
            raise Refused(decision.refusal, decision.reason)
        if decision.rule is None:
            return None
        return BoundRule(decision.rule, target, await self.aliases_of(caller))

    async def aliases_of(self, caller: Caller) -> frozenset[str]:
        """What the caller's organisation is called here."""
        return await self._aliases.of(caller.organization)

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
        parent = await self.parent_entity(parent_id)
        if public_only and not parent.public:
            raise self.no_parent(parent_id)
        return parent

    async def sees_all_below(self, caller: Caller, parent: Entity) -> bool:
        """Whether a caller with rights to some entities sees what is below one of them, also if not public.

        Raises:
            Refused: `Code.NOT_FOUND`, when it does not see that one.
        """
        bound = await self.bound_to_parent(caller, Action.READ)
        if bound is None:
            return True
        if not bound.admits(parent):
            raise self.no_parent(parent.id)
        return bound.sees_private_part(parent.body)

    async def parent_entity(self, parent_id: str | None) -> Entity:
        """The parent of a sub-resource, whoever may read it.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        assert self.parent is not None, "a sub-resource has a parent"
        parent = await self._context.store.entity(parent_id or "")
        if parent is None or parent.type != self.parent.collection:
            raise self.no_parent(parent_id)
        return parent

    def no_parent(self, parent_id: str | None) -> Refused:
        """The refusal for a parent that is not here, or not for this caller."""
        assert self.parent is not None, "a sub-resource has a parent"
        shown = (parent_id or "")[:ID_SHOWN_MAX_CHARS]
        return Refused(Code.NOT_FOUND, f"There is no {self.parent.name} {shown!r}.")


def _parent(api: Api, resource: Resource) -> Resource | None:
    if resource.parent_name is None:
        return None
    return next(one for one in api.resources if one.path == resource.parent_name)
