"""Certificates for trying it out: an authority of its own for one marketplace, and a leaf under it.

Wallets refuse a self-signed certificate, so there are two. The authority's key is forgotten as soon as it has
signed: it can issue nothing further, and nobody can steal it. A wallet believes such a certificate only if
somebody makes it trust `verifier/authority.pem`.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hansa.core.identifiers import Entropy

LIFETIME: Final = timedelta(days=730)
BEGINS_BEFORE: Final = timedelta(days=1)
"""So that a clock that is behind takes it for valid."""
_SERIAL_SIZE_BYTES: Final = 16
_COMMON_NAME_MAX_CHARS: Final = 64


def development_certificates(
    key: ec.EllipticCurvePublicKey, name: str, host: str, now: datetime, entropy: Entropy
) -> tuple[bytes, bytes]:
    """The certificate for a key, and that of the authority that issued it; PEM.

    Args:
        key: Of the verifier.
        name: Of the marketplace.
        host: At which wallets reach it: a name or an address.
        now: When it is made.
        entropy: For serial numbers.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name(f"Development authority of {name}")
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now, entropy)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(authority_id, critical=False)
        .sign(authority_key, SHA256())
    )
    leaf = (
        _builder(_name(name), authority_name, key, now, entropy)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([_host_name(host)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False
        )
        .sign(authority_key, SHA256())
    )
    return leaf.public_bytes(Encoding.PEM), authority.public_bytes(Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, entropy: Entropy
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number((int.from_bytes(entropy(_SERIAL_SIZE_BYTES)) >> 1) + 1)
        .not_valid_before(now - BEGINS_BEFORE)
        .not_valid_after(now + LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_MAX_CHARS])])


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
