"""Signing keys, their public JSON Web Keys, did:key, and compact JWS over them.

Algorithms are ES256 on P-256, and Ed25519, the fully specified name of EdDSA (RFC 9864).
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import based58
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from hansa.core.closed_json import Record
from hansa.core.curve_points import P256_ORDER, is_ed25519_point, is_p256_point
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import RESTORE_IT, read_file
from hansa.core.jws import CompactJws, compact_jws, signing_input

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequestBuilder

Algorithm = Literal["ES256", "Ed25519"]

_MULTICODEC: Final = {"ES256": b"\x80\x24", "Ed25519": b"\xed\x01"}
_COORDINATE: Final = re.compile("[A-Za-z0-9_-]{43}", re.ASCII)
_ECDSA: Final = ec.ECDSA(SHA256())


class PublicJwk(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A public key as a JSON Web Key (RFC 7517), with the identifier that signatures name in `kid`."""

    kid: str
    kty: Literal["EC", "OKP"]
    crv: Literal["P-256", "Ed25519"]
    x: str
    y: str | None = None

    @property
    def algorithm(self) -> Algorithm:
        """The one algorithm this key is used with, whatever a signature's header names."""
        return "ES256" if self.kty == "EC" else "Ed25519"


class VerifyingKey:
    """A public key that checks signatures of its one algorithm."""

    def __init__(self, jwk: PublicJwk) -> None:
        """A key of a point on the curve, written in its one form, of the group of prime order.

        Raises:
            Refused: `Code.INVALID`, for any other JWK.
        """
        self.jwk = jwk
        self._key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
        x, y = _coordinate(jwk.x), _coordinate(jwk.y or "")
        if jwk.kty == "EC" and jwk.crv == "P-256" and x and y and is_p256_point(x, y):
            numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
            self._key = numbers.public_key()
        elif jwk.kty == "OKP" and jwk.crv == "Ed25519" and x and jwk.y is None and is_ed25519_point(x):
            self._key = ed25519.Ed25519PublicKey.from_public_bytes(x)
        else:
            raise Refused(Code.INVALID, f"The public key {jwk.kid!r} is not a valid {jwk.crv} key.")

    def verify(self, jws: CompactJws) -> bytes:
        """The payload of a compact JWS.

        Raises:
            Refused: `Code.EVENT_SIGNATURE_INVALID`, when this key did not make the signature.
        """
        try:
            if jws.algorithm != self.jwk.algorithm:
                raise InvalidSignature
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(jws.signature, jws.signing_input)
            else:
                r, s = int.from_bytes(jws.signature[:32]), int.from_bytes(jws.signature[32:])
                self._key.verify(encode_dss_signature(r, s), jws.signing_input, _ECDSA)
        except InvalidSignature as error:
            raise Refused(
                Code.EVENT_SIGNATURE_INVALID, f"The signature does not verify with key {self.jwk.kid!r}."
            ) from error
        return jws.payload

    def did_key(self) -> str:
        """The did:key of this key (multibase base58btc of multicodec prefix and public key)."""
        if isinstance(self._key, ed25519.Ed25519PublicKey):
            raw = self._key.public_bytes_raw()
        else:
            raw = self._key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return "did:key:z" + based58.b58encode(_MULTICODEC[self.jwk.algorithm] + raw).decode()


class KeySigner(Protocol):
    """Signs with a key that may be replaced from one signature to the next."""

    def sign(self, payload: bytes, header: Record, **fields: Any) -> str:
        """A compact JWS. See `SigningKey.sign`."""


class SigningKey:
    """A private key and its public half."""

    def __init__(self, key: ECKey | OKPKey, kid: str | None = None) -> None:
        """Without `kid`, the key is named by its JWK thumbprint (RFC 7638)."""
        self._key = key
        public = key.as_dict(private=False)
        self.public = PublicJwk(
            kid=kid or key.thumbprint(),
            kty=public["kty"],  # type: ignore[arg-type]
            crv=public["crv"],  # type: ignore[arg-type]
            x=str(public["x"]),
            y=str(public["y"]) if "y" in public else None,
        )

    @classmethod
    def generate(cls, algorithm: Algorithm = "ES256") -> SigningKey:
        """A new key. Its randomness comes from the cryptography library, as key material must."""
        return cls(ECKey.generate_key("P-256") if algorithm == "ES256" else OKPKey.generate_key("Ed25519"))

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a private JWK.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, naming the file: it is missing, cannot be read, or holds no key.
        """
        content = read_file(path)
        try:
            members = json.loads(content)
            kid = str(members.pop("kid"))
            return cls(
                ECKey.import_key(members) if members["kty"] == "EC" else OKPKey.import_key(members), kid
            )
        except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Fatal(
                Code.SETTINGS_INVALID, f"{path} does not hold a private key (a JSON Web Key). {RESTORE_IT}"
            ) from error

    def save(self, path: Path) -> None:
        """Write the private JWK, readable by its owner alone; never overwrites."""
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(self.private_document())

    def private_document(self) -> bytes:
        """The private JWK, as `save` writes it."""
        return json.dumps({"kid": self.public.kid, **self._key.as_dict(private=True)}).encode() + b"\n"

    @property
    def kid(self) -> str:
        """The identifier that signatures of this key carry."""
        return self.public.kid

    @property
    def thumbprint(self) -> str:
        """The thumbprint of the public half (RFC 7638, SHA-256, base64url)."""
        return str(self._key.thumbprint())

    def verifying_key(self) -> VerifyingKey:
        """The public half."""
        return VerifyingKey(self.public)

    def sign(self, payload: bytes, header: Record, **fields: Any) -> str:
        """A compact JWS (RFC 7515) with a header of that form: `alg`, `kid`, and the fields beside them."""
        protected = {"alg": self.public.algorithm, "kid": self.kid, **fields}
        signed = signing_input(header, protected, payload)
        return compact_jws(signed, self._signature(signed))

    def certificate_request(self, builder: CertificateSigningRequestBuilder) -> bytes:
        """A request for a certificate for this key (PKCS #10), signed by it; PEM."""
        private = self._key.private_key
        assert isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey), (
            "two kinds of keys"
        )
        algorithm = None if isinstance(private, ed25519.Ed25519PrivateKey) else SHA256()
        return builder.sign(private, algorithm).public_bytes(Encoding.PEM)

    def _signature(self, signed: bytes) -> bytes:
        private = self._key.private_key
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return private.sign(signed)
        assert isinstance(private, ec.EllipticCurvePrivateKey), "there are two kinds of keys"
        r, s = decode_dss_signature(private.sign(signed, _ECDSA))
        return r.to_bytes(32) + min(s, P256_ORDER - s).to_bytes(32)


def raw_public_key(jwk: PublicJwk) -> bytes:
    """The bytes of a public key: both coordinates of a point of P-256, or the 32 bytes of an Ed25519 key."""
    return _coordinate(jwk.x) + _coordinate(jwk.y or "")


def _coordinate(text: str) -> bytes:
    """The 32 bytes of a coordinate (RFC 7518, section 6.2.1.2) in its one form; else nothing."""
    try:
        raw = base64.urlsafe_b64decode(text + "=") if _COORDINATE.fullmatch(text) else b""
    except ValueError:
        return b""
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=") == text.encode() else b""
