"""`anchor.put`, `anchor.remove`, `certificate.revoke`: whose certificates for seals the league accepts.

A revoked key signs nothing, no votes either. So nothing is revoked that would leave too little voting power
with keys that can sign: the league could decide nothing more, this included.
"""

from __future__ import annotations

from typing import Final

from hansa.core.certificates import Certificate
from hansa.core.errors import Refused
from hansa.core.trust.certificates import (
    ANCHORS,
    ANCHORS_MAX,
    CERTIFICATES,
    TRUST_ANCHOR,
    KeyCertificate,
    TrustAnchor,
    anchor_certificate,
    certificate_key,
    read_key_certificate,
)
from hansa.core.trust.changes import AnchorPut, AnchorRemove, CertificateRevoke
from hansa.pubsub.ledger.rules.certificates import CERTIFICATE, certificate_of, revoke_key
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.governance.powers import power_of
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE
from hansa.pubsub.ledger.state import Overlay, StateView

_ANCHOR: Final = "threshold_anchor_sixtieths"


def _authority(change: AnchorPut) -> Certificate:
    try:
        return anchor_certificate(change.certificate)
    except Refused as error:
        raise CERTIFICATE.broken(error.message) from error


def _put(state: Overlay, change: AnchorPut) -> None:
    authority = _authority(change)
    if not authority.is_valid_at(state.time_ms // 1000):
        raise CERTIFICATE.broken("The certificate of the authority has expired, or is not valid yet.")
    anchors = state.records(ANCHORS)
    if authority.fingerprint not in anchors and len(anchors) >= ANCHORS_MAX:
        raise CHANGE.broken(f"The league has {ANCHORS_MAX} trust anchors, as many as it may have.")
    body = TRUST_ANCHOR.write(TrustAnchor(change.certificate, change.name))
    state.put_record(ANCHORS, authority.fingerprint, body)


def _describe_put(view: ElementsView, change: AnchorPut) -> str:
    authority = _authority(change)
    verb = "Rename" if view.record(ANCHORS, authority.fingerprint) else "Accept"
    shown = change.name or authority.subject.common_name
    return f"{verb} the authority {shown!r} ({authority.fingerprint}): its certificates for seals show who a key is of."


def _remove(state: Overlay, change: AnchorRemove) -> None:
    if state.record(ANCHORS, change.anchor) is None:
        raise CHANGE.broken(f"The league has no trust anchor {change.anchor}.")
    state.put_record(ANCHORS, change.anchor, None)
    if change.keys == "revoke":
        for certificate in _certified_by(state, change.anchor):
            revoke_key(state, certificate)
        _check_votes_remain(state)


def _certified_by(view: ElementsView, anchor: str) -> tuple[KeyCertificate, ...]:
    """Certificates of an anchor that are not revoked."""
    every = map(read_key_certificate, view.records(CERTIFICATES).values())
    return tuple(one for one in every if one.anchor == anchor and not one.revoked_ms)


def _describe_remove(view: ElementsView, change: AnchorRemove) -> str:
    body = view.record(ANCHORS, change.anchor)
    name = TRUST_ANCHOR.read(body).name if body is not None else ""
    dids = ", ".join(sorted({one.did for one in _certified_by(view, change.anchor)})) or "no member"
    follows = "stay valid" if change.keys == "keep" else "are revoked, and sign nothing more"
    return f"Accept no further certificates of {name or change.anchor}; the keys with one ({dids}) {follows}."


def _revoke(state: Overlay, change: CertificateRevoke) -> None:
    certificate = certificate_of(state, change.did, change.kid)
    if certificate is None or certificate.revoked_ms:
        raise CHANGE.broken(f"{change.did} has no key {change.kid} with a certificate that could be revoked.")
    revoke_key(state, certificate)
    _check_votes_remain(state)


def _check_votes_remain(state: StateView) -> None:
    """More than two thirds of the voting power has a key that can sign votes."""
    total = able = 0
    for member in state.members:
        power = power_of(state, member)
        total += power
        certificates = (certificate_of(state, member.did, key.kid) for key in member.keys)
        if any(one is None or not one.revoked_ms for one in certificates):
            able += power
    if 3 * able <= 2 * total:
        raise CHANGE.broken(
            "Too little voting power would have a key that can sign votes; rotate those keys first."
        )


def _describe_revoke(view: ElementsView, change: CertificateRevoke) -> str:
    del view
    return f"Revoke the key {change.kid} of {change.did}: it signs no events, votes and statements any more."


ANCHOR_PUT: Final = ChangeKind(
    "anchor.put", _ANCHOR, lambda change: (f"anchor/{_authority(change).fingerprint}",), _put, _describe_put
)
ANCHOR_REMOVE: Final = ChangeKind(
    "anchor.remove", _ANCHOR, lambda change: (f"anchor/{change.anchor}",), _remove, _describe_remove
)
CERTIFICATE_REVOKE: Final = ChangeKind(
    "certificate.revoke",
    _ANCHOR,
    lambda change: (f"certificate/{certificate_key(change.did, change.kid)}",),
    _revoke,
    _describe_revoke,
)
