"""Writing: create, replace, patch and delete entities of one resource (TMF630 Part 1, chapters 5 to 7).

Every way of writing ends in the same few steps, in one transaction of the store: the entity is completed with what this
marketplace sets, checked against the model of its type and against the rules of the business, and put. Writing needs a
caller who may write, and is refused for replicas: their origin, another marketplace, is their only writer.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from hansa.business.completing import Completion
from hansa.business.http import CONTENT_TYPE, Answer, Header, Request
from hansa.business.models.records import Access
from hansa.business.patches import JSON_PATCH, MEDIA_TYPES, apply_patch, check_patch, creations
from hansa.business.preconditions import check_unchanged, etag, last_modified
from hansa.business.query import fields_of
from hansa.business.representation import PLAIN_IDENTIFIER, Selection
from hansa.business.rules import Finding
from hansa.business.surroundings import Served, Surroundings
from hansa.business.tasks import Tasks
from hansa.business.validation import Violation, refuse
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import new_entity_id
from hansa.store import Entity, EntityDraft, Transaction
from hansa.store.references import below

FIXED: Final = frozenset({"id", "href"})
"""Attributes that no write changes; `href` follows from `id`."""
META_FIXED: Final = frozenset({"@type", "@baseType"})
"""What an entity is does not change (TMF630 Part 2)."""
UNRESOLVED: Final = b"hansa-unresolved"
FINDINGS_SHOWN_MAX: Final = 20
ID_SHOWN_MAX_CHARS: Final = 100
PLAIN_IN_HEADER: Final = (string.ascii_letters + string.digits + "._~:@!$&'()*+=-").encode()
"""What stands in identifiers in a header as it is."""

Fields = dict[str, Any]


class Written(msgspec.Struct, frozen=True):
    """What a write left behind."""

    entity: Entity
    unresolved: tuple[Finding, ...] = ()
    """References to what is not (yet) here."""


class New(msgspec.Struct, frozen=True):
    """An entity that is about to be created."""

    entity: Fields
    draft: EntityDraft
    matched: tuple[str, ...]
    """What the patterns of a task mean."""
    is_named_here: bool
    """Whether its identifier was made here just now, so that nothing else can have it."""


class Writer:
    """Answers POST, PUT, PATCH and DELETE for one resource."""

    def __init__(self, served: Served, around: Surroundings) -> None:
        self._served = served
        self._resource = served.resource
        self._attributes = served.attributes
        self._around = around
        self._store = around.store
        self._completion = Completion(self._resource, self._attributes, around.models, around.clock)
        # Methods for operators alone are those of the marketplace's own systems: they say what others only read.
        for_operators = self._resource.operator_methods
        not_created = (
            self._with_access()
            if "create" in for_operators
            else self._with_access("read-only", "update-only")
        )
        self._not_given = not_created - FIXED - self._completion.dates
        self._unchanging = frozenset((*FIXED, *META_FIXED)) | (
            self._with_access("create-only")
            if "patch" in for_operators
            else self._with_access("create-only", "read-only")
        )
        self._below = tuple(
            one.collection
            for one in served.api.resources
            if one.parent_name == self._resource.path and one.embedded is None
        )
        self.tasks: Tasks | None = None
        """Carries the entities out, when they are tasks."""

    # -- the methods ------------------------------------------------------------------------------------------

    async def create(self, request: Request, _: str) -> Answer:
        """POST to the collection: 201, 400, 401, 403, 404, 409, 413 or 415.

        Between its stages is a turn of the loop, so that requests that have come together go through each stage one
        behind the other: the processor then has that stage's code at hand, and all of them are done sooner.
        """
        self._around.writer(request.headers)
        request.accept_json()
        chosen = self._chosen(request)
        body = await request.json()
        entity = self._new(body)
        await asyncio.sleep(0)
        new = await self._drafted(body, entity, request.parent_id)
        await asyncio.sleep(0)
        if new.is_named_here and self.tasks is None:
            await self._served.check_parent(request.parent_id, public_only=False)
            rules = self._around.rules
            unresolved = rules.check_references(self._store, self._resource, None, new.entity)
            written = Written(await self._store.create(new.draft), unresolved)
        else:
            async with self._store.transaction() as tx:
                await self._served.check_parent(request.parent_id, public_only=False)
                written = await self._create(tx, new)
        location = self._served.shown(request.parent_id).address(written.entity.id).encode()
        return self._answer(201, written, chosen, (b"location", location))

    async def create_several(self, request: Request, _: str) -> Answer:
        """PATCH of the collection, a JSON Patch that adds entities: all of them or none (TMF630 Part 1, 6.2)."""
        self._around.writer(request.headers)
        request.accept_json()
        chosen = self._chosen(request)
        request.media_type((JSON_PATCH,))
        bodies = creations(await request.value(), request.limits)
        if len(bodies) > request.limits.collection_patch_entities_max:
            raise Refused(
                Code.INVALID,
                f"One patch creates at most {request.limits.collection_patch_entities_max} entities.",
            )
        several = [await self._prepared(body, request.parent_id) for body in bodies]
        async with self._store.transaction() as tx:
            await self._served.check_parent(request.parent_id, public_only=False)
            written = [await self._create(tx, new) for new in several]
        shown = self._served.shown(request.parent_id)
        stored = [one.entity for one in written]
        body = shown.listed([one.id for one in stored], [one.body for one in stored], chosen)
        found = tuple(finding for one in written for finding in one.unresolved)
        return Answer(200, body, (CONTENT_TYPE, *_unresolved(found)))

    async def replace(self, request: Request, entity_id: str) -> Answer:
        """PUT of one entity: 200, 400, 401, 403, 404, 409, 412, 413 or 415."""
        self._around.writer(request.headers)
        request.accept_json()
        chosen = self._chosen(request)
        body = await request.json()
        if body.get("id", entity_id) != entity_id:
            refuse([Violation("id", "must be the identifier in the path", body["id"])])
        async with self._store.transaction() as tx:
            standing = await self._standing(tx, entity_id, request)
            written = await self._change(tx, standing, self._replacement(standing, body))
        return self._answer(200, written, chosen)

    async def patch(self, request: Request, entity_id: str) -> Answer:
        """PATCH of one entity, in any of four forms: 200, 400, 401, 403, 404, 409, 412, 413 or 415."""
        self._around.writer(request.headers)
        request.accept_json()
        chosen = self._chosen(request)
        media_type = request.media_type(MEDIA_TYPES)
        patch = await request.value()
        check_patch(media_type, patch, request.limits)
        async with self._store.transaction() as tx:
            standing = await self._standing(tx, entity_id, request)
            before = msgspec.json.decode(standing.body)
            after = apply_patch(media_type, before, patch, request.limits)
            written = await self._change(tx, standing, after)
        return self._answer(200, written, chosen)

    async def delete(self, request: Request, entity_id: str) -> Answer:
        """DELETE of one entity: 204, 401, 403, 404, 409 or 412."""
        self._around.writer(request.headers)
        async with self._store.transaction() as tx:
            standing = await self._standing(tx, entity_id, request)
            await self._around.rules.check_delete(tx, self._resource, standing)
            await self._delete_below(tx, entity_id)
            await tx.delete(entity_id)
        return Answer(204)

    async def write(self, tx: Transaction, body: Mapping[str, Any]) -> Entity:
        """Create an entity, or replace the one with its identifier, within a transaction; for jobs.

        Raises:
            Refused: as the methods do.
        """
        standing = await tx.entity(str(body.get("id", "")))
        if standing is None:
            return (await self._create(tx, await self._prepared(dict(body), None))).entity
        self._check_collection(standing)
        self._check_own(standing, "The entity")
        return (await self._change(tx, standing, self._replacement(standing, dict(body)))).entity

    async def _delete_below(self, tx: Transaction, entity_id: str) -> None:
        """Delete the sub-resources of an entity, which without it would be at no path."""
        if not self._below:
            return
        most = self._around.limits.sub_resources_deleted_max
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
        self._check_own(standing, "The entity")
        return self._checked(tx, standing, msgspec.json.decode(standing.body), dict(after))[0]

    def address(self, entity_id: str) -> str:
        """Where an entity of a resource without parent is served."""
        return self._served.shown(None).address(entity_id)

    # -- the steps --------------------------------------------------------------------------------------------

    def _new(self, body: Fields) -> Fields:
        """A new entity from the body of a create: checked, and completed with what this marketplace sets."""
        entity = {name: value for name, value in body.items() if value is not None and name != "href"}
        resource, around = self._resource, self._around
        entity.setdefault("@type", resource.type)
        self._served.validator.unknown(resource.type, entity, entity)
        found: list[Violation] = []
        if "id" in entity:
            _check_identifier(entity["id"], around.limits.identifier_length_max_chars, found)
        else:
            entity["id"] = new_entity_id(resource.type, around.clock.now(), around.entropy)
        said = entity["@type"]
        if type(said) is not str or (said != resource.type and said in around.models.type_names):
            found.append(Violation("@type", f"must be {resource.type} or a type derived from it", said))
        if not self._not_given.isdisjoint(entity):
            found += [
                Violation(name, "is set by this marketplace", entity[name])
                for name in entity.keys() & self._not_given
            ]
        refuse(found)
        self._completion.new(entity)
        return entity

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

    async def _prepared(self, body: Fields, parent_id: str | None) -> New:
        """A new entity after everything that needs no transaction: others write meanwhile."""
        return await self._drafted(body, self._new(body), parent_id)

    async def _drafted(self, body: Fields, entity: Fields, parent_id: str | None) -> New:
        draft = self._draft(entity, parent_id)
        self._around.rules.check_content(self._resource, None, entity)
        matched = await self.tasks.matched(entity) if self.tasks is not None else ()
        return New(entity, draft, matched, is_named_here=body.get("id") is None)

    async def _create(self, tx: Transaction, new: New) -> Written:
        """Put a new entity and, when it is a task, carry it out."""
        standing = None if new.is_named_here else await tx.entity(new.draft.id)
        if standing is not None:
            self._check_own(standing, "An entity with this identifier is here already, and")
            raise Refused(Code.CONFLICT, f"There is an entity {standing.id!r} already; change it with PATCH.")
        unresolved = self._around.rules.check_references(tx, self._resource, None, new.entity)
        entity = tx.create(new.draft) if new.is_named_here else await tx.add(new.draft)
        changes = await self.tasks.carry_out(tx, new.entity, new.matched) if self.tasks is not None else None
        if changes:
            entity = await tx.put(self.amended(tx, entity, {**new.entity, **changes}))
        return Written(entity, unresolved)

    async def _change(self, tx: Transaction, standing: Entity, after: Fields) -> Written:
        """Put new content of an entity that is here."""
        before = msgspec.json.decode(standing.body)
        after = {name: value for name, value in after.items() if value is not None and name != "href"}
        self._check_change(before, after)
        self._completion.keep(before, after)
        if after == before:
            return Written(standing)
        draft, unresolved = self._checked(tx, standing, before, after)
        return Written(await tx.put(draft), unresolved)

    def _checked(
        self, tx: Transaction, standing: Entity, before: Fields, after: Fields
    ) -> tuple[EntityDraft, tuple[Finding, ...]]:
        """New content of an entity, stamped and held to model and rules."""
        self._completion.changed(before, after)
        draft = self._draft(after, standing.parent)
        rules = self._around.rules
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

    def _draft(self, entity: Fields, parent_id: str | None) -> EntityDraft:
        self._served.validator.check(self._resource.type, entity)
        self._around.extensions.check(self._resource.type, entity, self._served.api.types)
        status = entity.get(self._resource.status_attribute) if self._resource.status_attribute else None
        body = canonical_json(entity)
        return EntityDraft(
            id=entity["id"],
            type=self._resource.collection,
            body=body,
            hashlink=hashlink(body),
            public=self._around.models.is_public(self._resource.collection, status),
            parent=parent_id,
            indexed=self._store.indexed(self._resource.collection, entity, parent_id),
        )

    async def _standing(self, tx: Transaction, entity_id: str, request: Request) -> Entity:
        """The entity that a write is about, after every check that does not need its content."""
        entity = await tx.entity(entity_id)
        if entity is None or entity.type != self._resource.collection or entity.parent != request.parent_id:
            raise self._served.not_found(entity_id)
        self._check_own(entity, "The entity")
        check_unchanged(request.headers, entity)
        return entity

    def _check_collection(self, entity: Entity) -> None:
        if entity.type != self._resource.collection:
            raise Refused(
                Code.CONFLICT, f"{entity.id!r} is here already, as an entity of type {entity.type}."
            )

    @staticmethod
    def _check_own(entity: Entity, subject: str) -> None:
        if entity.origin is not None:
            raise Refused(
                Code.READ_ONLY_REPLICA,
                f"{subject} is a replica: its origin is {entity.origin}, the only marketplace that can change it.",
            )

    # -- answers ----------------------------------------------------------------------------------------------

    def _chosen(self, request: Request) -> Selection | None:
        if not request.query_string:
            return None
        return fields_of(request.query_string, self._served.api, self._resource, request.limits).fields

    def _answer(self, status: int, written: Written, chosen: Selection | None, *headers: Header) -> Answer:
        entity = written.entity
        shown = self._served.shown(entity.parent)
        headers = (CONTENT_TYPE, *headers, *_unresolved(written.unresolved))
        if chosen is not None:
            return Answer(status, shown.part(entity.id, entity.body, chosen), headers)
        return Answer(
            status,
            shown.whole(entity.id, entity.body),
            (*headers, (b"etag", etag(entity)), (b"last-modified", last_modified(entity.modified))),
        )


def _check_identifier(given: object, length_max: int, found: list[Violation]) -> None:
    if type(given) is not str or len(given) > length_max or not PLAIN_IDENTIFIER.fullmatch(given):
        rule = f"must be at most {length_max} letters, digits and . _ ~ : @ ! $ & ' ( ) * + = -, starting with a letter or digit"
        found.append(Violation("id", rule, given))


def _unresolved(found: tuple[Finding, ...]) -> tuple[Header, ...]:
    """The header that tells of references to what is not (yet) here; identifiers in it are percent-encoded."""
    if not found:
        return ()
    shown = found[:FINDINGS_SHOWN_MAX]
    ids = [one.target_id[:ID_SHOWN_MAX_CHARS] for one in shown]
    if "".join(ids).encode(errors="replace").translate(None, PLAIN_IN_HEADER):
        ids = [quote(each, safe=":") for each in ids]
    text = ", ".join([f"{one.path}={each}" for one, each in zip(shown, ids, strict=True)])
    return ((UNRESOLVED, text.encode()),)
