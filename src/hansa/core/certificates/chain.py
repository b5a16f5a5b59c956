"""Verifying certificates up to a trust anchor (RFC 5280, section 6), at a moment that is a parameter.

A chain is given in order: the certificate of the key, then the one of its issuer, and so on; each is signed
by the next, and the last by an anchor. Names are equal when their bytes are. There is no search for a path,
and no look at anything but the arguments. Revocation lists are not fetched: the ledger records revocations
itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from hansa.core.certificates.certificate import (
    Certificate,
    check_authority,
    check_seal,
    read_certificate,
    shown,
)
from hansa.core.certificates.der import malformed
from hansa.core.certificates.extensions import SEAL_PURPOSES

CHAIN_LENGTH_MAX: Final = 4


class VerifiedChain(msgspec.Struct, frozen=True):
    """What a chain shows."""

    leaf: Certificate
    anchor: Certificate
    not_after_s: int
    """Last second at which every certificate of it, and the anchor, is valid."""


def verify_chain(
    chain: Sequence[bytes],
    anchors: Sequence[Certificate],
    time_s: int,
    leeway_s: int = 0,
    purposes: frozenset[bytes] = SEAL_PURPOSES,
) -> VerifiedChain:
    """Verify that a key was certified for seals by an anchor.

    Args:
        chain: DER; the certificate of the key first. The anchor is not part of it.
        anchors: Authorities that are trusted (`read_anchor`).
        time_s: At which all of them must be valid; seconds since 1970.
        leeway_s: How far the clock that says so may be off. Consensus has none: its time is decided.
        purposes: Extended key usages, of which the first certificate has one, if it names any.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`, with the reason in plain words.
    """
    if not 1 <= len(chain) <= CHAIN_LENGTH_MAX:
        raise malformed(f"a chain has 1 to {CHAIN_LENGTH_MAX} certificates, not {len(chain)}")
    certificates = [read_certificate(raw) for raw in chain]
    check_seal(certificates[0], purposes)
    for certificate in certificates[1:]:
        check_authority(certificate)
    for certificate in certificates:
        _check_time(certificate, time_s, leeway_s)
    for lower, upper in pairwise(certificates):
        _check_issued(lower, upper)
    anchor = _anchor_of(certificates[-1], anchors, time_s, leeway_s)
    path = [*certificates, anchor]
    for authorities_below, authority in enumerate(path[1:]):
        length = authority.extensions.path_length
        if length is not None and authorities_below > length:
            raise malformed(f"{shown(authority)} may not have {authorities_below} authorities below it")
    return VerifiedChain(certificates[0], anchor, min(certificate.not_after_s for certificate in path))


def _check_time(certificate: Certificate, time_s: int, leeway_s: int) -> None:
    if not certificate.not_before_s - leeway_s <= time_s <= certificate.not_after_s + leeway_s:
        relation = "has expired" if time_s > certificate.not_after_s else "is not valid yet"
        raise malformed(f"{shown(certificate)} {relation}")


def _check_issued(lower: Certificate, upper: Certificate) -> None:
    if lower.issuer.raw != upper.subject.raw:
        raise malformed(f"{shown(upper)} is not the issuer that {shown(lower)} names")
    if not lower.is_signed_by(upper.key):
        raise malformed(f"{shown(lower)} is not signed by {shown(upper)}")


def _anchor_of(last: Certificate, anchors: Sequence[Certificate], time_s: int, leeway_s: int) -> Certificate:
    """The anchor that signed the last certificate of a chain."""
    named = [anchor for anchor in anchors if anchor.subject.raw == last.issuer.raw]
    if not named:
        raise malformed(f"the issuer of {shown(last)} is none of the league's trust anchors")
    anchor = next((anchor for anchor in named if last.is_signed_by(anchor.key)), None)
    if anchor is None:
        raise malformed(f"{shown(last)} names a trust anchor as its issuer, which did not sign it")
    _check_time(anchor, time_s, leeway_s)
    return anchor
