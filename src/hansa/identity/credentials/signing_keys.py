"""Keys that sign credentials, status lists and presentations, behind an interface of one method.

A key may be in a file, in a PKCS #11 token, or in a key service; the last two sign over a connection, so that
signing may wait. The algorithm is ES256, which every wallet and verifier has (HAIP 1.0, section 7).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

import based58
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa.core.base64url import from_base64url, to_base64url
from hansa.core.curve_points import P256_ORDER
from hansa.core.errors import Code, Refused

SIGNING_ALGORITHM: Final = "ES256"

_ECDSA: Final = ec.ECDSA(SHA256())
_CURVE: Final = ec.SECP256R1()
_MULTICODEC: Final = b"\x80\x24"


class CredentialKey(Protocol):
    """A key on P-256 that signs; where its private half is, is its own affair."""

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """The public half."""

    async def signature(self, content: bytes) -> bytes:
        """The ES256 signature of some bytes, as a JWS has it: r and s, 32 bytes each.

        Raises:
            Unavailable: when the key cannot be used now.
        """


class PlainKey:
    """A `CredentialKey` in the memory of this process, which comes from a file of its owner's alone."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.private = private

    @classmethod
    def generate(cls) -> PlainKey:
        """A new key. Its randomness comes from the cryptography library, as key material must."""
        return cls(ec.generate_private_key(_CURVE))

    @classmethod
    def of_jwk(cls, jwk: Mapping[str, Any]) -> PlainKey:
        """The key of a private JWK (RFC 7517).

        Raises:
            Refused: `Code.INVALID`.
        """
        try:
            return cls(ec.derive_private_key(int.from_bytes(from_base64url(jwk["d"])), _CURVE))
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(Code.INVALID, "It holds no private key on P-256 as a JSON Web Key.") from error

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """See `CredentialKey`."""
        return self.private.public_key()

    def private_jwk(self) -> dict[str, str]:
        """The private JWK."""
        secret = self.private.private_numbers().private_value
        return {**public_jwk(self), "d": to_base64url(secret.to_bytes(32))}

    async def signature(self, content: bytes) -> bytes:
        """See `CredentialKey`."""
        r, s = decode_dss_signature(self.private.sign(content, _ECDSA))
        return r.to_bytes(32) + min(s, P256_ORDER - s).to_bytes(32)


def public_jwk(key: CredentialKey) -> dict[str, str]:
    """The public JWK of a key."""
    raw = key.public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    return {"kty": "EC", "crv": "P-256", "x": to_base64url(raw[:32]), "y": to_base64url(raw[32:])}


def did_key(public: ec.EllipticCurvePublicKey) -> str:
    """The did:key of a public key on P-256."""
    raw = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return "did:key:z" + based58.b58encode(_MULTICODEC + raw).decode("ascii")


async def signed_jwt(key: CredentialKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A JWT (RFC 7519) in compact form.

    Args:
        key: Signs it.
        header: Beside `alg`.
        claims: Of the token; values of None are left out.
    """
    content = {name: value for name, value in claims.items() if value is not None}
    protected = msgspec.json.encode({"alg": SIGNING_ALGORITHM, **header})
    payload = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    signed = f"{to_base64url(protected)}.{to_base64url(payload)}"
    return f"{signed}.{to_base64url(await key.signature(signed.encode('ascii')))}"
