"""A marketplace of which nothing is there but logins with a wallet, at an address of this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping
from gettext import NullTranslations
from typing import Any

import uvicorn
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
from tests.support.wallets import Scene


async def on_login(principal: Principal, return_to: str, _: Mapping[bytes, bytes]) -> LoggedIn:
    return LoggedIn(return_to, (f"who={principal.organization}; Path=/; HttpOnly; SameSite=Lax",))


async def landed(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"logged in for {request.cookies.get('who', 'nobody')}")


class LoginSite:
    """It is served by a thread of its own; `/landed` says who is logged in."""

    def __init__(self, languages: Catalogues | None = None) -> None:
        self._languages = languages or {"en": NullTranslations}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.scene = Scene(endpoint=self.address, web_wallets=("https://wallet.example/open",))
        self._server = uvicorn.Server(uvicorn.Config(self._application(), log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _application(self) -> Any:
        frame = Frame(Branding("lubeck"), self._languages, people=NOBODY)
        logins = self.scene.logins
        pages = WalletLoginPages(frame, "lubeck", self.address)
        api = LoginsApi(logins, pages, on_login, self.address, lambda _: "", Limits())
        files = Route("/static/{name}", frame.assets.serve)
        return rest_application(
            [*routes(api, ExchangeApi(logins)), files, Route("/landed", landed), Route("/", landed)]
        )

    def _serve(self) -> None:
        asyncio.run(self._server.serve([self._socket]))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
