"""The development wallet as a page: choose a person, and a credential of theirs is presented.

    GET  /wallet            the people whose wallets are here; with a request, who asks them for what
    POST /wallet            presents a credential of a person, or declines

A web page of somebody else must not have a browser do this. A form is taken from this page alone, by what
browsers say of where it comes from; and the host that a request names has to be this marketplace's, so that
no name that somebody else lets lead to this machine makes another page one of the same origin (DNS
rebinding). Verifiers that are answered are members of the league, and no others.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.api.parameters import Parameters
from hansa.api.wallets.forms import form_of
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, HansaError, Refused, Unavailable
from hansa.core.http import NO_STORE, HttpClient, headers_of
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.own_pages import check_own_page
from hansa.identity.credentials import DidKeys
from hansa.identity.wallet import (
    CredentialSummary,
    HeldCredential,
    RequestAnswers,
    VerifierRequest,
    VerifierRequests,
    matches,
    summary_of,
    wallets_in,
)

WALLET_PATH: Final = "/wallet"
FORM_MAX_BYTES: Final = 16_384
PEOPLE_MAX: Final = 100
LINK_PARAMETERS: Final[tuple[str, ...]] = ("client_id", "request_uri", "request_uri_method")

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


class WalletPerson(msgspec.Struct, frozen=True):
    """Somebody whose wallet is here."""

    name: str
    """Of the folder."""
    credentials: tuple[CredentialSummary, ...]
    is_able: bool = False
    """Whether a credential of theirs answers the request."""
    disclosed: tuple[str, ...] = ()
    """What the verifier would see that could be withheld."""


class WalletView(msgspec.Struct, frozen=True):
    """What the page shows."""

    people: tuple[WalletPerson, ...]
    request: VerifierRequest | None = None
    """Whose answer is chosen; None: nobody asks."""
    link: dict[str, str] = {}
    """Parameters of the request's link, which the form sends back."""
    problem: str = ""
    """Why a request is not answered."""


class DevelopmentWalletPages(Protocol):
    """The pages."""

    def wallet(self, request: Request, view: WalletView, status: int) -> Response:
        """Shows the people, and the request."""

    def presented(self, request: Request) -> Response:
        """Says that it was presented, and that there is no way on from here."""


class DevelopmentWalletApi:
    """Handlers of these paths.

    Args:
        folder: With a folder for each person.
        pages: That are shown.
        http: Reaches verifiers.
        endpoint: Of this marketplace.
        clock: For all times.
        entropy: For nonces.
        limits: Of queries.
    """

    def __init__(
        self,
        folder: Path,
        pages: DevelopmentWalletPages,
        http: HttpClient,
        endpoint: str,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._folder = folder
        self._pages = pages
        parts = urlsplit(endpoint)
        port = "" if parts.port is None else f":{parts.port}"
        self._hosts = frozenset({parts.netloc, *(f"{host}{port}" for host in _LOOPBACK)})
        self._scheme = parts.scheme
        self._limits = limits
        self._requests = VerifierRequests(http, DidKeys(http), (), clock, entropy)
        self._answers = RequestAnswers(http, clock)

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(WALLET_PATH, self.show, methods=["GET"]),
            Route(WALLET_PATH, self.answer, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """`GET /wallet`.

        Raises:
            Refused: `Code.FORBIDDEN`, at another host.
        """
        self._check_host(request)
        parameters = Parameters(request, {*LINK_PARAMETERS, "lang"}, self._limits)
        texts = {name: parameters.text(name) for name in LINK_PARAMETERS}
        link = {name: text for name, text in texts.items() if text is not None}
        people = await asyncio.to_thread(self._people, None)
        if not link:
            return self._pages.wallet(request, WalletView(people), HTTPStatus.OK)
        try:
            demand = await self._requests.read(_link(link))
            people = await asyncio.to_thread(self._people, demand)
        except HansaError as error:
            return self._problem(request, people, error)
        return self._pages.wallet(request, WalletView(people, demand, link), HTTPStatus.OK)

    async def answer(self, request: Request) -> Response:
        """`POST /wallet`: `person`, or `action=decline`.

        Raises:
            Refused: `Code.FORBIDDEN`, at another host, or for a form of another page.
        """
        self._check_host(request)
        self._check_form(request)
        form = await form_of(request, FORM_MAX_BYTES)
        link = {name: form[name] for name in LINK_PARAMETERS if name in form}
        try:
            demand = await self._requests.read(_link(link))
            if form.get("action") == "decline":
                address = await self._answers.decline(demand)
            else:
                credentials = await asyncio.to_thread(self._credentials, form.get("person", ""))
                chosen = matches(demand.dcql, credentials)
                if not chosen:
                    raise Refused(Code.NOT_FOUND, "This person has no credential that is demand for.")
                address = await self._answers.present(demand, chosen)
        except HansaError as error:
            return self._problem(request, await asyncio.to_thread(self._people, None), error)
        if not address:
            return self._pages.presented(request)
        headers = {**NO_STORE, "Location": address, "Referrer-Policy": "no-referrer"}
        return Response(status_code=HTTPStatus.SEE_OTHER, headers=headers)

    def _problem(self, request: Request, people: tuple[WalletPerson, ...], error: HansaError) -> Response:
        """The page that says why a request is not answered; a folder that cannot be read is an error of ours.

        What a verifier wrote is in none of these sentences.
        """
        if isinstance(error, Fatal):
            raise error
        is_away = isinstance(error, Unavailable)
        status = HTTPStatus.SERVICE_UNAVAILABLE if is_away else HTTPStatus.BAD_REQUEST
        return self._pages.wallet(request, WalletView(people, problem=error.message), status)

    def _people(self, demand: VerifierRequest | None) -> tuple[WalletPerson, ...]:
        people = []
        for wallet in wallets_in(self._folder)[:PEOPLE_MAX]:
            held = wallet.credentials()
            chosen = () if demand is None else matches(demand.dcql, held)
            disclosed = tuple(sorted({name for one in chosen for name in one.disclosed}))
            people.append(WalletPerson(wallet.name, tuple(map(summary_of, held)), bool(chosen), disclosed))
        return tuple(people)

    def _credentials(self, person: str) -> tuple[HeldCredential, ...]:
        """Of a person who is there; the name leads to no other folder."""
        wallet = next((one for one in wallets_in(self._folder) if one.name == person), None)
        if wallet is None:
            raise Refused(Code.NOT_FOUND, "There is nobody of that name here.")
        return wallet.credentials()

    def _check_host(self, request: Request) -> None:
        if request.headers.get("host", "") not in self._hosts:
            raise Refused(Code.FORBIDDEN, "The wallet is served at the address of this marketplace alone.")

    def _check_form(self, request: Request) -> None:
        """Check that a form comes from this page, or from a program that is no browser."""
        check_own_page(
            headers_of(request.headers.raw), {f"{self._scheme}://{host}".encode() for host in self._hosts}
        )


def _link(parameters: dict[str, str]) -> str:
    return f"openid4vp://?{urlencode(parameters)}"
