"""What a trusted list says, whatever form it is in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from hansa.core.certificates import Certificate, read_anchor
from hansa.core.errors import Code, Refused
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, date_time

LIST_SIZE_MAX_BYTES: Final = 8_388_608
LIST_ANCHORS_MAX: Final = 4000

GRANTED: Final = frozenset(
    {
        "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted",
        "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/recognisedatnationallevel",
        "http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/notified",
    }
)
"""States of services that count; in others, a service was withdrawn or is not known to be good."""


class ListedService(msgspec.Struct, frozen=True):
    """A service in a list."""

    type: str
    status: str
    """Empty: the list has none, as those of TS 119 602 may."""
    certificates: tuple[bytes, ...]
    """DER."""
    is_for_seals: bool = True
    """False when the list says that it certifies other things alone: signatures, web sites."""


class TrustedList(msgspec.Struct, frozen=True):
    """A list whose signature was verified."""

    sequence: int
    """Greater for every new one."""
    next_update_s: int
    """Until when it may be used; seconds since 1970."""
    anchors: tuple[Certificate, ...]
    skipped: int
    """How many certificates of services that count cannot be used as anchors."""


def listed(
    sequence: object,
    issued: object,
    next_update: object,
    services: Sequence[ListedService],
    counted: Collection[str],
    now_s: int,
) -> TrustedList:
    """The list of what was read.

    Args:
        sequence: Number of the list, as it is written.
        issued: When it was issued, as RFC 3339.
        next_update: Until when there will be another.
        services: In it.
        counted: Types of services whose certificates become anchors.
        now_s: Seconds since 1970.

    Raises:
        Refused: `Code.INVALID`, with the end of a sentence that begins with "it".
    """
    if isinstance(sequence, bool) or not isinstance(sequence, int) or sequence < 0:
        raise unusable("has no number")
    try:
        times = {"issued": issued, "next": next_update}
        issued_s, next_update_s = date_time(times, "issued"), date_time(times, "next")
    except Refused as error:
        raise unusable(
            f"does not say when it was issued and until when it is good ({error.message})"
        ) from error
    if issued_s is None or next_update_s is None:
        raise unusable("does not say when it was issued and until when it is good: a list that was closed")
    if issued_s > now_s + CLOCK_LEEWAY_S:
        raise unusable("is of the future")
    if next_update_s + CLOCK_LEEWAY_S <= now_s:
        raise unusable("is out of date: its next update was due")
    anchors: dict[bytes, Certificate] = {}
    unread: set[bytes] = set()
    for raw in _counted(services, counted):
        try:
            anchors[raw] = read_anchor(raw)
        except Refused:
            unread.add(raw)
        if len(anchors) + len(unread) > LIST_ANCHORS_MAX:
            raise unusable(f"has more than {LIST_ANCHORS_MAX} certificates of authorities")
    return TrustedList(sequence, next_update_s, tuple(anchors.values()), len(unread))


def _counted(services: Sequence[ListedService], counted: Collection[str]) -> list[bytes]:
    return [
        raw
        for service in services
        if service.type in counted
        and service.is_for_seals
        and (not service.status or service.status in GRANTED)
        for raw in service.certificates
    ]


def signer_among(raw: bytes, signers: Sequence[Certificate], now_s: int) -> Certificate:
    """The certificate of whoever signed a list, which is one of those that were named for it.

    Raises:
        Refused: `Code.INVALID`.
    """
    named = next((one for one in signers if one.raw == raw), None)
    if named is None:
        raise unusable("is signed by a certificate that is none of `list-signers/`")
    if not named.not_before_s - CLOCK_LEEWAY_S <= now_s <= named.not_after_s + CLOCK_LEEWAY_S:
        raise unusable("is signed by a certificate that has ended, or has not begun")
    return named


def unusable(what: str) -> Refused:
    """The refusal of a list; `what` is the end of a sentence that begins with "it"."""
    return Refused(Code.INVALID, f"it {what}")
