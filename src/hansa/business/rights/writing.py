"""Writes of callers who have rights to some entities: what is looked at before anything is written."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hansa.business.context import Context
from hansa.business.operations.writes import Preconditions
from hansa.business.rights.bound import BoundRule
from hansa.business.rights.guarding import RightsGuard
from hansa.business.served_resource import ID_SHOWN_MAX_CHARS, ServedResource
from hansa.core.access import Action, Caller, Grant
from hansa.core.errors import Code, Refused


async def guarded(
    served: ServedResource,
    context: Context,
    grant: Grant,
    entity_id: str,
    parent_id: str | None,
    expected: Preconditions,
) -> Preconditions:
    """The conditions of a write, with the bounds of its grant.

    Whether the entity as it is may be written is looked at before anything else, and once more in the
    transaction: of a replica, before its origin is asked.

    Raises:
        Refused: `Code.NOT_FOUND`, `Code.FORBIDDEN` or `Code.POWER_MISSING`.
    """
    if grant.rule is None:
        return expected
    if served.parent is not None:
        await check_below(served, grant.caller, parent_id)
        return expected
    bound = await served.bound(grant)
    assert bound is not None, "the grant has a rule"
    seen = await context.store.entity(entity_id)
    if seen is None or seen.type != served.resource.collection:
        raise served.not_found(entity_id)
    try:
        bound.check(msgspec.json.decode(seen.body), is_public=seen.public)
    except Refused as error:
        raise served.not_found(entity_id) if error.code is Code.NOT_FOUND else error from None
    return msgspec.structs.replace(expected, guard=RightsGuard(bound, expected.guard))


async def check_below(served: ServedResource, caller: Caller, parent_id: str | None) -> None:
    """Refuse a write below an entity that the caller may not change.

    Raises:
        Refused: `Code.NOT_FOUND`, `Code.FORBIDDEN` or `Code.POWER_MISSING`.
    """
    bound = await served.bound_to_parent(caller, Action.CHANGE)
    if bound is None:
        return
    parent = await served.parent_entity(parent_id)
    try:
        bound.check(msgspec.json.decode(parent.body), is_public=parent.public)
    except Refused as error:
        raise served.no_parent(parent_id) if error.code is Code.NOT_FOUND else error from None


async def check_targets(served: ServedResource, context: Context, caller: Caller, ids: Iterable[str]) -> None:
    """Refuse a task about entities that the caller may not have it carried out on, or about none.

    What is not here and what the caller may not read are refused alike.

    Raises:
        Refused: `Code.NOT_FOUND`, `Code.FORBIDDEN` or `Code.POWER_MISSING`.
    """
    named = sorted(ids)
    if not named:
        raise Refused(Code.FORBIDDEN, "The task names nothing that it is about.")
    entities = await context.store.entities(named)
    for each in named:
        entity = entities.get(each)
        unknown = Refused(
            Code.NOT_FOUND, f"There is no {each[:ID_SHOWN_MAX_CHARS]!r} here that the task can change."
        )
        if entity is None or entity.parent is not None:
            raise unknown
        fields = msgspec.json.decode(entity.body)
        bound = await served.bound_to_target_of_task(caller, entity.type)
        if bound is None:
            continue
        readable = await served.reads_of(caller, entity.type)
        if readable is not None and not readable.admits(entity):
            raise unknown
        bound.check(fields, is_public=entity.public)


def check_new(bound: BoundRule | None, fields: dict[str, object], *, is_public: bool) -> None:
    """Refuse a new entity that the caller may not create.

    Raises:
        Refused: `Code.FORBIDDEN` or `Code.POWER_MISSING`.
    """
    if bound is not None:
        bound.check(fields, is_public=is_public)
