"""Encrypted answers of wallets: `direct_post.jwt` (OpenID4VP 1.0, section 8.3; HAIP 1.0, section 5).

An answer is a compact JWE (RFC 7516): ECDH-ES on P-256, and A128GCM or A256GCM, to a key that was made for
this one request and goes with it. What the header may say is decided here, before anything is computed:
nothing compressed (`zip`: a small answer could become a large one), nothing critical, no other algorithm, no
key of another request, no name twice. The arithmetic is joserfc's.
"""

from __future__ import annotations

from typing import Any, Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hansa.core.base64url import from_base64url
from hansa.core.bounded_json import read_object
from hansa.core.curve_points import is_p256_point
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.identity.presentations.query import malformed_response

AGREEMENT: Final = "ECDH-ES"
ENCRYPTIONS: Final = ("A128GCM", "A256GCM")
ENCRYPTED_SIZE_MAX_BYTES: Final = 262_144
HEADER_SIZE_MAX_BYTES: Final = 2048

COORDINATE_SIZE_BYTES: Final = 32
_HEADER_LIMITS: Final = Limits(
    body_depth_max=4, body_nodes_max=64, array_length_max_items=16, string_length_max_chars=1024
)


class _Registry(jwe.JWERegistry):
    """Of joserfc: what it takes at most, which is bounded here already."""

    max_protected_header_length = 2 * HEADER_SIZE_MAX_BYTES
    max_ciphertext_length = ENCRYPTED_SIZE_MAX_BYTES


_REGISTRY: Final = _Registry(algorithms=[AGREEMENT, *ENCRYPTIONS], strict_check_header=False)


class ResponseKey:
    """The key to which the answer to one request is encrypted.

    Args:
        kid: Its name in the request.
    """

    def __init__(self, kid: str) -> None:
        self._kid = kid
        self._key = ECKey.generate_key("P-256")

    def public(self) -> dict[str, Any]:
        """The public JWK, as a request has it."""
        members = self._key.as_dict(private=False)
        public = {name: members[name] for name in ("kty", "crv", "x", "y")}
        return public | {"kid": self._kid, "use": "enc", "alg": AGREEMENT}

    def thumbprint(self) -> bytes:
        """The SHA-256 thumbprint of the public key (RFC 7638)."""
        return from_base64url(self._key.thumbprint())

    def opened(self, compact: str) -> bytes:
        """The content of a JWE to this key.

        Raises:
            Refused: `Code.PRESENTATION_MALFORMED`.
        """
        if len(compact) > ENCRYPTED_SIZE_MAX_BYTES or not compact.isascii():
            raise malformed_response(
                f"the encrypted answer has more than {ENCRYPTED_SIZE_MAX_BYTES} bytes, or is not ASCII"
            )
        parts = compact.split(".")
        if len(parts) != 5 or parts[1]:
            raise malformed_response("the answer is no compact JWE of direct key agreement")
        self._check_header(_header(parts[0]))
        try:
            return jwe.decrypt_compact(compact, self._key, registry=_REGISTRY).plaintext or b""
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise malformed_response("the answer was altered, or is encrypted to another key") from error

    def _check_header(self, header: dict[str, Any]) -> None:
        if header.get("alg") != AGREEMENT or header.get("enc") not in ENCRYPTIONS:
            raise malformed_response("the answer is encrypted by an algorithm that was not offered")
        if "zip" in header or "crit" in header:
            raise malformed_response("the answer is compressed, or demands what is not supported")
        if header.get("kid", self._kid) != self._kid:
            raise malformed_response("the answer is encrypted to the key of another request")
        if not all(isinstance(header.get(name, ""), str) for name in ("apu", "apv")):
            raise malformed_response("the names of the parties to the answer are no texts")
        epk = header.get("epk")
        if not isinstance(epk, dict) or epk.keys() - {"kid", "use", "alg"} != {"kty", "crv", "x", "y"}:
            raise malformed_response("the ephemeral key of the answer is no public key of P-256")
        if (epk["kty"], epk["crv"]) != ("EC", "P-256"):
            raise malformed_response("the ephemeral key of the answer is none of P-256")
        x, y = coordinate(epk["x"]), coordinate(epk["y"])
        if not len(x) == len(y) == COORDINATE_SIZE_BYTES or not is_p256_point(x, y):
            raise malformed_response("the ephemeral key of the answer is no point of P-256")


def _header(part: str) -> dict[str, Any]:
    try:
        raw = from_base64url(part)
        if len(raw) > HEADER_SIZE_MAX_BYTES:
            raise malformed_response(f"the header of the answer has more than {HEADER_SIZE_MAX_BYTES} bytes")
        return read_object(raw, _HEADER_LIMITS)
    except ValueError as error:
        raise malformed_response(f"the header of the answer {error}") from error
    except Refused as error:
        raise malformed_response(f"the header of the answer cannot be read: {error.message}") from error


def coordinate(text: Any) -> bytes:
    """The bytes of a coordinate in a JWK; none when it is no base64url."""
    try:
        return from_base64url(text) if isinstance(text, str) else b""
    except ValueError:
        return b""
