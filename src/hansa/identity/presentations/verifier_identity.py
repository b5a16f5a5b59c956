"""Who this verifier is to wallets: its key, its certificates, and its client identifier.

    x509_hash                  SHA-256 of the leaf certificate (OpenID4VP 1.0, section 5.9.3; HAIP 1.0, 5)
    x509_san_dns               a DNS name in the leaf certificate; not allowed by HAIP
    decentralized_identifier   the did:key of the key, without any certificate

Requests are signed by ES256, which every wallet of the profile knows.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import based58
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from hansa.core.base64url import to_base64url
from hansa.core.errors import Code, Refused
from hansa.core.policies import ClientIdPrefix

CERTIFICATES_MAX: Final = 8
_P256_MULTICODEC: Final = b"\x80\x24"


class VerifierKey(Protocol):
    """A key on P-256 that signs; where its private half is, is its own affair."""

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """The public half."""

    def signature(self, content: bytes) -> bytes:
        """The ES256 signature of some bytes, as a JWS has it: r and s, 32 bytes each.

        Raises:
            Unavailable: When the key cannot be used now.
        """


class FileKey:
    """A `VerifierKey` from a file. Args: the key."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        assert isinstance(private.curve, ec.SECP256R1), "ES256 is on P-256"
        self._private = private

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """See `VerifierKey`."""
        return self._private.public_key()

    def signature(self, content: bytes) -> bytes:
        """See `VerifierKey`."""
        r, s = decode_dss_signature(self._private.sign(content, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


class VerifierIdentity:
    """Signs requests. Made by `identity_of_key`.

    Args:
        key: A P-256 key.
        client_id: With its prefix.
        header: What the header of a request says of the key: `x5c` or `kid`.
    """

    def __init__(self, key: VerifierKey, client_id: str, header: Mapping[str, Any]) -> None:
        self._key = key
        self.client_id: Final = client_id
        self._header: Final = dict(header)

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """A JWT of this verifier.

        Raises:
            Unavailable: When the key cannot be used now.
        """
        header = {"alg": "ES256", "typ": typ, **self._header}
        signed = f"{to_base64url(msgspec.json.encode(header))}.{to_base64url(msgspec.json.encode(claims))}"
        return f"{signed}.{to_base64url(self._key.signature(signed.encode('ascii')))}"


def read_identity(
    key_pem: bytes, certificates_pem: bytes, prefix: ClientIdPrefix, host: str
) -> VerifierIdentity:
    """The identity of a key in a file and its certificates. See `identity_of_key`.

    Args:
        key_pem: The private key, PKCS #8.
        certificates_pem: Leaf first, then those that issued it; an anchor at the end is left out of requests.
        prefix: Of the client identifier.
        host: Name at which wallets reach this verifier.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`, with what is wrong with the key or the certificates.
    """
    return identity_of_key(FileKey(_private_key(key_pem)), certificates_pem, prefix, host)


def identity_of_key(
    key: VerifierKey, certificates_pem: bytes, prefix: ClientIdPrefix, host: str
) -> VerifierIdentity:
    """The identity of a key and its certificates.

    Args:
        key: Signs requests.
        certificates_pem: Leaf first, then those that issued it; an anchor at the end is left out of requests.
        prefix: Of the client identifier.
        host: Name at which wallets reach this verifier.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`, with what is wrong with the certificates.
    """
    if prefix == "decentralized_identifier":
        did = did_key_of(key)
        kid = f"{did}#{did.removeprefix('did:key:')}"
        return VerifierIdentity(key, f"{prefix}:{did}", {"kid": kid})
    chain = _chain(certificates_pem)
    leaf = chain[0]
    if leaf.public_key() != key.public:
        raise _invalid("the first certificate is not that of the key")
    if _is_self_signed(leaf):
        raise _invalid("the certificate is self-signed, which wallets refuse (HAIP 1.0, section 5)")
    while len(chain) > 1 and _is_self_signed(chain[-1]):
        chain.pop()  # the anchor must not be in `x5c`
    raw = [one.public_bytes(Encoding.DER) for one in chain]
    header = {"x5c": [base64.b64encode(one).decode("ascii") for one in raw]}
    if prefix == "x509_hash":
        return VerifierIdentity(key, f"{prefix}:{to_base64url(hashlib.sha256(raw[0]).digest())}", header)
    if host.lower() not in {name.lower() for name in _dns_names(leaf)}:
        raise _invalid(f"the certificate does not name {host}, as the prefix x509_san_dns demands")
    return VerifierIdentity(key, f"{prefix}:{host}", header)


def did_key_of(key: VerifierKey) -> str:
    """The did:key of a P-256 key."""
    point = key.public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return "did:key:z" + based58.b58encode(_P256_MULTICODEC + point).decode("ascii")


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise _invalid("the key is no unencrypted private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _invalid("the key is not one on P-256, which ES256 demands")
    return key


def _chain(pem: bytes) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise _invalid("the certificates cannot be read as PEM") from error
    if not 1 <= len(chain) <= CERTIFICATES_MAX:
        raise _invalid(f"there are not 1 to {CERTIFICATES_MAX} certificates")
    return chain


def _is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def _dns_names(leaf: x509.Certificate) -> Sequence[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return names.get_values_for_type(x509.DNSName)


def _invalid(what: str) -> Refused:
    return Refused(Code.CERTIFICATE_INVALID, what)
