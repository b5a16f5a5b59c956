"""Logging in with a wallet: what browsers and wallets request (OpenID4VP 1.0).

A face of `hansa.identity.presentations`.

/login                  a page that explains it; POST begins a login
/login/{id}             where the login is; the way back from a wallet; POST confirms it
/oid4vp/request/{id}    the signed request, for the wallet
/oid4vp/response/{id}   takes the wallet's answer
/oid4vp/code/{id}       shows the code to a person whose wallet is on another device than the browser
"""

from __future__ import annotations

from starlette.routing import Route

from hansa.api.wallets.exchange import ExchangeApi
from hansa.api.wallets.logins import LoginPages, LoginsApi
from hansa.identity.presentations.wallet_logins import (
    CODE_PATH,
    LOGIN_PATH,
    REQUEST_PATH,
    RESPONSE_PATH,
)

__all__ = ["ExchangeApi", "LoginPages", "LoginsApi", "routes"]


def routes(logins: LoginsApi, exchange: ExchangeApi) -> list[Route]:
    """All of them, for the application that makes responses of the errors that they raise."""
    return [
        Route(LOGIN_PATH, logins.start, methods=["GET"]),
        Route(LOGIN_PATH, logins.begin, methods=["POST"]),
        Route(f"{LOGIN_PATH}/{{id}}", logins.show, methods=["GET"]),
        Route(f"{LOGIN_PATH}/{{id}}", logins.confirm, methods=["POST"]),
        Route(f"{CODE_PATH}/{{id}}", logins.code, methods=["GET"]),
        Route(f"{REQUEST_PATH}/{{id}}", exchange.request, methods=["GET"]),
        Route(f"{REQUEST_PATH}/{{id}}", exchange.request_with_nonce, methods=["POST"]),
        Route(f"{RESPONSE_PATH}/{{id}}", exchange.response, methods=["POST"]),
    ]
