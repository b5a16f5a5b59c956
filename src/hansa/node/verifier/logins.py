"""What verifies credentials and logs people in with their wallets, as the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from hansa.api.wallets import ExchangeApi, LoginsApi, routes
from hansa.core.cache import HasFigures
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.web_addresses import network_of
from hansa.identity.credentials import (
    CredentialVerifier,
    DidKeys,
    IssuerTrust,
    RecentPresentations,
    StatusLists,
)
from hansa.identity.credentials.trusted_lists.sources import LISTS_MAX, TrustPaths, TrustSources
from hansa.identity.presentations import (
    LoginOptions,
    PresentationQuery,
    WalletLogins,
    read_accepted_type,
)
from hansa.identity.principal import principal_of
from hansa.node.folder import ANCHORS, LIST_SIGNERS, TRUSTED_LISTS
from hansa.node.parts.development import development_wallet
from hansa.node.parts.identity import IdentityParts
from hansa.node.settings.loading import Settings
from hansa.node.verifier.identity import registration_certificate, verifier_identity
from hansa.node.verifier.issuers import LedgerIssuers, LedgerRecords
from hansa.portal import Frame
from hansa.portal.logins import LoginChoice, WalletLoginPages


class WalletParts(msgspec.Struct, frozen=True):
    """What the wiring needs of it."""

    routes: Sequence[Route]
    credentials: CredentialVerifier
    caches: Sequence[HasFigures]


def wallet_parts(
    settings: Settings,
    ledger: LedgerRecords,
    to_issuers: HttpClient,
    sources: TrustSources,
    identity: IdentityParts,
    frame: Frame,
    clock: Clock,
    entropy: Entropy,
    log: Any,
) -> WalletParts:
    """The verifier of the marketplace in the working folder, and logins with wallets.

    Args:
        settings: Of the marketplace.
        ledger: Has the trusted issuers.
        to_issuers: Fetches status lists and documents of DIDs.
        sources: Has the trust anchors.
        identity: Says what powers mean here, and begins sessions.
        frame: Of its pages.
        clock: For all times.
        entropy: For all secrets.
        log: Is told what an operator has to know.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a key, a certificate or an anchor cannot be used.
    """
    dids = DidKeys(to_issuers)
    registry = LedgerIssuers(ledger) if settings.credential_trust == "ledger" else None
    trust = IssuerTrust((), registry, dids, settings.anchored_credentials)
    sources.adopt_with(trust.adopt)
    status = StatusLists(to_issuers, trust, allow_http=settings.allow_private_networks)
    credentials = CredentialVerifier(trust, dids, status, RecentPresentations(), clock)
    logins = WalletLogins(
        verifier_identity(settings, Path(), clock, entropy, log),
        PresentationQuery(
            map(read_accepted_type, settings.wallet_credentials),
            lambda: sources.own if settings.wallet_names_authorities else (),
            map(read_accepted_type, settings.login_identity_types),
        ),
        credentials,
        lambda credential: principal_of(credential, identity.rules, identity.identities),
        LoginOptions(
            endpoint=settings.endpoint,
            mode=settings.wallet_response_mode,
            cross_device=settings.wallet_cross_device,
            scheme=settings.wallet_scheme,
            web_wallets=settings.web_wallets,
            registration=registration_certificate(Path()),
        ),
        *(clock, entropy, settings.limits),
    )
    choice = LoginChoice(bool(settings.wallet_credentials), bool(settings.login_identity_types))
    pages = WalletLoginPages(frame, settings.name, settings.endpoint, choice)
    begin = identity.sessions.begin
    api = LoginsApi(logins, pages, begin, settings.endpoint, browser_address, settings.limits)
    own = development_wallet(settings, frame, to_issuers, clock, entropy)
    served = [*routes(api, ExchangeApi(logins)), *own]
    return WalletParts(served, credentials, (dids.cache, status.cache))


def browser_address(request: Request) -> str:
    """The address of a browser, as callers are counted."""
    return network_of(request.client.host) if request.client is not None else ""


def trust_sources(settings: Settings, to_issuers: HttpClient, clock: Clock) -> TrustSources:
    """The trust anchors of the marketplace in the working folder.

    Args:
        settings: Name the trusted lists.
        to_issuers: Fetches them.
        clock: For all times.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a certificate cannot be used.
    """
    if len(settings.trusted_lists) > LISTS_MAX:
        raise Fatal(Code.SETTINGS_INVALID, f"trusted_lists names more than {LISTS_MAX} lists.")
    paths = TrustPaths(ANCHORS, LIST_SIGNERS, TRUSTED_LISTS)
    lists = settings.trusted_lists, settings.trusted_list_services
    sources = TrustSources(paths, *lists, to_issuers, clock)
    try:
        sources.load()
    except Refused as error:
        raise Fatal(Code.SETTINGS_INVALID, error.message) from error
    return sources
