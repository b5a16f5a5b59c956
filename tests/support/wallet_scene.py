"""A wallet between an issuer and a verifier, all in memory; each is reached over HTTP in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hansa.api.issuing import APPROVE, ApprovalPage, issuing_routes
from hansa.api.wallets import ExchangeApi
from hansa.core.access import ANONYMOUS
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.limits import Limits
from hansa.identity.credentials import DidKeys
from hansa.identity.issuing import IssuingRules, NewOffer
from hansa.identity.presentations import REQUEST_PATH, RESPONSE_PATH, BegunLogin
from hansa.identity.principal import Principal
from hansa.identity.provider.tokens.proofs import Proofs
from hansa.identity.wallet import (
    HeldCredential,
    MatchingCredential,
    OfferAcceptance,
    PendingApproval,
    RequestAnswers,
    VerifierRequest,
    VerifierRequests,
    WalletFolder,
    matches,
    read_offer,
)
from hansa.node.http.application import rest_application
from tests.support.asgi import AsgiClient
from tests.support.asgi import Response as AsgiResponse
from tests.support.issuing import DEFAULT_RULES, ORDER, Issuing
from tests.support.issuing import ENDPOINT as ISSUER
from tests.support.logins import ENDPOINT as LOGIN_ENDPOINT
from tests.support.logins import LoggingIn
from tests.support.wallets import ENDPOINT as MARKET
from tests.support.wallets import Scene, response_code

Change = Callable[[HttpResponse], HttpResponse]
OFFER: Final = "openid-credential-offer://?credential_offer_uri="


class _Verifying:
    """A verifier that trusts the issuer, for `Scene`."""

    def __init__(self, issuing: Issuing) -> None:
        self.verifier = issuing.verifier()
        self.clock = issuing.clock


def _page(_: Request, page: ApprovalPage) -> Response:
    """A page as JSON, for tests."""
    return JSONResponse(msgspec.to_builtins(page), page.status)


class WalletScene:
    """Ana's wallet, an issuer, and a marketplace to which she logs in."""

    def __init__(self, folder: Path, rules: IssuingRules = DEFAULT_RULES, **options: Any) -> None:
        self.issuing = Issuing(folder, rules=rules)
        self.issuing.authority.certificate()
        self.scene = Scene(_Verifying(self.issuing), **options)  # type: ignore[arg-type]
        self.logins = LoggingIn(clock=self.issuing.clock)
        served = (
            self.issuing.store,
            lambda _: ANONYMOUS,
            Limits(),
            ISSUER,
            "lubeck",
            self.logins.sessions,
            Proofs(ISSUER, bytes(32), self.issuing.clock),
            _page,
        )
        exchange = ExchangeApi(self.scene.logins)
        verifier = [
            Route(f"{REQUEST_PATH}/{{id}}", exchange.request),
            Route(f"{REQUEST_PATH}/{{id}}", exchange.request_with_nonce, methods=["POST"]),
            Route(f"{RESPONSE_PATH}/{{id}}", exchange.response, methods=["POST"]),
        ]
        issuer = rest_application(issuing_routes(self.issuing.issuer, self.issuing.lists, *served))
        self.browser = AsgiClient(issuer)
        self._hosts = {
            urlsplit(ISSUER).netloc: AsgiClient(issuer),
            urlsplit(MARKET).netloc: AsgiClient(rest_application(verifier)),
        }
        self.changes: dict[str, Change] = {}
        """What becomes of the answers of paths, on the way."""
        self.requests: list[HttpRequest] = []
        self.folder = WalletFolder(folder / "wallet" / "ana")
        self.entropy = self.issuing.entropy

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The `HttpClient` of the wallet."""
        self.requests.append(request)
        parts = urlsplit(request.url)
        client = self._hosts.get(parts.netloc)
        if client is None:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The other side cannot be reached.")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        answer = await client.request(request.method, target, body=request.body, headers=request.headers)
        if len(answer.body) > request.answer_size_max_bytes:
            raise Refused(Code.RETRIEVAL_TOO_LARGE, "The answer is too large.")
        response = HttpResponse(answer.status, answer.headers, answer.body)
        change = next((one for path, one in self.changes.items() if parts.path.startswith(path)), None)
        return response if change is None else change(response)

    # -- having a credential issued ----------------------------------------------------------------------------

    async def accept(self, link: str | None = None, tx_code: str | None = None) -> list[HeldCredential]:
        """Accept an offer; by default a new one."""
        if link is None:
            offer = await self.issuing.offer(ORDER)
            link = OFFER + quote(f"{ISSUER}/oid4vci/offers/{offer.reference}", safe="")
            tx_code = offer.tx_code if tx_code is None else tx_code
        read = await read_offer(link, self)
        acceptance = OfferAcceptance(self.folder, self, self.issuing.clock, self.entropy)
        return await acceptance.accept(read, tx_code or "")

    async def begin_approval(
        self, offer: NewOffer | None = None, redirect_uri: str = "http://127.0.0.1/wallet"
    ) -> tuple[OfferAcceptance, PendingApproval]:
        """Push a request for an offer; by default a new one."""
        offer = offer or await self.issuing.offer(ORDER)
        read = await read_offer(OFFER + quote(f"{ISSUER}/oid4vci/offers/{offer.reference}", safe=""), self)
        acceptance = OfferAcceptance(self.folder, self, self.issuing.clock, self.entropy)
        return acceptance, await acceptance.begin(read, redirect_uri)

    async def approve(self, address: str, principal: Principal, **changes: str) -> AsgiResponse:
        """What the browser of somebody who is logged in gets for pressing the button that approves."""
        return await self.decide(address, principal, APPROVE, **changes)

    async def decide(self, address: str, principal: Principal, decision: str, **changes: str) -> AsgiResponse:
        """What the browser of somebody who is logged in gets for pressing a button of the page."""
        cookie = {"cookie": (await self.logins.login(principal)).decode()}
        page = await self.browser.get(address.removeprefix(ISSUER), headers=cookie)
        fields = dict(page.json()["fields"]) | {"decision": decision} | changes
        headers = {**cookie, "origin": LOGIN_ENDPOINT}
        return await self.browser.post_form("/oid4vci/authorize", fields, headers)

    # -- logging in --------------------------------------------------------------------------------------------

    def begin(self) -> tuple[BegunLogin, str]:
        """A login in a browser, and the link that opens the wallet."""
        begun = self.scene.begin()
        return begun, self.scene.logins.links(begun.same_device, begun.other_device).same_device[0].address

    async def fetch(self, link: str, *anchors: Any) -> VerifierRequest:
        """The request of a link, verified by the wallet."""
        dids = DidKeys(self)
        return await VerifierRequests(self, dids, anchors, self.issuing.clock, self.entropy).read(link)

    def matches(self, request: VerifierRequest) -> tuple[MatchingCredential, ...]:
        return matches(request.dcql, self.folder.credentials())

    async def present(self, link: str) -> str:
        """Answer a request; where the person is sent."""
        request = await self.fetch(link)
        return await RequestAnswers(self, self.issuing.clock).present(request, self.matches(request))

    async def log_in(self) -> Principal:
        """A whole login on one device."""
        begun, link = self.begin()
        redirect = await self.present(link)
        code = response_code(redirect)
        return self.scene.logins.return_from_wallet(begun.id, begun.secret, code).principal

    async def refusal(self, link: str, *anchors: Any) -> str:
        """Why the wallet does not answer a request."""
        try:
            await self.fetch(link, *anchors)
        except HansaError as error:
            return error.message
        raise AssertionError("the request was taken")

    async def offer_refusal(self, link: str | None = None, tx_code: str | None = None) -> str:
        """Why the wallet accepts no offer, and what is in it then."""
        try:
            await self.accept(link, tx_code)
        except HansaError as error:
            return error.message
        raise AssertionError("the offer was accepted")
