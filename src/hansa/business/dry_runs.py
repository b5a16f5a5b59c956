"""Dry runs: what a write would be refused with, without writing; for forms, and for files before import.

Everything that a write goes through is gone through, but for the transaction. What others write meanwhile
can still refuse it, so that whoever writes after a dry run reckons with it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hansa.business.context import Context
from hansa.business.operations.api_operations import ResourceOperations
from hansa.business.operations.writes import NO_PRECONDITIONS, Preconditions, current_entity
from hansa.business.patches import MERGE_PATCH, apply_patch, check_patch
from hansa.business.rights.writing import check_new, guarded
from hansa.core.access import OPERATOR, Caller
from hansa.core.errors import Code, Refused
from hansa.store import Entity

Fields = dict[str, Any]


async def dry_create(
    operations: ResourceOperations, context: Context, caller: Caller, body: Fields
) -> tuple[str, ...]:
    """What creating an entity would be refused with.

    Args:
        operations: Of its resource, which has no parent and is no task.
        context: Of this marketplace.
        caller: Who would create it.
        body: The entity, which is changed.

    Returns:
        The paths of required attributes that it does without.

    Raises:
        Refused: As `CreateOperation.one` does.
    """
    grant = operations.create.authorize(caller)
    bound = await operations.served.bound(grant)
    is_chosen = "id" in body
    new = await operations.create.prepared(body, None, bound, is_operator=OPERATOR in caller.roles)
    if is_chosen and await context.store.entity(new.entity["id"]) is not None:
        raise Refused(Code.CONFLICT, f"There is an entity {new.entity['id']!r} already.")
    await context.rules.check_references(context.store, operations.resource, None, new.entity)
    return new.missing


async def dry_patch(
    operations: ResourceOperations,
    context: Context,
    caller: Caller,
    entity_id: str,
    patch: Fields,
    expected: Preconditions = NO_PRECONDITIONS,
) -> tuple[str, ...]:
    """What a merge patch of an entity would be refused with.

    Returns:
        The paths of required attributes that it would do without.

    Raises:
        Refused: As `UpdateOperation.patch` does.
    """
    grant = operations.update.authorize(caller)
    limits = context.limits
    check_patch(MERGE_PATCH, patch, limits)
    expected = await guarded(operations.served, context, grant, entity_id, None, expected)
    current = await current_entity(context.store, operations.served, entity_id, None, expected)

    def patched(entity: Entity) -> Fields:
        return apply_patch(MERGE_PATCH, msgspec.json.decode(entity.body), patch, limits)

    after = expected.computed(current, patched)
    change = await operations.update.prepared(current, after, is_operator=OPERATOR in caller.roles)
    if change.is_none:
        return ()
    rules = context.rules
    await rules.check_references(context.store, operations.resource, change.before, change.after)
    return change.missing


async def check_may_create(operations: ResourceOperations, caller: Caller) -> None:
    """Refuse whoever could not create an entity here, whatever it says.

    Raises:
        Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN`, `Code.POWER_MISSING`.
    """
    bound = await operations.served.bound(operations.create.authorize(caller))
    if bound is not None:
        fields: Fields = {"@type": operations.resource.type}
        bound.rule.completed(fields)
        check_new(bound, fields, is_public=False)


async def check_may_change(
    operations: ResourceOperations, context: Context, caller: Caller, entity_id: str
) -> Entity:
    """An own entity that a caller may change.

    Raises:
        Refused: `Code.NOT_FOUND`, `Code.FORBIDDEN`, `Code.POWER_MISSING` or `Code.READ_ONLY_REPLICA`.
    """
    grant = operations.update.authorize(caller)
    await guarded(operations.served, context, grant, entity_id, None, NO_PRECONDITIONS)
    return await current_entity(context.store, operations.served, entity_id, None, NO_PRECONDITIONS)
