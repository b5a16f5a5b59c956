"""What is for development: the issuer of credentials, and the wallet."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.api.issuing import APPROVE, DECLINE, ApprovalPage, issuing_routes
from hansa.api.wallets.development import DevelopmentWalletApi
from hansa.core.access import Authenticate
from hansa.core.cache import HasFigures
from hansa.core.certificates import Certificate
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.identity.credentials import DidKeys, read_anchors
from hansa.identity.issuing import (
    ATTESTATIONS,
    FORMS,
    CredentialIssuer,
    DevelopmentAuthority,
    IssuingRules,
    PublishedLists,
)
from hansa.identity.provider.tokens.proofs import Proofs
from hansa.identity.sessions import Sessions
from hansa.node.folder import ATTESTERS, ISSUING
from hansa.node.settings.loading import Settings
from hansa.portal import Frame, NoticeButton, NoticePage, notice_page
from hansa.portal.wallet import WalletPages
from hansa.store import Store


class Development(NamedTuple):
    """What is served of it, and its caches."""

    routes: list[BaseRoute]
    caches: list[HasFigures]
    issuer: CredentialIssuer | None = None


def development(
    settings: Settings,
    store: Store,
    authenticate: Authenticate,
    sessions: Sessions,
    proofs: Proofs,
    frame: Frame,
    http: HttpClient,
    clock: Clock,
    entropy: Entropy,
) -> Development:
    """The parts that the settings ask for; none without them.

    The authority is made here, so that its certificate can be copied before anything is issued.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when its files cannot be read or written.
    """
    if not settings.issuing:
        return Development([], [])
    endpoint = settings.endpoint
    forms = tuple(one for one in FORMS if one in settings.issuing_formats)
    attestations = tuple(one for one in ATTESTATIONS if one in settings.issuing_attestations)
    attesters = _attesters() if attestations else ()
    rules = IssuingRules(
        needs_dpop=settings.issuing_dpop,
        forms=forms,
        is_wallet_initiated=settings.issuing_wallet_initiated,
        attestations=attestations,
        attesters=attesters,
        sd_jwt_issuer=settings.issuing_sd_jwt_issuer,
    )
    address = endpoint if rules.sd_jwt_issuer == "address" else ""
    authority = DevelopmentAuthority(ISSUING, settings.name, clock, entropy, address)
    authority.certificate()
    lists = PublishedLists(store, authority, endpoint, clock, entropy)
    issuer = CredentialIssuer(store, authority, lists, endpoint, DidKeys(http), clock, entropy, rules)
    served = store, authenticate, settings.limits, endpoint, settings.name
    for_people = sessions, proofs, _Approvals(frame)
    return Development([*issuing_routes(issuer, lists, *served, *for_people)], [lists.cache], issuer)


def _attesters() -> tuple[Certificate, ...]:
    """The authorities of providers of wallets.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when there are none, or one cannot be used.
    """
    try:
        attesters = read_anchors(ATTESTERS) if ATTESTERS.is_dir() else ()
    except Refused as error:
        raise Fatal(Code.SETTINGS_INVALID, error.message) from error
    if not attesters:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"issuing_attestations demands attestations, and {ATTESTERS} has no authority.",
        )
    return attesters


class _Approvals:
    """The page on which somebody approves that a wallet is given a credential."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def __call__(self, request: Request, page: ApprovalPage, /) -> Response:
        buttons = [NoticeButton("decision", DECLINE, "Do not issue it, and go back to the wallet")]
        if page.is_approvable:
            buttons.insert(0, NoticeButton("decision", APPROVE, page.title))
        notice = NoticePage(page.title, page.sentences, page.status, page.fields, tuple(buttons))
        return notice_page(self._frame, request, notice, page.form_targets)


def development_wallet(
    settings: Settings, frame: Frame, http: HttpClient, clock: Clock, entropy: Entropy
) -> list[Route]:
    """The pages of the wallet, if the settings name its folder."""
    if not settings.wallet:
        return []
    pages = WalletPages(frame)
    served = http, settings.endpoint, clock, entropy, settings.limits
    return DevelopmentWalletApi(Path(settings.wallet), pages, *served).routes()
