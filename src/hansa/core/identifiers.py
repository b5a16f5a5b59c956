"""Identifiers: entities (URN), events (UUIDv7, RFC 9562) and the keys by which the ledger knows entities.

An identifier that a marketplace makes is *bound* to it, so that nobody else can ever publish under it:

    urn:ngsi-ld:<kebab-type>:<UUID version 8>

The 122 bits of the UUID that are neither version nor variant (RFC 9562, section 5.8) are the first 122 bits
of SHA-256 over the marketplace's DID, a zero byte and a nonce of 16 bytes. The nonce travels with the
entity's events: whoever knows it can verify to whom the identifier belongs, without asking the ledger who
published it first.

Every other identifier is *chosen* by a client. It belongs to the member that has registered the prefix with
which it begins, or else to the member whose claim on it was committed first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final

from hansa.core.clock import milliseconds_of

Entropy = Callable[[int], bytes]
"""A source of random bytes, as `os.urandom`."""

NONCE_SIZE_BYTES: Final = 16
"""Of the nonce of a bound identifier."""
IDENTIFIER_PREFIX_MAX_CHARS: Final = 128

PLAIN_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:@!$&'()*+=-]*")
"""Identifiers of entities that stand in a path and in JSON as they are.

Every one that is made here is such.
"""

DID_PATTERN: Final = "did:[a-z0-9]{1,32}:[A-Za-z0-9._:%-]{1,215}"
"""A decentralized identifier (W3C DID Core, section 3.1), as members have one: at most 256 characters."""
_DID: Final = re.compile(DID_PATTERN, re.ASCII)
_BOUND_FORM: Final = re.compile(
    "urn:ngsi-ld:.+:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9._~:@!$&'()*+=-]{2,}:", re.ASCII)
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
    return milliseconds_of(now).to_bytes(6, "big").hex()


@lru_cache(512)
def kebab(type_name: str) -> str:
    """`ProductOffering` as `product-offering`."""
    return _CAPITAL.sub("-", type_name).lower()


def bound_entity_id(type_name: str, did: str, nonce: bytes) -> str:
    """The identifier of an entity of this type that is bound to a member by a nonce.

    Args:
        type_name: TM Forum type, as `ProductOffering`.
        did: The member's DID.
        nonce: 16 bytes, random and used once.
    """
    assert len(nonce) == NONCE_SIZE_BYTES, "a nonce has 16 bytes"
    return f"urn:ngsi-ld:{kebab(type_name)}:{_bound_uuid(did, nonce)}"


def is_bound_form(entity_id: str) -> bool:
    """Whether an identifier has the form of a bound one, in whatever case: only its member may publish it."""
    return _BOUND_FORM.fullmatch(entity_id) is not None


def is_bound_to(entity_id: str, did: str, nonce: bytes | None) -> bool:
    """Whether a nonce proves that an identifier of the bound form is bound to a member.

    The letters of a bound identifier are in lower case: a look-alike in capitals is bound to nobody.
    """
    if nonce is None or len(nonce) != NONCE_SIZE_BYTES or not is_bound_form(entity_id):
        return False
    name, _, uuid = entity_id.rpartition(":")
    return uuid == _bound_uuid(did, nonce) and name == name.lower()


def _bound_uuid(did: str, nonce: bytes) -> str:
    digest = hashlib.sha256(did.encode() + b"\0" + nonce).hexdigest()
    # RFC 9562, section 5.8: 48 bits, version, 12 bits, variant (two bits), 62 bits.
    rest = (int(digest[15:31], 16) >> 2) | 1 << 63
    last = f"{rest:016x}"
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-{last[:4]}-{last[4:]}"


def is_identifier_prefix(text: str) -> bool:
    """Whether a member may register a text as the beginning of its own identifiers.

    In lower case, of at least four characters, and with a colon at the end, so that `urn:acme:` does not
    include `urn:acmebank:1`.
    """
    return len(text) <= IDENTIFIER_PREFIX_MAX_CHARS and _PREFIX.fullmatch(text) is not None


def has_identifier_prefix(entity_id: str, prefix: str) -> bool:
    """Whether an identifier begins with a registered prefix; capital letters count as small ones."""
    return entity_id[: len(prefix)].lower() == prefix


def entity_key(did: str, entity_id: str) -> str:
    """How the ledger names an entity: SHA-256 of the issuer's DID, a zero byte and the identifier, in hex."""
    return hashlib.sha256(f"{did}\0{entity_id}".encode()).hexdigest()


def is_did(text: str) -> bool:
    """Whether a text is an identifier that a member can have, and an event can name."""
    return _DID.fullmatch(text) is not None


def is_entity_key(text: str) -> bool:
    """Whether `text` has the form of an entity key."""
    return _ENTITY_KEY.fullmatch(text) is not None
