"""Signing keys, their public JSON Web Keys, did:key, and compact JWS over them.

Algorithms are ES256 on P-256, and Ed25519, the fully specified name of EdDSA (RFC 9864).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

import based58
import msgspec
from cryptography.hazmat.primitives import serialization
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.registry import HeaderParameter

from hansa.core.errors import Code, Fatal, Refused

Algorithm = Literal["ES256", "Ed25519"]
ALGORITHMS: Final = ("ES256", "Ed25519")

_MULTICODEC: Final = {"ES256": b"\x80\x24", "Ed25519": b"\xed\x01"}
_HEADER_SIZE_MAX_BYTES: Final = 4096

_signing_time = HeaderParameter("Claimed signing time (ETSI TS 119 182-1)", "int")
_registry = jws.JWSRegistry({"iat": _signing_time}, algorithms=list(ALGORITHMS))
_registry.max_header_length = _HEADER_SIZE_MAX_BYTES


class PublicJwk(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A public key as a JSON Web Key (RFC 7517), with the identifier that signatures name in `kid`."""

    kid: str
    kty: Literal["EC", "OKP"]
    crv: Literal["P-256", "Ed25519"]
    x: str
    y: str | None = None

    @property
    def algorithm(self) -> Algorithm:
        """The one algorithm this key is used with; what a signature's header says is not asked."""
        return "ES256" if self.kty == "EC" else "Ed25519"


class VerifyingKey:
    """A public key that checks signatures of its one algorithm."""

    def __init__(self, jwk: PublicJwk) -> None:
        """Raises `Refused` with `Code.INVALID` when the JWK is no usable key."""
        self.jwk = jwk
        members = {k: v for k, v in msgspec.to_builtins(jwk).items() if k != "kid"}
        try:
            self._key: ECKey | OKPKey = (
                ECKey.import_key(members) if jwk.kty == "EC" else OKPKey.import_key(members)
            )
            self._key.public_key  # noqa: B018 - the library decodes the point on first use
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Refused(
                Code.INVALID, f"The public key {jwk.kid!r} is not a valid {jwk.crv} key."
            ) from error

    def verify(self, compact: str) -> bytes:
        """The payload of a compact JWS.

        Raises:
            Refused: `Code.EVENT_SIGNATURE_INVALID`, whatever is wrong with it.
        """
        try:
            return jws.deserialize_compact(compact, self._key, [self.jwk.algorithm], _registry).payload
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Refused(
                Code.EVENT_SIGNATURE_INVALID, f"The signature does not verify with key {self.jwk.kid!r}."
            ) from error

    def did_key(self) -> str:
        """The did:key of this key (multibase base58btc of multicodec prefix and public key)."""
        raw: bytes
        if self.jwk.kty == "EC":
            raw = self._key.public_key.public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
            )
        else:
            raw = self._key.public_key.public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw
            )
        return "did:key:z" + based58.b58encode(_MULTICODEC[self.jwk.algorithm] + raw).decode()


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
            Fatal: `Code.SETTINGS_INVALID`, naming the file.
        """
        try:
            members = json.loads(path.read_bytes())
            kid = str(members.pop("kid"))
            return cls(
                ECKey.import_key(members) if members["kty"] == "EC" else OKPKey.import_key(members), kid
            )
        except (OSError, JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Fatal(
                Code.SETTINGS_INVALID, f"{path} is not a readable private key (a JSON Web Key)."
            ) from error

    def save(self, path: Path) -> None:
        """Write the private JWK, readable by its owner alone; never overwrites."""
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(json.dumps({"kid": self.public.kid, **self._key.as_dict(private=True)}) + "\n")

    @property
    def kid(self) -> str:
        """The identifier that signatures of this key carry."""
        return self.public.kid

    def verifying_key(self) -> VerifyingKey:
        """The public half."""
        return VerifyingKey(self.public)

    def sign(self, payload: bytes, **header: Any) -> str:
        """A compact JWS (RFC 7515) with `alg`, `kid` and further header parameters."""
        protected = {"alg": self.public.algorithm, "kid": self.kid, **header}
        return jws.serialize_compact(protected, payload, self._key, [self.public.algorithm], _registry)


class JwsHeader(msgspec.Struct, frozen=True):
    """What a verifier reads of a JWS header before it verifies: which key to use."""

    alg: str
    kid: str
    typ: str = ""


def split_compact(compact: str) -> tuple[JwsHeader, bytes]:
    """Header and payload of a compact JWS, *unverified*: good for choosing the key, for nothing else.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    try:
        token = jws.extract_compact(compact.encode("ascii"), registry=_registry)
        return msgspec.convert(token.headers(), JwsHeader), token.payload
    except (JoseError, ValueError, TypeError, KeyError, msgspec.ValidationError) as error:
        raise Refused(Code.MALFORMED, "This is not a compact JSON Web Signature.") from error
