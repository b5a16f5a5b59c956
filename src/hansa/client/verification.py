"""Verifying events that a marketplace reports, with the keys of a genesis and without trusting its server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hansa.core.batches import EventProof, read_batch, verify_event
from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.events import LifecycleEvent
from hansa.core.keys import VerifyingKey
from hansa.core.members import Member


class EventVerifier:
    """Verifies events by the members' keys.

    Args:
        members: Of the league, as its genesis names them.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = {member.did: member for member in members}

    def verify(self, document: Mapping[str, Any]) -> LifecycleEvent:
        """An event of `/league/v1/events`, which its issuer has signed.

        Raises:
            Refused: `Code.EVENT_SIGNATURE_INVALID`, naming the event's position.
        """
        try:
            event = dict(document["event"])
            issuer = event.pop("issuer")
            event.pop("location", None)
            proof = msgspec.convert(document["proof"], EventProof)
            batch, jws = read_batch(proof.jws)
            member = self._members.get(issuer)
            jwk = member.key(jws.kid) if member is not None else None
            if jwk is None or batch.issuer != issuer:
                raise Refused(Code.EVENT_SIGNATURE_INVALID, "The league's genesis has no such key.")
            return verify_event(canonical_json(event), proof, VerifyingKey(jwk))
        except (KeyError, TypeError, ValueError, msgspec.ValidationError, HansaError) as error:
            reason = error.message if isinstance(error, HansaError) else "Its proof is not of the right form."
            raise Refused(
                Code.EVENT_SIGNATURE_INVALID,
                f"The event at position {document.get('position')!r} does not verify. {reason}",
            ) from error
