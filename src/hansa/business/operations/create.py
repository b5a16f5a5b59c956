"""Creating: one entity, or several at once (TMF630 Part 1, chapters 5 and 6.2).

A create goes through stages, in which creates that arrive together go together
(`hansa.business.operations.batching`): its body is *parsed*, *completed* with what this marketplace sets,
*checked* against the model, *encoded* canonically, *indexed*, held to the rules about its content; its
references are *looked up*; it is *stored*, and returned when the store has committed it.

What a large body needs before the store is asked is done in a thread, outside the batches
(`hansa.core.thread_work.LargeWork`).

Three kinds need a transaction of their own after the rules, the slow path: an entity under an identifier of
the client, which may be in use; a sub-resource, whose parent has to stay; and a task, which is carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from hansa.business.context import Context
from hansa.business.operations.batching import (
    CONTINUE,
    DONE,
    SLOW_PATH,
    BatchItem,
    BatchPipeline,
    StageOutcome,
)
from hansa.business.operations.defaults import ServerFields
from hansa.business.operations.draft import IMMUTABLE, DraftBuilder, check_identifier
from hansa.business.operations.forwarding.repeats import Repeats
from hansa.business.operations.forwarding.sending import WriteSender
from hansa.business.operations.forwarding.terms import PLAIN_TERMS, WriteTerms
from hansa.business.operations.tasks import Tasks, target_ids
from hansa.business.operations.writes import (
    NO_PRECONDITIONS,
    WriteResult,
    WriteToReplica,
    check_is_own,
    held_until_claimed,
)
from hansa.business.rights.bound import BoundRule
from hansa.business.rights.ordering import ORDER, OrderedTerms
from hansa.business.rights.writing import check_below, check_new, check_targets
from hansa.business.rules import UnknownWord, UnresolvedReference
from hansa.business.served_resource import ServedResource
from hansa.business.validation.violations import InvalidBody, MissingAttribute, Violation
from hansa.core.access import OPERATOR, Action, Caller, Grant
from hansa.core.bounded_json import read_object
from hansa.core.canonical import hashlink
from hansa.core.errors import Code, Refused
from hansa.core.thread_work import SMALL_MAX_BYTES, unsuspended
from hansa.store import Entity, EntityDraft, Transaction

Fields = dict[str, Any]
CREATED_AT_ONCE: Final = 25
"""Entities of one patch that are created within one turn of the event loop."""
Amend = Callable[[Transaction, Entity, Fields], Awaitable[EntityDraft]]
"""What an entity becomes when this marketplace itself changes it."""
Output = TypeVar("Output")
Present = Callable[[WriteResult], Output]
"""What a caller makes of a result, as a face its response."""


class NewEntity(BatchItem, Generic[Output]):
    """An entity that is about to be created, and what of it is known so far."""

    __slots__ = (
        "absent", "body", "bound", "draft", "entity", "hashlink", "is_operator", "missing", "nonce", "output", "parent_id", "present", "terms", "unresolved", "words",
    )  # fmt: skip

    entity: Fields
    nonce: bytes | None
    """What binds an identifier that was made just now, so that nothing else can have it; None of a chosen
    one."""
    hashlink: str
    draft: EntityDraft
    absent: tuple[MissingAttribute, ...]
    """Required attributes that it leaves out."""
    missing: tuple[str, ...]
    """Paths of required attributes that it does without."""
    terms: WriteTerms
    """Under which key it is created once."""
    unresolved: tuple[UnresolvedReference, ...]
    """References to what is not (yet) here."""
    words: tuple[UnknownWord, ...]
    """Words that its model does not know, where it knows others."""
    output: Output
    """Unless it takes the slow path."""

    def __init__(
        self,
        body: bytes | Fields,
        parent_id: str | None,
        present: Present[Output],
        *,
        is_operator: bool = False,
        terms: WriteTerms = PLAIN_TERMS,
    ) -> None:
        self.terms = terms
        self.bound: BoundRule | None = None
        """Which entities its caller may create; None: all."""
        self.is_operator = is_operator
        """Whether it may say what others only read."""
        self.body = body
        """As it was sent; canonical, once it is encoded."""
        self.parent_id = parent_id
        self.present = present


class CreateOperation:
    """Creates the entities of one resource."""

    def __init__(
        self,
        served: ServedResource,
        context: Context,
        server_fields: ServerFields,
        drafts: DraftBuilder,
        amend: Amend,
    ) -> None:
        self._served = served
        self._resource = served.resource
        self._context = context
        self._store = context.store
        self._server_fields = server_fields
        self._drafts = drafts
        self._amend = amend
        self._repeats = Repeats(context.store, context.clock, context.limits, context.key_time)
        self._sender = WriteSender(served, context)
        kinds = {"read-only", "update-only"}
        not_settable = {name for name, one in served.attributes.items() if one.access in kinds}
        self._not_settable = frozenset(not_settable - IMMUTABLE - server_fields.dates)
        """By anybody but the operator, whose systems say what others only read."""
        self._terms = OrderedTerms(context) if served.resource.collection == ORDER else None
        self.tasks: Tasks | None = None
        """Carries the entities out, when they are tasks."""
        self._preparing = (
            *(self._complete, self._check, self._infer, self._encode, self._index, self._check_content),
        )
        self._batches: BatchPipeline[NewEntity[Any]] = BatchPipeline(
            (self._parse, *self._preparing, self._look_up, self._put)
        )
        self._prepared_batches: BatchPipeline[NewEntity[Any]] = BatchPipeline((self._look_up, self._put))

    def authorize(self, caller: Caller) -> Grant:
        """The grant to create here.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN` or `Code.METHOD_NOT_ALLOWED`.
        """
        return self._served.authorize(caller, Action.CREATE)

    async def one(self, grant: Grant, body: bytes | Fields, parent_id: str | None = None) -> WriteResult:
        """Create an entity.

        Args:
            grant: From `authorize`.
            body: The entity as JSON, or as an object that the operation may change.
            parent_id: The parent of a sub-resource.

        Raises:
            Refused: `Code.MALFORMED`, `Code.INVALID`, `Code.IDEMPOTENCY_KEY_REUSED`, a code of the rules;
                `Code.NOT_FOUND`, when there is no such parent; `Code.CONFLICT`, when its identifier is in
                use, `Code.READ_ONLY_REPLICA`, when that is by a replica.
            Unavailable: `Code.OVERLOADED`, `Code.DISK_FULL` or `Code.UNAVAILABLE`; nothing was written.
        """
        return await self.one_as(grant, body, parent_id, lambda result: result)

    async def one_as(
        self,
        grant: Grant,
        body: bytes | Fields,
        parent_id: str | None,
        present: Present[Output],
        terms: WriteTerms = PLAIN_TERMS,
    ) -> Output:
        """Create an entity as `one` does, and return what `present` makes of the result.

        In a batch it is called before the commit, so that outputs are made together too; what it made is
        returned after the commit, and discarded when that fails.

        Below a parent that is a replica, and of a task about what is one, the entity is created at the
        origin.

        Raises:
            WriteQueued: It is to be created at an origin that cannot be reached.
        """
        assert self._served.is_granted(grant, Action.CREATE), "a grant is used where it was made"
        if (
            terms.key is not None
            and (earlier := await self._repeats.earlier(grant.caller, terms)) is not None
        ):
            return present(earlier[0])
        content = await self._looked_into(body)
        new = NewEntity(content, parent_id, present, is_operator=OPERATOR in grant.caller.roles, terms=terms)
        if grant.rule is not None:
            new.bound = await self._bound(grant, (content,), parent_id)
        if self._terms is not None and isinstance(content, dict):
            await self._terms.check(grant.caller, content)
        batches = self._batches
        if len(body) > SMALL_MAX_BYTES and isinstance(body, bytes):
            await self._prepare_large(new, len(body))
            batches = self._prepared_batches
        if await batches.run(new) is DONE:
            return new.output
        matched_ids = await self._matched_ids(new)
        recalled = await self._context.identifiers.recalled(new.entity["id"]) if new.nonce is None else None
        try:
            result = await self._created(grant.caller, new, matched_ids, recalled)
        except WriteToReplica as replica:
            assert isinstance(body, bytes), "only what a client sent is about a replica"
            place = (None, parent_id, NO_PRECONDITIONS)
            result = await self._sender.send(grant.caller, replica, "POST", *place, terms, body)
        return present(result)

    async def _created(
        self, caller: Caller, new: NewEntity[Any], matched_ids: tuple[str, ...], recalled: bytes | None
    ) -> WriteResult:
        """Create an entity in a transaction of its own.

        Raises:
            WriteToReplica: Its parent, or what it is a task about, is a replica.
        """
        terms = new.terms
        async with self._store.transaction() as tx:
            if (
                terms.key is not None
                and (earlier := await self._repeats.earlier(caller, terms, tx)) is not None
            ):
                return earlier[0]
            parent = await self._served.check_parent(new.parent_id, public_only=False)
            if parent is not None and self._sender.is_able:
                check_is_own(parent, "What it belongs to")
            result = await self._create(tx, new, matched_ids, recalled)
            await self._repeats.record(tx, caller, terms, (result,))
            return result

    async def several(
        self,
        grant: Grant,
        bodies: Sequence[Fields],
        parent_id: str | None = None,
        terms: WriteTerms = PLAIN_TERMS,
    ) -> list[WriteResult]:
        """Create entities in one transaction: all of them or none.

        Raises:
            Refused: As `one` does; also `Code.INVALID`, when they are too many.
            Unavailable: As `one` does.
        """
        assert self._served.is_granted(grant, Action.CREATE), "a grant is used where it was made"
        count_max = self._context.limits.collection_patch_entities_max
        if len(bodies) > count_max:
            raise Refused(Code.INVALID, f"One patch creates at most {count_max} entities.")
        if (
            terms.key is not None
            and (earlier := await self._repeats.earlier(grant.caller, terms)) is not None
        ):
            return list(earlier)
        is_operator = OPERATOR in grant.caller.roles
        bound = None if grant.rule is None else await self._bound(grant, bodies, parent_id)
        if self._terms is not None:
            for body in bodies:
                await self._terms.check(grant.caller, body)
        prepared: list[NewEntity[WriteResult]] = []
        for body in bodies:
            prepared.append(await self.prepared(body, parent_id, bound, is_operator=is_operator))
            await self._context.clock.sleep(0)  # let others in
        matched_ids = [await self._matched_ids(new) for new in prepared]
        async with self._store.transaction() as tx:
            if (
                terms.key is not None
                and (earlier := await self._repeats.earlier(grant.caller, terms, tx)) is not None
            ):
                return list(earlier)
            parent = await self._served.check_parent(parent_id, public_only=False)
            if parent is not None and self._sender.is_able:
                check_is_own(parent, "What they belong to")
            results: list[WriteResult] = []
            for number, each in enumerate(zip(prepared, matched_ids, strict=True), 1):
                results.append(await self._create(tx, *each))
                if number % CREATED_AT_ONCE == 0:
                    await self._context.clock.sleep(0)
            await self._repeats.record(tx, grant.caller, terms, tuple(results))
            return results

    async def create_within(self, tx: Transaction, body: Fields) -> Entity:
        """Create an entity within a transaction, on behalf of the marketplace; for jobs.

        Raises:
            Refused: As `one` does.
        """
        new = await self.prepared(body, None, None, is_operator="create" in self._resource.operator_methods)
        recalled = await self._context.identifiers.recalled(new.entity["id"]) if new.nonce is None else None
        return (await self._create(tx, new, await self._matched_ids(new), recalled)).entity

    # -- the stages -----------------------------------------------------------------------------------------

    async def _parse(self, new: NewEntity[Any]) -> StageOutcome:
        body = new.body
        new.entity = read_object(body, self._context.limits) if isinstance(body, bytes) else body
        return CONTINUE

    async def _complete(self, new: NewEntity[Any]) -> StageOutcome:
        """Check what needs no model, and set what this marketplace sets."""
        entity, resource, context = new.entity, self._resource, self._context
        entity.pop("href", None)
        if None in entity.values():
            new.entity = entity = {name: value for name, value in entity.items() if value is not None}
        entity.setdefault("@type", resource.type)
        if new.bound is not None:
            new.bound.rule.completed(entity)
        violations: list[Violation] = []
        try:
            self._served.validator.check_names(resource.type, entity, entity)
        except InvalidBody as error:
            violations += error.violations
        if "id" not in entity:
            entity["id"], new.nonce = context.identifiers.new(resource.type)
        else:
            new.nonce = None
            check_identifier(entity["id"], context.limits.identifier_length_max_chars, violations)
        type_name = entity["@type"]
        if type_name != resource.type and (
            type(type_name) is not str or type_name in context.models.type_names
        ):
            rule = f"must be {resource.type} or a type derived from it"
            violations.append(Violation("@type", rule, type_name))
        if not new.is_operator and not self._not_settable.isdisjoint(entity):
            violations += [
                Violation(name, "is set by this marketplace", entity[name])
                for name in sorted(entity.keys() & self._not_settable)
            ]
        self._server_fields.set_in_new(entity)
        if violations:
            self._drafts.refuse(entity, None, violations)
        return CONTINUE

    async def _check(self, new: NewEntity[Any]) -> StageOutcome:
        try:
            missing = self._drafts.check(new.entity)
        except InvalidBody:
            self._drafts.refuse(new.entity, None)
            raise
        new.absent = missing
        return CONTINUE

    async def _infer(self, new: NewEntity[Any]) -> StageOutcome:
        """Complete what the store tells of required attributes that are left out."""
        new.missing = await self._drafts.complete(self._store, new.absent) if new.absent else ()
        return CONTINUE

    async def _encode(self, new: NewEntity[Any]) -> StageOutcome:
        try:
            new.body = body = self._drafts.encode(new.entity)
        except InvalidBody:
            self._drafts.refuse(new.entity, None)
            raise
        new.hashlink = hashlink(body)
        return CONTINUE

    async def _index(self, new: NewEntity[Any]) -> StageOutcome:
        assert isinstance(new.body, bytes), "the body is encoded before"
        new.draft = self._drafts.indexed(new.entity, new.body, new.hashlink, new.parent_id, new.nonce)
        return CONTINUE

    async def _check_content(self, new: NewEntity[Any]) -> StageOutcome:
        rules = self._context.rules
        check_new(new.bound, new.entity, is_public=new.draft.public)
        rules.check_content(self._resource, None, new.entity)
        new.words = rules.unknown_words(self._resource, new.entity)
        return CONTINUE

    async def _look_up(self, new: NewEntity[Any]) -> StageOutcome:
        """Look up what it refers to; between this and the next stage nobody else writes."""
        if new.nonce is None or self.tasks is not None or self._served.parent is not None or new.terms.key:
            return SLOW_PATH
        rules = self._context.rules
        if new.draft.public and self._store.pending_ids() and self._refers_to_pending(new.entity):
            return SLOW_PATH
        new.unresolved = await rules.check_references(self._store, self._resource, None, new.entity)
        return CONTINUE

    async def _put(self, new: NewEntity[Any]) -> StageOutcome:
        """Hand it to the store, and make the output that is returned when it has been committed."""
        entity = await self._store.create(new.draft, new.done)
        new.output = new.present(WriteResult(entity, new.unresolved, None, new.words, new.missing))
        return DONE

    async def _prepare_large(self, new: NewEntity[Any], size_bytes: int) -> None:
        """Everything before the look-up of references; what asks neither store nor clock, in a thread."""
        run = self._context.large_work.run

        async def through(*stages: Callable[[NewEntity[Any]], Coroutine[Any, Any, StageOutcome]]) -> None:
            await run(size_bytes, lambda: [unsuspended(stage(new)) for stage in stages])

        await through(self._parse)
        await self._complete(new)
        await through(self._check)
        await self._infer(new)
        await through(self._encode, self._index, self._check_content)

    # -- the slow path --------------------------------------------------------------------------------------

    async def prepared(
        self, body: Fields, parent_id: str | None, bound: BoundRule | None, *, is_operator: bool
    ) -> NewEntity[WriteResult]:
        """A new entity after everything that needs no transaction, outside a batch."""
        new = NewEntity[WriteResult](body, parent_id, lambda result: result, is_operator=is_operator)
        new.bound = bound
        new.entity = body
        for stage in self._preparing:
            outcome = await stage(new)
            assert outcome is CONTINUE, "none of these stages is the last"
        return new

    async def _bound(
        self, grant: Grant, bodies: Sequence[bytes | Fields], parent_id: str | None
    ) -> BoundRule | None:
        """The rule about new entities; None where something that is here decides, which is looked at."""
        if self._served.parent is not None:
            await check_below(self._served, grant.caller, parent_id)
            return None
        task = self._resource.task
        if task is None:
            return await self._served.bound(grant)
        if task.matches is not None:
            raise Refused(Code.FORBIDDEN, "A task that selects entities by patterns is for tokens alone.")
        for body in bodies:
            assert isinstance(body, dict), "what decides stands in the body, which was read"
            ids = target_ids(task, body)
            await check_targets(self._served, self._context, grant.caller, ids)
        return None

    async def _looked_into(self, body: bytes | Fields) -> bytes | Fields:
        """A body, read when the rights or the terms depend on what is in it."""
        if isinstance(body, dict) or (self._terms is None and self._resource.task is None):
            return body
        run, limits = self._context.large_work.run, self._context.limits
        return await run(len(body), lambda: read_object(body, limits))

    async def _matched_ids(self, new: NewEntity[Any]) -> tuple[str, ...]:
        """Identifiers of what the patterns of a task select."""
        return await self.tasks.matched_ids(new.entity) if self.tasks is not None else ()

    async def _create(
        self,
        tx: Transaction,
        new: NewEntity[Any],
        matched_ids: tuple[str, ...],
        recalled: bytes | None = None,
    ) -> WriteResult:
        """Put a new entity and, when it is a task, carry it out."""
        draft = new.draft if new.nonce is not None else await self._with_chosen_id(tx, new.draft, recalled)
        draft, refusal = await held_until_claimed(
            tx, self._context.identifiers, draft, None, self._referenced_ids(new.entity)
        )
        unresolved = await self._context.rules.check_references(tx, self._resource, None, new.entity)
        entity = await tx.add(draft) if new.nonce is None else await tx.create(draft)
        changes = await self.tasks.carry_out(tx, new.entity, matched_ids) if self.tasks is not None else None
        if changes:
            entity = await tx.put(await self._amend(tx, entity, {**new.entity, **changes}))
        return WriteResult(entity, unresolved, refusal, new.words, new.missing)

    def _referenced_ids(self, entity: Fields) -> frozenset[str]:
        """To what an entity refers, as far as some of it may be pending."""
        if not self._store.pending_ids():
            return frozenset()
        return self._context.rules.referenced_ids(self._resource, entity)

    def _refers_to_pending(self, entity: Fields) -> bool:
        return not self._store.pending_ids().isdisjoint(self._referenced_ids(entity))

    async def _with_chosen_id(
        self, tx: Transaction, draft: EntityDraft, recalled: bytes | None
    ) -> EntityDraft:
        """A draft under an identifier of the client, after the checks that it may be used and is free."""
        existing = await tx.entity(draft.id)
        if existing is not None:
            try:
                check_is_own(existing, "An entity with this identifier is here already, and")
            except WriteToReplica as error:
                raise Refused(error.code, error.message) from error  # no create of an entity is forwarded
            raise Refused(Code.CONFLICT, f"There is an entity {existing.id!r} already; change it with PATCH.")
        nonce = await tx.nonce(draft.id) or recalled
        self._context.identifiers.check_chosen(draft.id, nonce)
        return msgspec.structs.replace(draft, nonce=nonce)
