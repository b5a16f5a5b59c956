"""Where a person approves that a wallet is given a credential: the authorization endpoint of the issuer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.wallets.forms import form_of
from hansa.core.errors import Code, Refused
from hansa.core.foreign_text import printable
from hansa.core.forms import unique_fields
from hansa.core.http import NO_STORE, headers_of
from hansa.identity.issuing import CodeRequest, CredentialIssuer, MandateOrder, may_approve
from hansa.identity.sessions import Sessions

AUTHORIZE_PATH: Final = "/oid4vci/authorize"
FORM_SIZE_MAX_BYTES: Final = 4096
PARAMETERS_MAX: Final = 16
APPROVE: Final = "approve"
DECLINE: Final = "decline"
"""Values of `decision`."""


class ApprovalPage(msgspec.Struct, frozen=True):
    """What the page says."""

    title: str
    sentences: tuple[str, ...]
    status: int = 200
    fields: tuple[tuple[str, str], ...] = ()
    """That the browser sends back; none: there is nothing to decide."""
    is_approvable: bool = False
    """Whether there is a button to approve, beside that to decline."""
    form_targets: tuple[str, ...] = ()
    """Where it may be sent on then."""


class ApprovalPages(Protocol):
    """Makes the page."""

    def __call__(self, request: Request, page: ApprovalPage, /) -> Response:
        """The page as a response."""


class ApprovalApi:
    """Handlers of the authorization endpoint.

    Args:
        issuer: Has what was offered.
        sessions: Of browsers.
        page_of: Makes pages for people.
    """

    def __init__(self, issuer: CredentialIssuer, sessions: Sessions, page_of: ApprovalPages) -> None:
        self._issuer = issuer
        self._sessions = sessions
        self._page_of = page_of

    async def show(self, request: Request) -> Response:
        """`GET /oid4vci/authorize?client_id=…&request_uri=…`: what a wallet asks for; or to the login.

        Raises:
            Refused: `Code.NOT_FOUND` or `Code.INVALID`.
        """
        parameters = unique_fields(request.url.query, PARAMETERS_MAX)
        request_uri, client_id = parameters.get("request_uri", ""), parameters.get("client_id", "")
        demand = self._issuer.authorizations.request(request_uri, client_id)
        session = self._sessions.of(headers_of(request.headers.raw))
        if session is None:
            here = f"{AUTHORIZE_PATH}?{urlencode({'client_id': client_id, 'request_uri': request_uri})}"
            location = f"/login?{urlencode({'return_to': here})}"
            return Response(status_code=HTTPStatus.SEE_OTHER, headers={**NO_STORE, "Location": location})
        prepared = await self._issuer.prepared(demand, session.principal)
        if prepared is None:
            page = _NOTHING_PREPARED
        elif may_approve(session.principal, prepared.order):
            page = _question(demand, prepared.order)
        else:
            page = _refusal(prepared.order)
        fields = (
            ("client_id", demand.client_id),
            ("request_uri", request_uri),
            ("offer", "" if prepared is None else prepared.id),
            ("csrf", self._sessions.form_token(session)),
        )
        page = msgspec.structs.replace(page, fields=fields, form_targets=(demand.target,))
        return self._page_of(request, page)

    async def approve(self, request: Request) -> Response:
        """`POST /oid4vci/authorize`: `client_id`, `request_uri`, `offer`, `csrf`, and `decision` of the page.

        What is approved is the offer that the page showed, and no other that waits meanwhile.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN`, `Code.NOT_FOUND`, `Code.CONFLICT` or
                `Code.INVALID`.
        """
        headers = headers_of(request.headers.raw)
        session = self._sessions.of(headers)
        if session is None:
            raise Refused(Code.UNAUTHENTICATED, "Log in first.")
        form = await form_of(request, FORM_SIZE_MAX_BYTES)
        self._sessions.check_form(session, headers, form.get("csrf", ""))
        request_uri = form.get("request_uri", "")
        demand = self._issuer.authorizations.request(request_uri, form.get("client_id", ""))
        decision = form.get("decision")
        if decision == DECLINE:
            location = self._issuer.authorizations.declined(request_uri, demand)
        elif decision != APPROVE:
            raise Refused(Code.INVALID, "The form says neither that it is approved nor that it is declined.")
        else:
            prepared = await self._issuer.prepared(demand, session.principal)
            if prepared is not None and not may_approve(session.principal, prepared.order):
                return self._page_of(request, _refusal(prepared.order))
            if prepared is None or prepared.id != form.get("offer"):
                raise Refused(Code.CONFLICT, "What the page showed is not what waits now: load it again.")
            location = self._issuer.authorizations.approved(request_uri, demand, prepared.id)
        return Response(status_code=HTTPStatus.SEE_OTHER, headers={**NO_STORE, "Location": location})


def _question(demand: CodeRequest, order: MandateOrder) -> ApprovalPage:
    powers = "; ".join(f"{one.function}: {', '.join(one.actions)}" for one in order.powers)
    organization = f"{printable(order.organization_name)} ({order.organization})"
    sentences = (
        f"A wallet asks for a credential of {printable(order.name)} for {organization}.",
        f"Whoever has it may act for the organisation: {printable(powers)}.",
        f"It goes to {printable(demand.target)}. Go on only if that is your wallet.",
    )
    return ApprovalPage("Issue the credential", sentences, is_approvable=True)


def _refusal(order: MandateOrder) -> ApprovalPage:
    sentences = (
        f"This credential is for {printable(order.name)} of {printable(order.organization_name)}.",
        "That person approves it here, logged in for the same organisation, with the same e-mail address.",
        "An operator of this marketplace can approve it, too.",
        "Whoever has no credential yet takes the offer with the code that came with it.",
    )
    return ApprovalPage("You cannot approve this", sentences, 403)


_NOTHING_PREPARED: Final = ApprovalPage(
    "Nothing is prepared for you",
    (
        "A wallet asks for a credential, and none waits for you here.",
        "Your organisation, or an operator of this marketplace, prepares credentials: ask there.",
        "An offer is for a person with the organisation and the e-mail address with which you are logged in.",
    ),
    403,
)
