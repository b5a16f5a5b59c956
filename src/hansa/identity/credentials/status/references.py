"""Where the status of a credential is, as the credential says it: `status` or `credentialStatus`.

token          Token Status List, as a JWT
bitstring      Bitstring Status List
cwt            Token Status List of an mdoc, as a CWT or a JWT
identifiers    list of the identifiers of mdocs that are revoked
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from hansa.core.base64url import from_base64url
from hansa.core.web_addresses import ADDRESS_LENGTH_MAX_CHARS
from hansa.identity.credentials.formats.document import StatusForm
from hansa.identity.credentials.status.cwt_lists import IDENTIFIER_MAX_BYTES
from hansa.identity.credentials.status.encoding import unknown

INDEX_MAX: Final = 2**32

_INDEX: Final = re.compile("0|[1-9][0-9]{0,9}", re.ASCII)
_BITSTRING: Final = frozenset({"BitstringStatusListEntry"})
_DECIDING: Final = frozenset({"revocation", "suspension"})
_OTHER: Final = frozenset({"message", "refresh"})
"""Purposes that say nothing about whether a credential is good."""
_OWN_CERTIFICATE: Final = "the status names a certificate of its own for the list, which is not supported"

StatusKind = Literal["bitstring", "token", "cwt", "identifiers"]


class StatusReference(msgspec.Struct, frozen=True):
    """One entry of one list."""

    kind: StatusKind
    uri: str
    """Of the list."""
    index: int
    purpose: str = ""
    """Of a Bitstring Status List: `revocation` or `suspension`."""
    identifier: str = ""
    """In an identifier list: the credential's own, in base64url."""


class HeldStatus(msgspec.Struct, frozen=True):
    """Where the status of a credential is, to be looked up again later."""

    issuer: str
    """Of the credential: the list is one of the same."""
    references: tuple[StatusReference, ...]
    anchor: str = ""
    """To which the issuer's certificate leads; of an mdoc, that of its list leads there, too."""


def read_reference(entry: Any, form: StatusForm) -> StatusReference | None:
    """The reference that an entry is; None when it is about something else than revocation and suspension.

    Args:
        entry: As the credential has it, in JSON.
        form: Of the credential.

    Raises:
        Refused: `Code.CREDENTIAL_STATUS_UNKNOWN`, for whatever is not understood.
    """
    if not isinstance(entry, dict):
        raise unknown("the credential does not say where its status is")
    if "statusListCredential" in entry or "statusPurpose" in entry:
        return _bitstring(entry)
    if form == "cose" and entry.keys() == {"identifier_list"}:
        return _identifier(entry["identifier_list"])
    inner = entry.get("status_list")
    if entry.keys() != {"status_list"} or not isinstance(inner, dict):
        raise unknown(f"the status of the credential is of a kind that is not supported: {sorted(entry)[:8]}")
    if form == "cose" and "certificate" in inner:
        raise unknown(_OWN_CERTIFICATE)
    index, uri = inner.get("idx"), inner.get("uri")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < INDEX_MAX:
        raise unknown("`idx` of the status is no number of an entry")
    return StatusReference("cwt" if form == "cose" else "token", _address(uri), index)


def _identifier(entry: Any) -> StatusReference:
    """The reference to an identifier list (ISO/IEC 18013-5, section 12.3.6.2)."""
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        raise unknown("the status of the credential has no identifier")
    if "certificate" in entry:
        raise unknown(_OWN_CERTIFICATE)
    identifier = entry["id"]
    try:
        size = len(from_base64url(identifier))
    except ValueError as error:
        raise unknown("the identifier of the credential is no byte string") from error
    if not 0 < size <= IDENTIFIER_MAX_BYTES:
        raise unknown(f"the identifier of the credential has not 1 to {IDENTIFIER_MAX_BYTES} bytes")
    return StatusReference("identifiers", _address(entry.get("uri")), 0, identifier=identifier)


def _bitstring(entry: dict[str, Any]) -> StatusReference | None:
    if entry.get("type") not in _BITSTRING:
        raise unknown(
            f"the status of the credential is of a kind that is not supported: {entry.get('type')!r}"
        )
    purpose = entry.get("statusPurpose")
    if purpose in _OTHER:
        return None
    if purpose not in _DECIDING:
        raise unknown(f"the purpose of the status is not understood: {purpose!r}")
    if entry.get("statusSize", 1) != 1:
        raise unknown("the status has more than one bit")
    index = entry.get("statusListIndex")
    text = str(index) if isinstance(index, int) and not isinstance(index, bool) else index
    if not isinstance(text, str) or _INDEX.fullmatch(text) is None or int(text) >= INDEX_MAX:
        raise unknown("`statusListIndex` is no number of an entry")
    return StatusReference("bitstring", _address(entry.get("statusListCredential")), int(text), str(purpose))


def _address(value: Any) -> str:
    if not isinstance(value, str) or len(value) > ADDRESS_LENGTH_MAX_CHARS:
        raise unknown("the credential does not name the address of its status list")
    if "#" in value:
        raise unknown("the address of the status list has a fragment")
    return value
