"""A write that another member forwarded, carried out here, where the entity has its origin.

It passes the same operations as every other write, for a caller that acts through a member: what such a
caller may do was decided before (`hansa.core.forwarding.DelegationPolicy`). Only what can be a write to a
replica is carried out: a change or deletion of an entity that the member has, as everybody or as a recipient;
a sub-resource of such a one; a task about such entities, which it names. What is a replica here is refused,
and never forwarded again. Whether the member has it is looked at before anything else and once more in the
transaction of the write.

For whom an entity is, no forwarded write changes: a recipient would let others in, or keep them out, who are
parties as it is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from hansa.business.jobs.files import is_job
from hansa.business.models.confidentiality import CONFIDENTIAL_TYPES
from hansa.business.operations.api_operations import ApiOperations, ResourceOperations
from hansa.business.operations.forwarding.terms import WriteTerms
from hansa.business.operations.tasks import target_ids
from hansa.business.operations.writes import Compute, Preconditions, WriteResult, check_is_own
from hansa.business.patches import MEDIA_TYPES
from hansa.business.served_resource import ServedResource
from hansa.business.visibility import PublicParts
from hansa.core.access import Caller
from hansa.core.bounded_json import read_json, read_object
from hansa.core.errors import Code, Refused
from hansa.core.forwarding import ForwardedWrite, OriginAnswer, WriteMethod
from hansa.core.instants import moment
from hansa.core.limits import Limits
from hansa.core.parties import parties_of
from hansa.core.visibility import visibility_of
from hansa.store import Entity, Store

_METHODS: Final[dict[WriteMethod, frozenset[str]]] = {
    "POST": frozenset({"create"}),
    "PATCH": frozenset({"patch"}),
    "PUT": frozenset({"patch", "replace"}),
    "DELETE": frozenset({"delete"}),
}
"""The methods of a model of which a resource needs one."""


PartFor = Callable[[str, Entity], Entity | None]
"""What of an entity a member, by its DID, has or may have; None: nothing."""


class _Bounds:
    """What a member may read and write of an entity; a `WriteGuard`."""

    def __init__(self, member: str, part_for: PartFor, parts: PublicParts, served: ServedResource) -> None:
        self._member = member
        self._parts = parts
        self._part_for = part_for
        self._served = served

    def check_current(self, current: Entity) -> None:
        """See `WriteGuard`; of a sub-resource, its parent was looked at.

        Raises:
            Refused: `Code.NOT_FOUND`, as of what is not here.
        """
        if current.parent is None and self._part_for(self._member, current) is None:
            raise self._served.not_found(current.id)

    def computed(self, current: Entity, compute: Compute) -> dict[str, Any]:
        """See `WriteGuard`: private attributes are neither read (a patch may copy) nor written."""
        private = self._parts.private_attributes(current.type)
        if not private:
            return compute(current)
        after = compute(self._parts.public_part(current))
        if not private.isdisjoint(after):
            raise Refused(
                Code.FORBIDDEN,
                f"{min(private.intersection(after))} is private, and written at the origin alone.",
            )
        before = msgspec.json.decode(current.body)
        return after | {name: value for name, value in before.items() if name in private}

    def check_change(self, before: Entity, after: Entity) -> None:
        """See `WriteGuard`."""
        if _audience(before) != _audience(after):
            raise Refused(
                Code.FORBIDDEN,
                "For whom an entity is (visibleTo, or the parties of a confidential one) cannot be changed from elsewhere.",
            )


def _audience(entity: Entity) -> object:
    """What an entity says of those for whom it is."""
    if entity.type in CONFIDENTIAL_TYPES:
        return frozenset(map(frozenset, parties_of(entity.body)))
    return visibility_of(entity.body)


class ForwardedWrites:
    """Carries out what other members forward.

    Args:
        apis: The operations of all APIs.
        store: For what is written.
        parts: Which part of an entity other members get.
        part_for: What of an entity a member has; None: it has no business with it.
        limits: Of bodies.
    """

    def __init__(
        self,
        apis: Iterable[ApiOperations],
        store: Store,
        parts: PublicParts,
        part_for: PartFor,
        limits: Limits,
    ) -> None:
        self._apis = {one.api.id: one for one in apis}
        self._store = store
        self._parts = parts
        self._part_for = part_for
        self._limits = limits

    async def carry_out(self, write: ForwardedWrite, caller: Caller) -> OriginAnswer:
        """Carry out a write for a caller at another member, and say what was written.

        Raises:
            Refused: As the operations do; `Code.INVALID`, when it is about nothing that is served here.
            Unavailable: As the operations do; nothing was written.
        """
        assert caller.member is not None, "whoever forwards is known"
        one = self._operations(write)
        await self._check_visible(write, one, caller.member)
        terms = WriteTerms(write.key, hashlib.sha256(msgspec.json.encode(write)).digest())
        if write.method == "POST":
            await self._check_targets(write, one, caller.member)
            return self._answer(await self._create(one, write, caller, terms))
        assert write.entity is not None, "checked before"
        bounds = _Bounds(caller.member, self._part_for, self._parts, one.served)
        expected = self._expected(write, await self._store.entity(write.entity), bounds)
        if write.method == "DELETE":
            grant = one.delete.authorize(caller)
            await one.delete.delete(grant, write.entity, write.parent, expected, terms)
            return OriginAnswer(id=write.entity)
        grant = one.update.authorize(caller)
        place = (write.parent, expected, terms)
        if write.method == "PUT":
            body = read_object(write.content, self._limits)
            return self._answer(await one.update.replace(grant, write.entity, body, *place))
        patch = read_json(write.content, self._limits)
        return self._answer(await one.update.patch(grant, write.entity, write.form, patch, *place))

    def _operations(self, write: ForwardedWrite) -> ResourceOperations:
        """The operations of the resource that a write is about.

        Raises:
            Refused: `Code.INVALID` or `Code.METHOD_NOT_ALLOWED`.
        """
        api = self._apis.get(write.api)
        one = None if api is None else api.by_collection.get(write.collection)
        if one is None or is_job(one.resource):
            raise Refused(Code.INVALID, "There is no such resource here.")
        resource = one.resource
        if _METHODS[write.method].isdisjoint(resource.methods):
            raise Refused(Code.METHOD_NOT_ALLOWED, "This resource has no such method.")
        is_create = write.method == "POST"
        if is_create and one.served.parent is None and resource.task is None:
            raise Refused(Code.INVALID, "Creating this is no write to a replica.")
        if is_create != (write.entity is None) or (one.served.parent is None) != (write.parent is None):
            raise Refused(Code.INVALID, "The write does not say what it is about.")
        if write.path != one.served.path_of(write.entity, write.parent):
            raise Refused(Code.INVALID, "The path is not that of what the write is about.")
        if write.method == "PATCH" and write.form not in MEDIA_TYPES:
            raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, "There is no such form of a patch.")
        return one

    async def _create(
        self, one: ResourceOperations, write: ForwardedWrite, caller: Caller, terms: WriteTerms
    ) -> WriteResult:
        grant = one.create.authorize(caller)
        return await one.create.one_as(grant, write.content, write.parent, lambda result: result, terms)

    async def _check_visible(self, write: ForwardedWrite, one: ResourceOperations, member: str) -> None:
        """Refuse what is about an entity that the member may not have, or about a sub-resource of such a one.

        One that does not exist may have been deleted by the very write that is repeated: the operation
        decides.

        Raises:
            Refused: `Code.NOT_FOUND`; `Code.READ_ONLY_REPLICA`, when its origin is another marketplace.
        """
        subject_id = write.parent if write.parent is not None else write.entity
        if subject_id is None:
            return
        subject = await self._store.entity(subject_id)
        if subject is None:
            return
        if self._part_for(member, subject) is None:
            raise one.served.not_found(subject_id)
        check_is_own(subject, "The entity")

    async def _check_targets(self, write: ForwardedWrite, one: ResourceOperations, member: str) -> None:
        """Refuse a task that would change what the member may not have, or what it does not name.

        What is not here and what is hidden are refused alike, so that nothing is learned of what is hidden.

        Raises:
            Refused: `Code.NOT_FOUND`; `Code.FORBIDDEN`, when patterns select what it changes; of the content.
        """
        task = one.resource.task
        if task is None:
            return
        if task.matches is not None:
            raise Refused(Code.FORBIDDEN, "A task that selects entities by patterns is not forwarded.")
        ids = target_ids(task, read_object(write.content, self._limits))
        entities = await self._store.entities(tuple(ids))
        for each in sorted(ids):
            if each not in entities or self._part_for(member, entities[each]) is None:
                raise Refused(Code.NOT_FOUND, f"There is no {each[:300]!r} here that the task can change.")

    def _expected(self, write: ForwardedWrite, current: Entity | None, bounds: _Bounds) -> Preconditions:
        """The conditions of a write, on the whole entity where they are on the part that others get."""
        versions = None if write.versions is None else frozenset(write.versions)
        others = frozenset(write.other_versions)
        if current is not None and current.origin is None:
            part = self._parts.published(current).hashlink
            if versions is not None and part in versions:
                versions |= {current.hashlink}
            if part in others:
                others |= {current.hashlink}
        moment = _moment(write.unmodified_since)
        return Preconditions(versions, moment, others, write.is_absent, bounds)

    def _answer(self, result: WriteResult) -> OriginAnswer:
        part = self._parts.published(result.entity)
        return OriginAnswer(part.id, part.hashlink, part.body, part.modified, part.public)


def _moment(text: str | None) -> datetime | None:
    """A moment of a condition.

    Raises:
        Refused: `Code.INVALID`.
    """
    if text is None:
        return None
    at = moment(text)
    if at is None:
        raise Refused(Code.INVALID, "unmodified_since is no date-time.")
    return at
