"""What the certificates have in common that are made here, for development."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hansa.core.identifiers import Entropy

SERIAL_SIZE_BYTES: Final = 16
_USES: Final = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def begun_certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime,
    end: datetime,
    entropy: Entropy,
    *,
    is_authority: bool,
) -> x509.CertificateBuilder:
    """A certificate that lacks the uses of its key, the key of its issuer, and the signature.

    Args:
        subject: Whose it is.
        issuer: Who is to sign it; the subject, when it signs itself.
        key: Of the subject.
        begin: From when on it is valid.
        end: Until when.
        entropy: For the serial number.
        is_authority: Whether its key signs certificates, none of which is one of an authority.
    """
    constraints = x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(int.from_bytes(entropy(SERIAL_SIZE_BYTES)) >> 1 | 1)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(constraints, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def key_usage(*uses: str) -> x509.KeyUsage:
    """The uses of a key, as cryptography names them, and no others."""
    assert set(uses) <= set(_USES), "a use of RFC 5280, section 4.2.1.3"
    return x509.KeyUsage(**{one: one in uses for one in _USES})
