"""A write to a replica is forwarded to its origin, and what the origin wrote is the result.

What is here is the face of it: the write as the origin gets it, and the origin's answer as a result. Who
sends it, and what becomes of it while the origin cannot be reached, is another layer's
(`hansa.core.forwarding`).

The answer is another marketplace's. Nothing of it is stored.
"""

from __future__ import annotations

from contextlib import suppress

from hansa.business.context import Context
from hansa.business.operations.forwarding.repeats import Repeats
from hansa.business.operations.forwarding.terms import WriteQueued, WriteTerms
from hansa.business.operations.writes import Preconditions, WriteResult, WriteToReplica
from hansa.business.served_resource import ServedResource
from hansa.core.access import Caller
from hansa.core.clock import rfc3339
from hansa.core.errors import Unavailable
from hansa.core.forwarding import KEY_LENGTH_MAX_CHARS, ForwardedWrite, OriginAnswer, QueuedWrite, WriteMethod
from hansa.core.http import JSON
from hansa.core.identifiers import uuid7
from hansa.store import Entity


class WriteSender:
    """Forwards writes of one resource."""

    def __init__(self, served: ServedResource, context: Context) -> None:
        self._served = served
        self._context = context
        self._repeats = Repeats(context.store, context.clock, context.limits, context.key_time)

    @property
    def is_able(self) -> bool:
        """Whether writes are forwarded at all."""
        return self._context.forwarder is not None

    async def send(
        self,
        caller: Caller,
        replica: WriteToReplica,
        method: WriteMethod,
        entity_id: str | None,
        parent_id: str | None,
        expected: Preconditions,
        terms: WriteTerms,
        content: bytes = b"",
        form: str = JSON,
    ) -> WriteResult:
        """Have a write carried out by the origin of a replica; what it wrote.

        Args:
            caller: Who writes, authorized here.
            replica: Why it is not carried out here.
            method: Of the write.
            entity_id: What is written; None of a create.
            parent_id: The parent of a sub-resource.
            expected: What the entity has to be like at the origin.
            terms: The key under which it is carried out once, and whether it may be queued.
            content: JSON.
            form: Media type of the content.

        Raises:
            Refused: As `WriteForwarder.forward`; `Code.READ_ONLY_REPLICA`, when nothing is forwarded.
            Unavailable: As `WriteForwarder.forward`.
            WriteQueued: It waits in the queue.
        """
        forwarder = self._context.forwarder
        if forwarder is None or caller.member is not None:
            raise replica
        write = ForwardedWrite(
            method=method,
            path=self._served.path_of(entity_id, parent_id),
            api=self._served.api.id,
            collection=self._served.resource.collection,
            key=terms.key or uuid7(self._context.clock.now(), self._context.entropy),
            entity=entity_id,
            parent=parent_id,
            form=form,
            versions=None if expected.versions is None else tuple(sorted(expected.versions)),
            unmodified_since=None
            if expected.unmodified_since is None
            else rfc3339(expected.unmodified_since),
            other_versions=tuple(sorted(expected.other_versions)),
            is_absent=expected.is_absent,
            content=content,
        )
        assert len(write.key) <= KEY_LENGTH_MAX_CHARS, "faces bound the keys of clients"
        answer = await forwarder.forward(replica.origin, write, caller, may_queue=terms.may_queue)
        if isinstance(answer, QueuedWrite):
            raise WriteQueued(answer.id)
        result = self._result(answer, write, replica.origin)
        if terms.key is not None:
            with suppress(
                Unavailable
            ):  # the origin has it in any case; this spares asking, and outlasts a deletion
                async with self._context.store.transaction() as tx:
                    await self._repeats.record(tx, caller, terms, () if method == "DELETE" else (result,))
        return result

    def _result(self, answer: OriginAnswer, write: ForwardedWrite, origin: str) -> WriteResult:
        """What the origin says that it wrote."""
        entity = Entity(
            id=answer.id,
            type=write.collection,
            body=answer.body,
            hashlink=answer.hashlink,
            public=answer.is_public,
            origin=origin,
            revision=1,
            parent=write.parent,
            modified=answer.modified or rfc3339(self._context.clock.now()),
        )
        return WriteResult(entity, position=answer.position)
