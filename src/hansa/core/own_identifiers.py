"""The identifiers of one marketplace: which it makes, accepts from clients, and has to claim."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from hansa.core.errors import Code, Refused
from hansa.core.identifiers import (
    NONCE_SIZE_BYTES,
    Entropy,
    bound_entity_id,
    is_bound_form,
    is_bound_to,
)
from hansa.core.members import Member, prefix_owner

Recall = Callable[[str], Awaitable[bytes | None]]
"""The nonce that binds an identifier, as far as the ledger has it."""

ID_SHOWN_MAX_CHARS: Final = 300
"""Of an identifier in a message."""


class OwnIdentifiers:
    """Makes and judges identifiers for one marketplace.

    Args:
        did: The marketplace.
        entropy: For nonces.
        members: The members of its league with their prefixes, as far as they are known; without suspending.
        recall: Finds the nonce of an identifier on the ledger, where events of this marketplace carry it.
        has_ledger: Claims are committed on a ledger. Without one there is nobody to race with, so that every
            identifier that the marketplace accepts is its own at once.
    """

    def __init__(
        self,
        did: str,
        entropy: Entropy,
        members: Callable[[], Iterable[Member]] = tuple,
        recall: Recall | None = None,
        *,
        has_ledger: bool = True,
    ) -> None:
        self._did = did
        self._entropy = entropy
        self._members = members
        self._recall = recall
        self._has_ledger = has_ledger

    @property
    def did(self) -> str:
        """The marketplace."""
        return self._did

    def new(self, type_name: str) -> tuple[str, bytes]:
        """A new identifier for an entity of this type, and the nonce that binds it to this marketplace."""
        nonce = self._entropy(NONCE_SIZE_BYTES)
        return bound_entity_id(type_name, self._did, nonce), nonce

    async def recalled(self, entity_id: object) -> bytes | None:
        """The nonce of an identifier that was made here before the store was lost; None of any other.

        Raises:
            Unavailable: The ledger does not answer.
        """
        if self._recall is None or not isinstance(entity_id, str) or not is_bound_form(entity_id):
            return None
        nonce = await self._recall(entity_id)
        return nonce if is_bound_to(entity_id, self._did, nonce) else None

    def check_chosen(self, entity_id: str, nonce: bytes | None) -> None:
        """Check that this marketplace can publish under an identifier that a client has chosen.

        Args:
            entity_id: The identifier.
            nonce: What binds it to this marketplace, when it was made here before.

        Raises:
            Refused: `Code.IDENTIFIER_RESERVED`, saying what to do.
        """
        shown = entity_id[:ID_SHOWN_MAX_CHARS]
        if is_bound_form(entity_id):
            if not is_bound_to(entity_id, self._did, nonce):
                raise Refused(
                    Code.IDENTIFIER_RESERVED,
                    f"{shown!r} has the form of identifiers that a marketplace makes itself, and this one did "
                    'not make it: leave out "id", or choose an identifier of another form.',
                )
            return
        owner = prefix_owner(self._members(), entity_id)
        if owner is not None and owner.did != self._did:
            raise Refused(
                Code.IDENTIFIER_RESERVED,
                f"{shown!r} begins with a prefix that is registered for {owner.name}, the only member that "
                'can publish under it: leave out "id", or choose an identifier that begins otherwise.',
            )

    def needs_claim(self, entity_id: str, nonce: bytes | None) -> bool:
        """Whether an identifier is this marketplace's own only when its claim on it has been committed."""
        if not self._has_ledger or is_bound_to(entity_id, self._did, nonce):
            return False
        owner = prefix_owner(self._members(), entity_id)
        return owner is None or owner.did != self._did
