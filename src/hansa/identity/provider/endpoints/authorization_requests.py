"""Authorization requests: what a client asks for, checked (RFC 6749, 9126, OpenID Connect Core).

    code alone      `response_type=code`, with PKCE by S256 (RFC 7636) for every client but those confidential
                    ones that were registered to do without; a challenge of theirs counts all the same
    the address     `redirect_uri` is one of those that are registered, as a text
    no objects      `request` is not taken: what must not be altered is pushed

A request whose client or address does not hold is refused to the browser itself. Every other refusal goes to
the client, with `state` and `iss` (RFC 9207), so that it knows whose answer it has.

A *pushed* request is stored for a minute under a name that nobody guesses, per client and in all bounded.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from authlib.oauth2.rfc7636.challenge import CODE_CHALLENGE_PATTERN

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.identifiers import Entropy
from hansa.identity.provider.clients.records import ClientRecord
from hansa.identity.provider.endpoints.parameters import Parameters
from hansa.identity.provider.endpoints.requested_claims import RequestedClaims, read_requested_claims
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_request
from hansa.identity.provider.scopes import OPENID, read_scope

REQUEST_URI_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
PUSHED_LIFETIME_S: Final = 60
PUSHED_MAX: Final = 10_000
PUSHED_PER_CLIENT_MAX: Final = 1000
STATE_MAX_CHARS: Final = 2048
NONCE_MAX_CHARS: Final = 512
MAX_AGE_MAX_S: Final = 31_536_000

_CHALLENGE_CHARS: Final = 43
_THUMBPRINT: Final = re.compile("[A-Za-z0-9_-]{43}", re.ASCII)
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_LANGUAGE: Final = re.compile("[A-Za-z]{2,3}(?![A-Za-z0-9])", re.ASCII)
"""Of the first of some language tags (BCP 47)."""
_OF_CLIENTS: Final = frozenset({"client_secret", "client_assertion"})
_DIGITS: Final = re.compile("[0-9]{1,9}", re.ASCII)


class AuthorizationRequest(msgspec.Struct, frozen=True):
    """An authorization request that holds."""

    client: ClientRecord
    redirect_uri: str
    scopes: tuple[str, ...]
    code_challenge: str
    state: str = ""
    nonce: str = ""
    prompts: frozenset[str] = frozenset()
    max_age_s: int | None = None
    key_thumbprint: str = ""
    """Of the key to which the tokens are to be bound (`dpop_jkt`); empty: of none."""
    claims: RequestedClaims = RequestedClaims()
    id_token_hint: str = ""
    """Of whoever has to log in, as it was sent; empty: it may be anybody."""
    language: str = ""
    """In which the login is to be (`ui_locales`), as `de`; empty: as the browser wants it."""


class RedirectedRefusal(OAuthRefused):
    """A refusal that the client reads: the browser is sent to it.

    Args:
        refusal: What it reads.
        redirect_uri: Where; it is registered.
        state: Of the request.
    """

    def __init__(self, refusal: OAuthRefused, redirect_uri: str, state: str) -> None:
        super().__init__(refusal.error, refusal.message, refusal.http_status)
        self.redirect_uri = redirect_uri
        self.state = state


def check_no_secret(parameters: Parameters) -> None:
    """Check that a browser does not come with what a client proves by who it is: its history has the address.

    Raises:
        OAuthRefused: `invalid_request`, for the browser.
    """
    if not _OF_CLIENTS.isdisjoint(parameters):
        raise invalid_request("A client proves who it is at the token endpoint, never in a browser.")


def check_address(client: ClientRecord | None, parameters: Parameters) -> tuple[ClientRecord, str]:
    """The client and the address of a request: nobody is redirected before these hold.

    Raises:
        OAuthRefused: `invalid_request`, for the browser.
    """
    if client is None:
        raise invalid_request("There is no client of this client_id.")
    redirect_uri = parameters.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris:
        raise invalid_request("redirect_uri is none of those that are registered for this client.")
    return client, redirect_uri


def read_authorization_request(
    client: ClientRecord, redirect_uri: str, parameters: Parameters, issuer: str
) -> AuthorizationRequest:
    """What a request asks for, whose client and address hold.

    Raises:
        RedirectedRefusal: For the client.
    """
    state = parameters.get("state", "")
    try:
        if len(state) > STATE_MAX_CHARS:
            state = ""
            raise invalid_request(f"state has at most {STATE_MAX_CHARS} characters.")
        return _read(client, redirect_uri, state, parameters, issuer)
    except OAuthRefused as error:
        raise RedirectedRefusal(error, redirect_uri, state) from error


def _read(
    client: ClientRecord, redirect_uri: str, state: str, parameters: Parameters, issuer: str
) -> AuthorizationRequest:
    if "request" in parameters:
        raise OAuthRefused("request_not_supported", "Request objects are not taken: push the request (PAR).")
    if parameters.get("response_type") != "code":
        raise OAuthRefused("unsupported_response_type", "response_type is code here.")
    if parameters.get("response_mode", "query") != "query":
        raise invalid_request("response_mode is query here.")
    if "authorization_code" not in client.grant_types:
        raise OAuthRefused("unauthorized_client", "This client is not registered for authorization codes.")
    if parameters.get("resource", issuer) not in {issuer, f"{issuer}/"}:
        raise OAuthRefused("invalid_target", "The tokens of this OpenID Provider are for this marketplace.")
    nonce, prompts = parameters.get("nonce", ""), frozenset(parameters.get("prompt", "").split())
    if len(nonce) > NONCE_MAX_CHARS:
        raise invalid_request(f"nonce has at most {NONCE_MAX_CHARS} characters.")
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise invalid_request("prompt is none, or some of login, consent and select_account.")
    thumbprint = parameters.get("dpop_jkt", "")
    if thumbprint and _THUMBPRINT.fullmatch(thumbprint) is None:
        raise invalid_request("dpop_jkt is no thumbprint of a key.")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        scopes=_scopes(client, parameters),
        code_challenge=_challenge(client, parameters),
        state=state,
        nonce=nonce,
        prompts=prompts,
        max_age_s=_max_age_s(parameters),
        key_thumbprint=thumbprint,
        claims=read_requested_claims(parameters.get("claims", ""), client),
        id_token_hint=parameters.get("id_token_hint", ""),
        language=_language(parameters.get("ui_locales", "")),
    )


def _scopes(client: ClientRecord, parameters: Parameters) -> tuple[str, ...]:
    named = read_scope(parameters.get("scope", OPENID))
    if named is None:
        raise OAuthRefused("invalid_scope", "scope is no list of scopes.")
    scopes = tuple(one for one in named if one in client.scopes)
    if not scopes:
        raise OAuthRefused("invalid_scope", "None of these scopes is registered for this client.")
    return scopes


def _challenge(client: ClientRecord, parameters: Parameters) -> str:
    """The PKCE challenge; empty, when the client does without one.

    Without one a stolen code is worth something to whoever can have the client redeem it (RFC 9700, 4.5).
    """
    challenge = parameters.get("code_challenge", "")
    if not client.require_pkce and not challenge and "code_challenge_method" not in parameters:
        return ""
    if parameters.get("code_challenge_method") != "S256":
        raise invalid_request("PKCE is needed: code_challenge, with code_challenge_method=S256.")
    if len(challenge) != _CHALLENGE_CHARS or CODE_CHALLENGE_PATTERN.fullmatch(challenge) is None:
        raise invalid_request("code_challenge is no SHA-256 in base64url.")
    return challenge


def _language(locales: str) -> str:
    match = _LANGUAGE.match(locales)
    return "" if match is None else match[0].lower()


def _max_age_s(parameters: Parameters) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if _DIGITS.fullmatch(text) is None or int(text) > MAX_AGE_MAX_S:
        raise invalid_request("max_age is a number of seconds.")
    return int(text)


class _Pushed(msgspec.Struct, frozen=True):
    client_id: str
    parameters: Parameters
    expires_s: float


class PushedRequests:
    """Requests that clients pushed. To be used on one event loop. Bounded."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        count_max: int = PUSHED_MAX,
        per_client_max: int = PUSHED_PER_CLIENT_MAX,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._count_max = count_max
        self._per_client_max = per_client_max
        self._pushed: dict[str, _Pushed] = {}
        """In the order of their ends."""

    def push(self, client_id: str, parameters: Parameters) -> str:
        """Store a request that was checked; its `request_uri`.

        Raises:
            Unavailable: `Code.OVERLOADED`, when this client, or all together, pushed too many.
        """
        now_s = self._clock.monotonic()
        while self._pushed and next(iter(self._pushed.values())).expires_s <= now_s:
            del self._pushed[next(iter(self._pushed))]
        of_client = sum(one.client_id == client_id for one in self._pushed.values())
        if len(self._pushed) >= self._count_max or of_client >= self._per_client_max:
            raise Unavailable(Code.OVERLOADED, "Too many pushed requests.", float(PUSHED_LIFETIME_S))
        request_uri = REQUEST_URI_PREFIX + to_base64url(self._entropy(32))
        self._pushed[request_uri] = _Pushed(client_id, parameters, now_s + PUSHED_LIFETIME_S)
        return request_uri

    def read(self, request_uri: str, client_id: str) -> Parameters | None:
        """What a client pushed; None when it did not, or it is too long ago."""
        pushed = self._pushed.get(request_uri)
        if pushed is None or pushed.client_id != client_id or pushed.expires_s <= self._clock.monotonic():
            return None
        return pushed.parameters

    def extend(self, request_uri: str, seconds: float) -> None:
        """Store a pushed request for as long as a login takes."""
        pushed = self._pushed.pop(request_uri, None)
        if pushed is not None:
            expires_s = self._clock.monotonic() + seconds
            self._pushed[request_uri] = msgspec.structs.replace(pushed, expires_s=expires_s)

    def remove(self, request_uri: str) -> None:
        """Forget a request that was answered."""
        self._pushed.pop(request_uri, None)


def with_parameters(address: str, **parameters: Any) -> str:
    """An address with further parameters in its query; those that are empty are left out."""
    query = urlencode({name: str(value) for name, value in parameters.items() if value})
    return f"{address}{'&' if '?' in address else '?'}{query}"
