"""Verifying a file with a credential, for a command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from hansa.cli.input_files import read_input
from hansa.core.base64url import from_base64url
from hansa.core.certificates import Certificate
from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused
from hansa.core.trust.issuers import TrustedIssuer
from hansa.identity.credentials import (
    CREDENTIAL_SIZE_MAX_BYTES,
    CredentialFormat,
    CredentialVerifier,
    DidKeys,
    IssuerTrust,
    ListedIssuers,
    PresentationRequest,
    RecentPresentations,
    SessionTerms,
    StatusLists,
    VerifiedCredential,
    check_power,
    format_of,
    read_anchors,
    read_issuers,
)
from hansa.node.outbound import OutboundClient


class TrustSource(msgspec.Struct, frozen=True):
    """Whom a command line names as trusted."""

    anchors: tuple[Certificate, ...]
    issuers: tuple[TrustedIssuer, ...] | None
    anchored_types: tuple[str, ...]
    allow_private_networks: bool


def read_trust_source(
    anchors: Iterable[Path], issuers: Path | None, anchored_types: Iterable[str], allow_private_networks: bool
) -> TrustSource:
    """What the files that a command line names hold.

    Raises:
        Refused: Naming the file.
    """
    return TrustSource(
        tuple(anchor for path in anchors for anchor in read_anchors(path)),
        None if issuers is None else read_input(issuers, read_issuers),
        tuple(anchored_types),
        allow_private_networks,
    )


def read_session(response_uri: str | None, key_thumbprint: str | None) -> SessionTerms | None:
    """What the wallet with an mdoc signed about the request for it; None: no address is named.

    Raises:
        Refused: `Code.INVALID`.
    """
    if response_uri is None:
        return None
    try:
        thumbprint = None if key_thumbprint is None else from_base64url(key_thumbprint)
    except ValueError as error:
        raise Refused(Code.INVALID, f"{key_thumbprint!r} is no thumbprint of a key.") from error
    return SessionTerms(response_uri, thumbprint)


def verified_file(
    file: Path,
    source: TrustSource,
    audience: str | None,
    nonce: str | None,
    session: SessionTerms | None,
    power: str | None,
) -> VerifiedCredential:
    """The credential in a file, which holds.

    Args:
        file: A credential, or a presentation of one.
        source: Whom to believe.
        audience: For whom a presentation has to be made.
        nonce: Of the request for it.
        session: Of the request for an mdoc; None: it is none.
        power: Which the credential has to give, as `DOME/ProductOffering/Create`; None: any.

    Raises:
        CredentialRefused: When it does not hold.
        Refused: When the command line does not say what is needed, or the file holds no credential.
    """
    parts = None if power is None else power.split("/")
    if parts is not None and len(parts) != 3:
        raise Refused(Code.INVALID, f"{power!r} is no power: domain, function and action, parted by /.")
    text, format, is_presentation = read_input(file, _credential)
    request = None
    if is_presentation:
        if not audience or not nonce:
            raise Refused(
                Code.INVALID, f"{file} is a presentation: name --audience and --nonce of the request for it."
            )
        request = PresentationRequest(audience, nonce, session)

    async def verified() -> VerifiedCredential:
        async with _verifier(source) as verifier:
            if request is None:
                return await verifier.credential(text, format)
            return await verifier.presentation(text, format, request)

    credential = asyncio.run(verified())
    if parts is not None:
        check_power(credential, *parts)
    return credential


def _credential(content: bytes) -> tuple[str, CredentialFormat, bool]:
    """A credential as a file holds it, its format, and whether it is a presentation of one.

    A line break at the end is no part of it.
    """
    if len(content) > CREDENTIAL_SIZE_MAX_BYTES or not content.isascii():
        raise Refused(Code.CREDENTIAL_MALFORMED, "It is no credential in text form, or too long.")
    text = content.decode("ascii").strip()
    if not text:
        raise Refused(Code.CREDENTIAL_MALFORMED, "It is empty.")
    return text, *format_of(text)


@asynccontextmanager
async def _verifier(source: TrustSource) -> AsyncIterator[CredentialVerifier]:
    """A verifier of this machine, with the connections that it needs."""

    async def is_any(_: str) -> bool:
        return True

    http = OutboundClient(is_any, allow_private_networks=source.allow_private_networks)
    registry = None if source.issuers is None else ListedIssuers(source.issuers)
    dids = DidKeys(http)
    trust = IssuerTrust(source.anchors, registry, dids, source.anchored_types)
    status = StatusLists(http, trust, allow_http=source.allow_private_networks)
    try:
        yield CredentialVerifier(trust, dids, status, RecentPresentations(), SystemClock())
    finally:
        await http.close()
