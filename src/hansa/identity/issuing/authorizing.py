"""The authorization code grant of the issuer (OpenID4VCI 1.0, section 5; HAIP 1.0): approved by a person.

    wallet      pushes its request (PAR): which offer or which credentials, PKCE, where it wants the code
    browser     opens the address with the name of that request
    person      logs in here with a credential, sees what would be issued to whom, and approves
    wallet      gets a code in its address, and shows it with the verifier of PKCE

*Which offer.* The one whose reference the wallet has (`issuer_state`). A wallet that begins without any says
which credentials it wants, and the person gets the oldest offer of such that was made for this very person:
who has nothing prepared by an organisation or an operator has nothing issued.

*Who may approve*: the person for whom the offer was made, who has the same organisation and e-mail address in
the credential of the login, as when a credential is issued anew or in another format; and an operator, an
offer that the wallet named.

Wallets are not registered, so anybody may push a request for an offer whose reference is known. So nothing is
issued before somebody who may has seen where the code goes and pressed the button; a code is bound to the one
who pushed the request (PKCE by S256, and the key of `dpop_jkt` or of a DPoP proof, if there is one), lasts
for a minute and is good once. Used twice, its offer has ended, and with it the token that came of it. Whoever
does not approve sends the browser back with `access_denied`.

Requests and codes are in memory, in bounded numbers: a restart forgets them, and the wallet begins again.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oauth2.rfc7636.challenge import CODE_VERIFIER_PATTERN

from hansa.core.access import OPERATOR
from hansa.core.base64url import to_base64url
from hansa.core.bounded_json import read_json
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.identity.bindings import secret_digest
from hansa.identity.issuing.configurations import SCOPE_PREFIX, authorization_server
from hansa.identity.issuing.orders import MandateOrder
from hansa.identity.issuing.refusals import IssuingRefused
from hansa.identity.principal import Principal

REQUEST_URI_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
REQUEST_LIFE_S: Final = 600
"""So long a person has to log in and to approve."""
CODE_LIFE_S: Final = 60
PENDING_MAX: Final = 2000
PENDING_PER_OFFER_MAX: Final = 4
PENDING_WITHOUT_OFFER_MAX: Final = 1000
"""That anybody may push: fewer than all, so that those for offers still get through."""
TEXT_MAX_CHARS: Final = 2048

_SECRET_BYTES: Final = 24
_DIGEST: Final = re.compile("[A-Za-z0-9_-]{43}", re.ASCII)
"""SHA-256 in base64url: a challenge, a thumbprint."""
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{1,31}", re.ASCII)
_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})
_NO_HOST: Final = frozenset("@;,")
"""Of others than hosts; and what would end a directive in the policy of the page that names the host."""
_NO_TARGETS: Final = frozenset(
    {"javascript", "data", "file", "blob", "about", "vbscript", "ws", "wss", "ftp"}
)
_LIMITS: Final = Limits(
    body_depth_max=8, body_nodes_max=200, array_length_max_items=16, string_length_max_chars=TEXT_MAX_CHARS
)


class CodeRequest(msgspec.Struct, frozen=True):
    """What a wallet asks for."""

    client_id: str
    redirect_uri: str
    state: str
    challenge: str
    offer: str
    """Identifier of the offer that `issuer_state` names; empty: it names none."""
    configurations: tuple[str, ...]
    """That it names, by `scope` or `authorization_details`."""
    details: tuple[str, ...]
    """Those of `authorization_details`; the response to the code names them too."""
    dpop_jkt: str
    """Thumbprint of the key to which the code is bound (RFC 9449, section 10); empty: to none."""
    ends_s: int

    @property
    def target(self) -> str:
        """Where the code goes, for the person and for the policy of the page: an origin, or a scheme."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"https", "http"} else f"{parts.scheme}:"


class Redeemed(msgspec.Struct, frozen=True):
    """What a code was good for."""

    offer: str
    """Its identifier."""
    details: tuple[str, ...]
    """As in the request."""
    must_end: bool
    """Whether the code was used before, so that the offer has to end."""


class _Grant(msgspec.Struct):
    """A code that was given out."""

    request: CodeRequest
    offer: str
    ends_s: int
    is_used: bool = False


class WalletAuthorizations:
    """Requests of wallets, and the codes that came of them. To be used on one event loop."""

    def __init__(self, endpoint: str, clock: Clock, entropy: Entropy) -> None:
        self._issuer = authorization_server(endpoint)
        self._clock = clock
        self._entropy = entropy
        self._requests: dict[str, CodeRequest] = {}
        """By the end of their name, in the order of their ends."""
        self._grants: dict[bytes, _Grant] = {}
        """By the digest of the code; likewise."""

    def push(
        self, form: Mapping[str, str], offer: str, offered: tuple[str, ...], thumbprint: str
    ) -> dict[str, Any]:
        """The answer to a pushed request (RFC 9126).

        Args:
            form: As the wallet posts it.
            offer: Identifier of the offer that `issuer_state` names, which waits; empty: it names none.
            offered: Configurations of the offer; of all that there may be, when it names none.
            thumbprint: Of the key of its DPoP proof; empty: it has none.

        Raises:
            IssuingRefused: `invalid_request`.
            Unavailable: `Code.OVERLOADED`.
        """
        now_s = self._now_s()
        self._sweep(now_s)
        request = _read_request(form, offer, offered, thumbprint, now_s + REQUEST_LIFE_S)
        of_offer = sum(one.offer == offer for one in self._requests.values())
        of_offer_max = PENDING_PER_OFFER_MAX if offer else PENDING_WITHOUT_OFFER_MAX
        if len(self._requests) >= PENDING_MAX or of_offer >= of_offer_max:
            raise Unavailable(Code.OVERLOADED, "Too many wallets ask for codes.", retry_after_s=60.0)
        name = to_base64url(self._entropy(_SECRET_BYTES))
        self._requests[name] = request
        return {"request_uri": REQUEST_URI_PREFIX + name, "expires_in": REQUEST_LIFE_S}

    def request(self, request_uri: str, client_id: str) -> CodeRequest:
        """The request that a browser brings.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        self._sweep(self._now_s())
        request = self._requests.get(request_uri.removeprefix(REQUEST_URI_PREFIX))
        if (
            request is None
            or request.client_id != client_id
            or not request_uri.startswith(REQUEST_URI_PREFIX)
        ):
            raise Refused(Code.NOT_FOUND, "This request of a wallet is over: begin again in the wallet.")
        return request

    def approved(self, request_uri: str, request: CodeRequest, offer: str) -> str:
        """Where the browser is sent, with a code for an offer, when somebody has approved. It is over then.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        if len(self._grants) >= PENDING_MAX:
            raise Unavailable(Code.OVERLOADED, "Too many codes wait for wallets.", retry_after_s=60.0)
        code = to_base64url(self._entropy(_SECRET_BYTES))
        self._grants[secret_digest(code)] = _Grant(request, offer, self._now_s() + CODE_LIFE_S)
        return self._answered(request_uri, request, code=code)

    def declined(self, request_uri: str, request: CodeRequest) -> str:
        """Where the browser is sent when somebody does not approve a request. It is over then."""
        return self._answered(request_uri, request, error="access_denied")

    def _answered(self, request_uri: str, request: CodeRequest, **answer: str) -> str:
        """The address of an authorization response (RFC 6749, section 4.1.2; RFC 9207)."""
        del self._requests[request_uri.removeprefix(REQUEST_URI_PREFIX)]
        answer |= {"iss": self._issuer} | ({"state": request.state} if request.state else {})
        separator = "&" if urlsplit(request.redirect_uri).query else "?"
        return f"{request.redirect_uri}{separator}{urlencode(answer)}"

    def redeem(self, form: Mapping[str, str], thumbprint: str = "") -> Redeemed:
        """Use a code up.

        Args:
            form: Of a token request.
            thumbprint: Of the key of its DPoP proof; empty: it has none.

        Raises:
            IssuingRefused: `invalid_grant` or `invalid_request`.
        """
        self._sweep(self._now_s())
        code, verifier = form.get("code", ""), form.get("code_verifier", "")
        if not 0 < len(code) <= TEXT_MAX_CHARS or CODE_VERIFIER_PATTERN.fullmatch(verifier) is None:
            raise IssuingRefused("invalid_request", "A code and the verifier of PKCE are needed.")
        grant = self._grants.get(secret_digest(code))
        if grant is None:
            raise _no_grant()
        request = grant.request
        is_bound = (
            hmac.compare_digest(create_s256_code_challenge(verifier), request.challenge)
            and form.get("redirect_uri") == request.redirect_uri
            and form.get("client_id", request.client_id) == request.client_id
            and request.dpop_jkt in ("", thumbprint)
        )
        was_used, grant.is_used = grant.is_used, True
        if not is_bound and not was_used:
            raise _no_grant()  # and nobody can try again with another verifier
        return Redeemed(grant.offer, request.details, was_used or not is_bound)

    def _sweep(self, now_s: int) -> None:
        while self._requests and next(iter(self._requests.values())).ends_s <= now_s:
            del self._requests[next(iter(self._requests))]
        while self._grants and next(iter(self._grants.values())).ends_s <= now_s:
            del self._grants[next(iter(self._grants))]

    def _now_s(self) -> int:
        return int(self._clock.monotonic())


def may_have(principal: Principal, order: MandateOrder) -> bool:
    """Whether an order was made for the person who is logged in."""
    return (
        order.kind == "employee"
        and principal.kind == "employee"
        and bool(order.email)
        and (principal.organization, principal.email) == (order.organization, order.email)
    )


def may_approve(principal: Principal, order: MandateOrder) -> bool:
    """Whether somebody who is logged in may have an order issued."""
    return may_have(principal, order) or OPERATOR in principal.roles


def _read_request(
    form: Mapping[str, str], offer: str, offered: tuple[str, ...], thumbprint: str, ends_s: int
) -> CodeRequest:
    if form.get("response_type") != "code" or form.get("response_mode", "query") != "query":
        raise IssuingRefused("invalid_request", "response_type is code, and response_mode is query.")
    challenge = form.get("code_challenge", "")
    if form.get("code_challenge_method") != "S256" or _DIGEST.fullmatch(challenge) is None:
        raise IssuingRefused("invalid_request", "Every request has a code_challenge by S256 (RFC 7636).")
    if "request" in form or "request_uri" in form:
        raise IssuingRefused("invalid_request", "Request objects are not taken.")
    named, details = _named_configurations(form, offered)
    if not offer and not named:
        raise IssuingRefused(
            "invalid_request", "A request names an offer, or the credentials that it is for."
        )
    client_id, state = form.get("client_id", ""), form.get("state", "")
    if not 0 < len(client_id) <= TEXT_MAX_CHARS or len(state) > TEXT_MAX_CHARS:
        raise IssuingRefused("invalid_request", "client_id is missing, or it or state is too long.")
    return CodeRequest(
        client_id=client_id,
        redirect_uri=_checked_target(form.get("redirect_uri", "")),
        state=state,
        challenge=challenge,
        offer=offer,
        configurations=named,
        details=details,
        dpop_jkt=_bound_key(form, thumbprint),
        ends_s=ends_s,
    )


def _bound_key(form: Mapping[str, str], thumbprint: str) -> str:
    """The key to which the code is to be bound: by `dpop_jkt`, by a DPoP proof, or by both (RFC 9449, 10.1).

    Raises:
        IssuingRefused: `invalid_request`.
    """
    named = form.get("dpop_jkt", thumbprint)
    if named and _DIGEST.fullmatch(named) is None:
        raise IssuingRefused("invalid_request", "dpop_jkt is no thumbprint of a key.")
    if thumbprint and named != thumbprint:
        raise IssuingRefused("invalid_request", "dpop_jkt is not the key of the DPoP proof.")
    return named


def _checked_target(address: str) -> str:
    """The address to which a code may go: of the web by https, of this machine, or of an app.

    Raises:
        IssuingRefused: `invalid_request`.
    """
    refusal = IssuingRefused("invalid_request", "redirect_uri is no address to which a code may be sent.")
    is_text = 0 < len(address) <= TEXT_MAX_CHARS and address.isascii() and address.isprintable()
    if not is_text or any(char in address for char in ' #\\"<>*'):
        raise refusal
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc
    except ValueError as error:
        raise refusal from error
    if parts.scheme in {"https", "http"}:
        is_good = bool(host) and _NO_HOST.isdisjoint(parts.netloc)
        is_good = is_good and (parts.scheme == "https" or host in _LOOPBACK)
    else:
        is_good = _SCHEME.fullmatch(parts.scheme) is not None and parts.scheme not in _NO_TARGETS
    if not is_good:
        raise refusal
    return address


def _named_configurations(
    form: Mapping[str, str], offered: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Check that what a request names, by `scope` or `authorization_details` (RFC 9396), was offered.

    Whatever it names, the token is for the whole offer, as that of a pre-authorized code is.

    Returns:
        What it names, and what of that in `authorization_details`; each once.
    """
    scopes, details = form.get("scope", "").split(), dict.fromkeys(_detailed(form))
    of_scopes = {f"{SCOPE_PREFIX}{one}": one for one in offered}
    if not of_scopes.keys() >= set(scopes) or not details.keys() <= set(offered):
        raise IssuingRefused("invalid_request", "A credential is named that was not offered.")
    return tuple(details | dict.fromkeys(of_scopes[one] for one in scopes)), tuple(details)


def _detailed(form: Mapping[str, str]) -> list[str]:
    """The configurations in the `authorization_details` of a form."""
    if "authorization_details" not in form:
        return []
    try:
        details = read_json(form["authorization_details"].encode(), _LIMITS)
    except Refused as error:
        raise IssuingRefused("invalid_request", "authorization_details cannot be read.") from error
    named = []
    for one in details if isinstance(details, list) else [None]:
        detail = one if isinstance(one, dict) and one.get("type") == "openid_credential" else {}
        if not isinstance(detail.get("credential_configuration_id"), str):
            raise IssuingRefused("invalid_request", "authorization_details name other things here.")
        named.append(detail["credential_configuration_id"])
    return named


def _no_grant() -> IssuingRefused:
    return IssuingRefused("invalid_grant", "The code is wrong, was used, has ended, or is of another wallet.")
