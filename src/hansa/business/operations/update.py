"""Writing: replace, patch and delete entities of one resource (TMF630 Part 1, chapters 5 to 7); for creates see `creating`.

Every way of writing ends in the same few steps, in one transaction of the store: the entity is completed with what this
marketplace sets, checked against the model of its type and against the rules of the business, and put. Writing needs a
caller who may write, and is refused for replicas: their origin, another marketplace, is their only writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.business.context import Context, ServedResource
from hansa.business.http.conditional import check_unchanged
from hansa.business.http.messages import Request, Response
from hansa.business.http.response import WriteResponses, WriteResult
from hansa.business.models.records import Access
from hansa.business.operations.create import CreateOperation
from hansa.business.operations.defaults import ServerFields
from hansa.business.operations.draft import FIXED, DraftBuilder, check_own
from hansa.business.patches import MEDIA_TYPES, apply_patch, check_patch
from hansa.business.rules import UnresolvedReference
from hansa.business.validation.validator import Violation, refuse
from hansa.core.errors import Code, Refused
from hansa.store import Entity, EntityDraft, Transaction
from hansa.store.tables.references import below

META_FIXED: Final = frozenset({"@type", "@baseType"})
"""What an entity is does not change (TMF630 Part 2)."""

Fields = dict[str, Any]


class WriteHandler:
    """Answers POST, PUT, PATCH and DELETE for one resource."""

    def __init__(self, served: ServedResource, context: Context) -> None:
        self._served = served
        self._resource = served.resource
        self._attributes = served.attributes
        self._context = context
        self._store = context.store
        self._completion = ServerFields(self._resource, self._attributes, context.models, context.clock)
        self._drafting = DraftBuilder(served, context)
        self._answers = WriteResponses(served)
        self.creating = CreateOperation(served, context, self._completion, self._drafting, self.amended)
        # Methods for operators alone are those of the marketplace's own systems: they say what others only read.
        self._unchanging = frozenset((*FIXED, *META_FIXED)) | (
            self._with_access("create-only")
            if "patch" in self._resource.operator_methods
            else self._with_access("create-only", "read-only")
        )
        self._below = tuple(
            one.collection
            for one in served.api.resources
            if one.parent_name == self._resource.path and one.embedded is None
        )

    # -- the methods ------------------------------------------------------------------------------------------

    async def replace(self, request: Request, entity_id: str) -> Response:
        """PUT of one entity: 200, 400, 401, 403, 404, 409, 412, 413 or 415."""
        self._context.writer(request.headers)
        request.accept_json()
        chosen = self._served.chosen(request)
        body = await request.json()
        if body.get("id", entity_id) != entity_id:
            refuse([Violation("id", "must be the identifier in the path", body["id"])])
        async with self._store.transaction() as tx:
            standing = await self._standing(tx, entity_id, request)
            written = await self._change(tx, standing, self._replacement(standing, body))
        return self._answers.changed(written, chosen)

    async def patch(self, request: Request, entity_id: str) -> Response:
        """PATCH of one entity, in any of four forms: 200, 400, 401, 403, 404, 409, 412, 413 or 415."""
        self._context.writer(request.headers)
        request.accept_json()
        chosen = self._served.chosen(request)
        media_type = request.media_type(MEDIA_TYPES)
        patch = await request.value()
        check_patch(media_type, patch, request.limits)
        async with self._store.transaction() as tx:
            standing = await self._standing(tx, entity_id, request)
            before = msgspec.json.decode(standing.body)
            after = apply_patch(media_type, before, patch, request.limits)
            written = await self._change(tx, standing, after)
        return self._answers.changed(written, chosen)

    async def delete(self, request: Request, entity_id: str) -> Response:
        """DELETE of one entity: 204, 401, 403, 404, 409 or 412."""
        self._context.writer(request.headers)
        async with self._store.transaction() as tx:
            standing = await self._standing(tx, entity_id, request)
            await self._context.rules.check_delete(tx, self._resource, standing)
            await self._delete_below(tx, entity_id)
            await tx.delete(entity_id)
        return Response(204)

    async def write(self, tx: Transaction, body: Mapping[str, Any]) -> Entity:
        """Create an entity, or replace the one with its identifier, within a transaction; for jobs.

        Raises:
            Refused: as the methods do.
        """
        standing = await tx.entity(str(body.get("id", "")))
        if standing is None:
            return await self.creating.write(tx, dict(body))
        self._check_collection(standing)
        check_own(standing, "The entity")
        return (await self._change(tx, standing, self._replacement(standing, dict(body)))).entity

    async def _delete_below(self, tx: Transaction, entity_id: str) -> None:
        """Delete the sub-resources of an entity, which without it would be at no path."""
        if not self._below:
            return
        most = self._context.limits.sub_resources_deleted_max
        found = await below(tx, self._below, entity_id, most + 1)
        if len(found) > most:
            raise Refused(
                Code.CONFLICT,
                f"More than {most} entities are below {entity_id!r}; too many to delete at once.",
            )
        for each in found:
            await tx.delete(each)

    def amended(self, tx: Transaction, standing: Entity, after: Fields) -> EntityDraft:
        """What an entity becomes when this marketplace itself changes it, also what no client may set.

        Raises:
            Refused: Model or rules do not allow it, or it is a replica.
        """
        check_own(standing, "The entity")
        return self._checked(tx, standing, msgspec.json.decode(standing.body), dict(after))[0]

    def address(self, entity_id: str) -> str:
        """Where an entity of a resource without parent is served."""
        return self._served.shown(None).address(entity_id)

    # -- the steps --------------------------------------------------------------------------------------------

    def _replacement(self, standing: Entity, body: Fields) -> Fields:
        """The new content of an entity that is replaced: what only this marketplace sets, or a create, stays."""
        before = msgspec.json.decode(standing.body)
        after = {name: value for name, value in body.items() if value is not None and name != "href"}
        for name, value in before.items():
            attribute = self._attributes.get(name)
            if name in {"id", "@type"} or (
                attribute is not None and attribute.access in {"create-only", "read-only"}
            ):
                after.setdefault(name, value)
        return after

    async def _change(self, tx: Transaction, standing: Entity, after: Fields) -> WriteResult:
        """Put new content of an entity that is here."""
        before = msgspec.json.decode(standing.body)
        after = {name: value for name, value in after.items() if value is not None and name != "href"}
        self._check_change(before, after)
        self._completion.keep(before, after)
        if after == before:
            return WriteResult(standing)
        draft, unresolved = self._checked(tx, standing, before, after)
        return WriteResult(await tx.put(draft), unresolved)

    def _checked(
        self, tx: Transaction, standing: Entity, before: Fields, after: Fields
    ) -> tuple[EntityDraft, tuple[UnresolvedReference, ...]]:
        """New content of an entity, stamped and held to model and rules."""
        self._completion.changed(before, after)
        draft = self._drafting.draft(after, standing.parent)
        rules = self._context.rules
        rules.check_content(self._resource, before, after)
        return draft, rules.check_references(tx, self._resource, before, after)

    def _with_access(self, *kinds: Access) -> frozenset[str]:
        return frozenset(name for name, one in self._attributes.items() if one.access in kinds)

    def _check_change(self, before: Fields, after: Fields) -> None:
        come = {name: value for name, value in after.items() if name not in before}
        self._served.validator.unknown(self._resource.type, come, after)
        refuse(
            [
                Violation(name, "cannot be changed", after.get(name))
                for name in self._unchanging - self._completion.dates
                if after.get(name) != before.get(name)
            ]
        )

    async def _standing(self, tx: Transaction, entity_id: str, request: Request) -> Entity:
        """The entity that a write is about, after every check that does not need its content."""
        entity = await tx.entity(entity_id)
        if entity is None or entity.type != self._resource.collection or entity.parent != request.parent_id:
            raise self._served.not_found(entity_id)
        check_own(entity, "The entity")
        check_unchanged(request.headers, entity)
        return entity

    def _check_collection(self, entity: Entity) -> None:
        if entity.type != self._resource.collection:
            raise Refused(
                Code.CONFLICT, f"{entity.id!r} is here already, as an entity of type {entity.type}."
            )
