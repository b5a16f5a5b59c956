"""Ledger transactions: their bytes, and the codes by which the ledger refuses them.

A transaction is JSON, tagged by its `kind`. There is exactly one byte string for a transaction and attempt (the one
that our encoder writes), so that nobody can flood the ledger with look-alikes of one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.pubsub.ledger.genesis import LedgerParams

ATTEMPT_MAX: Final = 255
"""Of `EventsTransaction.attempt`: bounds the look-alikes of one batch."""


class EventsTransaction(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="events",
):
    """A batch of one issuer's lifecycle events: all of them or none."""

    events: tuple[str, ...]
    """Compact JWS, in the order in which they take their positions."""
    attempt: Annotated[int, msgspec.Meta(ge=0, le=ATTEMPT_MAX)] = 0
    """Which submission of the batch this is. CometBFT gossips the same bytes to a peer once only, and a peer that was
    starting then has dropped them; other bytes travel again."""


Transaction = EventsTransaction
"""Every kind of transaction; becomes a union with the next kind."""

CODE_NUMBERS: Final = {
    Code.EVENT_MALFORMED: 1,
    Code.EVENT_TOO_LARGE: 2,
    Code.EVENT_ISSUER_UNKNOWN: 3,
    Code.EVENT_SIGNATURE_INVALID: 4,
    Code.EVENT_DUPLICATE: 5,
    Code.EVENT_LOCATION_FOREIGN: 6,
    Code.EVENT_VERSION_BROKEN: 7,
    Code.TRANSACTION_MALFORMED: 8,
    Code.TRANSACTION_TOO_LARGE: 9,
    # Of queries alone.
    Code.INVALID: 100,
    Code.NOT_FOUND: 101,
    Code.TOO_LARGE: 102,
    Code.INTERNAL: 103,
}
"""ABCI result codes (0 is success). The results' hash is part of the next block, so a number never changes."""

NUMBERED_CODES: Final = {number: code for code, number in CODE_NUMBERS.items()}

CODESPACE: Final = "hansa"

# Base64url without padding; both algorithms' signatures have 64 bytes. Base64 decoders overlook foreign characters.
_COMPACT_JWS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")

_decoder = msgspec.json.Decoder(Transaction)
_encoder = msgspec.json.Encoder()


def encode_events(events: Sequence[str], attempt: int = 0) -> bytes:
    """The bytes of an `events` transaction."""
    return _encoder.encode(EventsTransaction(tuple(events), attempt % (ATTEMPT_MAX + 1)))


def decode_transaction(raw: bytes, params: LedgerParams) -> Transaction:
    """A transaction within the ledger's limits; cheapest checks first, because strangers' bytes come here.

    Raises:
        Refused: `Code.TRANSACTION_TOO_LARGE`, `Code.TRANSACTION_MALFORMED`, `Code.EVENT_TOO_LARGE` or
            `Code.EVENT_MALFORMED`.
    """
    if len(raw) > params.transaction_size_max_bytes:
        raise Refused(
            Code.TRANSACTION_TOO_LARGE,
            f"The transaction has {len(raw)} bytes; {params.transaction_size_max_bytes} are allowed.",
        )
    try:
        transaction = _decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(Code.TRANSACTION_MALFORMED, f"This is not a transaction: {error}.") from error
    count = len(transaction.events)
    if not 1 <= count <= params.events_per_transaction_max:
        raise Refused(
            Code.TRANSACTION_MALFORMED if count == 0 else Code.TRANSACTION_TOO_LARGE,
            f"The transaction has {count} events; 1 to {params.events_per_transaction_max} are allowed.",
        )
    for compact in transaction.events:
        if len(compact) > params.event_size_max_bytes:
            raise Refused(
                Code.EVENT_TOO_LARGE,
                f"The event has {len(compact)} bytes; {params.event_size_max_bytes} are allowed.",
            )
        if _COMPACT_JWS.fullmatch(compact) is None:
            raise Refused(Code.EVENT_MALFORMED, "An event is not a compact JSON Web Signature.")
    if _encoder.encode(transaction) != raw:
        raise Refused(Code.TRANSACTION_MALFORMED, "The transaction is not in its one canonical form.")
    return transaction
