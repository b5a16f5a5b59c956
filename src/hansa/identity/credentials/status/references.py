"""Where the status of a credential is, as the credential says it: `status` or `credentialStatus`."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from hansa.core.web_addresses import ADDRESS_LENGTH_MAX_CHARS
from hansa.identity.credentials.status.encoding import unknown

INDEX_MAX: Final = 2**32

_INDEX: Final = re.compile("0|[1-9][0-9]{0,9}", re.ASCII)
_BITSTRING: Final = frozenset({"BitstringStatusListEntry"})
_DECIDING: Final = frozenset({"revocation", "suspension"})
_OTHER: Final = frozenset({"message", "refresh"})
"""Purposes that say nothing about whether a credential is good."""

StatusKind = Literal["bitstring", "token"]


class StatusReference(msgspec.Struct, frozen=True):
    """One entry of one list."""

    kind: StatusKind
    uri: str
    """Of the list."""
    index: int
    purpose: str = ""
    """Of a Bitstring Status List: `revocation` or `suspension`."""


class HeldStatus(msgspec.Struct, frozen=True):
    """Where the status of a credential is, to be looked up again later."""

    issuer: str
    """Of the credential: the list is one of the same."""
    references: tuple[StatusReference, ...]


def read_reference(entry: Any) -> StatusReference | None:
    """The reference that an entry is; None when it is about something else than revocation and suspension.

    Raises:
        Refused: `Code.CREDENTIAL_STATUS_UNKNOWN`, for whatever is not understood.
    """
    if not isinstance(entry, dict):
        raise unknown("the credential does not say where its status is")
    if "statusListCredential" in entry or "statusPurpose" in entry:
        return _bitstring(entry)
    inner = entry.get("status_list")
    if entry.keys() != {"status_list"} or not isinstance(inner, dict):
        raise unknown(f"the status of the credential is of a kind that is not supported: {sorted(entry)[:8]}")
    index, uri = inner.get("idx"), inner.get("uri")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < INDEX_MAX:
        raise unknown("`idx` of the status is no number of an entry")
    return StatusReference("token", _address(uri), index)


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
