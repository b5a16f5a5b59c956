"""What the ledger stores and hashes of issuers, validators and misbehavior, each in its closed form.

A new field has a default and an optional form, so that it changes no bytes that were stored before.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hansa.core.batches import SEQ_MAX
from hansa.core.closed_json import Integer, Record, Text
from hansa.core.closed_structs import StructForm
from hansa.core.identifiers import DID_PATTERN
from hansa.core.members import POWER_MAX, VALIDATOR_KEY_PATTERN, VALIDATOR_KEY_PATTERN_3
from hansa.pubsub.ledger_records import Misbehavior

_NUMBER: Final = Integer(0, 2**53 - 1)
_ADDRESS: Final = Text("[0-9a-f]{40}")
_ADDRESS_SIZE_BYTES: Final = 20


class IssuerState(msgspec.Struct, frozen=True):
    """What the ledger remembers of an issuer's batches."""

    did: str
    seq: int = 0
    """Of its last batch."""
    events_level: int = 0
    """Of the bucket of events, in thousandths, at `level_time_ms`; see `hansa.pubsub.ledger.rules.quotas`."""
    bytes_level: int = 0
    """Of the bucket of bytes, in thousandths."""
    level_time_ms: int = 0
    """Block time of its last batch."""
    day: int = 0
    """Of its last batch; days since 1970, UTC."""
    day_bytes: int = 0
    """What it published on that day."""


ISSUER: Final = StructForm(
    IssuerState,
    {"did": Text(DID_PATTERN), "seq": Integer(0, SEQ_MAX)},
    {
        "bytes_level": _NUMBER,
        "day": _NUMBER,
        "day_bytes": _NUMBER,
        "events_level": _NUMBER,
        "level_time_ms": _NUMBER,
    },
)


class ValidatorRecord(msgspec.Struct, frozen=True):
    """A validator since the genesis."""

    address: str
    """40 hexadecimal digits, lower case."""
    public_key: str
    """Of Ed25519 or ML-DSA-65; hex."""
    power: int
    """0: it votes no more."""


_POWER: Final = Integer(0, POWER_MAX)
VALIDATOR: Final = StructForm(
    ValidatorRecord, {"address": _ADDRESS, "power": _POWER, "public_key": Text(VALIDATOR_KEY_PATTERN)}
)

VALIDATOR_3: Final = Record(
    {"address": _ADDRESS, "power": _POWER, "public_key": Text(VALIDATOR_KEY_PATTERN_3)}
)
"""The same under `hansa-ledger/3`."""


MISBEHAVIOR: Final = StructForm(
    Misbehavior,
    {
        "address": _ADDRESS,
        "height": _NUMBER,
        "kind": Text("[a-z_]{1,64}"),
        "recorded_height": _NUMBER,
    },
)


def validator_address(public_key: str) -> str:
    """The address of a validator's key: the first 20 bytes of its SHA-256, in hex."""
    return hashlib.sha256(bytes.fromhex(public_key)).digest()[:_ADDRESS_SIZE_BYTES].hex()
