"""A relying party as the OpenID conformance suite has it: a secret, no PKCE, checks of what comes back."""

from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import KeySet

from hansa.identity.principal import Principal
from hansa.identity.provider.clients.records import ClientRecord, ClientSecret, SecretMethod
from hansa.identity.provider.clients.secrets import client_secret_digest
from tests.support.asgi import Response
from tests.support.logins import ANA, ENDPOINT
from tests.support.provider import BACK, Provided, b64sha256, query_of

SECRET: Final = "c2VjcmV0LW9mLXRoZS1zdWl0ZS1vZi1jb25mb3JtYW5jZQ"
OTHER_SECRET: Final = "b3RoZXItc2VjcmV0LW9mLWFub3RoZXItY2xpZW50LXRvbw"


def secret_client(
    client_id: str,
    method: SecretMethod = "client_secret_basic",
    secrets: tuple[str, ...] = (SECRET,),
    **changes: Any,
) -> ClientRecord:
    """A client with a secret that may do without PKCE."""
    kept = tuple(ClientSecret(client_secret_digest(client_id, one)) for one in secrets)
    fields: dict[str, Any] = {"redirect_uris": (BACK,), "require_pkce": False}
    return ClientRecord(client_id, token_endpoint_auth_method=method, client_secrets=kept, **fields | changes)


def basic(client_id: str, secret: str) -> str:
    """An Authorization header, without percent-encoding, as the suite writes it."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


class SuiteClient:
    """A client of the suite, with a browser in which somebody logs in."""

    def __init__(
        self,
        op: Provided,
        client_id: str = "suite",
        method: SecretMethod = "client_secret_basic",
        secret: str = SECRET,
    ) -> None:
        self.op = op
        self.client_id = client_id
        self.method: SecretMethod = method
        self.secret = secret
        self.browser: dict[str, str] = {}

    async def log_in(self, principal: Principal = ANA) -> None:
        """The person logs in, as the login page does it."""
        self.browser = await self.op.browser(principal)

    def request(self, **changes: str | None) -> dict[str, str]:
        """The parameters of an authorization request."""
        parameters: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": BACK,
            "scope": "openid",
            "state": "s" * 128,
            "nonce": "nonce-of-the-suite",
            "response_type": "code",
        }
        return {name: value for name, value in (parameters | changes).items() if value is not None}

    async def authorize(self, **changes: str | None) -> Response:
        """The answer to the browser."""
        target = f"/oidc/authorize?{urlencode(self.request(**changes))}"
        return await self.op.client.get(target, headers=self.browser)

    async def returned(self, **changes: str | None) -> dict[str, str]:
        """What comes to the redirect URI; somebody logs in where the browser is sent to the login."""
        answer = await self.authorize(**changes)
        if answer.headers.get("location", "").startswith("/login"):
            back = query_of(answer)["return_to"]
            await self.log_in()
            answer = await self.op.client.get(back, headers=self.browser)
        assert answer.headers["location"].startswith(f"{BACK}?"), answer.body
        returned = query_of(answer)
        assert returned["iss"] == ENDPOINT
        assert returned["state"] == self.request(**changes).get("state")
        return returned

    async def code(self, **changes: str | None) -> str:
        """A code that holds 128 bits at least."""
        code = (await self.returned(**changes))["code"]
        assert len(code) >= 22
        return code

    async def post(self, path: str, form: dict[str, str]) -> Response:
        """The answer to a request that this client makes for itself."""
        if self.method == "client_secret_basic":
            return await self.op.post(path, form, authorization=basic(self.client_id, self.secret))
        shown = {"client_id": self.client_id, "client_secret": self.secret}
        return await self.op.post(path, form | shown)

    async def redeem(self, code: str, **more: str) -> Response:
        """The answer to a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
        return await self.post("/oidc/token", form | more)

    async def refresh(self, refresh_token: str, **more: str) -> Response:
        """The answer to a refresh token."""
        return await self.post(
            "/oidc/token", {"grant_type": "refresh_token", "refresh_token": refresh_token} | more
        )

    async def tokens(self, **changes: str | None) -> dict[str, Any]:
        """The tokens that come of a login."""
        answer = await self.redeem(await self.code(**changes))
        assert answer.status == 200, answer.body
        assert answer.headers["cache-control"] == "no-store"
        tokens: dict[str, Any] = answer.json()
        assert tokens["token_type"] == "Bearer"
        return tokens

    async def check_id_token(self, tokens: dict[str, Any], nonce: str | None = "nonce-of-the-suite") -> Any:
        """The claims of an ID token, after all that the suite checks of every one."""
        keys = KeySet.import_key_set((await self.op.client.get("/oidc/jwks")).json())
        token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
        assert token.header["kid"] in {key.kid for key in keys.keys}
        claims = token.claims
        assert (claims["iss"], claims["aud"]) == (ENDPOINT, self.client_id)
        assert claims["iat"] <= self.op.now_s < claims["exp"]
        assert claims.get("nonce") == nonce
        assert claims["at_hash"] == b64sha256_half(tokens["access_token"])
        return claims

    async def userinfo(self, tokens: dict[str, Any]) -> dict[str, Any]:
        """What `userinfo` tells."""
        answer = await self.op.userinfo(tokens["access_token"])
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        told: dict[str, Any] = answer.json()
        return told


def b64sha256_half(text: str) -> str:
    """The left half of SHA-256 in base64url, as `at_hash` has it."""
    digest = base64.urlsafe_b64decode(b64sha256(text) + "=")
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
