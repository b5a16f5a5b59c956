"""Changing: replace or patch an entity (TMF630 Part 1, chapters 5 to 7).

Every change ends in the same few steps, in one transaction of the store: the server's fields are set, the
content is checked against the model of its type and the rules of the business, and put. Replicas are not
changed: their origin, another marketplace, is their only writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from hansa.business.context import Context
from hansa.business.models.records import Access
from hansa.business.operations.create import CreateOperation
from hansa.business.operations.defaults import ServerFields
from hansa.business.operations.draft import IMMUTABLE, DraftBuilder
from hansa.business.operations.writes import (
    NO_PRECONDITIONS,
    Preconditions,
    RefersToPending,
    WriteResult,
    check_is_own,
    current_entity,
    held_until_claimed,
)
from hansa.business.patches import apply_patch, check_patch
from hansa.business.rules import UnresolvedReference
from hansa.business.served_resource import ServedResource
from hansa.business.validation.violations import InvalidBody, Violation, collected, refuse
from hansa.core.access import OPERATOR, Action, Caller, Grant
from hansa.core.errors import Code, Refused
from hansa.store import Entity, EntityDraft, Transaction
from hansa.store.tables import publications

TYPE_ATTRIBUTES: Final = frozenset({"@type", "@baseType"})
"""The type of an entity does not change (TMF630 Part 2)."""

Fields = dict[str, Any]


class UpdateOperation:
    """Changes the entities of one resource."""

    def __init__(self, served: ServedResource, context: Context) -> None:
        self._served = served
        self._resource = served.resource
        self._attributes = served.attributes
        self._context = context
        self._store = context.store
        self._server_fields = ServerFields(
            self._resource,
            self._attributes,
            context.models,
            context.clock,
            context.policies.item_states,
        )
        self._drafts = DraftBuilder(served, context)
        self.create = CreateOperation(served, context, self._server_fields, self._drafts, self.amended)
        # The marketplace's own systems, which have the role operator, say what others only read.
        for_all = {
            *IMMUTABLE,
            *TYPE_ATTRIBUTES,
            *self._with_access("create-only"),
        } - self._server_fields.dates
        self._immutable_by_operator = tuple(sorted(for_all))
        read_only = self._with_access("read-only") - self._server_fields.dates
        self._immutable = tuple(sorted(for_all | read_only))

    def authorize(self, caller: Caller) -> Grant:
        """The grant to change entities here.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN` or `Code.METHOD_NOT_ALLOWED`.
        """
        return self._served.authorize(caller, Action.CHANGE)

    async def replace(
        self,
        grant: Grant,
        entity_id: str,
        body: Fields,
        parent_id: str | None = None,
        expected: Preconditions = NO_PRECONDITIONS,
    ) -> WriteResult:
        """Replace the content of an entity.

        Args:
            grant: From `authorize`.
            entity_id: Its identifier.
            body: All of its new content; what only this marketplace sets, or a create, stays as it is when
                left out.
            parent_id: The parent of a sub-resource.
            expected: What the entity has to be like now.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.READ_ONLY_REPLICA`, `Code.PRECONDITION_FAILED`, `Code.INVALID` or
                a code of the rules.
            Unavailable: `Code.OVERLOADED`, `Code.DISK_FULL` or `Code.UNAVAILABLE`; nothing was written.
        """
        assert self._served.is_granted(grant, Action.CHANGE), "a grant is used where it was made"
        if body.get("id", entity_id) != entity_id:
            refuse([Violation("id", "must be the identifier in the path", body["id"])])
        async with self._store.transaction() as tx:
            current = await current_entity(tx, self._served, entity_id, parent_id, expected)
            after = self._replacement(current, body)
            return await self._change(tx, current, after, is_operator=OPERATOR in grant.caller.roles)

    async def patch(
        self,
        grant: Grant,
        entity_id: str,
        form: str,
        patch: Any,
        parent_id: str | None = None,
        expected: Preconditions = NO_PRECONDITIONS,
    ) -> WriteResult:
        """Patch an entity.

        Args:
            grant: From `authorize`.
            entity_id: Its identifier.
            form: What the patch is; one of `hansa.business.patches.MEDIA_TYPES`.
            patch: The patch, a JSON value.
            parent_id: The parent of a sub-resource.
            expected: What the entity has to be like now.

        Raises:
            Refused: As `replace` does; also `Code.CONFLICT`, when the patch does not fit the entity.
            Unavailable: As `replace` does.
        """
        assert self._served.is_granted(grant, Action.CHANGE), "a grant is used where it was made"
        limits = self._context.limits
        check_patch(form, patch, limits)
        async with self._store.transaction() as tx:
            current = await current_entity(tx, self._served, entity_id, parent_id, expected)
            after = apply_patch(form, msgspec.json.decode(current.body), patch, limits)
            return await self._change(tx, current, after, is_operator=OPERATOR in grant.caller.roles)

    async def create_or_replace_within(self, tx: Transaction, body: Mapping[str, Any]) -> Entity:
        """Create an entity, or replace the one with its identifier, on behalf of the marketplace; for jobs.

        Raises:
            Refused: As the other operations do.
        """
        current = await tx.entity(str(body.get("id", "")))
        if current is None:
            return await self.create.create_within(tx, dict(body))
        if current.type != self._resource.collection:
            raise Refused(
                Code.CONFLICT, f"{current.id!r} is here already, as an entity of type {current.type}."
            )
        check_is_own(current, "The entity")
        try:
            is_operator = "patch" in self._resource.operator_methods
            after = self._replacement(current, dict(body))
            return (await self._change(tx, current, after, is_operator=is_operator)).entity
        except RefersToPending as error:
            # What it refers to can be in the same transaction, so that repeating this one is no use.
            raise Refused(Code.CONFLICT, error.message) from error

    async def amended(self, tx: Transaction, current: Entity, after: Fields) -> EntityDraft:
        """What an entity becomes when this marketplace itself changes it, including what no client may set.

        Raises:
            Refused: Model or rules do not allow it, or it is a replica.
        """
        check_is_own(current, "The entity")
        draft, _, _ = await self._checked(tx, current, msgspec.json.decode(current.body), dict(after))
        return (await self._held(tx, draft, current, after))[0]

    def address(self, entity_id: str) -> str:
        """Where an entity of a resource without parent is served."""
        return self._served.representation(None).address(entity_id)

    # -- the steps ------------------------------------------------------------------------------------------

    def _replacement(self, current: Entity, body: Fields) -> Fields:
        """The new content of a replaced entity: what only this marketplace sets, or a create, stays."""
        before = msgspec.json.decode(current.body)
        after = {name: value for name, value in body.items() if value is not None and name != "href"}
        for name, value in before.items():
            attribute = self._attributes.get(name)
            if name in {"id", "@type"} or (
                attribute is not None and attribute.access in {"create-only", "read-only"}
            ):
                after.setdefault(name, value)
        return after

    async def _change(
        self, tx: Transaction, current: Entity, after: Fields, *, is_operator: bool = False
    ) -> WriteResult:
        """Put new content of an entity that is here; the same content is not written."""
        before = msgspec.json.decode(current.body)
        after = {name: value for name, value in after.items() if value is not None and name != "href"}
        try:
            self._check_change(before, after, self._immutable_by_operator if is_operator else self._immutable)
        except InvalidBody as error:
            self._server_fields.restore_dates(before, after)
            self._server_fields.set_in_changed(before, after)
            self._drafts.refuse(after, before, error.violations)
            raise
        self._server_fields.restore_dates(before, after)
        if after == before:
            refusal = (await publications.claim_state(tx, current.id)).refusal if current.pending else None
            return WriteResult(current, refusal=refusal)
        draft, unresolved, missing = await self._checked(tx, current, before, after)
        draft, refusal = await self._held(tx, draft, current, after)
        words = self._context.rules.unknown_words(self._resource, after)
        return WriteResult(await tx.put(draft), unresolved, refusal, words, missing)

    async def _checked(
        self, tx: Transaction, current: Entity, before: Fields, after: Fields
    ) -> tuple[EntityDraft, tuple[UnresolvedReference, ...], tuple[str, ...]]:
        """New content of an entity with the server's fields, checked against model and rules."""
        self._server_fields.set_in_changed(before, after)
        rules = self._context.rules
        try:
            missing = self._drafts.check(after)
            names = await self._drafts.complete(tx, missing) if missing else ()
            draft = self._drafts.draft(after, current.parent)
            rules.check_content(self._resource, before, after)
        except InvalidBody:
            self._drafts.refuse(after, before)
            raise
        assert draft.id == current.id, "an entity keeps its identifier"
        return draft, await rules.check_references(tx, self._resource, before, after), names

    async def _held(
        self, tx: Transaction, draft: EntityDraft, current: Entity, after: Fields
    ) -> tuple[EntityDraft, str | None]:
        """A draft, pending while it may not be seen; see `held_until_claimed`."""
        has_pending = bool(self._store.pending_ids())
        ids = self._context.rules.referenced_ids(self._resource, after) if has_pending else frozenset[str]()
        return await held_until_claimed(tx, self._context.identifiers, draft, current, ids)

    def _with_access(self, *kinds: Access) -> frozenset[str]:
        return frozenset(name for name, one in self._attributes.items() if one.access in kinds)

    def _check_change(self, before: Fields, after: Fields, immutable: tuple[str, ...]) -> None:
        added = {name: value for name, value in after.items() if name not in before}
        violations = collected(
            (partial(self._served.validator.check_names, self._resource.type, added, after),)
        )
        violations += [
            Violation(name, "cannot be changed", after.get(name))
            for name in immutable
            if after.get(name) != before.get(name)
        ]
        refuse(violations)
