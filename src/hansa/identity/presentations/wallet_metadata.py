"""What a wallet says of itself when it fetches a request: which formats it knows, and how to encrypt to it.

A wallet that names keys and algorithms (OpenID4VP 1.0, section 5.10) gets the signed request as a JWE to one
of them; some take no other. One that names formats is asked for credentials in these alone: a wallet that
keeps to HAIP 1.0 refuses a request that also mentions a format beyond the profile. Whatever cannot be read or
used is ignored, as the protocol demands. A request is public, so encrypting it to whoever asks tells nobody
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hansa.core.bounded_json import read_object
from hansa.core.curve_points import is_p256_point
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.identity.presentations.encryption import (
    AGREEMENT,
    COORDINATE_SIZE_BYTES,
    ENCRYPTIONS,
    coordinate,
)

KID_LENGTH_MAX_CHARS: Final = 256
_LIMITS: Final = Limits(
    body_depth_max=8, body_nodes_max=1000, array_length_max_items=64, string_length_max_chars=8192
)
_REGISTRY: Final = jwe.JWERegistry(algorithms=[AGREEMENT, *ENCRYPTIONS], strict_check_header=False)


def read_wallet_metadata(text: str) -> Mapping[str, Any]:
    """The metadata of a wallet; empty, when there are none or nobody can read them."""
    try:
        return read_object(text.encode(), _LIMITS) if text else {}
    except Refused:
        return {}


def formats_of(metadata: Mapping[str, Any]) -> frozenset[str]:
    """The formats of credentials that a wallet names; empty: it does not say."""
    formats = metadata.get("vp_formats_supported")
    return frozenset(formats) if isinstance(formats, dict) else frozenset()


def for_wallet(request_object: str, metadata: Mapping[str, Any]) -> str:
    """A signed request as a wallet wants it: encrypted to a key of its own, or as it is."""
    offered = _texts(metadata.get("request_object_encryption_enc_values_supported"))
    encryption = next((one for one in offered if one in ENCRYPTIONS), None)
    agreements = _texts(metadata.get("request_object_encryption_alg_values_supported"))
    key = _key(metadata.get("jwks"))
    if encryption is None or AGREEMENT not in agreements or key is None:
        return request_object
    header = {"alg": AGREEMENT, "enc": encryption, "cty": "JWT"}
    kid = key.get("kid")
    if isinstance(kid, str) and len(kid) <= KID_LENGTH_MAX_CHARS:
        header["kid"] = kid
    try:
        public = ECKey.import_key({name: key[name] for name in ("kty", "crv", "x", "y")})
        return jwe.encrypt_compact(header, request_object, public, registry=_REGISTRY)
    except (JoseError, ValueError):
        return request_object


def _key(jwks: Any) -> dict[str, Any] | None:
    """The first of some keys to which something can be encrypted."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, dict) or (key.get("kty"), key.get("crv")) != ("EC", "P-256"):
            continue
        x, y = coordinate(key.get("x")), coordinate(key.get("y"))
        is_point = len(x) == len(y) == COORDINATE_SIZE_BYTES and is_p256_point(x, y)
        if is_point and key.get("use", "enc") == "enc" and key.get("alg", AGREEMENT) == AGREEMENT:
            return key
    return None


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
