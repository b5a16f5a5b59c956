"""Reading transactions and verifying their signatures, once.

A transaction passes here at least four times: when it is submitted, when a block with it is prepared, when that
block is judged, and when it is executed. Reading it and verifying its signatures depend on its bytes and on the
keys alone, so the results are remembered by the hash of the bytes, a bounded number of them. A remembered
verification names the key it was made with: it counts only while the registry holds that very key.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from hansa.core.errors import Code, Refused
from hansa.core.events import LifecycleEvent, read_event
from hansa.core.keys import PublicJwk, VerifyingKey
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.transactions import decode_transaction

REMEMBERED_EVENTS_MAX: Final = 10_000
"""Some 40 MB; several times what the members of a league have under way at once."""

REMEMBERED_KEYS_MAX: Final = 1024


class SignedEvent:
    """An event as it came, with what is known about its signature."""

    __slots__ = ("_verified_with", "event", "jws", "kid")

    def __init__(self, jws: str) -> None:
        """Raises `Refused` with `Code.EVENT_MALFORMED`."""
        self.jws = jws
        self.event: LifecycleEvent
        self.event, self.kid = read_event(jws)
        self._verified_with: PublicJwk | None = None

    def is_verified_with(self, jwk: PublicJwk) -> bool:
        """Whether the signature has been verified with exactly this key."""
        return self._verified_with == jwk

    def remember(self, jwk: PublicJwk) -> None:
        """The signature has been verified with this key."""
        self._verified_with = jwk


class TransactionReader:
    """Turns transaction bytes into events; remembers."""

    def __init__(self, params: LedgerParams, remembered_events_max: int = REMEMBERED_EVENTS_MAX) -> None:
        self._params = params
        self._remembered_events_max = remembered_events_max
        self._transactions: OrderedDict[bytes, tuple[SignedEvent, ...]] = OrderedDict()
        self._events = 0
        self._keys: OrderedDict[PublicJwk, VerifyingKey] = OrderedDict()

    def read(self, raw: bytes) -> tuple[SignedEvent, ...]:
        """The events of a transaction, their form checked, their signatures not yet.

        Raises:
            Refused: the code of what is wrong with the form.
        """
        digest = hashlib.sha256(raw).digest()
        known = self._transactions.get(digest)
        if known is not None:
            self._transactions.move_to_end(digest)
            return known
        events = tuple(SignedEvent(jws) for jws in decode_transaction(raw, self._params).events)
        if len({signed.event.issuer for signed in events}) != 1:
            raise Refused(Code.TRANSACTION_MALFORMED, "A transaction carries events of one issuer alone.")
        self._transactions[digest] = events
        self._events += len(events)
        while self._events > self._remembered_events_max:
            self._events -= len(self._transactions.popitem(last=False)[1])
        return events

    def verify(self, signed: SignedEvent, jwk: PublicJwk) -> None:
        """Check an event's signature.

        Raises:
            Refused: `Code.EVENT_SIGNATURE_INVALID`.
        """
        if not signed.is_verified_with(jwk):
            self._key(jwk).verify(signed.jws)
            signed.remember(jwk)

    def _key(self, jwk: PublicJwk) -> VerifyingKey:
        key = self._keys.get(jwk)
        if key is None:
            key = self._keys[jwk] = VerifyingKey(jwk)
            if len(self._keys) > REMEMBERED_KEYS_MAX:
                self._keys.popitem(last=False)
        return key
