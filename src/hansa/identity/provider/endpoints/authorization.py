"""The authorization endpoint: a browser comes with a client's request, and goes to the client with a code.

    request ── nobody logged in, or another, `prompt=login`, `max_age` ──▶ /login ──▶ the request once more
       │
       └── logged in ──▶ code, state, iss to the registered address

Every client is one of the operator's own, so nobody is asked for consent. Whether somebody logged in since a
request demanded it is told by a mark in the address that the login returns to: under a key of this
marketplace it names the request and the session that was there before. Nothing is remembered for browsers
that nobody knows.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from urllib.parse import urlencode

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.identity.provider.clients.registry import ClientRegistry
from hansa.identity.provider.endpoints.authorization_requests import (
    REQUEST_URI_PREFIX,
    STATE_MAX_CHARS,
    AuthorizationRequest,
    PushedRequests,
    RedirectedRefusal,
    check_address,
    read_authorization_request,
    with_parameters,
)
from hansa.identity.provider.endpoints.codes import CodeGrant, Codes
from hansa.identity.provider.endpoints.parameters import Parameters
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_request
from hansa.identity.provider.tokens.access_tokens import Authorized
from hansa.identity.provider.tokens.id_tokens import IdTokens
from hansa.identity.sessions import Headers, Session, Sessions, local_path

AUTHORIZE_PATH: Final = "/oidc/authorize"
LOGIN_PATH: Final = "/login"
LOGIN_MARK_PURPOSE: Final = b"hansa login marks 1"
LOGIN_MARK: Final = "login_mark"
LOGIN_TIME_S: Final = 600.0

_NAME_CHARS: Final = 22


class AuthorizationEndpoint:
    """Answers authorization requests.

    Args:
        registry: The clients.
        pushed: What they pushed.
        codes: Codes.
        sessions: Who is logged in.
        id_tokens: By which clients say whom they expect.
        issuer: This OpenID Provider.
        mark_key: Of this marketplace, for nothing else.
        clock: For the age of logins.
        entropy: For names.
    """

    def __init__(
        self,
        registry: ClientRegistry,
        pushed: PushedRequests,
        codes: Codes,
        sessions: Sessions,
        id_tokens: IdTokens,
        issuer: str,
        mark_key: bytes,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._registry = registry
        self._pushed = pushed
        self._codes = codes
        self._sessions = sessions
        self._id_tokens = id_tokens
        self._issuer = issuer
        self._mark_key = mark_key
        self._clock = clock
        self._entropy = entropy

    def answer(self, parameters: Parameters, headers: Headers) -> str:
        """Where a browser goes that comes with a request.

        Args:
            parameters: Of the request.
            headers: Of the request; names in lower case.

        Raises:
            RedirectedRefusal: For the client.
            OAuthRefused: For the browser.
            Unavailable: `Code.OVERLOADED`.
        """
        mark = parameters.get(LOGIN_MARK, "")
        requested = {name: value for name, value in parameters.items() if name != LOGIN_MARK}
        request, request_uri = self._request(requested)
        session = self._sessions.of(headers)
        subject = self._subject(request)
        is_other = bool(subject) and session is not None and session.principal.subject != subject
        if session is None or is_other or self._is_too_old(request, session, requested, mark):
            is_over = is_other and session is not None and self._is_since(mark, requested, session)
            if is_over or "none" in request.prompts:
                refusal = OAuthRefused(
                    "login_required", "Nobody is logged in, or not since then, or another."
                )
                raise RedirectedRefusal(refusal, request.redirect_uri, request.state)
            return self._login(request, request_uri, requested, session)
        if request_uri:
            self._pushed.remove(request_uri)
        return self._code(request, session)

    def check(self, client_id: str, parameters: Parameters) -> None:
        """Check a request that a client is about to push.

        Raises:
            OAuthRefused: For the client.
        """
        if "request_uri" in parameters:
            raise invalid_request("A request that is pushed has no request_uri.")
        client, redirect_uri = check_address(self._registry.client(client_id), parameters)
        read_authorization_request(client, redirect_uri, parameters, self._issuer)

    def refusal_address(self, refusal: RedirectedRefusal) -> str:
        """Where a browser takes a refusal to the client."""
        return with_parameters(
            refusal.redirect_uri,
            error=refusal.error,
            error_description=refusal.message,
            state=refusal.state,
            iss=self._issuer,
        )

    def _request(self, requested: Parameters) -> tuple[AuthorizationRequest, str]:
        """What is asked for, and the name under which it was pushed; empty: it was not."""
        client_id, request_uri = requested.get("client_id", ""), requested.get("request_uri", "")
        client, parameters = self._registry.client(client_id), requested
        if request_uri and not request_uri.startswith(REQUEST_URI_PREFIX):
            _, redirect_uri = check_address(client, requested)
            refusal = OAuthRefused("request_uri_not_supported", "Push the request (PAR): none is fetched.")
            raise RedirectedRefusal(refusal, redirect_uri, requested.get("state", "")[:STATE_MAX_CHARS])
        if request_uri:
            pushed = self._pushed.read(request_uri, client_id)
            if pushed is None:
                raise invalid_request("request_uri names no request, or one that was pushed too long ago.")
            parameters = pushed
        client, redirect_uri = check_address(client, parameters)
        request = read_authorization_request(client, redirect_uri, parameters, self._issuer)
        if client.require_pushed_authorization_requests and not request_uri:
            refusal = invalid_request("This client has to push its requests (PAR).")
            raise RedirectedRefusal(refusal, redirect_uri, request.state)
        return request, request_uri

    def _subject(self, request: AuthorizationRequest) -> str:
        """Who has to log in; empty: anybody.

        Raises:
            RedirectedRefusal: The hint is none, or says somebody else than the claims.
        """
        subject = request.claims.subject
        if not request.id_token_hint:
            return subject
        hinted = self._id_tokens.hinted(request.id_token_hint)
        if hinted is None or hinted.aud != request.client.client_id or subject not in {"", hinted.sub}:
            refusal = invalid_request(
                "id_token_hint is no ID token that this client got, or of another person."
            )
            raise RedirectedRefusal(refusal, request.redirect_uri, request.state)
        return hinted.sub

    def _is_too_old(
        self, request: AuthorizationRequest, session: Session, requested: Parameters, mark: str
    ) -> bool:
        """Whether a request demands another login than the one of this session."""
        if self._is_since(mark, requested, session):
            return False
        if request.prompts & {"login", "select_account"}:
            return True
        age_s = self._clock.now().timestamp() - session.begun_s
        return request.max_age_s is not None and age_s > request.max_age_s

    def _login(
        self, request: AuthorizationRequest, request_uri: str, requested: Parameters, session: Session | None
    ) -> str:
        """The address of the login, which returns to this request."""
        query = urlencode({**requested, LOGIN_MARK: self._mark(requested, session)})
        return_to = local_path(f"{AUTHORIZE_PATH}?{query}")
        if return_to is None:
            refusal = invalid_request("The request is too long for an address: push it (PAR).")
            raise RedirectedRefusal(refusal, request.redirect_uri, request.state)
        if request_uri:
            self._pushed.extend(request_uri, LOGIN_TIME_S)
        return with_parameters(LOGIN_PATH, return_to=return_to, lang=request.language)

    def _code(self, request: AuthorizationRequest, session: Session) -> str:
        """The address of the client, with a code."""
        authorized = Authorized(
            principal=session.principal,
            client=request.client.client_id,
            scopes=request.scopes,
            auth_time_s=session.begun_s,
            key_thumbprint=request.key_thumbprint,
            userinfo_claims=request.claims.userinfo,
            id_token_claims=request.claims.id_token,
        )
        family = to_base64url(self._entropy(16))
        grant = CodeGrant(authorized, request.redirect_uri, request.code_challenge, family, request.nonce)
        code = self._codes.issue(grant)
        return with_parameters(request.redirect_uri, code=code, state=request.state, iss=self._issuer)

    def _mark(self, requested: Parameters, session: Session | None) -> str:
        name = to_base64url(session.name[:16]) if session is not None else "0" * _NAME_CHARS
        return f"{name}{self._digest(requested, name)}"

    def _is_since(self, mark: str, requested: Parameters, session: Session) -> bool:
        """Whether a mark is of this request, and the session began after it was made."""
        name, digest = mark[:_NAME_CHARS], mark[_NAME_CHARS:]
        is_ours = hmac.compare_digest(
            self._digest(requested, name).encode(), digest.encode("utf-8", "replace")
        )
        return is_ours and name != to_base64url(session.name[:16])

    def _digest(self, requested: Parameters, name: str) -> str:
        content = msgspec.json.encode([name, sorted(requested.items())])
        return to_base64url(hmac.new(self._mark_key, content, hashlib.sha256).digest())
