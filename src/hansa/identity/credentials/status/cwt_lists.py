"""Lists of revoked mdocs, as CBOR Web Tokens: of statuses or identifiers (ISO/IEC 18013-5, section 12.3.6).

    status list        Token Status List, section 5.2: packed bits; a credential names its position
    identifier list    the identifiers of those that are revoked; a credential names its own

Neither names who issued it: its certificate does, which has to lead to the anchor to which that of the mdoc
leads (section 12.3.6.2). A status that names another certificate for it is not understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.identity.credentials.formats.cwt import read_cwt
from hansa.identity.credentials.status.encoding import StatusArray, packed_status_array, unknown
from hansa.identity.credentials.times import TIME_MAX_S, Validity
from hansa.identity.foreign_jws import ForeignJws

STATUS_LIST: Final = "statuslist+cwt"
IDENTIFIER_LIST: Final = "identifierlist+cwt"
IDENTIFIERS_MAX: Final = 20_000
IDENTIFIER_MAX_BYTES: Final = 64

_SUBJECT, _EXPIRES, _NOT_BEFORE, _ISSUED = 2, 4, 5, 6
_IDENTIFIERS, _STATUSES, _TTL = 65530, 65533, 65534
_NODES_MAX: Final = 2 * IDENTIFIERS_MAX + 100


class CwtList(msgspec.Struct, frozen=True):
    """A list, *unverified*."""

    jws: ForeignJws
    uri: str
    """Where it says that it is."""
    validity: Validity
    ttl_s: int | None
    array: StatusArray | None
    """Of a status list."""
    identifiers: frozenset[bytes]
    """Of an identifier list: those that are revoked."""


def read_status_list(raw: bytes) -> CwtList:
    """A status list.

    Raises:
        Refused: `Code.CREDENTIAL_STATUS_UNKNOWN` or `Code.CREDENTIAL_MALFORMED`.
    """
    jws, claims = read_cwt(raw, STATUS_LIST, _NODES_MAX)
    content = claims.get(_STATUSES)
    if not isinstance(content, dict):
        raise unknown("it has no list of statuses")
    array = packed_status_array(content.get("bits"), content.get("lst"))
    return _list(jws, claims, array, frozenset())


def read_identifier_list(raw: bytes) -> CwtList:
    """An identifier list.

    Raises:
        Refused: `Code.CREDENTIAL_STATUS_UNKNOWN` or `Code.CREDENTIAL_MALFORMED`.
    """
    jws, claims = read_cwt(raw, IDENTIFIER_LIST, _NODES_MAX)
    content = claims.get(_IDENTIFIERS)
    identifiers = content.get("identifiers") if isinstance(content, dict) else None
    if not isinstance(identifiers, dict) or len(identifiers) > IDENTIFIERS_MAX:
        raise unknown(f"it has no list of at most {IDENTIFIERS_MAX} identifiers")
    if not all(isinstance(one, bytes) for one in identifiers):
        raise unknown("it has something in its list that is no identifier")
    return _list(jws, claims, None, frozenset(identifiers))


def _list(
    jws: ForeignJws, claims: Mapping[Any, Any], array: StatusArray | None, identifiers: frozenset[bytes]
) -> CwtList:
    uri, issued_s, ttl_s = claims.get(_SUBJECT), _number(claims, _ISSUED), _number(claims, _TTL)
    if not isinstance(uri, str):
        raise unknown("it does not name its address (`sub`)")
    if issued_s is None:
        raise unknown("it does not say when it was issued (`iat`)")
    begins, ends = (issued_s, _number(claims, _NOT_BEFORE)), (_number(claims, _EXPIRES),)
    return CwtList(jws, uri, Validity(begins, ends), ttl_s, array, identifiers)


def _number(claims: Mapping[Any, Any], label: int) -> int | None:
    value = claims.get(label)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= TIME_MAX_S:
        raise unknown(f"its claim {label} is no number of seconds")
    return value
