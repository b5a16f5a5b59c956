"""The wallet of the OpenID conformance suite, as its modules for issuers play it (oid4vci-1_0-issuer).

It pushes a request, sends a person to the issuer's page, exchanges the code with a DPoP proof that it makes
again when it is told a nonce, and requests credentials. Nothing of our own wallet is used.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from hansa.api.issuing import APPROVE
from hansa.identity.principal import Principal
from tests.support.asgi import Response
from tests.support.certificates import new_key
from tests.support.issuing import EMPLOYEE_SD, ENDPOINT
from tests.support.logins import ANA
from tests.support.provider import dpop_proof
from tests.support.wallet_scene import WalletScene

CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
SCOPE: Final = f"credential:{EMPLOYEE_SD}"


class SuiteWallet:
    """One client of the suite.

    Args:
        scene: With the issuer.
        client_id: Of this client.
    """

    def __init__(self, scene: WalletScene, client_id: str = "suite") -> None:
        self.scene = scene
        self.client_id = client_id
        self.redirect_uri = f"https://suite.example/test/a/{client_id}/callback"
        self.dpop_key = new_key()
        self._proofs = 0

    def proof(self, path: str, key: Any = None, token: str | None = None, **claims: str) -> dict[str, str]:
        """The header with a DPoP proof for a path."""
        self._proofs += 1
        more = {"jti": f"{self.client_id}-{self._proofs}", **claims}
        issuing = self.scene.issuing
        made = dpop_proof(key or self.dpop_key, "POST", f"{ENDPOINT}{path}", issuing.now_s, more, token)
        return {"dpop": made}

    async def push(self, headers: dict[str, str] | None = None, **changes: str) -> Response:
        """The answer to a pushed request; a field that is empty is left out."""
        fields = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": "s" * 128,
            "scope": SCOPE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | changes
        present = {name: value for name, value in fields.items() if value}
        return await self.scene.browser.post_form("/oid4vci/par", present, headers or {})

    def address(self, pushed: Response) -> str:
        """Where the person is sent."""
        query = {"client_id": self.client_id, "request_uri": pushed.json()["request_uri"]}
        return f"/oid4vci/authorize?{urlencode(query)}"

    async def decided(
        self, pushed: Response, principal: Principal = ANA, decision: str = APPROVE
    ) -> dict[str, str]:
        """The parameters with which the browser comes back."""
        answer = await self.scene.decide(self.address(pushed), principal, decision)
        assert answer.status == 303, answer.body
        location, _, query = answer.headers["location"].partition("?")
        assert location == self.redirect_uri
        return {name: values[0] for name, values in parse_qs(query).items()}

    async def code(self, headers: dict[str, str] | None = None, **changes: str) -> str:
        """A code, of a new offer when the request names none."""
        if "issuer_state" not in changes:
            changes["issuer_state"] = (await self.scene.issuing.offer()).reference
        pushed = await self.push(headers, **changes)
        assert pushed.status == 201, pushed.body
        return (await self.decided(pushed))["code"]

    async def exchange(self, code: str, key: Any = None, *, has_proof: bool = True) -> Response:
        """The answer of the token endpoint; a nonce that is demanded is put into a second proof."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": VERIFIER,
        }
        browser = self.scene.browser
        if not has_proof:
            return await browser.post_form("/oid4vci/token", fields)
        first = await browser.post_form("/oid4vci/token", fields, self.proof("/oid4vci/token", key))
        if first.json().get("error") != "use_dpop_nonce":
            return first
        nonce = first.headers["dpop-nonce"]
        return await browser.post_form(
            "/oid4vci/token", fields, self.proof("/oid4vci/token", key, nonce=nonce)
        )

    async def token(self, headers: dict[str, str] | None = None, **changes: str) -> str:
        """An access token that is bound to the key of this client."""
        answer = await self.exchange(await self.code(headers, **changes))
        assert (answer.status, answer.json()["token_type"]) == (200, "DPoP"), answer.body
        return str(answer.json()["access_token"])

    async def request(
        self, token: str, body: dict[str, Any] | None = None, dpop: dict[str, str] | None = None
    ) -> Response:
        """The answer to a request for a credential, by default with a proof of a new key."""
        nonce = (await self.scene.browser.request("POST", "/oid4vci/nonce")).json()["c_nonce"]
        default = {
            "credential_configuration_id": EMPLOYEE_SD,
            "proofs": {"jwt": [self.scene.issuing.proof(new_key(), {"nonce": nonce})]},
        }
        headers = {"content-type": "application/json", "authorization": f"DPoP {token}"}
        headers |= self.proof("/oid4vci/credential", token=token) if dpop is None else dpop
        sent = json.dumps(default if body is None else body).encode()
        return await self.scene.browser.request("POST", "/oid4vci/credential", body=sent, headers=headers)


def path_of(address: str) -> str:
    """The path of an address of the issuer."""
    return urlsplit(address).path
