"""Deleting an entity, with the sub-resources below it (TMF630 Part 1, chapter 5)."""

from __future__ import annotations

import msgspec

from hansa.business.context import Context
from hansa.business.operations.forwarding.repeats import Repeats
from hansa.business.operations.forwarding.sending import WriteSender
from hansa.business.operations.forwarding.terms import PLAIN_TERMS, WriteTerms
from hansa.business.operations.writes import (
    NO_PRECONDITIONS,
    Preconditions,
    WriteToReplica,
    current_entity,
)
from hansa.business.rights.writing import guarded
from hansa.business.served_resource import ServedResource
from hansa.core.access import Action, Caller, Grant
from hansa.core.errors import Code, Refused
from hansa.store import Entity, Transaction
from hansa.store.tables.subscriptions import note_deletion


class DeleteOperation:
    """Deletes the entities of one resource."""

    def __init__(self, served: ServedResource, context: Context) -> None:
        self._served = served
        self._context = context
        self._repeats = Repeats(context.store, context.clock, context.limits, context.key_time)
        self._sender = WriteSender(served, context)
        self._sub_collections = tuple(
            one.collection
            for one in served.api.resources
            if one.parent_name == served.resource.path and one.embedded is None
        )

    def authorize(self, caller: Caller) -> Grant:
        """The grant to delete entities here.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN` or `Code.METHOD_NOT_ALLOWED`.
        """
        return self._served.authorize(caller, Action.DELETE)

    async def delete(
        self,
        grant: Grant,
        entity_id: str,
        parent_id: str | None = None,
        expected: Preconditions = NO_PRECONDITIONS,
        terms: WriteTerms = PLAIN_TERMS,
    ) -> int | None:
        """Delete an entity and what is below it.

        Args:
            grant: From `authorize`.
            entity_id: Its identifier.
            parent_id: The parent of a sub-resource.
            expected: What the entity has to be like now.
            terms: Under which key it is carried out once, and whether it may be queued.

        Returns:
            Of a replica: position on the ledger of the event about it, where its origin waited for that.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.READ_ONLY_REPLICA`, `Code.PRECONDITION_FAILED`,
                `Code.STILL_REFERENCED`, `Code.IDEMPOTENCY_KEY_REUSED`; `Code.CONFLICT`, when too much is
                below it; of a replica, as `WriteSender.send`.
            Unavailable: `Code.OVERLOADED`, `Code.DISK_FULL` or `Code.UNAVAILABLE`; nothing was deleted.
            WriteQueued: It is a replica, and the deletion waits until its origin can be reached.
        """
        assert self._served.is_granted(grant, Action.DELETE), "a grant is used where it was made"
        expected = await guarded(self._served, self._context, grant, entity_id, parent_id, expected)
        place = (entity_id, parent_id, expected)
        try:
            await self._delete(grant.caller, *place, terms)
        except WriteToReplica as replica:
            result = await self._sender.send(grant.caller, replica, "DELETE", *place, terms)
            return result.position
        except Refused as error:
            if grant.rule is None or error.code is not Code.STILL_REFERENCED:
                raise
            # Of those that do, the caller may not know.
            raise Refused(error.code, f"Other entities refer to {entity_id!r}.") from None
        return None

    async def _delete(
        self,
        caller: Caller,
        entity_id: str,
        parent_id: str | None,
        expected: Preconditions,
        terms: WriteTerms,
    ) -> None:
        async with self._context.store.transaction() as tx:
            if terms.key is not None and await self._repeats.earlier(caller, terms, tx) is not None:
                return
            current = await current_entity(tx, self._served, entity_id, parent_id, expected)
            await self._context.rules.check_delete(tx, self._served.resource, current)
            if await self._delete_below(tx, entity_id):
                # Others were let in, and may refer to it since.
                await self._context.rules.check_delete(tx, self._served.resource, current)
            await self._note(tx, current)
            await tx.delete(entity_id)
            await self._repeats.record(tx, caller, terms, ())

    async def _note(self, tx: Transaction, entity: Entity) -> None:
        """Retain what decides who is notified that an entity was deleted."""
        if self._served.parent is not None:
            return
        fields = msgspec.json.decode(entity.body)
        facts = {name: fields[name] for name in self._served.deciding_attributes if name in fields}
        await note_deletion(tx, entity.id, msgspec.json.encode(facts), was_public=entity.public)

    async def _delete_below(self, tx: Transaction, entity_id: str) -> bool:
        """Delete the sub-resources of an entity, which without it would be at no path.

        Returns:
            Whether others were let in meanwhile.
        """
        if not self._sub_collections:
            return False
        count_max = self._context.limits.sub_resources_deleted_max
        ids = await tx.below(self._sub_collections, entity_id, count_max + 1)
        if len(ids) > count_max:
            raise Refused(
                Code.CONFLICT,
                f"More than {count_max} entities are below {entity_id!r}; too many to delete at once.",
            )
        for each in ids:
            await tx.delete(each)
            await self._context.clock.sleep(0)
        return bool(ids)
