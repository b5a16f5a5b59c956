"""Trust anchors, and the certificates of members' keys, as the ledger records them.

A certificate is text: base64 (RFC 4648, section 4) of its DER, with padding, as `x5c` has it (RFC 7515,
section 4.1.6).
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import Final, Literal

import msgspec

from hansa.core.certificates import (
    CERTIFICATE_SIZE_MAX_BYTES,
    CHAIN_LENGTH_MAX,
    Certificate,
    read_anchor,
)
from hansa.core.closed_json import FreeText, Integer, ListOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.errors import Code, Refused
from hansa.core.governance.possession import SEAL, SEAL_ALGORITHM
from hansa.core.identifiers import DID_PATTERN
from hansa.core.jws import KEY_ID

ANCHORS: Final = "anchors"
CERTIFICATES: Final = "certificates"
"""Sections of the ledger's state."""
ANCHORS_MAX: Final = 64
ANCHOR_NAME_MAX_CHARS: Final = 128
NOTICE_S: Final = 30 * 86_400
"""So long before a certificate expires its owner is told to renew it."""

CERTIFICATE_TEXT: Final = Text(f"[A-Za-z0-9+/]{{4,{4 * CERTIFICATE_SIZE_MAX_BYTES // 3}}}={{0,2}}")
FINGERPRINT: Final = Text("[0-9a-f]{64}")
_SECONDS: Final = Integer(0, 253_402_300_799)
_MILLISECONDS: Final = Integer(0, 253_402_300_799_999)
_CACHED_MAX: Final = 512
CERTIFICATES_IN_FILE_MAX: Final = 256
_PEM: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]{1,16384})-----END CERTIFICATE-----", re.ASCII
)

CertificateState = Literal["expired", "expiring", "revoked", "valid"]


class TrustAnchor(msgspec.Struct, frozen=True):
    """An authority whose certificates for seals the league accepts.

    The key of its record is the SHA-256 of its certificate's DER, in hex.
    """

    certificate: str
    name: str = ""
    """For people; given by whoever proposed it."""


TRUST_ANCHOR: Final = StructForm(
    TrustAnchor, {"certificate": CERTIFICATE_TEXT}, {"name": FreeText(ANCHOR_NAME_MAX_CHARS)}
)


class KeyCertificate(msgspec.Struct, frozen=True):
    """The certificate of a member's key, which was verified when it was registered."""

    anchor: str
    """Fingerprint of the trust anchor; hex."""
    did: str
    kid: str
    not_after_s: int
    """Last second at which the certificate, those above it and the anchor are valid; since 1970."""
    not_before_s: int
    registered_ms: int
    """Time of the block that registered it."""
    x5c: tuple[str, ...]
    """The certificate, and those above it."""
    revoked_ms: int = 0
    """Time of the block that revoked it; 0: it is not revoked."""
    seal: str = ""
    """Signature over the key by the seal that is certified; empty when the certificate is the key's own."""
    seal_algorithm: str = ""

    def is_valid_at(self, time_ms: int) -> bool:
        """Whether the key may sign events in a block of that time."""
        return not self.revoked_ms and time_ms // 1000 <= self.not_after_s


KEY_CERTIFICATE: Final = StructForm(
    KeyCertificate,
    {
        "anchor": FINGERPRINT,
        "did": Text(DID_PATTERN),
        "kid": KEY_ID,
        "not_after_s": _SECONDS,
        "not_before_s": _SECONDS,
        "registered_ms": _MILLISECONDS,
        "x5c": ListOf(CERTIFICATE_TEXT, CHAIN_LENGTH_MAX),
    },
    {"revoked_ms": _MILLISECONDS, "seal": SEAL, "seal_algorithm": SEAL_ALGORITHM},
)


def certificate_state(certificate: KeyCertificate, now_ms: int) -> CertificateState:
    """What a certificate is good for at a time."""
    if certificate.revoked_ms:
        return "revoked"
    if not certificate.is_valid_at(now_ms):
        return "expired"
    return "valid" if certificate.is_valid_at(now_ms + 1000 * NOTICE_S) else "expiring"


def certificate_key(did: str, kid: str) -> str:
    """Under which key the ledger has the certificate of a member's key: a DID has no `#`."""
    return f"{did}#{kid}"


@lru_cache(_CACHED_MAX)
def read_key_certificate(body: bytes) -> KeyCertificate:
    """A certificate as the ledger has it."""
    return KEY_CERTIFICATE.read(body)


def certificate_bytes(text: str) -> bytes:
    """The DER of a certificate's one text.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if not raw or certificate_text(raw) != text:
        raise Refused(Code.CERTIFICATE_INVALID, "A certificate is not the base64 form of its DER.")
    return raw


def certificate_text(raw: bytes) -> str:
    """The one text of a certificate's DER."""
    return base64.b64encode(raw).decode("ascii")


def certificates_of_pem(content: bytes) -> tuple[bytes, ...]:
    """The DER of the certificates in a file: PEM (RFC 7468), or the DER of one.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`, when it has none.
    """
    blocks = _PEM.findall(content)
    if not blocks and content.startswith(b"\x30"):
        return (content,)
    if not 1 <= len(blocks) <= CERTIFICATES_IN_FILE_MAX:
        raise Refused(Code.CERTIFICATE_INVALID, "It holds no certificate in PEM or DER, or too many.")
    return tuple(certificate_bytes(b"".join(block.split()).decode("ascii", "replace")) for block in blocks)


@lru_cache(_CACHED_MAX)
def anchor_certificate(text: str) -> Certificate:
    """The certificate of a trust anchor.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`.
    """
    return read_anchor(certificate_bytes(text))
