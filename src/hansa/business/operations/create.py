"""Creating: POST to a collection, and the JSON Patch of a collection that adds entities (TMF630 Part 1, chapters 5 and 6.2).

A create goes through stages, in which those that come together go together (`hansa.business.operations.batching`): its body is
*read*, *completed* with what this marketplace sets, *checked* against the model, *encoded* canonically, *indexed*, held
to the rules about its content; its references are *looked up*; it is *put* into the store, and answered when that has
committed it.

Three kinds need a transaction of their own after the rules: an entity under an identifier of the client, which may be
taken; a sub-resource, whose parent has to stay; and a task, which is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hansa.business.context import Context, ServedResource
from hansa.business.http.messages import JSON_TYPES, Request, Response
from hansa.business.http.response import WriteResponses, WriteResult
from hansa.business.operations.batching import BatchItem, BatchPipeline, Outcome
from hansa.business.operations.defaults import ServerFields
from hansa.business.operations.draft import FIXED, DraftBuilder, check_own
from hansa.business.operations.tasks import Tasks
from hansa.business.patches import JSON_PATCH, creations
from hansa.business.representation import Selection
from hansa.business.rules import UnresolvedReference
from hansa.business.validation.validator import Violation, refuse
from hansa.core.bounded_json import read_object
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import PLAIN_IDENTIFIER, new_entity_id
from hansa.store import Entity, EntityDraft, Transaction

Fields = dict[str, Any]
Amended = Callable[[Transaction, Entity, Fields], EntityDraft]
"""What an entity becomes when this marketplace itself changes it."""


class NewEntity(BatchItem):
    """An entity that is about to be created, and what of it is known so far."""

    __slots__ = (
        "answer", "body", "chosen", "draft", "entity", "hashlink", "is_named_here", "parent_id", "unresolved",
    )  # fmt: skip

    answer: Response
    """Unless it needs a transaction of its own."""
    entity: Fields
    is_named_here: bool
    """Whether its identifier was made here just now, so that nothing else can have it."""
    hashlink: str
    draft: EntityDraft
    unresolved: tuple[UnresolvedReference, ...]
    """References to what is not (yet) here."""

    def __init__(self, body: bytes, parent_id: str | None, chosen: Selection | None = None) -> None:
        self.body = body
        """As it was sent; canonical, once it is encoded."""
        self.parent_id = parent_id
        self.chosen = chosen


class CreateOperation:
    """Creates the entities of one resource."""

    def __init__(
        self,
        served: ServedResource,
        context: Context,
        completion: ServerFields,
        drafting: DraftBuilder,
        amended: Amended,
    ) -> None:
        self._served = served
        self._resource = served.resource
        self._context = context
        self._store = context.store
        self._completion = completion
        self._drafting = drafting
        self._amended = amended
        self._answers = WriteResponses(served)
        # Methods for operators alone are those of the marketplace's own systems: they say what others only read.
        kinds = set() if "create" in self._resource.operator_methods else {"read-only", "update-only"}
        not_given = {name for name, one in served.attributes.items() if one.access in kinds}
        self._not_given = frozenset(not_given - FIXED - completion.dates)
        self.tasks: Tasks | None = None
        """Carries the entities out, when they are tasks."""
        self._preparing = (self._complete, self._check, self._encode, self._index, self._check_content)
        self._batches = BatchPipeline((self._read, *self._preparing, self._look_up, self._put))

    # -- the methods ------------------------------------------------------------------------------------------

    async def create(self, request: Request, _: str) -> Response:
        """POST to the collection: 201, 400, 401, 403, 404, 409, 413 or 415."""
        self._context.writer(request.headers)
        request.accept_json()
        chosen = self._served.chosen(request)
        request.media_type(JSON_TYPES)
        new = NewEntity(await request.content(), request.parent_id, chosen)
        if await self._batches.run(new) is Outcome.DONE:
            return new.answer
        matched = await self._matched(new)
        async with self._store.transaction() as tx:
            await self._served.check_parent(request.parent_id, public_only=False)
            written = await self._create(tx, new, matched)
        return self._answers.created(written, chosen)

    async def create_several(self, request: Request, _: str) -> Response:
        """PATCH of the collection, a JSON Patch that adds entities: all of them or none (TMF630 Part 1, 6.2)."""
        self._context.writer(request.headers)
        request.accept_json()
        chosen = self._served.chosen(request)
        request.media_type((JSON_PATCH,))
        bodies = creations(await request.value(), request.limits)
        if len(bodies) > request.limits.collection_patch_entities_max:
            raise Refused(
                Code.INVALID,
                f"One patch creates at most {request.limits.collection_patch_entities_max} entities.",
            )
        several = [await self._prepared(body, request.parent_id) for body in bodies]
        matched = [await self._matched(new) for new in several]
        async with self._store.transaction() as tx:
            await self._served.check_parent(request.parent_id, public_only=False)
            written = [await self._create(tx, *each) for each in zip(several, matched, strict=True)]
        return self._answers.several(written, request.parent_id, chosen)

    async def write(self, tx: Transaction, body: Fields) -> Entity:
        """Create an entity within a transaction; for jobs.

        Raises:
            Refused: as the methods do.
        """
        new = await self._prepared(body, None)
        return (await self._create(tx, new, await self._matched(new))).entity

    # -- the stages -------------------------------------------------------------------------------------------

    async def _read(self, new: NewEntity) -> Outcome:
        new.entity = read_object(new.body, self._context.limits)
        return Outcome.CONTINUE

    async def _complete(self, new: NewEntity) -> Outcome:
        """Check what needs no model, and complete with what this marketplace sets."""
        entity, resource, context = new.entity, self._resource, self._context
        entity.pop("href", None)
        if None in entity.values():
            new.entity = entity = {name: value for name, value in entity.items() if value is not None}
        entity.setdefault("@type", resource.type)
        self._served.validator.unknown(resource.type, entity, entity)
        found: list[Violation] = []
        new.is_named_here = "id" not in entity
        if new.is_named_here:
            entity["id"] = new_entity_id(resource.type, context.clock.now(), context.entropy)
        else:
            _check_identifier(entity["id"], context.limits.identifier_length_max_chars, found)
        said = entity["@type"]
        if said != resource.type and (type(said) is not str or said in context.models.type_names):
            found.append(Violation("@type", f"must be {resource.type} or a type derived from it", said))
        if not self._not_given.isdisjoint(entity):
            found += [
                Violation(name, "is set by this marketplace", entity[name])
                for name in entity.keys() & self._not_given
            ]
        refuse(found)
        self._completion.new(entity)
        return Outcome.CONTINUE

    async def _check(self, new: NewEntity) -> Outcome:
        self._drafting.check(new.entity)
        return Outcome.CONTINUE

    async def _encode(self, new: NewEntity) -> Outcome:
        new.body = canonical_json(new.entity)
        new.hashlink = hashlink(new.body)
        return Outcome.CONTINUE

    async def _index(self, new: NewEntity) -> Outcome:
        new.draft = self._drafting.indexed(new.entity, new.body, new.hashlink, new.parent_id)
        return Outcome.CONTINUE

    async def _check_content(self, new: NewEntity) -> Outcome:
        self._context.rules.check_content(self._resource, None, new.entity)
        return Outcome.CONTINUE

    async def _look_up(self, new: NewEntity) -> Outcome:
        """Look for what it refers to; between this and the next stage nobody else writes."""
        if not new.is_named_here or self.tasks is not None or self._served.parent is not None:
            return Outcome.SLOW_PATH
        rules = self._context.rules
        new.unresolved = rules.check_references(self._store, self._resource, None, new.entity)
        return Outcome.CONTINUE

    async def _put(self, new: NewEntity) -> Outcome:
        """Hand it to the store, and make the answer that is sent when it has been committed."""
        entity = self._store.create(new.draft, new.done)
        new.answer = self._answers.created(WriteResult(entity, new.unresolved), new.chosen)
        return Outcome.DONE

    # -- those with a transaction of their own ----------------------------------------------------------------

    async def _prepared(self, body: Fields, parent_id: str | None) -> NewEntity:
        """A new entity after everything that needs no transaction, by itself."""
        new = NewEntity(b"", parent_id)
        new.entity = body
        for stage in self._preparing:
            await stage(new)
        return new

    async def _matched(self, new: NewEntity) -> tuple[str, ...]:
        """What the patterns of a task mean."""
        return await self.tasks.matched(new.entity) if self.tasks is not None else ()

    async def _create(self, tx: Transaction, new: NewEntity, matched: tuple[str, ...]) -> WriteResult:
        """Put a new entity and, when it is a task, carry it out."""
        standing = None if new.is_named_here else await tx.entity(new.draft.id)
        if standing is not None:
            check_own(standing, "An entity with this identifier is here already, and")
            raise Refused(Code.CONFLICT, f"There is an entity {standing.id!r} already; change it with PATCH.")
        unresolved = self._context.rules.check_references(tx, self._resource, None, new.entity)
        entity = tx.create(new.draft) if new.is_named_here else await tx.add(new.draft)
        changes = await self.tasks.carry_out(tx, new.entity, matched) if self.tasks is not None else None
        if changes:
            entity = await tx.put(self._amended(tx, entity, {**new.entity, **changes}))
        return WriteResult(entity, unresolved)


def _check_identifier(given: object, length_max: int, found: list[Violation]) -> None:
    if type(given) is not str or len(given) > length_max or not PLAIN_IDENTIFIER.fullmatch(given):
        rule = f"must be at most {length_max} letters, digits and . _ ~ : @ ! $ & ' ( ) * + = -, starting with a letter or digit"
        found.append(Violation("id", rule, given))
