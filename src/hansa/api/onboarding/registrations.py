"""Handlers of onboarding: the page of whoever is logged in, and the list of the operator."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, Protocol, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.api.callers import require_operator
from hansa.api.parameters import POSITION_MAX, Parameters, Reader, page_size, position
from hansa.api.responses import json_response
from hansa.api.wallets.forms import form_of
from hansa.core.access import Authenticate
from hansa.core.clock import rfc3339_at_ms
from hansa.core.errors import Code, Refused
from hansa.core.http import NO_STORE, headers_of
from hansa.core.limits import Limits
from hansa.identity.onboarding import Onboarding
from hansa.identity.sessions import Session, Sessions
from hansa.store import Store
from hansa.store.tables.onboarding import registrations
from hansa.store.tables.onboarding.registrations import Registration, RegistrationState

ONBOARDING_PATH: Final = "/onboarding"
FORM_MAX_BYTES: Final = 4096
_STATES: Final[tuple[RegistrationState, ...]] = get_args(RegistrationState)
_PAGES: Final[dict[str, Reader]] = {"offset": position, "limit": page_size}


class OnboardingView(msgspec.Struct, frozen=True):
    """What the page shows of an organisation."""

    organization: str
    organization_name: str
    state: str
    """`waiting`, `approved`, or empty: it has not registered."""
    accepted: str
    """Version of the terms that was accepted; empty: none."""
    terms: str
    """Version that holds."""
    may_register: bool
    csrf: str


class OrganizationReport(msgspec.Struct, frozen=True):
    """An organisation that registered."""

    organization: str
    name: str
    country: str
    state: RegistrationState
    registrant: str
    registrant_name: str
    registrant_email: str
    roles: tuple[str, ...]
    terms: str
    accepted: str
    registered: str
    organization_id: str


class OnboardingPages(Protocol):
    """The page."""

    def onboarding(self, request: Request, view: OnboardingView) -> Response:
        """Where the organisation is."""


class OnboardingApi:
    """Handlers of these paths.

    Args:
        onboarding: Registers and decides.
        store: Has the registrations.
        sessions: Of browsers.
        authenticate: Finds out who calls.
        pages: That are shown.
        limits: Of queries.
    """

    def __init__(
        self,
        onboarding: Onboarding,
        store: Store,
        sessions: Sessions,
        authenticate: Authenticate,
        pages: OnboardingPages,
        limits: Limits,
    ) -> None:
        self._onboarding = onboarding
        self._store = store
        self._sessions = sessions
        self._authenticate = authenticate
        self._pages = pages
        self._limits = limits

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(ONBOARDING_PATH, self.show, methods=["GET"]),
            Route(ONBOARDING_PATH, self.register, methods=["POST"]),
            Route("/onboarding/organizations", self.organizations, methods=["GET"]),
            Route("/onboarding/organizations/{id}/approve", self.approve, methods=["POST"]),
            Route("/onboarding/organizations/{id}/remove", self.remove, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /onboarding`; a browser in which nobody is logged in is sent to the login."""
        session = self._sessions.of(_headers(request))
        if session is None:
            location = {"Location": f"/login?return_to={ONBOARDING_PATH}"}
            return Response(status_code=HTTPStatus.SEE_OTHER, headers={**NO_STORE, **location})
        return self._pages.onboarding(request, await self._view(session))

    async def register(self, request: Request) -> Response:
        """`POST /onboarding`: `terms`, and `csrf` of the page.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN` or `Code.CONFLICT`.
        """
        headers = _headers(request)
        session = self._sessions.of(headers)
        if session is None:
            raise Refused(Code.UNAUTHENTICATED, "Log in first.")
        form = await form_of(request, FORM_MAX_BYTES)
        self._sessions.check_form(session, headers, form.get("csrf", ""))
        await self._onboarding.register(session.principal, form.get("terms", ""))
        location = {"Location": ONBOARDING_PATH}
        return Response(status_code=HTTPStatus.SEE_OTHER, headers={**NO_STORE, **location})

    async def organizations(self, request: Request) -> Response:
        """`GET /onboarding/organizations?state=&offset=&limit=`: who registered, the oldest first."""
        require_operator(self._authenticate, request)
        parameters = Parameters(request, {**_PAGES, "state": _state}, self._limits)
        limit = parameters.page_size(self._limits.list_limit_default)
        offset = parameters.number("offset", 0, 0, POSITION_MAX)
        rows = await registrations.registrations(self._store, _state(parameters, "state"), limit, offset)
        return json_response(list(map(_report, rows)), headers=NO_STORE)

    async def approve(self, request: Request) -> Response:
        """`POST /onboarding/organizations/{id}/approve`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        require_operator(self._authenticate, request)
        return json_response(
            _report(await self._onboarding.approve(request.path_params["id"])), headers=NO_STORE
        )

    async def remove(self, request: Request) -> Response:
        """`POST /onboarding/organizations/{id}/remove`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        require_operator(self._authenticate, request)
        return json_response(
            _report(await self._onboarding.remove(request.path_params["id"])), headers=NO_STORE
        )

    async def _view(self, session: Session) -> OnboardingView:
        principal = session.principal
        one = await self._onboarding.of(principal.organization)
        return OnboardingView(
            organization=principal.organization,
            organization_name=principal.organization_name,
            state="" if one is None else one.state,
            accepted="" if one is None else one.terms,
            terms=self._onboarding.terms,
            may_register=self._onboarding.may_register(principal),
            csrf=self._sessions.form_token(session),
        )


def _state(parameters: Parameters, name: str) -> RegistrationState | None:
    text = parameters.text(name)
    state = next((one for one in _STATES if one == text), None)
    if text is not None and state is None:
        raise Refused(Code.INVALID, f"{name} is one of {', '.join(_STATES)}.")
    return state


def _headers(request: Request) -> dict[bytes, bytes]:
    return headers_of(request.headers.raw)


def _report(one: Registration) -> OrganizationReport:
    return OrganizationReport(
        organization=one.organization,
        name=one.name,
        country=one.country,
        state=one.state,
        registrant=one.registrant,
        registrant_name=one.registrant_name,
        registrant_email=one.registrant_email,
        roles=tuple(one.roles.split()),
        terms=one.terms,
        accepted=rfc3339_at_ms(one.accepted_ms),
        registered=rfc3339_at_ms(one.registered_ms),
        organization_id=one.organization_id,
    )
