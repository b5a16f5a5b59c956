"""What browsers request of a login: beginning it, seeing where it is, and finishing it.

A program that names JSON and no page (`Accept: application/json`) is answered in JSON. A form from a page of
another origin is refused: browsers say where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import typed_body
from hansa.api.parameters import Parameters
from hansa.api.responses import JSON
from hansa.api.wallets.cookies import BindingCookies
from hansa.api.wallets.forms import FORM, form_of
from hansa.core.bounded_json import read_object
from hansa.core.errors import Code, Refused
from hansa.core.http import NO_STORE, headers_of
from hansa.core.limits import Limits
from hansa.core.own_pages import check_own_page
from hansa.identity.presentations import (
    LOGIN_PATH,
    CodeView,
    CompletedLogin,
    LoginLinks,
    LoginState,
    LoginView,
    WalletLogins,
)
from hansa.identity.sessions import OnLogin, local_path

FORM_MAX_BYTES: Final = 8192
HTML: Final = "text/html"
HOME: Final = "/"
OVER_SENTENCE: Final = (
    "This login is over, or not known any more: it took too long, or the marketplace was started again."
)
_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_NAME_LENGTH_MAX_CHARS: Final = 64
_FORM_LIMITS: Final = Limits(body_depth_max=1, body_nodes_max=8, string_length_max_chars=4096)


class LoginPages(Protocol):
    """The pages of a login."""

    def start(self, request: Request, return_to: str) -> Response:
        """Explains it, with a form that begins one."""

    def waiting(self, request: Request, name: str, links: LoginLinks, declined: str) -> Response:
        """Links and QR code; asks again by itself.

        Args:
            request: That is answered.
            name: Of the login.
            links: To wallets.
            declined: The code of the last error of a wallet.
        """

    def returning(self, request: Request, name: str) -> Response:
        """Says that the wallet leads on; asks again by itself."""

    def confirming(self, request: Request, name: str, view: LoginView, problem: str) -> Response:
        """Asks whether the person wants to be logged in, and for the code.

        Args:
            request: That is answered.
            name: Of the login.
            view: Who is about to log in.
            problem: What was wrong with the last attempt; empty: nothing.
        """

    def over(self, request: Request, sentence: str, status: int) -> Response:
        """Says why there is nothing more to do here."""

    def code(self, request: Request, view: CodeView) -> Response:
        """Shows, beside the wallet, the code that is to be typed into the browser."""


class LoginBegun(msgspec.Struct, frozen=True):
    """A login that has begun."""

    wallet_url: str
    """Opens a wallet on this device."""
    poll: str
    """Where it can be seen how it goes on."""
    qr_url: str
    """For a QR code, which a wallet on another device reads; empty: there is none of that."""
    expires_in: int
    """Seconds until it is over."""


class AwaitedConfirmation(msgspec.Struct, frozen=True):
    """What the person in the browser has to confirm."""

    name: str
    organization: str
    confirmation: str
    """For the field of that name."""
    needs_code: bool
    """Whether the code that the other device shows has to be sent too."""


class LoginStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a login is."""

    state: LoginState
    sentence: str = ""
    """Why it was refused."""
    confirm: AwaitedConfirmation | None = None


class LoginDone(msgspec.Struct, frozen=True):
    """Where the browser goes on."""

    state: LoginState
    location: str


class LoginsApi:
    """Handlers for browsers.

    Args:
        logins: Of this marketplace.
        pages: That are shown.
        on_login: Begins the session of whoever has logged in.
        endpoint: Where browsers reach this marketplace.
        address_of: Of the browser that sends a request, as callers are counted.
        limits: Of queries.
    """

    def __init__(
        self,
        logins: WalletLogins,
        pages: LoginPages,
        on_login: OnLogin,
        endpoint: str,
        address_of: Callable[[Request], str],
        limits: Limits,
    ) -> None:
        self._logins = logins
        self._pages = pages
        self._on_login = on_login
        self._origin = endpoint
        self._address_of = address_of
        self._limits = limits
        self._cookies = BindingCookies(2 * logins.lifetime_s, is_secure=endpoint.startswith("https:"))

    async def start(self, request: Request) -> Response:
        """`GET /login`."""
        return_to = _return_path(Parameters(request, {"return_to", "lang"}, self._limits).text("return_to"))
        if self._is_alias(request):
            query = urlencode({"return_to": return_to})
            return Response(status_code=307, headers={"Location": f"{self._origin}{LOGIN_PATH}?{query}"})
        return self._pages.start(request, return_to)

    async def begin(self, request: Request) -> Response:
        """`POST /login`.

        Raises:
            Unavailable: `Code.OVERLOADED`.
            Refused: `Code.FORBIDDEN`, when a page of somebody else has a browser do it; of the body.
        """
        check_own_page(headers_of(request.headers.raw), {self._origin.encode()})
        return_to = _return_path(await _return_to(request))
        begun = self._logins.begin(self._address_of(request), return_to)
        links = self._logins.links(begun.same_device, begun.other_device)
        poll = f"{LOGIN_PATH}/{begun.id}"
        headers = {**NO_STORE, "Set-Cookie": self._cookies.header(begun.id, begun.secret)}
        if _wants_json(request):
            lifetime_s = self._logins.lifetime_s
            content = LoginBegun(links.same_device[0].address, poll, links.other_device, lifetime_s)
            return Response(msgspec.json.encode(content), headers=headers, media_type=JSON)
        return Response(status_code=HTTPStatus.SEE_OTHER, headers={**headers, "Location": poll})

    async def show(self, request: Request) -> Response:
        """`GET /login/{id}`: where it is; with `response_code`, the way back from the wallet.

        Raises:
            Refused: `Code.NOT_FOUND` or `Code.FORBIDDEN`, to programs; people read a page.
        """
        name = _name(request)
        code = Parameters(request, {"response_code", "lang"}, self._limits).text("response_code")
        secret = self._cookies.secret(request, name)
        try:
            if code is not None and request.method != "HEAD":  # which only looks
                return await self._completed(
                    request, name, self._logins.return_from_wallet(name, secret, code)
                )
            view = self._logins.view(name, secret)
            if view is None:
                raise Refused(Code.NOT_FOUND, OVER_SENTENCE)
        except Refused as error:
            if _wants_json(request):
                raise
            return self._pages.over(request, error.message, error.http_status)
        return self._json(view) if _wants_json(request) else self._page(request, name, view)

    async def confirm(self, request: Request) -> Response:
        """`POST /login/{id}`: the person confirms, or does not want it (`action=cancel`).

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.FORBIDDEN` or `Code.INVALID`, to programs; people read a page.
        """
        check_own_page(headers_of(request.headers.raw), {self._origin.encode()})
        name = _name(request)
        form = await form_of(request, FORM_MAX_BYTES)
        secret, confirmation = self._cookies.secret(request, name), form.get("confirmation", "")
        try:
            if form.get("action") == "cancel":
                self._logins.cancel(name, secret, confirmation)
                return self._cancelled(request, name)
            completed = self._logins.confirm(name, secret, confirmation, form.get("code", ""))
            return await self._completed(request, name, completed)
        except Refused as error:
            if _wants_json(request):
                raise
            view = self._logins.view(name, secret) if error.code is Code.INVALID else None
            if view is not None and view.principal is not None:
                return self._pages.confirming(request, name, view, error.message)
            return self._pages.over(request, error.message, error.http_status)

    async def code(self, request: Request) -> Response:
        """`GET /oid4vp/code/{id}`."""
        code = Parameters(request, {"response_code", "lang"}, self._limits).text("response_code")
        view = self._logins.code(_name(request), code or "")
        if view is None:
            return self._pages.over(request, OVER_SENTENCE, HTTPStatus.NOT_FOUND)
        return self._pages.code(request, view)

    async def _completed(self, request: Request, name: str, completed: CompletedLogin) -> Response:
        headers = headers_of(request.headers.raw)
        logged_in = await self._on_login(completed.principal, completed.return_to, headers)
        if _wants_json(request):
            content = LoginDone(LoginState.COMPLETED, logged_in.location)
            response = Response(msgspec.json.encode(content), headers=NO_STORE, media_type=JSON)
        else:
            location = {"Location": logged_in.location, "Referrer-Policy": "no-referrer"}
            response = Response(status_code=HTTPStatus.SEE_OTHER, headers={**NO_STORE, **location})
        for cookie in (*logged_in.cookies, self._cookies.end(name)):
            response.headers.append("Set-Cookie", cookie)
        return response

    def _cancelled(self, request: Request, name: str) -> Response:
        sentence = "Nobody was logged in."
        if _wants_json(request):
            content = LoginStatus(LoginState.REFUSED, sentence)
            response = Response(msgspec.json.encode(content), headers=NO_STORE, media_type=JSON)
        else:
            response = self._pages.over(request, sentence, HTTPStatus.OK)
        response.headers.append("Set-Cookie", self._cookies.end(name))
        return response

    def _page(self, request: Request, name: str, view: LoginView) -> Response:
        if view.links is not None:
            return self._pages.waiting(request, name, view.links, view.declined)
        if view.principal is not None:
            return self._pages.confirming(request, name, view, "")
        if view.state is LoginState.ANSWERED:
            return self._pages.returning(request, name)
        if view.state is LoginState.REFUSED and view.sentence:
            return self._pages.over(request, view.sentence, HTTPStatus.OK)
        if view.state is LoginState.COMPLETED:
            return self._pages.over(request, "This login is completed.", HTTPStatus.OK)
        return self._pages.over(
            request, "This login was begun in another browser: begin it again in this one.", HTTPStatus.OK
        )

    @staticmethod
    def _json(view: LoginView) -> Response:
        awaited = None
        if view.principal is not None:
            awaited = AwaitedConfirmation(
                name=view.principal.name,
                organization=view.principal.organization,
                confirmation=view.confirmation,
                needs_code=view.needs_code,
            )
        content = LoginStatus(view.state, view.sentence, awaited)
        return Response(msgspec.json.encode(content), headers=NO_STORE, media_type=JSON)

    def _is_alias(self, request: Request) -> bool:
        """Whether a browser on this machine calls it by another name, which has other cookies."""
        host, _, port = request.headers.get("host", "").rpartition(":")
        own_host, _, own_port = self._origin.rpartition("//")[2].rpartition(":")
        return host != own_host and port == own_port and {host, own_host} <= _LOOPBACK_HOSTS


async def _return_to(request: Request) -> str | None:
    """What a program or a form says about where to go on; None: nothing."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return None  # some clients name a media type for nothing
    media_type = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if media_type != JSON:
        return (await form_of(request, FORM_MAX_BYTES)).get("return_to")
    body = await typed_body(request, JSON, FORM_MAX_BYTES)
    if not body:
        return None
    content = read_object(body, _FORM_LIMITS)
    value = content.get("return_to")
    if content.keys() - {"return_to"} or not isinstance(value, str | None):
        raise Refused(Code.INVALID, "The body has `return_to`, a path of this marketplace, or nothing.")
    return value


def _return_path(text: str | None) -> str:
    """A path of this marketplace; the portal's, when it is none."""
    return local_path(text or HOME) or HOME


def _wants_json(request: Request) -> bool:
    """Whether a client names JSON and no page."""
    accept = request.headers.get("accept", "")
    return JSON in accept and HTML not in accept


def _name(request: Request) -> str:
    return str(request.path_params["id"])[:_NAME_LENGTH_MAX_CHARS]
