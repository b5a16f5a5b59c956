"""Verifying events that a marketplace reports, by the keys that were their issuers' at their positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from hansa.core.batches import EventProof, read_batch, verify_event
from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.events import LifecycleEvent
from hansa.core.keys import PublicJwk, VerifyingKey
from hansa.core.members import Member


class KeySource(Protocol):
    """Knows with which keys members could sign events."""

    async def key(self, did: str, kid: str, position: int) -> PublicJwk | None:
        """The key of that name with which a member could sign the event at a position; None: it had none.

        Raises:
            Refused: what it learned proves nothing.
            Unavailable: it cannot be known now.
        """


class MemberKeys:
    """The keys of some members, for whom they are valid at every position.

    Args:
        members: As a genesis names them, say.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = {member.did: member for member in members}

    async def key(self, did: str, kid: str, position: int) -> PublicJwk | None:
        """See `KeySource.key`."""
        del position
        member = self._members.get(did)
        return None if member is None else member.key(kid)


class EventVerifier:
    """Verifies events.

    Args:
        keys: Of their issuers.
    """

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys

    async def verify(self, document: Mapping[str, Any]) -> LifecycleEvent:
        """An event of `/league/v1/events`, which its issuer has signed with a key that was valid then.

        Raises:
            Refused: `Code.EVENT_SIGNATURE_INVALID`, naming the event's position.
            Unavailable: whether it was valid cannot be known now.
        """
        try:
            event = dict(document["event"])
            issuer = event.pop("issuer")
            event.pop("location", None)
            proof = msgspec.convert(document["proof"], EventProof)
            position = msgspec.convert(document["position"], int)
            batch, jws = read_batch(proof.jws)
            if batch.issuer != issuer:
                raise Refused(Code.EVENT_SIGNATURE_INVALID, "Its batch is of another issuer.")
            jwk = await self._keys.key(issuer, jws.kid, position)
            if jwk is None:
                raise Refused(
                    Code.EVENT_SIGNATURE_INVALID, f"Its issuer had no key {jws.kid} at that position."
                )
            return verify_event(canonical_json(event), proof, VerifyingKey(jwk))
        except Unavailable:
            raise
        except (KeyError, TypeError, ValueError, msgspec.ValidationError, HansaError) as error:
            reason = error.message if isinstance(error, HansaError) else "Its proof is not of the right form."
            raise Refused(
                Code.EVENT_SIGNATURE_INVALID,
                f"The event at position {document.get('position')!r} does not verify. {reason}",
            ) from error
