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

from hansa.core.certificates.making import begun_certificate, key_usage
from hansa.core.identifiers import Entropy

LIFETIME: Final = timedelta(days=730)
BEGINS_BEFORE: Final = timedelta(days=1)
"""So that a clock that is behind takes it for valid."""
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
    valid = now - BEGINS_BEFORE, now + LIFETIME
    authority = (
        begun_certificate(
            *(authority_name, authority_name, authority_key.public_key(), *valid, entropy), is_authority=True
        )
        .add_extension(key_usage("key_cert_sign"), critical=True)
        .sign(authority_key, SHA256())
    )
    leaf = (
        begun_certificate(*(_name(name), authority_name, key, *valid, entropy), is_authority=False)
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.SubjectAlternativeName([_host_name(host)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False
        )
        .sign(authority_key, SHA256())
    )
    return leaf.public_bytes(Encoding.PEM), authority.public_bytes(Encoding.PEM)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_MAX_CHARS])])


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
