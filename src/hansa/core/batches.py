"""Batches: lifecycle events that their issuer signs together, and the proof of one of them.

A batch is a compact JWS with a JAdES B-B header (ETSI TS 119 182-1: `alg`, `cty`, `iat`, `kid`, `typ`) over

    {"count": how many events, "issuer": DID, "root": of their contents, "seq": number of the batch}

`root` is the Merkle root (RFC 6962) over the events' contents in their order. One signature covers them all,
and each event is verifiable on its own: its content, its path to the root, and that JWS. `seq` grows strictly
for an issuer, so the ledger recognizes a repeated or outdated batch before it verifies anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.core.clock import Clock, epoch_s
from hansa.core.closed_json import Integer, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.events import LifecycleEvent, decode_event
from hansa.core.identifiers import DID_PATTERN
from hansa.core.jws import CompactJws, jades_header, read_compact
from hansa.core.keys import KeySigner, VerifyingKey
from hansa.core.merkle import inclusion_proofs, leaf_hash, root, verify_inclusion

BATCH_CONTENT_TYPE: Final = "application/vnd.hansa.events+json"
BATCH_HEADER: Final = jades_header(BATCH_CONTENT_TYPE)
JWS_TYPE: Final = "jose"

EVENTS_MAX: Final = 65_536
"""In a batch of any ledger; the parameters of a league allow fewer."""
SEQ_MAX: Final = 2**53 - 1

_PATH_LENGTH_MAX: Final = 16
BATCH: Final = Record(
    {
        "count": Integer(1, EVENTS_MAX),
        "issuer": Text(DID_PATTERN),
        "root": Text("[0-9a-f]{64}"),
        "seq": Integer(1, SEQ_MAX),
    }
)
"""What the issuer signs, as bytes."""


class Batch(msgspec.Struct, frozen=True):
    """What the issuer signs."""

    count: int
    issuer: str
    root: str
    """Hex."""
    seq: int


class EventProof(msgspec.Struct, frozen=True):
    """Shows, with an event's content, that the issuer signed it."""

    jws: str
    """Of the batch; compact."""
    index: int
    """Place of the event in the batch, from 0."""
    path: tuple[str, ...]
    """From the event's leaf to the root (RFC 6962, section 2.1.1); hex."""


class BatchSigner:
    """Signs the batches of one member.

    Args:
        key: The ledger's registry holds the public half of what it signs with.
        issuer: The member's DID.
        clock: For the claimed signing time.
    """

    def __init__(self, key: KeySigner, issuer: str, clock: Clock) -> None:
        self._key = key
        self.issuer = issuer
        self._clock = clock

    def sign(self, contents: Sequence[bytes], seq: int) -> str:
        """The batch of these events as a compact JWS."""
        payload = BATCH.write(
            {
                "count": len(contents),
                "issuer": self.issuer,
                "root": contents_root(contents).hex(),
                "seq": seq,
            }
        )
        signed_at = epoch_s(self._clock)
        return self._key.sign(payload, BATCH_HEADER, cty=BATCH_CONTENT_TYPE, iat=signed_at, typ=JWS_TYPE)


def contents_root(contents: Sequence[bytes]) -> bytes:
    """The Merkle root over events' contents."""
    return root([leaf_hash(content) for content in contents])


def read_batch(compact: str) -> tuple[Batch, CompactJws]:
    """The batch inside a JWS, and the JWS that is still to be verified.

    The header's form keeps a signature that was made for another purpose from passing as a batch.

    Raises:
        Refused: `Code.TRANSACTION_MALFORMED`.
    """
    try:
        jws = read_compact(compact, BATCH_HEADER)
        return Batch(**BATCH.read(jws.payload)), jws
    except Refused as error:
        raise Refused(Code.TRANSACTION_MALFORMED, "The batch is not in its one canonical form.") from error


def event_proofs(jws: str, contents: Sequence[bytes]) -> tuple[EventProof, ...]:
    """The proofs of all events of a batch."""
    paths = inclusion_proofs([leaf_hash(content) for content in contents])
    return tuple(
        EventProof(jws, index, tuple(node.hex() for node in path)) for index, path in enumerate(paths)
    )


def verify_event(content: bytes, proof: EventProof, key: VerifyingKey | None) -> LifecycleEvent:
    """The event that the owner of a key has signed; without a key, the signature is left to others.

    Raises:
        Refused: `Code.TRANSACTION_MALFORMED`, `Code.EVENT_MALFORMED`, `Code.EVENT_SIGNATURE_INVALID`.
    """
    batch, jws = read_batch(proof.jws)
    if key is not None:
        key.verify(jws)
    try:
        path = [bytes.fromhex(node) for node in proof.path[: _PATH_LENGTH_MAX + 1]]
    except ValueError:
        path = []
    is_part = len(path) <= _PATH_LENGTH_MAX and verify_inclusion(
        leaf_hash(content), proof.index, batch.count, path, bytes.fromhex(batch.root)
    )
    if not is_part:
        raise Refused(Code.EVENT_SIGNATURE_INVALID, "The event is not part of the batch that was signed.")
    return decode_event(content, batch.issuer)
