"""What the members decided to trust and to allow, as the ledger has it.

/league/v1/anchors         trust anchors: authorities whose certificates for seals are accepted
/league/v1/certificates    certificates of members' keys, and whether they are valid
/league/v1/policies        the table of distribution policies, in the order in which rows are tried
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.certificates import read_certificate
from hansa.core.clock import Clock, epoch_ms, rfc3339_at_ms
from hansa.core.limits import Limits
from hansa.core.trust.certificates import (
    ANCHORS,
    ANCHORS_MAX,
    CERTIFICATES,
    TRUST_ANCHOR,
    CertificateState,
    KeyCertificate,
    anchor_certificate,
    certificate_bytes,
    certificate_state,
    read_key_certificate,
)
from hansa.core.trust.policies import DISTRIBUTION, POLICIES, POLICY_TABLE, PolicyTable
from hansa.pubsub.bus import BusReads

CERTIFICATES_PAGE: Final = 100
OFFSET_MAX: Final = 1_000_000


class AnchorReport(msgspec.Struct, frozen=True):
    """A trust anchor."""

    fingerprint: str
    """SHA-256 of the certificate's DER, in hex."""
    name: str
    """What its proposer called it."""
    subject: str
    """Common name of the authority."""
    not_after: str
    """When its certificate expires (RFC 3339)."""
    certificate: str
    """Base64 of its DER."""


class CertificateReport(msgspec.Struct, frozen=True):
    """The certificate of a member's key."""

    did: str
    kid: str
    """Name of the key."""
    state: CertificateState
    """`expiring` begins 30 days before it expires; an expired key signs no events, a revoked one nothing."""
    subject: str
    """Common name in the certificate."""
    organization_identifier: str
    """The legal person, as in the DID."""
    serial: str
    """Serial number; hexadecimal."""
    not_before: str
    """Begin of its validity (RFC 3339)."""
    not_after: str
    """When it, one above it or the anchor expires (RFC 3339)."""
    registered: str
    """Time of the block that registered it (RFC 3339)."""
    revoked: str | None
    """Time of the block that revoked it (RFC 3339); null when it is not revoked."""
    anchor: str
    """Fingerprint of the trust anchor."""
    x5c: tuple[str, ...]
    """The certificate, and those above it; base64 of DER."""
    seal: str
    """Signature over the key by the seal that is certified, base64url; else empty."""
    seal_algorithm: str
    """`PS256` or `RS256`, of that signature; empty without one."""


class CertificatesPage(msgspec.Struct, frozen=True):
    """Some certificates."""

    certificates: tuple[CertificateReport, ...]
    """In the order of DIDs and names of keys."""
    total: int
    """How many there are."""


class TrustApi:
    """Serves what the members decided.

    Args:
        bus: Reads the ledger.
        clock: Tells which certificates expire soon; what the ledger judges by is block time.
        limits: Of queries.
    """

    def __init__(self, bus: BusReads, clock: Clock, limits: Limits) -> None:
        self._bus = bus
        self._clock = clock
        self._limits = limits

    async def anchors(self, request: Request) -> Response:
        """`GET /league/v1/anchors`."""
        Parameters(request, (), self._limits)
        page = await self._bus.record_page(ANCHORS, 0, ANCHORS_MAX)
        return json_response([_anchor(fingerprint, body) for fingerprint, body in page.records])

    async def certificates(self, request: Request) -> Response:
        """`GET /league/v1/certificates`."""
        parameters = Parameters(request, {"offset", "limit"}, self._limits)
        offset = parameters.number("offset", 0, 0, OFFSET_MAX)
        limit = min(parameters.page_size(CERTIFICATES_PAGE), CERTIFICATES_PAGE)
        page = await self._bus.record_page(CERTIFICATES, offset, limit)
        now_ms = epoch_ms(self._clock)
        reports = tuple(_certificate(read_key_certificate(body), now_ms) for _, body in page.records)
        return json_response(CertificatesPage(reports, page.total))

    async def policies(self, request: Request) -> Response:
        """`GET /league/v1/policies`."""
        Parameters(request, (), self._limits)
        body = await self._bus.record(POLICIES, DISTRIBUTION)
        return json_response(PolicyTable() if body is None else POLICY_TABLE.read(body))


def _anchor(fingerprint: str, body: bytes) -> AnchorReport:
    anchor = TRUST_ANCHOR.read(body)
    certificate = anchor_certificate(anchor.certificate)
    return AnchorReport(
        fingerprint,
        anchor.name,
        certificate.subject.common_name,
        rfc3339_at_ms(1000 * certificate.not_after_s),
        anchor.certificate,
    )


def _certificate(certificate: KeyCertificate, now_ms: int) -> CertificateReport:
    leaf = read_certificate(certificate_bytes(certificate.x5c[0]))
    return CertificateReport(
        did=certificate.did,
        kid=certificate.kid,
        state=certificate_state(certificate, now_ms),
        subject=leaf.subject.common_name,
        organization_identifier=leaf.subject.organization_identifier or "",
        serial=f"{leaf.serial:x}",
        not_before=rfc3339_at_ms(1000 * certificate.not_before_s),
        not_after=rfc3339_at_ms(1000 * certificate.not_after_s),
        registered=rfc3339_at_ms(certificate.registered_ms),
        revoked=rfc3339_at_ms(certificate.revoked_ms) if certificate.revoked_ms else None,
        anchor=certificate.anchor,
        x5c=certificate.x5c,
        seal=certificate.seal,
        seal_algorithm=certificate.seal_algorithm,
    )
