"""Repeated writes: what was written under an idempotency key is returned once more, and nothing is written.

The result is recorded in the transaction of the write, so that no crash comes between them: a write whose
answer was lost is either not done, and done when it is repeated, or done and recorded. Of writes under the
same key that arrive together, one writes, and the others find its result when their turn comes. A refused
write records nothing, for it wrote nothing.

Keys are remembered for `idempotency_lifetime_s`, and for that time for certain: nobody's key is removed to
make room, and no step of the time of day ends one (`key_time`). So a client, or a member that forwards for
its own clients, has a bound on how many there are and how much their results take; beyond it, writes with a
key are refused until the first expires.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

import msgspec

from hansa.business.operations.forwarding.key_time import KeyTime
from hansa.business.operations.forwarding.terms import WriteTerms
from hansa.business.operations.writes import WriteResult
from hansa.core.access import Caller
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.store import Entity, Store, Transaction
from hansa.store.sql import Readable
from hansa.store.tables import audit
from hansa.store.tables.writes import idempotency
from hansa.store.tables.writes.idempotency import ALL, KeyedResult

COMPRESSION_LEVEL: Final = 1
RESULT_SIZE_MAX_BYTES: Final = 65_536
"""Of a recorded result, compressed; of a larger one the identity and the version are recorded."""
RETRY_AFTER_MAX_S: Final = 3600.0

Results = tuple[WriteResult, ...]
_decoder: Final = msgspec.msgpack.Decoder(Results)


class Repeats:
    """What was written under which key.

    Args:
        store: Has the records.
        clock: For their end.
        limits: `idempotency_…`.
        time: By which they end.
    """

    def __init__(self, store: Store, clock: Clock, limits: Limits, time: KeyTime) -> None:
        self._store = store
        self._clock = clock
        self._lifetime_ms = int(limits.idempotency_lifetime_s * 1000)
        self._limits = limits
        self._time = time

    async def earlier(
        self, caller: Caller, terms: WriteTerms, source: Readable | None = None
    ) -> Results | None:
        """What a write under this key wrote before; None when there was none, or there is no key.

        Args:
            caller: Whose key it is.
            terms: The key, and the digest of the request.
            source: The transaction in which it is to be written; None: what is committed.

        Raises:
            Refused: `Code.IDEMPOTENCY_KEY_REUSED`, when the write before was another one.
        """
        if terms.key is None:
            return None
        account, name = _names(caller, terms.key)
        recorded = await idempotency.result(source or self._store, account, name, await self._now_ms())
        if recorded is None:
            return None
        if recorded.fingerprint != terms.fingerprint:
            raise Refused(
                Code.IDEMPOTENCY_KEY_REUSED,
                "Another request was carried out with this Idempotency-Key; make another key for each write.",
            )
        return _decoder.decode(zlib.decompress(recorded.result))

    async def record(self, tx: Transaction, caller: Caller, terms: WriteTerms, results: Results) -> None:
        """Record what a transaction writes under a key, if there is one.

        Raises:
            Unavailable: `Code.OVERLOADED`, when the caller has too many keys; nothing is to be written.
        """
        if terms.key is None:
            return
        limits, now_ms = self._limits, await self._now_ms()
        account, name = _names(caller, terms.key)
        await idempotency.remove_expired(tx, now_ms)
        encoded = _encoded(results)
        for whose, keys_max, size_max_bytes in (
            (account, limits.idempotency_keys_per_caller_max, limits.idempotency_per_caller_max_bytes),
            (ALL, limits.idempotency_keys_max, limits.idempotency_max_bytes),
        ):
            used = await idempotency.account(tx, whose)
            if used.keys >= keys_max or used.size_bytes + len(encoded) > size_max_bytes:
                raise await self._full(tx, account, now_ms)
        keyed = KeyedResult(terms.fingerprint, encoded)
        await idempotency.add(tx, account, name, keyed, now_ms + self._lifetime_ms)
        if caller.member is not None:
            await audit.append(tx, "carried-out", _carried_out(caller, terms))

    async def _full(self, tx: Transaction, account: bytes, now_ms: int) -> Unavailable:
        first_ms = await idempotency.first_expiry_ms(tx, account)
        wait_s = 60.0 if first_ms is None else max(1.0, (first_ms - now_ms) / 1000)
        return Unavailable(
            Code.OVERLOADED,
            "Too many idempotency keys are in use, which are remembered until they expire.",
            min(wait_s, RETRY_AFTER_MAX_S),
        )

    async def _now_ms(self) -> int:
        return await self._time.now_ms(self._store, self._clock, self._lifetime_ms)


def _carried_out(caller: Caller, terms: WriteTerms) -> dict[str, str]:
    """What the audit log tells of a write of a caller at another member, which names it by a pseudonym."""
    assert caller.member is not None, "a member forwards"
    assert caller.subject is not None, "for a caller"
    subject = caller.subject.partition("@")[0]
    return {"digest": terms.fingerprint.hex(), "member": caller.member, "subject": subject}


def _names(caller: Caller, key: str) -> tuple[bytes, bytes]:
    """The account that a key counts against, and its name there."""
    assert caller.subject is not None, "nobody writes without a token"
    whose = f"member\0{caller.member}" if caller.member is not None else f"subject\0{caller.subject}"
    used_by = f"{caller.subject}\0{key}"
    return hashlib.sha256(whose.encode()).digest(), hashlib.sha256(used_by.encode()).digest()


def _encoded(results: Results) -> bytes:
    encoded = zlib.compress(msgspec.msgpack.encode(results), COMPRESSION_LEVEL)
    if len(encoded) <= RESULT_SIZE_MAX_BYTES:
        return encoded
    short = tuple(msgspec.structs.replace(one, entity=_identity(one.entity)) for one in results)
    return zlib.compress(msgspec.msgpack.encode(short), COMPRESSION_LEVEL)


def _identity(entity: Entity) -> Entity:
    """An entity with no more of its content than its identity; the version stays what it was."""
    identity = {"@type": msgspec.json.decode(entity.body)["@type"], "id": entity.id}
    return msgspec.structs.replace(entity, body=msgspec.json.encode(identity))
