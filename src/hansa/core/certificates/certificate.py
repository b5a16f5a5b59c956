"""The fields of a certificate of the profile.

Version 3, a positive serial number of at most 20 bytes, one algorithm of `algorithms`, times as RFC 5280
writes them, no unique identifiers, at least one extension. Whether a certificate may be trusted is for
`chain` to say.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

import msgspec

from hansa.core.certificates.algorithms import (
    CertifiedKey,
    SignatureAlgorithm,
    is_signature,
    read_algorithm,
    read_public_key,
)
from hansa.core.certificates.der import SEQUENCE, DerReader, malformed
from hansa.core.certificates.extensions import (
    DIGITAL_SIGNATURE,
    FOREIGN_PURPOSES,
    KEY_CERT_SIGN,
    NON_REPUDIATION,
    SEAL_PURPOSES,
    CertificateExtensions,
    read_extensions,
)
from hansa.core.certificates.names import DistinguishedName, read_name

CERTIFICATE_SIZE_MAX_BYTES: Final = 6144

_SERIAL_MAX_BYTES: Final = 20
_VERSION_3: Final = 2
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_CACHED_MAX: Final = 64


class Certificate(msgspec.Struct, frozen=True):
    """A certificate, *unverified*."""

    raw: bytes
    """DER."""
    signed: bytes
    """What its issuer signed: the TBSCertificate, as it is written."""
    serial: int
    algorithm: SignatureAlgorithm
    issuer: DistinguishedName
    not_before_s: int
    """First second of its validity, since 1970."""
    not_after_s: int
    """Last second of its validity."""
    subject: DistinguishedName
    key: CertifiedKey
    extensions: CertificateExtensions
    signature: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its DER, in hex."""
        return hashlib.sha256(self.raw).hexdigest()

    def is_valid_at(self, time_s: int) -> bool:
        """Whether a second is within its validity."""
        return self.not_before_s <= time_s <= self.not_after_s

    def is_signed_by(self, key: CertifiedKey) -> bool:
        """Whether the owner of a key signed it."""
        return is_signature(key, self.algorithm, self.signed, self.signature)


@lru_cache(_CACHED_MAX)
def read_certificate(raw: bytes) -> Certificate:
    """The fields of a certificate's DER.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`.
    """
    if len(raw) > CERTIFICATE_SIZE_MAX_BYTES:
        raise malformed(f"it has {len(raw)} bytes; {CERTIFICATE_SIZE_MAX_BYTES} are allowed")
    outer = DerReader(raw)
    parts = outer.inside(SEQUENCE)
    outer.end()
    signed = parts.whole(SEQUENCE)
    identifier = parts.whole(SEQUENCE)
    signature = parts.octets_of_bits()
    parts.end()
    fields = DerReader(signed).inside(SEQUENCE)
    version = fields.inside(_VERSION)
    if version.natural(1) != _VERSION_3:
        raise malformed("it is not of version 3")
    version.end()
    serial = fields.natural(_SERIAL_MAX_BYTES)
    if serial == 0:
        raise malformed("its serial number is 0")
    if fields.whole(SEQUENCE) != identifier:
        raise malformed("it names two algorithms")
    issuer = read_name(fields)
    validity = fields.inside(SEQUENCE)
    not_before_s, not_after_s = validity.time_s(), validity.time_s()
    validity.end()
    subject = read_name(fields)
    key = read_public_key(fields.inside(SEQUENCE))
    wrapped = fields.inside(_EXTENSIONS)
    extensions = read_extensions(wrapped.inside(SEQUENCE))
    wrapped.end()
    fields.end()
    return Certificate(
        raw=raw,
        signed=signed,
        serial=serial,
        algorithm=read_algorithm(identifier),
        issuer=issuer,
        not_before_s=not_before_s,
        not_after_s=not_after_s,
        subject=subject,
        key=key,
        extensions=extensions,
        signature=signature,
    )


def read_anchor(raw: bytes) -> Certificate:
    """The certificate of an authority, which may become a trust anchor.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`; also for a certificate that is not an authority's.
    """
    certificate = read_certificate(raw)
    check_authority(certificate)
    return certificate


def check_authority(certificate: Certificate) -> None:
    """Check that a certificate says that its key may sign certificates.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`.
    """
    extensions = certificate.extensions
    if not extensions.is_authority or not extensions.is_constraint_critical:
        raise malformed(f"{shown(certificate)} is no certificate of an authority")
    if KEY_CERT_SIGN not in extensions.usages:
        raise malformed(f"the key of {shown(certificate)} is not for signing certificates")
    if extensions.purposes and not extensions.purposes & SEAL_PURPOSES:
        raise malformed(f"{shown(certificate)} is an authority for other purposes than seals")


def check_seal(certificate: Certificate, allowed: frozenset[bytes] = SEAL_PURPOSES) -> None:
    """Check that a certificate says that its key may seal: sign what an organization states.

    Args:
        certificate: Of the key.
        allowed: Extended key usages, of which it has one, if it names any.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`.
    """
    extensions = certificate.extensions
    if extensions.is_authority:
        raise malformed(f"{shown(certificate)} is a certificate of an authority, not one for seals")
    if not extensions.usages & {DIGITAL_SIGNATURE, NON_REPUDIATION} or KEY_CERT_SIGN in extensions.usages:
        raise malformed(f"the key usage of {shown(certificate)} does not allow signatures")
    purposes = extensions.purposes
    if purposes & FOREIGN_PURPOSES or (purposes and not purposes & allowed):
        raise malformed(f"the extended key usage of {shown(certificate)} is not that of a seal")
    if not extensions.is_for_seals:
        raise malformed(f"{shown(certificate)} says that it is not for seals")


def shown(certificate: Certificate) -> str:
    """Whose a certificate is, for people."""
    name = certificate.subject
    return f"“{name.common_name or name.organization_identifier or certificate.fingerprint[:16]}”"
