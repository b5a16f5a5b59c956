"""Identifiers: entities (URN), events (UUIDv7, RFC 9562) and the keys by which the ledger knows entities."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final

Entropy = Callable[[int], bytes]
"""A source of random bytes, as `os.urandom`."""

PLAIN_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:@!$&'()*+=-]*")
"""Identifiers of entities that stand in a path and in JSON as they are.

Every one that is made here is such.
"""

DID_PATTERN: Final = "did:[a-z0-9]{1,32}:[A-Za-z0-9._:%-]{1,215}"
"""A decentralized identifier (W3C DID Core, section 3.1), as members have one: at most 256 characters."""
_DID: Final = re.compile(DID_PATTERN, re.ASCII)
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")
_ENTITY_KEY: Final = re.compile(r"[0-9a-f]{64}")


def uuid7(now: datetime, entropy: Entropy) -> str:
    """A time-ordered UUID (RFC 9562, version 7)."""
    time = _time_hex(now)
    random = entropy(10).hex()
    variant = "89ab"[int(random[4], 16) & 3]
    return f"{time[:8]}-{time[8:]}-7{random[1:4]}-{variant}{random[5:8]}-{random[8:]}"


@lru_cache(16)
def _time_hex(now: datetime) -> str:
    return int(now.timestamp() * 1000).to_bytes(6, "big").hex()


@lru_cache(512)
def kebab(type_name: str) -> str:
    """`ProductOffering` as `product-offering`."""
    return _CAPITAL.sub("-", type_name).lower()


def new_entity_id(type_name: str, now: datetime, entropy: Entropy) -> str:
    """`urn:ngsi-ld:<kebab-type>:<uuid>` with a time-ordered UUID.

    What is made together stands together in an index.
    """
    return f"urn:ngsi-ld:{kebab(type_name)}:{uuid7(now, entropy)}"


def entity_key(did: str, entity_id: str) -> str:
    """How the ledger names an entity: SHA-256 of the issuer's DID, a zero byte and the identifier, in hex."""
    return hashlib.sha256(f"{did}\0{entity_id}".encode()).hexdigest()


def is_did(text: str) -> bool:
    """Whether a text is an identifier that a member can have, and an event can name."""
    return _DID.fullmatch(text) is not None


def is_entity_key(text: str) -> bool:
    """Whether `text` has the form of an entity key."""
    return _ENTITY_KEY.fullmatch(text) is not None
