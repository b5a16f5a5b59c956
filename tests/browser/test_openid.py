"""An application logs somebody in with a marketplace, in a real browser, from first request to logout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from hansa.api.oidc import OidcPage, OidcRoutes
from hansa.api.wallets import ExchangeApi, LoginsApi, routes
from hansa.core.limits import Limits
from hansa.identity.provider.clients.records import ClientRecord
from hansa.node.http.application import rest_application
from hansa.portal import NoticePage, notice_page
from hansa.portal.frame import Branding, Frame
from hansa.portal.logins import WalletLoginPages
from tests.browser.test_logins import link_of, sent_back
from tests.support.people import NOBODY
from tests.support.provider import EVERY_SCOPE, VERIFIER, Provided, asked, payload_of
from tests.support.served_site import ServedSite
from tests.support.wallets import Scene


class OpenIdSite(ServedSite):
    """A marketplace with its logins and its OpenID Provider; and an application at the same address."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        client = ClientRecord(
            "app",
            redirect_uris=(f"{self.address}/callback",),
            post_logout_redirect_uris=(f"{self.address}/bye",),
            scopes=EVERY_SCOPE,
        )
        self.op = Provided(folder, client, issuer=self.address)

    async def run(self) -> None:
        frame = Frame(Branding("lubeck"), people=NOBODY)
        logins = Scene(endpoint=self.address).logins
        pages = WalletLoginPages(frame, "lubeck", self.address)
        begin = self.op.here.sessions.begin
        api = LoginsApi(logins, pages, begin, self.address, lambda _: "", Limits())

        def page_of(request: Request, page: OidcPage) -> Response:
            notice = NoticePage(page.title, page.sentences, page.status, page.fields)
            return notice_page(frame, request, notice, page.form_targets)

        served = [
            *OidcRoutes(self.op.provider, page_of).routes(),
            *routes(api, ExchangeApi(logins)),
            *(Route("/static/{name}", frame.assets.serve), Route("/callback", _text), Route("/bye", _text)),
            *(Route("/evil", self._evil), Route("/application", self._application), Route("/", _text)),
        ]
        await self.serve(rest_application(served))

    async def _evil(self, _: Request) -> Response:
        """A page that posts a logout as soon as it is seen; of another site when it is seen as localhost."""
        form = f"<form method=post action='{self.address}/oidc/logout'></form>"
        return HTMLResponse(f"{form}<script>document.forms[0].submit()</script>")

    async def _application(self, _: Request) -> Response:
        """A page of the application that posts its request as soon as it is seen."""
        fields = "".join(
            f"<input name='{name}' value='{value}'>" for name, value in self.parameters().items()
        )
        form = f"<form method=post action='{self.address}/oidc/authorize'>{fields}</form>"
        return HTMLResponse(f"{form}<script>document.forms[0].submit()</script>")

    def parameters(self) -> dict[str, str]:
        """What the application requests."""
        return asked(client_id="app", redirect_uri=f"{self.address}/callback")

    def request(self) -> str:
        """The address to which the application sends a browser."""
        return f"{self.address}/oidc/authorize?{urlencode(self.parameters())}"


async def _text(request: Request) -> Response:
    return PlainTextResponse(request.url.path)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[OpenIdSite]:
    with OpenIdSite(tmp_path) as served:
        yield served


def logged_in(site: OpenIdSite, browser: Browser, context: BrowserContext) -> dict[str, str]:
    """What the application is told when somebody has logged in with a wallet."""
    page = context.new_page()
    page.goto(site.request())
    assert "/login?" in page.url
    page.locator("main form button").click()
    page.wait_for_url("**/login/*")
    page.goto(sent_back(browser, link_of(page, is_other_device=False)))
    assert urlsplit(page.url).path == "/callback"
    return dict(parse_qsl(urlsplit(page.url).query))


def test_an_application_logs_somebody_in_and_out(site: OpenIdSite, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        answer = logged_in(site, browser, context)
        assert (answer["iss"], answer["state"]) == (site.address, "af0ifjsldkj")
        form: dict[str, str | float | bool] = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": f"{site.address}/callback",
            "client_id": "app",
            "code_verifier": VERIFIER,
        }
        tokens = json.loads(context.request.post(f"{site.address}/oidc/token", form=form).text())
        claims = payload_of(tokens["id_token"])
        assert (claims["aud"], claims["organization"]) == ("app", "VATES-12345678")
        (cookie,) = [one for one in context.cookies() if one["name"].startswith("__Host-")]
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")

        page = context.new_page()
        page.goto(site.request())
        assert "/callback?code=" in page.url, "who is logged in is not asked again"

        page.goto(f"{site.address}/oidc/logout?client_id=app&post_logout_redirect_uri={site.address}/bye")
        page.locator("main form button").click()
        page.wait_for_url(f"{site.address}/bye")
        page.goto(site.request())
        assert "/login?" in page.url


def test_a_page_of_another_site_logs_nobody_out(site: OpenIdSite, browser: Browser) -> None:
    with browser.new_context() as context:
        logged_in(site, browser, context)
        page = context.new_page()
        page.goto(f"{site.address.replace('127.0.0.1', 'localhost')}/evil")
        page.wait_for_url("**/oidc/logout")
        page.goto(site.request())
        assert "/callback?code=" in page.url


def test_a_request_that_another_site_posts_comes_with_the_session(site: OpenIdSite, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site.address.replace('127.0.0.1', 'localhost')}/application")
        page.wait_for_url("**/login?*")
        logged_in(site, browser, context)
        page.goto(f"{site.address.replace('127.0.0.1', 'localhost')}/application")
        page.wait_for_url("**/callback?code=*")
        assert dict(parse_qsl(urlsplit(page.url).query))["state"] == "af0ifjsldkj"
