"""The pages of the development wallet, of registration and of employees, with recorded content."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.api.onboarding import OnboardingView
from hansa.api.onboarding.employees import EmployeeRow, EmployeesView
from hansa.api.wallets.development import WalletPerson, WalletView
from hansa.identity.wallet import CredentialSummary, VerifierRequest
from hansa.portal import Frame
from hansa.portal.onboarding import RegistrationPages
from hansa.portal.wallet import WalletPages
from tests.support.people import CSRF

LONG_NAME = "Gesellschaft für Luftreinhaltung und Umweltmesstechnik mit beschränkter Haftung"
HELD = CredentialSummary(
    "1",
    "dc+sd-jwt",
    "learcredential.employee.sd.1",
    "Ana Prueba",
    LONG_NAME,
    ("ProductOffering: Create, Update", "Onboarding: Execute"),
    1_800_000_000,
)
CREDENTIALS = (HELD, msgspec.structs.replace(HELD, id="2", format="jwt_vc_json"))
PEOPLE = (
    WalletPerson("ana", CREDENTIALS, is_able=True, disclosed=("firstName", "lastName", "email")),
    WalletPerson("nils", CREDENTIALS[:1]),
)
REQUEST = VerifierRequest(
    client_id="x509_hash:x",
    name="",
    host="market.example",
    nonce="n",
    state="s",
    response_uri="https://market.example/oid4vp/response/1",
    response_mode="direct_post.jwt",
    dcql={},
    metadata={},
)
LINK = {"client_id": "x509_hash:x", "request_uri": "https://market.example/oid4vp/request/1"}
EMPLOYEES = (
    EmployeeRow("urn:uuid:1", "Ana Prueba", "ana@goodair.example", "LEARCredentialEmployee", "valid"),
    EmployeeRow(
        "urn:uuid:2", "Nils Olsen", "nils@goodair.example", "learcredential.employee.sd.1", "revoked"
    ),
)
POWERS = ("DOME/ProductOffering:Create,Update,Delete", "DOME/Onboarding:Execute")


def onboarding_pages(frame: Frame) -> list[BaseRoute]:
    """Their routes; what stands in the query decides which state is shown."""
    wallet, pages = WalletPages(frame), RegistrationPages(frame)

    async def shown_wallet(request: Request) -> Response:
        if "client_id" in request.query_params:
            return wallet.wallet(request, WalletView(PEOPLE, REQUEST, LINK), 200)
        if "empty" in request.query_params:
            return wallet.wallet(request, WalletView((), problem="The request has ended."), 200)
        return wallet.wallet(request, WalletView(PEOPLE), 200)

    async def registration(request: Request) -> Response:
        state = request.query_params.get("state", "")
        accepted = "2026-11" if state else ""
        may_register = "colleague" not in request.query_params
        view = OnboardingView("VATES-12345678", LONG_NAME, state, accepted, "2026-11", may_register, CSRF)
        return pages.onboarding(request, view)

    async def employees(request: Request) -> Response:
        made = (
            ("openid-credential-offer://?x=" + "y" * 120, "123456") if "made" in request.query_params else ()
        )
        rows = () if "empty" in request.query_params else EMPLOYEES
        return pages.employees(request, EmployeesView(LONG_NAME, rows, POWERS, CSRF, *made))

    return [
        Route("/wallet", shown_wallet),
        Route("/onboarding", registration),
        Route("/onboarding/employees", employees),
    ]
