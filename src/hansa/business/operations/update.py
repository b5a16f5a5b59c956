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
from hansa.business.operations.forwarding.repeats import Repeats
from hansa.business.operations.forwarding.sending import WriteSender
from hansa.business.operations.forwarding.terms import PLAIN_TERMS, WriteTerms
from hansa.business.operations.writes import (
    NO_PRECONDITIONS,
    Compute,
    Preconditions,
    RefersToPending,
    WriteResult,
    WriteToReplica,
    check_is_own,
    current_entity,
    held_until_claimed,
)
from hansa.business.patches import apply_patch, check_patch
from hansa.business.rights.ordering import ORDER, OrderedTerms
from hansa.business.rights.writing import guarded
from hansa.business.rules import CollectionLookup
from hansa.business.served_resource import ServedResource
from hansa.business.validation.violations import InvalidBody, MissingAttribute, Violation, collected, refuse
from hansa.core.access import OPERATOR, Action, Caller, Grant
from hansa.core.bounded_json import shallow_node_count
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.thread_work import SMALL_MAX_BYTES
from hansa.store import Entity, EntityDraft, Transaction
from hansa.store.tables import publications

TYPE_ATTRIBUTES: Final = frozenset({"@type", "@baseType"})
"""The type of an entity does not change (TMF630 Part 2)."""

Fields = dict[str, Any]

ATTEMPTS_MAX: Final = 5
"""At changing a large entity that others write at the same time."""
NODE_SIZE_BYTES: Final = 50
"""What a node of a change counts beside the bytes of the entity."""


class EntityChange(msgspec.Struct, frozen=True):
    """A change of an entity, as far as it has been computed."""

    current: Entity
    before: Fields
    """What the entity is, decoded."""
    after: Fields
    """What it becomes."""
    is_none: bool = False
    """Both are the same."""
    absent: tuple[MissingAttribute, ...] = ()
    """Required attributes that it leaves out."""
    missing: tuple[str, ...] = ()
    """Paths of those that the store tells nothing of."""
    draft: EntityDraft | None = None
    """What the store takes, where that is known already."""


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
        self._repeats = Repeats(context.store, context.clock, context.limits, context.key_time)
        self._sender = WriteSender(served, context)
        self._terms = OrderedTerms(context) if self._resource.collection == ORDER else None
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
        terms: WriteTerms = PLAIN_TERMS,
    ) -> WriteResult:
        """Replace the content of an entity.

        Args:
            grant: From `authorize`.
            entity_id: Its identifier.
            body: All of its new content; what only this marketplace sets, or a create, stays as it is when
                left out.
            parent_id: The parent of a sub-resource.
            expected: What the entity has to be like now.
            terms: Under which key it is carried out once, and whether it may be queued.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.READ_ONLY_REPLICA`, `Code.PRECONDITION_FAILED`, `Code.INVALID`,
                `Code.IDEMPOTENCY_KEY_REUSED` or a code of the rules; of a replica, as `WriteSender.send`.
            Unavailable: `Code.OVERLOADED`, `Code.DISK_FULL` or `Code.UNAVAILABLE`; nothing was written.
            WriteQueued: It is a replica, and the write waits until its origin can be reached.
        """
        assert self._served.is_granted(grant, Action.CHANGE), "a grant is used where it was made"
        if body.get("id", entity_id) != entity_id:
            refuse([Violation("id", "must be the identifier in the path", body["id"])])
        expected = await guarded(self._served, self._context, grant, entity_id, parent_id, expected)
        size_bytes = NODE_SIZE_BYTES * shallow_node_count(body)
        place = (entity_id, parent_id, expected)
        compute = partial(self._replacement, body=body)
        try:
            return await self._changed(grant, *place, terms, compute, size_bytes)
        except WriteToReplica as replica:
            content = msgspec.json.encode(body)
            return await self._sender.send(grant.caller, replica, "PUT", *place, terms, content)

    async def patch(
        self,
        grant: Grant,
        entity_id: str,
        form: str,
        patch: Any,
        parent_id: str | None = None,
        expected: Preconditions = NO_PRECONDITIONS,
        terms: WriteTerms = PLAIN_TERMS,
    ) -> WriteResult:
        """Patch an entity.

        Args:
            grant: From `authorize`.
            entity_id: Its identifier.
            form: What the patch is; one of `hansa.business.patches.MEDIA_TYPES`.
            patch: The patch, a JSON value.
            parent_id: The parent of a sub-resource.
            expected: What the entity has to be like now.
            terms: Under which key it is carried out once, and whether it may be queued.

        Raises:
            Refused: As `replace` does; also `Code.CONFLICT`, when the patch does not fit the entity.
            Unavailable: As `replace` does.
        """
        assert self._served.is_granted(grant, Action.CHANGE), "a grant is used where it was made"
        limits = self._context.limits
        check_patch(form, patch, limits)
        expected = await guarded(self._served, self._context, grant, entity_id, parent_id, expected)

        def patched(current: Entity) -> Fields:
            return apply_patch(form, msgspec.json.decode(current.body), patch, limits)

        size_bytes = NODE_SIZE_BYTES * shallow_node_count(patch)
        place = (entity_id, parent_id, expected)
        try:
            return await self._changed(grant, *place, terms, patched, size_bytes)
        except WriteToReplica as replica:
            content = msgspec.json.encode(patch)
            return await self._sender.send(grant.caller, replica, "PATCH", *place, terms, content, form)

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
            change = self._checked_change(
                current, self._replacement(current, dict(body)), is_operator=is_operator
            )
            await self._check_terms(change)
            return (await self._put(tx, await self._inferred(tx, change))).entity
        except RefersToPending as error:
            # What it refers to can be in the same transaction, so that repeating this one is no use.
            raise Refused(Code.CONFLICT, error.message) from error

    async def amended(self, tx: Transaction, current: Entity, after: Fields) -> EntityDraft:
        """What an entity becomes when this marketplace itself changes it, including what no client may set.

        Raises:
            Refused: Model or rules do not allow it, or it is a replica.
        """
        check_is_own(current, "The entity")
        change = await self._inferred(
            tx, self._checked(current, msgspec.json.decode(current.body), dict(after))
        )
        await self._context.rules.check_references(tx, self._resource, change.before, change.after)
        return (await self._held(tx, self._draft(change), current, change.after))[0]

    def address(self, entity_id: str) -> str:
        """Where an entity of a resource without parent is served."""
        return self._served.representation(None).address(entity_id)

    async def prepared(self, current: Entity, after: Fields, *, is_operator: bool) -> EntityChange:
        """A change of an own entity after everything that needs no transaction.

        Raises:
            Refused: `Code.INVALID`, or a code of the rules.
        """
        change = self._checked_change(current, after, is_operator=is_operator)
        if change.is_none:
            return change
        change = await self._inferred(self._store, change)
        return msgspec.structs.replace(change, draft=self._draft(change))

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

    async def _changed(
        self,
        grant: Grant,
        entity_id: str,
        parent_id: str | None,
        expected: Preconditions,
        terms: WriteTerms,
        compute: Compute,
        size_bytes: int,
    ) -> WriteResult:
        """EntityChange an entity to what `compute` makes of it.

        Where the entity or the change is large, that is computed before the transaction, in a thread, and
        again when somebody else has written the entity meanwhile: neither the event loop nor other writes
        wait for it.
        """
        is_operator, repeats, caller = OPERATOR in grant.caller.roles, self._repeats, grant.caller
        if terms.key is not None and (earlier := await repeats.earlier(caller, terms)) is not None:
            return earlier[0]
        for _ in range(ATTEMPTS_MAX):
            seen = await self._store.entity(entity_id)
            if seen is None or len(seen.body) + size_bytes <= SMALL_MAX_BYTES:
                break
            change = await self._computed(seen, compute, size_bytes, expected, is_operator=is_operator)
            async with self._store.transaction() as tx:
                if (
                    terms.key is not None
                    and (earlier := await repeats.earlier(caller, terms, tx)) is not None
                ):
                    return earlier[0]
                current = await current_entity(tx, self._served, entity_id, parent_id, expected)
                if current.revision == seen.revision:
                    await self._check_terms(change)
                    result = await self._put(tx, change)
                    expected.check_change(current, result.entity)
                    await repeats.record(tx, caller, terms, (result,))
                    return result
        else:
            raise Unavailable(
                Code.UNAVAILABLE, f"{entity_id!r} is written by others all the time; try again."
            )
        async with self._store.transaction() as tx:
            if terms.key is not None and (earlier := await repeats.earlier(caller, terms, tx)) is not None:
                return earlier[0]
            current = await current_entity(tx, self._served, entity_id, parent_id, expected)
            change = self._checked_change(
                current, expected.computed(current, compute), is_operator=is_operator
            )
            await self._check_terms(change)
            result = await self._put(tx, await self._inferred(tx, change))
            expected.check_change(current, result.entity)
            await repeats.record(tx, caller, terms, (result,))
            return result

    async def _check_terms(self, change: EntityChange) -> None:
        """Refuse a change of an order that the terms of what it orders then do not allow."""
        if self._terms is not None and not change.is_none:
            await self._terms.check_change(change.before, change.after)

    async def _computed(
        self,
        seen: Entity,
        compute: Compute,
        size_bytes: int,
        expected: Preconditions,
        *,
        is_operator: bool,
    ) -> EntityChange:
        """A change of a large entity, up to what needs the transaction."""
        if seen.type != self._resource.collection or seen.origin is not None:
            return EntityChange(seen, {}, {})  # the transaction refuses it
        if expected is not NO_PRECONDITIONS:
            expected.check(seen)
        run, size_bytes = self._context.large_work.run, len(seen.body) + size_bytes

        def checked() -> EntityChange:
            after = expected.computed(seen, compute)
            return self._checked_change(seen, after, is_operator=is_operator)

        change = await self._inferred(self._store, await run(size_bytes, checked))
        if change.is_none:
            return change
        draft = await run(size_bytes, lambda: self._draft(change))
        return msgspec.structs.replace(change, draft=draft)

    def _checked_change(self, current: Entity, after: Fields, *, is_operator: bool) -> EntityChange:
        """A change that a client wants, with the server's fields, checked against the model."""
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
            return EntityChange(current, before, after, is_none=True)
        return self._checked(current, before, after)

    def _checked(self, current: Entity, before: Fields, after: Fields) -> EntityChange:
        """New content of an entity with the server's fields, checked against the model."""
        self._server_fields.set_in_changed(before, after)
        try:
            return EntityChange(current, before, after, absent=self._drafts.check(after))
        except InvalidBody:
            self._drafts.refuse(after, before)
            raise

    async def _inferred(self, lookup: CollectionLookup, change: EntityChange) -> EntityChange:
        """A change with what the store tells of required attributes that it leaves out."""
        if not change.absent:
            return change
        missing = await self._drafts.complete(lookup, change.absent)
        return msgspec.structs.replace(change, missing=missing)

    def _draft(self, change: EntityChange) -> EntityDraft:
        """What the store takes of a change that was checked against the model; checks the other rules."""
        try:
            draft = self._drafts.draft(change.after, change.current.parent)
            self._context.rules.check_content(self._resource, change.before, change.after)
        except InvalidBody:
            self._drafts.refuse(change.after, change.before)
            raise
        assert draft.id == change.current.id, "an entity keeps its identifier"
        return draft

    async def _put(self, tx: Transaction, change: EntityChange) -> WriteResult:
        """Put new content of an entity that is as it was when the change was made."""
        current, after, rules = change.current, change.after, self._context.rules
        if change.is_none:
            refusal = (await publications.claim_state(tx, current.id)).refusal if current.pending else None
            return WriteResult(current, refusal=refusal)
        draft = change.draft or self._draft(change)
        unresolved = await rules.check_references(tx, self._resource, change.before, after)
        draft, refusal = await self._held(tx, draft, current, after)
        words = rules.unknown_words(self._resource, after)
        return WriteResult(await tx.put(draft), unresolved, refusal, words, change.missing)

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
