"""Handlers for employees: the page of somebody who may invite and remove colleagues."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.api.issuing.operators import offer_link
from hansa.api.wallets.forms import form_of
from hansa.core.errors import Code, Refused
from hansa.core.http import headers_of
from hansa.identity.issuing import STATUSES, power_of
from hansa.identity.onboarding import Employees
from hansa.identity.sessions import Session, Sessions

EMPLOYEES_PATH: Final = "/onboarding/employees"
FORM_MAX_BYTES: Final = 16_384
POWERS_MAX: Final = 32


class EmployeeRow(msgspec.Struct, frozen=True):
    """A credential of an employee."""

    id: str
    holder: str
    email: str
    configuration: str
    status: str


class EmployeesView(msgspec.Struct, frozen=True):
    """What the page shows."""

    organization: str
    employees: tuple[EmployeeRow, ...]
    powers: tuple[str, ...]
    """That can be given, as they are written in the form."""
    csrf: str
    link: str = ""
    """Of an invitation that was just made; empty: none was."""
    tx_code: str = ""


class EmployeesPages(Protocol):
    """The page."""

    def employees(self, request: Request, view: EmployeesView) -> Response:
        """Shows them."""


class EmployeesApi:
    """Handlers of these paths; all of them are for sessions.

    Args:
        employees: Invites and removes.
        sessions: Of browsers.
        pages: That are shown.
        endpoint: Of the marketplace.
    """

    def __init__(
        self, employees: Employees, sessions: Sessions, pages: EmployeesPages, endpoint: str
    ) -> None:
        self._employees = employees
        self._sessions = sessions
        self._pages = pages
        self._endpoint = endpoint

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(EMPLOYEES_PATH, self.show, methods=["GET"]),
            Route(EMPLOYEES_PATH, self.invite, methods=["POST"]),
            Route(f"{EMPLOYEES_PATH}/{{id}}/remove", self.remove, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /onboarding/employees`.

        Raises:
            Refused: `Code.UNAUTHENTICATED` or `Code.FORBIDDEN`.
        """
        return self._pages.employees(request, await self._view(self._session(request)))

    async def invite(self, request: Request) -> Response:
        """`POST /onboarding/employees`: `name`, `email`, `powers` a line each, and `csrf` of the page.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN` or `Code.INVALID`.
        """
        session, form = await self._form(request)
        lines = [line.strip() for line in form.get("powers", "").splitlines() if line.strip()]
        if len(lines) > POWERS_MAX:
            raise Refused(Code.INVALID, f"A mandate from this form has {POWERS_MAX} powers at most.")
        powers = [power_of(line) for line in lines]
        names = form.get("name", "").strip(), form.get("email", "").strip()
        offer = await self._employees.invite(session.principal, *names, powers)
        view = await self._view(session)
        link = offer_link(self._endpoint, offer.reference)
        return self._pages.employees(request, msgspec.structs.replace(view, link=link, tx_code=offer.tx_code))

    async def remove(self, request: Request) -> Response:
        """`POST /onboarding/employees/{id}/remove`, with `csrf` of the page.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN` or `Code.NOT_FOUND`.
        """
        session, _ = await self._form(request)
        await self._employees.remove(session.principal, request.path_params["id"])
        headers = {"Cache-Control": "no-store", "Location": EMPLOYEES_PATH}
        return Response(status_code=HTTPStatus.SEE_OTHER, headers=headers)

    async def _view(self, session: Session) -> EmployeesView:
        principal = session.principal
        rows = tuple(
            EmployeeRow(one.id, one.holder, one.email, one.configuration, STATUSES[one.status])
            for one in await self._employees.of(principal)
        )
        powers = tuple(f"{one.domain}/{one.function}:{','.join(one.actions)}" for one in principal.powers)
        csrf = self._sessions.form_token(session)
        return EmployeesView(principal.organization_name or principal.organization, rows, powers, csrf)

    async def _form(self, request: Request) -> tuple[Session, dict[str, str]]:
        session = self._session(request)
        form = await form_of(request, FORM_MAX_BYTES)
        self._sessions.check_form(session, _headers(request), form.get("csrf", ""))
        return session, form

    def _session(self, request: Request) -> Session:
        session = self._sessions.of(_headers(request))
        if session is None:
            raise Refused(Code.UNAUTHENTICATED, "Log in first.")
        return session


def _headers(request: Request) -> dict[bytes, bytes]:
    return headers_of(request.headers.raw)
