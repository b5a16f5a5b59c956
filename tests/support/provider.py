"""An OpenID Provider in memory, its clients and browsers, who sign by `cryptography` and by hand."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse

from hansa.api.oidc import OidcPage, OidcRoutes
from hansa.core.certificates import read_anchor
from hansa.core.clock import ManualClock
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.identity import TokenAuthenticate
from hansa.identity.credentials import (
    CredentialVerifier,
    DidKeys,
    IssuerTrust,
    RecentPresentations,
    StatusLists,
)
from hansa.identity.delegation_rules import DelegationRules
from hansa.identity.principal import Principal, RoleRules
from hansa.identity.provider.callers import TokensAuthenticate
from hansa.identity.provider.clients.assertions import ASSERTION_TYPE, MACHINE_DIDS, ClientCheck
from hansa.identity.provider.clients.client_keys import ClientKeys
from hansa.identity.provider.clients.records import ClientRecord
from hansa.identity.provider.clients.registry import ClientRegistry, write_clients
from hansa.identity.provider.endpoints.authorization import AuthorizationEndpoint
from hansa.identity.provider.endpoints.authorization_requests import PushedRequests
from hansa.identity.provider.endpoints.codes import Codes
from hansa.identity.provider.endpoints.exchanges import Exchanges
from hansa.identity.provider.endpoints.logout import LogoutEndpoint
from hansa.identity.provider.endpoints.machines import Machines
from hansa.identity.provider.endpoints.token_reports import TokenReports
from hansa.identity.provider.endpoints.token_requests import TokenEndpoint
from hansa.identity.provider.provider import OpenIdProvider
from hansa.identity.provider.rates import Rates
from hansa.identity.provider.tokens.access_tokens import AccessTokens
from hansa.identity.provider.tokens.families import TokenFamilies
from hansa.identity.provider.tokens.id_tokens import IdTokens
from hansa.identity.provider.tokens.proofs import Proofs
from hansa.identity.provider.tokens.signing_keys import SigningKeys
from hansa.identity.sessions import SessionAuthenticate
from hansa.identity.statements import StatementCheck, StatementSigner
from hansa.identity.verifying_keys import VerifyingKeys
from hansa.node.http.application import rest_application
from tests.support.asgi import AsgiClient, Response
from tests.support.certificates import NOW, new_key
from tests.support.credentials import ROOT, Web, did_key, jwk, jwt
from tests.support.logins import ANA, DID, ENDPOINT, LoggingIn, seeded
from tests.support.provider_keys import provider_key_file

TOKEN_KEY: Final = SigningKey.generate()
MEMBER_KEY: Final = SigningKey.generate()
CLIENT_KEY: Final = new_key()
OTHER_KEY: Final = new_key()
PROOF_KEY: Final = new_key()
MACHINE_KEY: Final = new_key()

PORTAL: Final = "portal"
SHOP: Final = "https://shop.example/jwks"
BACK: Final = "https://portal.example/callback"
AFTER_LOGOUT: Final = "https://portal.example/bye"
VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Of RFC 7636, appendix B."""
EVERY_SCOPE: Final = ("openid", "profile", "email", "read", "write", "learcredential", "operate")
ALL_GRANTS: Final = (
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
)

PUBLIC: Final = ClientRecord(
    PORTAL, redirect_uris=(BACK,), post_logout_redirect_uris=(AFTER_LOGOUT,), scopes=EVERY_SCOPE
)
CONFIDENTIAL: Final = ClientRecord(
    "backend",
    redirect_uris=(BACK,),
    grant_types=ALL_GRANTS,
    scopes=EVERY_SCOPE,
    roles=("reader",),
    jwks={"keys": [jwk(CLIENT_KEY) | {"kid": "1"}]},
)
REMOTE: Final = ClientRecord("shop", redirect_uris=(BACK,), scopes=EVERY_SCOPE, jwks_uri=SHOP)


class Provided:
    """An OpenID Provider, and what is behind it."""

    def __init__(
        self,
        folder: Path,
        *clients: ClientRecord,
        clock: ManualClock | None = None,
        issuer: str = ENDPOINT,
        did: str = DID,
        members: tuple[Member, ...] = (),
        delegations: tuple[str, ...] = (),
        member_key: SigningKey = MEMBER_KEY,
        **limits: Any,
    ) -> None:
        self.folder, self.clock, self.issuer, self.did = folder, clock or ManualClock(NOW), issuer, did
        folder.mkdir(exist_ok=True)
        self.keys_path, self.clients_path = folder / "provider.json", folder / "clients.json"
        self.keys_path.write_bytes(provider_key_file())
        write_clients(self.clients_path, clients or (PUBLIC, CONFIDENTIAL, REMOTE))
        self.web, self.limits = Web(), Limits(**limits)
        self.here = LoggingIn(clock=self.clock, **limits)
        self.members = members
        self.keys = SigningKeys(self.keys_path, self.clock)
        self.registry = ClientRegistry(self.clients_path, self.clock)
        self.access_tokens = AccessTokens(
            *(self.keys, issuer, self.here.endings, self.clock, seeded(2)),
            *(self.limits.access_token_lifetime_s, self._has_client),
        )
        self.proofs = Proofs(issuer, b"n" * 32, self.clock)
        operators = TokenAuthenticate(TOKEN_KEY.verifying_key(), did, self.clock, 1e6)
        self.tokens = TokensAuthenticate(self.access_tokens, self.proofs, operators, self.here.endings)
        self.authenticate = SessionAuthenticate(self.tokens, self.here.sessions)
        self.provider = self._provider(delegations, member_key)
        self._application = rest_application(OidcRoutes(self.provider, _page).routes())
        self.client = AsgiClient(self._application)
        self._numbers = itertools.count()

    def _provider(self, delegations: tuple[str, ...], member_key: SigningKey) -> OpenIdProvider:
        clock, issuer, tokens, sessions = self.clock, self.issuer, self.access_tokens, self.here.sessions
        rates = Rates(clock, self.limits)
        check = ClientCheck(
            *(self.registry, ClientKeys(self.web, clock), DidKeys(self.web), issuer),
            *(f"{issuer}/oidc/token", lambda: self.members, clock, rates),
        )
        codes = Codes(clock, seeded(3), 900.0)
        id_tokens, pushed = IdTokens(self.keys, issuer, clock), PushedRequests(clock, seeded(5))
        dids = DidKeys(self.web)
        types = ["LEARCredentialEmployee", "LEARCredentialMachine"]
        trust = IssuerTrust([read_anchor(ROOT.der)], None, dids, types)
        memory = RecentPresentations(1000)
        verifier = CredentialVerifier(trust, dids, StatusLists(self.web, trust), memory, clock)
        check_status = verifier.check_status
        families = TokenFamilies(self.here.store, tokens, clock, seeded(4), self.limits, check_status)
        exchanges = Exchanges(
            tokens,
            StatementSigner(member_key, self.did, b"p" * 32, clock, seeded(6)),
            StatementCheck(self.did, lambda: self.members, clock, VerifyingKeys()),
            DelegationRules(delegations),
            lambda: self.members,
        )
        audiences = (issuer, f"{issuer}/oidc/token", self.did)
        return OpenIdProvider(
            *(issuer, self.keys, check, rates, self.proofs, pushed),
            AuthorizationEndpoint(
                *(self.registry, pushed, codes, sessions, id_tokens),
                *(issuer, b"m" * 32, clock, seeded(7)),
            ),
            TokenEndpoint(
                *(check, rates, self.proofs, codes, tokens, families, id_tokens),
                *(Machines(verifier, RoleRules(), audiences), exchanges, issuer, clock, seeded(8)),
            ),
            TokenReports(check, rates, tokens, families, issuer),
            LogoutEndpoint(self.registry, id_tokens, sessions),
            self.tokens,
        )

    def _has_client(self, client_id: str) -> bool:
        return (
            self.registry.client(client_id) is not None
            or client_id.startswith(MACHINE_DIDS)
            or any(one.did == client_id for one in self.members)
        )

    @property
    def now_s(self) -> int:
        """The time, in seconds since 1970."""
        return int(self.clock.now().timestamp())

    # -- browsers ------------------------------------------------------------------------------------------

    async def browser(self, principal: Principal = ANA) -> dict[str, str]:
        """Headers of a browser in which somebody is logged in."""
        return {"cookie": (await self.here.login(principal)).decode()}

    async def authorize(self, headers: Mapping[str, str] | None = None, **changes: str | None) -> Response:
        """The answer to a browser with a request; a parameter of None is left out."""
        return await self.client.get(
            f"/oidc/authorize?{urlencode(asked(**changes))}", headers=dict(headers or {})
        )

    async def code(self, principal: Principal = ANA, **changes: str | None) -> str:
        """A code."""
        answer = await self.authorize(await self.browser(principal), **changes)
        return query_of(answer)["code"]

    # -- clients -------------------------------------------------------------------------------------------

    def assertion(self, client_id: str = "backend", key: Any = CLIENT_KEY, **changes: Any) -> dict[str, str]:
        """What a confidential client shows; `kid`, `typ` and `alg` change its header."""
        header = {name: changes.pop(name) for name in ("kid", "typ", "alg", "crit") if name in changes}
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": self.issuer,
            "exp": self.now_s + 60,
            "iat": self.now_s,
            "jti": f"assertion-{next(self._numbers)}",
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jwt(key, claims, **{"kid": "1"} | header),
        }

    def proof(
        self, method: str = "POST", path: str = "/oidc/token", token: str | None = None, **changes: Any
    ) -> str:
        """A DPoP proof."""
        key = changes.pop("key", PROOF_KEY)
        header = {name: changes.pop(name) for name in ("typ", "alg", "jwk", "crit") if name in changes}
        own = {"jti": f"proof-{next(self._numbers)}", "nonce": self.proofs.nonce()}
        return dpop_proof(key, method, f"{self.issuer}{path}", self.now_s, own | changes, token, **header)

    async def post(self, path: str, form: Mapping[str, str], **headers: str) -> Response:
        """The answer to a form."""
        return await self.client.post_form(path, form, headers)

    async def post_from(self, address: str, path: str, form: Mapping[str, str]) -> Response:
        """The answer to a form that comes from an address."""

        async def from_there(scope: Any, receive: Any, send: Any) -> None:
            await self._application({**scope, "client": (address, 50_000)}, receive, send)

        return await AsgiClient(from_there).post_form(path, form)

    async def token(self, form: Mapping[str, str | None], **headers: str) -> Response:
        """The answer of the token endpoint; a parameter of None is left out."""
        present = {name: value for name, value in form.items() if value is not None}
        return await self.post("/oidc/token", present, **headers)

    async def redeemed(self, code: str, **changes: str | None) -> Response:
        """The answer to a code."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "client_id": PORTAL,
            "code_verifier": VERIFIER,
        }
        return await self.token(form | changes)

    async def tokens_of(self, principal: Principal = ANA, **changes: str | None) -> dict[str, Any]:
        """The tokens of somebody who logged in."""
        answer = await self.redeemed(await self.code(principal, **changes))
        assert answer.status == 200, answer.body
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def refreshed(self, refresh_token: str, **changes: str | None) -> Response:
        """The answer to a refresh token."""
        form: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": PORTAL,
        }
        return await self.token(form | changes)

    async def machine(self, vp_token: str | None, key: Any = MACHINE_KEY, **changes: Any) -> Response:
        """The answer to a machine that nobody registered."""
        did = did_key(key)
        shown = self.assertion(did, key, **{"kid": f"{did}#{did[8:]}", "vp_token": vp_token} | changes)
        return await self.token({"grant_type": "client_credentials", **shown})

    async def is_good(self, access_token: str) -> bool:
        """Whether an access token is taken."""
        return (await self.userinfo(access_token)).status == 200

    async def userinfo(self, token: str, **headers: str) -> Response:
        """Who the holder of a token is."""
        sent = {"authorization": f"Bearer {token}"} | headers
        return await self.client.get("/oidc/userinfo", headers=sent)


def asked(**changes: str | None) -> dict[str, str]:
    """The parameters of an authorization request; one of None is left out."""
    parameters: dict[str, str | None] = {
        "response_type": "code",
        "client_id": PORTAL,
        "redirect_uri": BACK,
        "scope": "openid profile email write",
        "state": "af0ifjsldkj",
        "nonce": "n-0S6_WzA2Mj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (parameters | changes).items() if value is not None}


def query_of(answer: Response) -> dict[str, str]:
    """The query of the address to which a browser is sent."""
    assert answer.status == 303, answer.body
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def error_of(answer: Response) -> str:
    """The error that a client reads."""
    assert answer.status in {400, 401, 403}, answer.body
    error: str = answer.json()["error"]
    return error


def payload_of(token: str) -> dict[str, Any]:
    """What is in a JWT."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def dpop_proof(
    key: Any,
    method: str,
    url: str,
    time_s: int,
    claims: Mapping[str, Any],
    token: str | None = None,
    **header: Any,
) -> str:
    """A DPoP proof (RFC 9449, section 4.2); `claims` are further ones; one of None is left out."""
    content = {
        "htm": method,
        "htu": url,
        "iat": time_s,
        "ath": None if token is None else b64sha256(token),
        **claims,
    }
    present = {name: value for name, value in content.items() if value is not None}
    return jwt(key, present, **{"typ": "dpop+jwt", "jwk": jwk(key)} | header)


def b64sha256(text: str) -> str:
    """SHA-256 in base64url."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _page(request: Request, page: OidcPage) -> Any:
    """A page, as JSON."""
    content = {"title": page.title, "sentences": page.sentences, "fields": dict(page.fields)}
    return JSONResponse(content, page.status, headers={"cache-control": "no-store"})
