"""The endpoints of the OpenID Provider.

Forms and query strings come in, within bounds; JSON, redirections and small pages go out. No answer is stored
by anybody, and none tells the next page where the browser was: codes are in addresses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.api.bodies import typed_body
from hansa.api.responses import JSON
from hansa.identity.provider.clients.requests import ClientRequest
from hansa.identity.provider.endpoints.authorization import AUTHORIZE_PATH
from hansa.identity.provider.endpoints.authorization_requests import RedirectedRefusal, check_no_secret
from hansa.identity.provider.endpoints.parameters import FORM_SIZE_MAX_BYTES, Parameters, read_parameters
from hansa.identity.provider.endpoints.token_requests import TOKEN_PATH
from hansa.identity.provider.metadata import (
    DISCOVERY_PATH,
    INTROSPECT_PATH,
    JWKS_PATH,
    LOGOUT_PATH,
    PAR_PATH,
    REVOKE_PATH,
    USERINFO_PATH,
    provider_metadata,
)
from hansa.identity.provider.oauth_errors import OAuthRefused
from hansa.identity.provider.provider import OpenIdProvider
from hansa.identity.sessions import Headers

FORM: Final = "application/x-www-form-urlencoded"
QUERY_MAX_BYTES: Final = 16_384
TOO_LONG: Final = "The request is too long: push it (PAR)."
ONCE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""Headers of whatever is for one alone."""
BASIC_CHALLENGE: Final = 'Basic realm="OpenID Provider", charset="UTF-8"'
NOBODY: Final = "local"
"""The address of a request that came over no network."""

Handler = Callable[["OidcRoutes", Request], Awaitable[Response]]


class PageOf(Protocol):
    """Makes a page for a person."""

    def __call__(self, request: Request, page: OidcPage, /) -> Response:
        """The page."""


class OidcPage(msgspec.Struct, frozen=True):
    """What a page says, and asks."""

    title: str
    sentences: tuple[str, ...]
    status: int = 200
    fields: tuple[tuple[str, str], ...] = ()
    """That the browser sends back, by POST to the same path, to confirm; none: nothing is logout_request."""
    form_targets: tuple[str, ...] = ()
    """Origins to which it may be sent on then."""


LOGGED_OUT: Final = OidcPage("Logged out", ("You are logged out of this marketplace.",))


def _json_errors(handle: Handler) -> Handler:
    """Have what is refused answered as OAuth wants it."""

    @wraps(handle)
    async def answered(self: OidcRoutes, request: Request) -> Response:
        try:
            self.take(request)
            return await handle(self, request)
        except OAuthRefused as error:
            return self.refusal(error, request)

    return answered


class OidcRoutes:
    """The handlers.

    Args:
        provider: Answers.
        page_of: Makes pages for people.
    """

    def __init__(self, provider: OpenIdProvider, page_of: PageOf) -> None:
        self._provider = provider
        self._page_of = page_of
        self._metadata = msgspec.json.encode(provider_metadata(provider.issuer))

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route(DISCOVERY_PATH, self.discovery),
            Route(JWKS_PATH, self.jwks),
            Route(PAR_PATH, self.par, methods=["POST"]),
            Route(AUTHORIZE_PATH, self.authorize, methods=["GET", "POST"]),
            Route(TOKEN_PATH, self.token, methods=["POST"]),
            Route(USERINFO_PATH, self.userinfo, methods=["GET", "POST"]),
            Route(INTROSPECT_PATH, self.introspect, methods=["POST"]),
            Route(REVOKE_PATH, self.revoke, methods=["POST"]),
            Route(LOGOUT_PATH, self.logout, methods=["GET", "POST"]),
        ]

    async def discovery(self, _: Request) -> Response:
        """`GET /.well-known/openid-configuration`."""
        return Response(self._metadata, media_type=JSON)

    async def jwks(self, _: Request) -> Response:
        """`GET /oidc/jwks`: the keys that sign now, did a while ago, or will soon."""
        content = msgspec.json.encode({"keys": self._provider.keys.public()})
        return Response(content, media_type="application/jwk-set+json")

    @_json_errors
    async def par(self, request: Request) -> Response:
        """`POST /oidc/par`."""
        pushed = await self._provider.push(await _client_request(request), request.headers.get("dpop"))
        return self._json(pushed, request, 201)

    async def authorize(self, request: Request) -> Response:
        """`GET` or `POST /oidc/authorize`: to the client with a code, or to the login.

        Browsers send no cookies with a POST from another site (`SameSite=Lax`), so it is sent again by GET.
        """
        authorization = self._provider.authorization
        try:
            self.take(request)
            parameters = await _parameters(request)
            check_no_secret(parameters)
            if request.method == "POST":
                return _redirection(_by_get(parameters))
            location = authorization.answer(parameters, _headers(request))
        except RedirectedRefusal as error:
            location = authorization.refusal_address(error)
        except OAuthRefused as error:
            return self._page(request, error)
        return _redirection(location)

    @_json_errors
    async def token(self, request: Request) -> Response:
        """`POST /oidc/token`."""
        sent = await _client_request(request)
        tokens = await self._provider.tokens.answer(sent, request.headers.get("dpop"))
        return self._json(tokens, request)

    @_json_errors
    async def userinfo(self, request: Request) -> Response:
        """`GET` or `POST /oidc/userinfo`: who the holder of a token is."""
        claims = self._provider.callers.claims(await _with_token(request))
        return self._json(self._provider.reports.about_person(claims), request)

    @_json_errors
    async def introspect(self, request: Request) -> Response:
        """`POST /oidc/introspect`."""
        return self._json(await self._provider.reports.introspected(await _client_request(request)), request)

    @_json_errors
    async def revoke(self, request: Request) -> Response:
        """`POST /oidc/revoke`."""
        await self._provider.reports.revoke(await _client_request(request))
        return Response(status_code=200, headers=ONCE)

    async def logout(self, request: Request) -> Response:
        """`GET` or `POST /oidc/logout`: at once with the person's ID token, else after a confirmation."""
        logout, headers = self._provider.logout, _headers(request)
        try:
            self.take(request)
            parameters = await _parameters(request)
            logout_request = logout.request(parameters, headers)
            if not logout_request.is_certain:
                assert logout_request.session is not None, "without one there is nothing to ask"
                if request.method != "POST" or "csrf" not in parameters:
                    form_token = logout.form_token(logout_request.session)
                    return self._confirmation(request, parameters, form_token, logout_request.location)
                logout.check_form(logout_request.session, headers, parameters)
        except OAuthRefused as error:
            return self._page(request, error)
        cookies = await logout.end(headers)
        page = self._page_of
        response = (
            _redirection(logout_request.location) if logout_request.location else page(request, LOGGED_OUT)
        )
        for cookie in cookies:
            response.headers.append("set-cookie", cookie)
        return response

    def take(self, request: Request) -> None:
        """Count a request against its address.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        self._provider.rates.take_address(_address(request))

    def refusal(self, error: OAuthRefused, request: Request) -> Response:
        """A refusal as a client reads it (RFC 6749, section 5.2; RFC 6750, section 3)."""
        content = {"error": error.error, "error_description": error.message}
        response = self._json(content, request, error.http_status)
        is_resource = request.url.path == USERINFO_PATH
        if error.error == "use_dpop_nonce":
            response.headers["dpop-nonce"] = self._provider.proofs.nonce()
        if error.http_status in {401, 403} and is_resource:
            scheme = "DPoP" if "dpop" in request.headers else "Bearer"
            response.headers["www-authenticate"] = f'{scheme} error="{error.error}"'
        elif error.http_status == 401:  # a challenge of HTTP Basic has a browser ask people for a password
            is_basic = "authorization" in request.headers
            response.headers["www-authenticate"] = BASIC_CHALLENGE if is_basic else "Bearer"
        return response

    def _json(self, content: Any, request: Request, status: int = 200) -> Response:
        headers = dict(ONCE)
        if "dpop" in request.headers:
            headers["DPoP-Nonce"] = self._provider.proofs.nonce()
        return Response(msgspec.json.encode(content), status, media_type=JSON, headers=headers)

    def _page(self, request: Request, error: OAuthRefused) -> Response:
        sentences = (
            "The application that sent you here made a request that cannot be answered.",
            error.message,
            "Go back to it, and tell its operator what this page says.",
        )
        page = OidcPage("This request cannot be answered", sentences, error.http_status)
        return self._page_of(request, page)

    def _confirmation(
        self, request: Request, parameters: Parameters, form_token: str, location: str
    ) -> Response:
        names = ("client_id", "id_token_hint", "post_logout_redirect_uri", "state")
        fields = tuple((name, parameters[name]) for name in names if name in parameters)
        targets = (_origin(location),) if location else ()
        sentences = ("Do you want to log out of this marketplace?",)
        page = OidcPage("Log out", sentences, 200, (*fields, ("csrf", form_token)), targets)
        return self._page_of(request, page)


def _origin(address: str) -> str:
    """The origin of a registered address, as browsers write it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _redirection(location: str) -> Response:
    return Response(status_code=303, headers={**ONCE, "Location": location})


async def _form(request: Request) -> Parameters:
    """The parameters of a form in the body.

    Raises:
        OAuthRefused: `invalid_request`.
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE` or `Code.TOO_LARGE`.
    """
    return read_parameters(await typed_body(request, FORM, FORM_SIZE_MAX_BYTES))


async def _client_request(request: Request) -> ClientRequest:
    """What a client sends.

    Raises:
        OAuthRefused: `invalid_request`.
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE` or `Code.TOO_LARGE`.
    """
    authorizations = request.headers.getlist("authorization")
    if len(authorizations) > 1:
        raise OAuthRefused("invalid_request", "There are several Authorization headers.")
    return ClientRequest(await _form(request), "".join(authorizations), _address(request))


async def _with_token(request: Request) -> Headers:
    """The headers of a request, with the bearer token of its form if it has one (RFC 6750, section 2.2).

    Raises:
        OAuthRefused: `invalid_request`, when there is another token in the headers.
    """
    headers = _headers(request)
    if request.method != "POST" or request.headers.get("content-type", "").partition(";")[0].strip() != FORM:
        return headers
    token = (await _form(request)).get("access_token", "")
    if not token:
        return headers
    if b"authorization" in headers:
        raise OAuthRefused("invalid_request", "The access token comes in one way, and once (RFC 6750).")
    return {**headers, b"authorization": b"Bearer " + token.encode("latin-1", "replace")}


def _by_get(parameters: Parameters) -> str:
    """The address of an authorization request that came as a form.

    Raises:
        OAuthRefused: `invalid_request`, when it is too long for one.
    """
    query = urlencode(parameters)
    if len(query) > QUERY_MAX_BYTES:
        raise OAuthRefused("invalid_request", TOO_LONG, 414)
    return f"{AUTHORIZE_PATH}?{query}"


async def _parameters(request: Request) -> Parameters:
    """The parameters of a request, in its query or in its form."""
    if request.method == "POST":
        return await _form(request)
    query: bytes = request.scope["query_string"]
    if len(query) > QUERY_MAX_BYTES:
        raise OAuthRefused("invalid_request", TOO_LONG, 414)
    return read_parameters(query)


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else NOBODY


def _headers(request: Request) -> Headers:
    return {name.lower(): value for name, value in request.scope["headers"]}
