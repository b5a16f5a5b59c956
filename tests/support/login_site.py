"""A marketplace of which nothing is there but logins with a wallet, at an address of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from gettext import NullTranslations

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hansa.api.wallets import ExchangeApi, LoginsApi, routes
from hansa.core.limits import Limits
from hansa.identity.principal import Principal
from hansa.identity.sessions import LoggedIn
from hansa.node.http.application import rest_application
from hansa.portal.frame import Branding, Frame
from hansa.portal.frame.languages import Catalogues
from hansa.portal.logins import WalletLoginPages
from tests.support.people import NOBODY
from tests.support.served_site import ServedSite
from tests.support.wallets import Scene


async def on_login(principal: Principal, return_to: str, _: Mapping[bytes, bytes]) -> LoggedIn:
    return LoggedIn(return_to, (f"who={principal.organization}; Path=/; HttpOnly; SameSite=Lax",))


async def landed(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"logged in for {request.cookies.get('who', 'nobody')}")


class LoginSite(ServedSite):
    """`/landed` says who is logged in."""

    def __init__(self, languages: Catalogues | None = None) -> None:
        super().__init__()
        self._languages = languages or {"en": NullTranslations}
        self.scene = Scene(endpoint=self.address, web_wallets=("https://wallet.example/open",))

    async def run(self) -> None:
        frame = Frame(Branding("lubeck"), self._languages, people=NOBODY)
        logins = self.scene.logins
        pages = WalletLoginPages(frame, "lubeck", self.address)
        api = LoginsApi(logins, pages, on_login, self.address, lambda _: "", Limits())
        files = Route("/static/{name}", frame.assets.serve)
        await self.serve(
            rest_application(
                [*routes(api, ExchangeApi(logins)), files, Route("/landed", landed), Route("/", landed)]
            )
        )
