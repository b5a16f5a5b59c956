"""CBOR Web Tokens (RFC 8392) whose header says what they are, as lists of revoked mdocs have them.

A token is a tagged COSE_Sign1. Its protected header has the algorithm, the type (RFC 9596) and mostly the
certificates (ISO/IEC 18013-5, section 12.3.6.3), its payload a map of claims by number.
"""

from __future__ import annotations

from typing import Any, Final

from hansa.core.bounded_cbor import Tagged, read_cbor
from hansa.core.errors import Refused
from hansa.identity.credentials.formats.cose import read_typed_sign1
from hansa.identity.credentials.refusals import malformed
from hansa.identity.foreign_jws import ForeignJws

COSE_SIGN1: Final = 18
"""Tag of a COSE_Sign1."""
DEPTH_MAX: Final = 8
_FIRST_BYTE: Final = b"\xd2"


def is_cwt(raw: bytes) -> bool:
    """Whether some bytes begin as a token does, and not as a text."""
    return raw[:1] == _FIRST_BYTE


def read_cwt(raw: bytes, typ: str, nodes_max: int) -> tuple[ForeignJws, dict[Any, Any]]:
    """A token, *unverified*, and its claims.

    Args:
        raw: The token.
        typ: Its media type, without `application/`.
        nodes_max: How many values its claims may have.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    try:
        value = read_cbor(raw, DEPTH_MAX)
        if not isinstance(value, Tagged) or value.number != COSE_SIGN1:
            raise malformed("a token is no tagged COSE_Sign1")
        jws = read_typed_sign1(value.value, typ)
        claims = read_cbor(jws.payload, DEPTH_MAX, nodes_max)
    except Refused as error:
        raise malformed(f"a token cannot be read: {error.message}") from error
    if not isinstance(claims, dict):
        raise malformed("the claims of a token are no map")
    return jws, claims
