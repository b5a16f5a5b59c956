"""What all writes share: what they expect of an entity, what they return, that replicas are not written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import msgspec

from hansa.business.rules import UnknownWord, UnresolvedReference
from hansa.business.served_resource import ServedResource
from hansa.core.clock import read_rfc3339
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.store import Entity, EntityDraft, Store, Transaction
from hansa.store.tables import publications


class WriteResult(msgspec.Struct, frozen=True):
    """The entity as it was written."""

    entity: Entity
    unresolved: tuple[UnresolvedReference, ...] = ()
    """References to what is not (yet) here."""
    refusal: str | None = None
    """Of an entity that is to be public: code of the reason why it is not yet; None when it only waits."""
    words: tuple[UnknownWord, ...] = ()
    """Words that its model does not know, where it knows others."""
    missing: tuple[str, ...] = ()
    """Paths of attributes that the model requires and the entity does without."""
    position: int | None = None
    """On the ledger, of the event about it, where its origin waited for that."""


class WriteToReplica(Refused):
    """What is written is a replica: only its origin can change it."""

    def __init__(self, subject: str, origin: str) -> None:
        super().__init__(
            Code.READ_ONLY_REPLICA,
            f"{subject} is a replica: its origin is {origin}, the only marketplace that can change it.",
        )
        self.origin = origin
        """DID."""


Compute = Callable[[Entity], dict[str, Any]]
"""Makes the new content of an entity, from what it is."""


class WriteGuard(Protocol):
    """What a write may be about, and what it may change, beside what its grant says."""

    def check_current(self, current: Entity) -> None:
        """Check what is written, in the transaction of the write.

        Raises:
            Refused: The write may not be about it.
        """

    def computed(self, current: Entity, compute: Compute) -> dict[str, Any]:
        """The new content of what is written, of which no more is read and written than its caller may.

        Raises:
            Refused: As `compute`; `Code.FORBIDDEN`.
        """

    def check_change(self, before: Entity, after: Entity) -> None:
        """Check what it becomes.

        Raises:
            Refused: `Code.FORBIDDEN`; nothing is written.
        """


class Preconditions(msgspec.Struct, frozen=True):
    """Conditions on the current state of an entity: that it is still as it was read (RFC 9110, section 13.1).

    A write goes through only when all of them hold.
    """

    versions: frozenset[str] | None = None
    """Hashlinks of which the entity has one; None when any will do."""
    unmodified_since: datetime | None = None
    """The entity was last written at this second or before."""
    other_versions: frozenset[str] = frozenset()
    """Hashlinks of which the entity has none."""
    is_absent: bool = False
    """There is no entity at all."""
    guard: WriteGuard | None = None
    """Bounds of a write that another member forwarded."""

    def check(self, entity: Entity) -> None:
        """Check the conditions.

        Raises:
            Refused: `Code.PRECONDITION_FAILED`, naming the version that is here; what the guard raises.
        """
        if self.guard is not None:
            self.guard.check_current(entity)
        if self.versions is not None:
            is_other = entity.hashlink not in self.versions
        else:
            is_other = self.unmodified_since is not None and not is_as_of(entity, self.unmodified_since)
        version = f'The entity stands at version "{entity.hashlink}"'
        if is_other:
            raise Refused(Code.PRECONDITION_FAILED, f"{version}; read it again.")
        if self.is_absent or entity.hashlink in self.other_versions:
            raise Refused(Code.PRECONDITION_FAILED, f"{version} already.")

    def computed(self, current: Entity, compute: Compute) -> dict[str, Any]:
        """The new content of an entity.

        Raises:
            Refused: As `compute`; what the guard raises.
        """
        return compute(current) if self.guard is None else self.guard.computed(current, compute)

    def check_change(self, before: Entity, after: Entity) -> None:
        """Check what the entity becomes.

        Raises:
            Refused: What the guard raises.
        """
        if self.guard is not None:
            self.guard.check_change(before, after)


NO_PRECONDITIONS = Preconditions()


def is_as_of(entity: Entity, moment: datetime) -> bool:
    """Whether the entity has not been written after a moment, to the second."""
    return read_rfc3339(entity.modified).replace(microsecond=0) <= moment


async def current_entity(
    source: Store | Transaction,
    served: ServedResource,
    entity_id: str,
    parent_id: str | None,
    expected: Preconditions,
) -> Entity:
    """The entity that a write is about, after every check that does not need its content.

    Raises:
        Refused: `Code.NOT_FOUND`, `Code.READ_ONLY_REPLICA` or `Code.PRECONDITION_FAILED`.
    """
    entity = await source.entity(entity_id)
    if entity is None or entity.type != served.resource.collection or entity.parent != parent_id:
        raise served.not_found(entity_id)
    check_is_own(entity, "The entity")
    if expected is not NO_PRECONDITIONS:
        expected.check(entity)
    return entity


class RefersToPending(Unavailable):
    """An entity that everybody sees cannot refer to one that nobody else sees yet."""


async def held_until_claimed(
    tx: Transaction,
    identifiers: OwnIdentifiers,
    draft: EntityDraft,
    current: Entity | None,
    referenced_ids: frozenset[str] = frozenset(),
) -> tuple[EntityDraft, str | None]:
    """A draft, pending while the claim on its identifier is not committed; and why that was refused.

    Strangers see an entity under a chosen identifier only when the identifier belongs to this marketplace, so
    that nobody can read it here and claim it first. For the same reason they do not see an entity that refers
    to such a one.

    Args:
        tx: In which the draft will be put.
        identifiers: Of this marketplace.
        draft: What the entity becomes.
        current: What it is; None when it is new.
        referenced_ids: To what the draft refers.

    Raises:
        RefersToPending: The entity is public already.
    """
    if not draft.public:
        return draft, None
    pending = await _to_be_claimed(tx, referenced_ids - {draft.id}) if referenced_ids else frozenset[str]()
    if current is not None and current.public:
        if pending:
            raise RefersToPending(
                Code.UNAVAILABLE,
                f"The entity is public, and would tell the identifier {min(pending)!r}, on which the claim of "
                "this marketplace is not committed yet.",
            )
        return draft, None
    nonce = draft.nonce if current is None else current.nonce
    claim = publications.ClaimState(is_committed=True)
    if identifiers.needs_claim(draft.id, nonce):
        claim = await publications.claim_state(tx, draft.id)
    if claim.is_committed and not pending:
        return draft, None
    return msgspec.structs.replace(draft, public=False, is_pending=True), claim.refusal


async def _to_be_claimed(tx: Transaction, ids: frozenset[str]) -> frozenset[str]:
    """Identifiers that nobody else must learn yet; not those that other members have claimed."""
    pending = await tx.pending_among(ids)
    claims = {each: await publications.claim_state(tx, each) for each in pending}
    return frozenset(each for each in pending if claims[each].refusal != Code.IDENTIFIER_CLAIMED)


def check_is_own(entity: Entity, subject: str) -> None:
    """Refuse to write a replica; `subject` begins the message.

    Raises:
        WriteToReplica: It is one.
    """
    if entity.origin is not None:
        raise WriteToReplica(subject, entity.origin)
