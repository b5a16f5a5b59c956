"""Logins with wallets: from the link that opens a wallet to the person who is logged in.

    browser                         this marketplace                        wallet
       │── begin ──────────────────────▶│
       │◀─ cookie, link and QR code ────│
       │                                │◀──────────── fetch the request ──────│
       │                                │───────────── signed request ────────▶│
       │                                │◀──────────── encrypted answer ───────│
       │                                │  verified: credential, holder, status
       │                                │───────────── redirect_uri ──────────▶│
       │◀──────────────── same device: the wallet opens redirect_uri ──────────│
       │── cookie and response code ───▶│
       │                                                                       │
       │        another device: redirect_uri shows a code to the person ───────│
       │── cookie, confirmation, code ─▶│

Who sees a link or a QR code can send it to somebody else, whose wallet would then log in the sender's
browser. So an answer alone logs nobody in. On the same device the way back leads through the browser of
whoever has the wallet: it has to be the one that began, which has the cookie, and it has to bring the code
that only the wallet was given. From another device the person has to type, in the browser that began, a code
that the device with the wallet shows, beside who is about to log in where. An operator can do without that
code (`hansa.core.policies.CrossDevice`: `confirm`), for wallets that open no pages; then a person who
presents a credential to a request that somebody relayed is not protected.

Nothing of a credential is logged but its format, its types and its issuer, and, of one that is refused, what
was checked.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.foreign_text import printable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.policies import CrossDevice, ResponseMode
from hansa.identity.credentials.formats.device_response import SessionTerms
from hansa.identity.credentials.refusals import SENTENCES, CredentialRefused
from hansa.identity.credentials.verifier import (
    CredentialVerifier,
    PresentationRequest,
    VerifiedCredential,
)
from hansa.identity.presentations.query import PresentationQuery, malformed_response
from hansa.identity.presentations.request_objects import RequestObjects
from hansa.identity.presentations.responses import (
    WalletError,
    WalletResponse,
    read_response,
)
from hansa.identity.presentations.transactions import (
    CODE_ATTEMPTS_MAX,
    OVER,
    BegunLogin,
    Device,
    Login,
    Logins,
    LoginState,
    WalletRequest,
    is_secret,
)
from hansa.identity.presentations.verifier_identity import VerifierIdentity
from hansa.identity.presentations.wallet_metadata import for_wallet, formats_of, read_wallet_metadata
from hansa.identity.principal import Principal

REQUEST_PATH: Final = "/oid4vp/request"
RESPONSE_PATH: Final = "/oid4vp/response"
CODE_PATH: Final = "/oid4vp/code"
LOGIN_PATH: Final = "/login"

log = structlog.get_logger("hansa.identity")


class LoginOptions(msgspec.Struct, frozen=True):
    """What an operator decides about logins."""

    endpoint: str
    """Where browsers and wallets reach this marketplace."""
    mode: ResponseMode = "direct_post.jwt"
    cross_device: CrossDevice = "code"
    scheme: str = "openid4vp://"
    """Of the links that open a wallet."""
    web_wallets: tuple[str, ...] = ()
    """Addresses of wallets that are web pages."""
    registration: str = ""
    """Registration certificate of this relying party; empty: it has none."""


class WalletLink(msgspec.Struct, frozen=True):
    """A link that opens a wallet with the request of a login."""

    address: str
    name: str
    """Of a wallet on the web, its host; empty: whichever wallet the device has."""


class LoginLinks(msgspec.Struct, frozen=True):
    """How wallets come to the request of a login."""

    same_device: tuple[WalletLink, ...]
    other_device: str
    """For a QR code; empty: other devices cannot log in."""


class LoginView(msgspec.Struct, frozen=True):
    """What the browser that began a login may know of it."""

    state: LoginState
    device: Device | None
    links: LoginLinks | None
    """While wallets can use them."""
    principal: Principal | None
    """Who is about to log in, in the browser that has to confirm it."""
    confirmation: str
    """What its form carries."""
    needs_code: bool
    sentence: str
    """Why it was refused, for the person."""
    declined: str
    """The code of the last error of a wallet."""


class CodeView(msgspec.Struct, frozen=True):
    """What the device with the wallet shows."""

    principal: Principal
    code: str


class CompletedLogin(msgspec.Struct, frozen=True):
    """Somebody has logged in."""

    principal: Principal
    return_to: str


class WalletLogins:
    """The logins of a marketplace. To be used on one event loop.

    Args:
        identity: Of this verifier.
        query: What wallets are asked for.
        credentials: Verifies what they present.
        principal_of: Who presented a credential; raises `CredentialRefused`, when that is nobody who can log
            in.
        options: What the operator decides.
        clock: For all times.
        entropy: For all secrets.
        limits: Of logins.
    """

    def __init__(
        self,
        identity: VerifierIdentity,
        query: PresentationQuery,
        credentials: CredentialVerifier,
        principal_of: Callable[[VerifiedCredential], Principal],
        options: LoginOptions,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._client_id = identity.client_id
        self._query = query
        self._credentials = credentials
        self._principal_of = principal_of
        self._options = options
        self._clock = clock
        lifetime_s = int(limits.login_lifetime_s)
        self._objects = RequestObjects(identity, query, options.mode, lifetime_s, options.registration)
        self._logins = Logins(clock, entropy, limits)
        self.lifetime_s: Final = lifetime_s

    def begin(self, address: str, return_to: str) -> BegunLogin:
        """Begin a login.

        Args:
            address: Of the browser.
            return_to: A path of this marketplace, where the browser goes on afterwards.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        return self._logins.begin(address, return_to)

    def links(self, same_device: str, other_device: str) -> LoginLinks:
        """The links to the two requests of a login, by their names."""
        request = f"{self._options.endpoint}{REQUEST_PATH}/{same_device}"
        link = self._objects.link
        own = WalletLink(link(self._options.scheme, request), "")
        web = [WalletLink(link(one, request), _host(one)) for one in self._options.web_wallets]
        other = f"{self._options.endpoint}{REQUEST_PATH}/{other_device}"
        is_off = self._options.cross_device == "off"
        return LoginLinks((own, *web), "" if is_off else link(self._options.scheme, other))

    def request_object(self, name: str, wallet_nonce: str | None = None, wallet_metadata: str = "") -> str:
        """The signed request of that name, for a wallet that fetches it; encrypted, if that wants it so.

        It asks for credentials in formats that the wallet says to know.

        Raises:
            Refused: `Code.NOT_FOUND`, when it is unknown, over, answered or was fetched too often;
                `Code.INVALID`, when the wallet's nonce is none.
        """
        login, request = self._open_request(name)
        key = self._logins.fetch(login, request)
        if key is None:
            raise Refused(Code.NOT_FOUND, "This request was fetched too often: begin the login again.")
        metadata = read_wallet_metadata(wallet_metadata)
        signed = self._objects.signed(
            self._response_uri(request),
            *(request.nonce, request.state, key, epoch_s(self._clock)),
            wallet_nonce=wallet_nonce,
            formats=formats_of(metadata),
        )
        return for_wallet(signed, metadata)

    async def respond(self, name: str, body: bytes) -> str:
        """Take what a wallet answers to the request of that name.

        Args:
            name: Of the request.
            body: The form that the wallet posts.

        Returns:
            Where the wallet sends the person (`redirect_uri`); empty: nowhere.

        Raises:
            CredentialRefused: What it presents does not hold. The login is over, unless the answer cannot be
                read at all, which anybody may have sent.
            Refused: `Code.NOT_FOUND`, when the request is unknown, over or answered.
            Unavailable: When it cannot be verified now; the wallet may try again.
        """
        login, request = self._open_request(name)
        try:
            if request.key is None:
                raise malformed_response("nobody has fetched the request")
            response = read_response(body, self._options.mode, request.key, request.state)
            if isinstance(response, WalletError):
                return self._note_error(login, response)
            self._query.answer(response.vp_token)
        except Refused as error:
            steps = (f"{error.code}: {error.message}",)
            self._log_refusal(login, error.code, steps)
            raise CredentialRefused(error.code, steps) from error
        if login.is_taken:
            raise _unknown()
        login.is_taken = True
        return await self._take(login, request, response)

    async def _take(self, login: Login, request: WalletRequest, response: WalletResponse) -> str:
        format_name, text = self._query.answer(response.vp_token)
        is_encrypted = self._options.mode == "direct_post.jwt"
        thumbprint = request.key.thumbprint() if is_encrypted and request.key is not None else None
        session = SessionTerms(self._response_uri(request), thumbprint)
        demanded = PresentationRequest(self._client_id, request.nonce, session)
        try:
            credential = await self._credentials.presentation(text, format_name, demanded)
            self._query.check(credential)
            principal = self._principal_of(credential)
            if self._logins.login(login.id) is not login or login.state in OVER:
                raise _unknown()
            code = self._logins.answer(login, request, principal)
        except CredentialRefused as error:
            self._log_refusal(login, error.code, error.steps)
            self._logins.end(login, LoginState.REFUSED, error.code)
            raise
        except Unavailable as error:
            login.is_taken = False
            log.warning(
                "wallet_login_unverified", login=_shown(login), code=error.code, problem=error.message
            )
            raise
        log.info(
            "wallet_login_answered",
            login=_shown(login),
            format=format_name,
            types=[printable(one) for one in credential.types],
            issuer=printable(credential.issuer.id),
            device=request.device,
        )
        return self._way_back(login, request, code)

    def _response_uri(self, request: WalletRequest) -> str:
        return f"{self._options.endpoint}{RESPONSE_PATH}/{request.id}"

    def _way_back(self, login: Login, request: WalletRequest, code: str) -> str:
        endpoint = self._options.endpoint
        if request.device == "same":
            return f"{endpoint}{LOGIN_PATH}/{login.id}?response_code={code}"
        if self._options.cross_device == "code":
            return f"{endpoint}{CODE_PATH}/{login.id}?response_code={code}"
        return ""

    def view(self, name: str, secret: str | None) -> LoginView | None:
        """What a browser may know of a login; None when there is none of that name, or not any more.

        Args:
            name: Of the login.
            secret: Of the browser's cookie; without it the state alone is told.
        """
        login = self._logins.login(name)
        if login is None:
            return None
        is_own = is_secret(secret, login.binding)
        is_open = login.state in {LoginState.WAITING, LoginState.FETCHED}
        needs_confirming = is_own and login.state is LoginState.ANSWERED and login.device == "other"
        links = self.links(*(one.id for one in login.requests)) if is_own and is_open else None
        return LoginView(
            state=login.state,
            device=login.device,
            links=links,
            principal=login.principal if needs_confirming else None,
            confirmation=login.confirmation if needs_confirming else "",
            needs_code=self._options.cross_device == "code",
            sentence=_sentence(login.problem) if is_own else "",
            declined=login.declined if is_own else "",
        )

    def code(self, name: str, response_code: str) -> CodeView | None:
        """What the page to which a wallet on another device was sent shows; None: it was not sent there."""
        login = self._logins.login(name)
        if login is None or login.state is not LoginState.ANSWERED or login.device != "other":
            return None
        if login.principal is None or not is_secret(response_code, login.response_code):
            return None
        return CodeView(login.principal, login.code)

    def return_from_wallet(self, name: str, secret: str | None, response_code: str) -> CompletedLogin:
        """Complete a login whose wallet, on the same device, sent the browser back.

        Raises:
            Refused: `Code.NOT_FOUND`, when there is no such login, or it waits for nobody; `Code.FORBIDDEN`,
                when it was begun in another browser, or the wallet was given another code.
        """
        login = self._answered(name, "same")
        if not is_secret(response_code, login.response_code):
            raise Refused(Code.FORBIDDEN, "This is not the way back from the wallet.")
        if not is_secret(secret, login.binding):
            # Whoever has the wallet is here, and whoever began the login is not: perhaps it was relayed.
            self._log_refusal(login, Code.FORBIDDEN, ("the wallet led into a browser that did not begin it",))
            self._logins.end(login, LoginState.REFUSED, Code.FORBIDDEN)
            raise Refused(
                Code.FORBIDDEN, "This login was begun in another browser: begin it again in this one."
            )
        return self._completed(login)

    def confirm(self, name: str, secret: str | None, confirmation: str, code: str) -> CompletedLogin:
        """Complete a login whose wallet is on another device, as the person in the browser wants it.

        Raises:
            Refused: `Code.NOT_FOUND`, when there is no such login, or it waits for nobody; `Code.FORBIDDEN`,
                when it was begun in another browser, or the form is not ours; `Code.INVALID`, when the code
                is wrong and another may be typed.
        """
        login = self._answered(name, "other")
        is_form = confirmation.isascii() and hmac.compare_digest(confirmation, login.confirmation)
        if not is_secret(secret, login.binding) or not is_form:
            raise Refused(
                Code.FORBIDDEN, "This login was begun in another browser: begin it again in this one."
            )
        if self._options.cross_device == "code" and not _is_code(code, login.code):
            login.attempts += 1
            if login.attempts >= CODE_ATTEMPTS_MAX:
                self._log_refusal(login, Code.FORBIDDEN, ("the code was wrong too often",))
                self._logins.end(login, LoginState.REFUSED, Code.FORBIDDEN)
                raise Refused(Code.FORBIDDEN, "The number was wrong too often: begin the login again.")
            raise Refused(Code.INVALID, "This is not the number that the device with the wallet shows.")
        return self._completed(login)

    def cancel(self, name: str, secret: str | None, confirmation: str) -> None:
        """End a login that the person in the browser does not want.

        Raises:
            Refused: as `confirm`.
        """
        login = self._answered(name, "other")
        is_form = confirmation.isascii() and hmac.compare_digest(confirmation, login.confirmation)
        if not is_secret(secret, login.binding) or not is_form:
            raise Refused(Code.FORBIDDEN, "This login was begun in another browser.")
        self._logins.end(login, LoginState.REFUSED, Code.FORBIDDEN)

    def _completed(self, login: Login) -> CompletedLogin:
        assert login.principal is not None, "it was answered"
        completed = CompletedLogin(login.principal, login.return_to)
        self._logins.end(login, LoginState.COMPLETED)
        log.info("wallet_login_completed", login=_shown(login), device=login.device)
        return completed

    def _answered(self, name: str, device: Device) -> Login:
        login = self._logins.login(name)
        if login is None or login.state is not LoginState.ANSWERED or login.device != device:
            raise Refused(Code.NOT_FOUND, "This login is over, or not known any more: begin it again.")
        return login

    def _open_request(self, name: str) -> tuple[Login, WalletRequest]:
        known = self._logins.request(name)
        if known is None or known[0].is_taken:
            raise _unknown()
        if known[1].device == "other" and self._options.cross_device == "off":
            raise _unknown()
        return known

    def _note_error(self, login: Login, error: WalletError) -> str:
        """Anybody who saw the link can send one: the login goes on."""
        login.declined = error.code
        log.info("wallet_login_declined", login=_shown(login), error=error.code)
        return ""

    def _log_refusal(self, login: Login, code: Code, steps: tuple[str, ...]) -> None:
        log.warning("wallet_login_refused", login=_shown(login), code=code, steps=list(steps))


def _sentence(problem: Code | None) -> str:
    if problem is None:
        return ""
    return SENTENCES.get(problem, "This login was refused: it was not finished by the person who began it.")


def _is_code(text: str, code: str) -> bool:
    digits = "".join(text.split())
    return digits.isascii() and hmac.compare_digest(digits, code)


def _shown(login: Login) -> str:
    """The name of a login in the log, by which nobody can ask for it."""
    return hashlib.sha256(login.id.encode()).hexdigest()[:16]


def _host(address: str) -> str:
    return address.partition("://")[2].partition("/")[0]


def _unknown() -> Refused:
    return Refused(Code.NOT_FOUND, "This request is over, answered, or not known any more.")
