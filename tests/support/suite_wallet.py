"""The wallet of the OpenID conformance suite, as its modules for issuers play it (oid4vci-1_0-issuer).

It pushes a request, sends a person to the issuer's page, exchanges the code with a DPoP proof that it makes
again when it is told a nonce, and requests credentials. Nothing of our own wallet is used.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from hansa.api.issuing import APPROVE
from hansa.core.certificates import Certificate, read_anchor
from hansa.identity.principal import Principal
from tests.support.asgi import Response
from tests.support.certificates import Usages, authority, new_key, seal
from tests.support.credentials import jwk, jwt, x5c
from tests.support.issuing import EMPLOYEE_SD, ENDPOINT
from tests.support.logins import ANA
from tests.support.provider import dpop_proof
from tests.support.wallet_scene import WalletScene

CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
SCOPE: Final = f"credential:{EMPLOYEE_SD}"


class Provider:
    """The provider of a wallet, with an authority that an issuer may believe."""

    def __init__(self, name: str = "Wallet Provider CA") -> None:
        self.authority = authority(name)
        self.signer = seal(self.authority, None, usages=Usages(digital_signature=True))

    @property
    def anchor(self) -> Certificate:
        return read_anchor(self.authority.der)

    def signed(self, typ: str, claims: dict[str, Any], key: Any = None, **header: Any) -> str:
        """An attestation; a claim of None is left out."""
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt(key or self.signer.key, present, **{"typ": typ, "x5c": x5c(self.signer)} | header)


class SuiteWallet:
    """One client of the suite.

    Args:
        scene: With the issuer.
        client_id: Of this client.
        provider: Attests this wallet and its keys; None: nobody does.
    """

    def __init__(
        self, scene: WalletScene, client_id: str = "suite", provider: Provider | None = None
    ) -> None:
        self.provider = provider
        self.instance_key = new_key()
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

    def wallet_attestation(self, **claims: Any) -> str:
        """That of this wallet, with changes; a claim of None is left out."""
        assert self.provider is not None, "somebody attests it"
        now_s = self.scene.issuing.now_s
        content = {
            "iss": "https://provider.example",
            "sub": self.client_id,
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + 300,
            "cnf": {"jwk": jwk(self.instance_key)},
        }
        return self.provider.signed("oauth-client-attestation+jwt", content | claims)

    def instance_proof(self, key: Any = None, **claims: Any) -> str:
        """A proof of this instance, with changes; a claim of None is left out."""
        self._proofs += 1
        now_s = self.scene.issuing.now_s
        content = {
            "iss": self.client_id,
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + 300,
            "aud": f"{ENDPOINT}/oid4vci",
            "jti": f"pop-{self.client_id}-{self._proofs}",
        } | claims
        present = {name: value for name, value in content.items() if value is not None}
        return jwt(key or self.instance_key, present, typ="oauth-client-attestation-pop+jwt")

    def authentication(self) -> dict[str, str]:
        """The headers with which this wallet is authenticated; none when nobody attests it."""
        if self.provider is None:
            return {}
        return {
            "oauth-client-attestation": self.wallet_attestation(),
            "oauth-client-attestation-pop": self.instance_proof(),
        }

    def key_attestation(self, *keys: Any, **claims: Any) -> str:
        """An attestation of keys, with changes; a claim of None is left out."""
        assert self.provider is not None, "somebody attests them"
        now_s = self.scene.issuing.now_s
        content = {"iat": now_s, "exp": now_s + 300, "attested_keys": [jwk(key) for key in keys]}
        return self.provider.signed("key-attestation+jwt", content | claims)

    async def nonce(self) -> str:
        """A nonce for proofs."""
        return str((await self.scene.browser.request("POST", "/oid4vci/nonce")).json()["c_nonce"])

    def fields(self, **changes: str) -> dict[str, str]:
        """Those of a pushed request; one that is empty is left out."""
        fields = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": "s" * 128,
            "scope": SCOPE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in fields.items() if value}

    async def push(self, headers: dict[str, str] | None = None, **changes: str) -> Response:
        """The answer to a pushed request; a field that is empty is left out."""
        sent = self.authentication() | (headers or {})
        return await self.scene.browser.post_form("/oid4vci/par", self.fields(**changes), sent)

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
            return await browser.post_form("/oid4vci/token", fields, self.authentication())
        headers = self.authentication() | self.proof("/oid4vci/token", key)
        first = await browser.post_form("/oid4vci/token", fields, headers)
        if first.json().get("error") != "use_dpop_nonce":
            return first
        nonce = first.headers["dpop-nonce"]
        headers = self.authentication() | self.proof("/oid4vci/token", key, nonce=nonce)
        return await browser.post_form("/oid4vci/token", fields, headers)

    async def token(self, headers: dict[str, str] | None = None, **changes: str) -> str:
        """An access token that is bound to the key of this client."""
        answer = await self.exchange(await self.code(headers, **changes))
        assert (answer.status, answer.json()["token_type"]) == (200, "DPoP"), answer.body
        return str(answer.json()["access_token"])

    async def request(
        self, token: str, body: dict[str, Any] | None = None, dpop: dict[str, str] | None = None
    ) -> Response:
        """The answer to a request for a credential, by default with a proof of a new key."""
        proof = self.scene.issuing.proof(new_key(), {"nonce": await self.nonce()})
        default = {"credential_configuration_id": EMPLOYEE_SD, "proofs": {"jwt": [proof]}}
        headers = {"content-type": "application/json", "authorization": f"DPoP {token}"}
        headers |= self.proof("/oid4vci/credential", token=token) if dpop is None else dpop
        sent = json.dumps(default if body is None else body).encode()
        return await self.scene.browser.request("POST", "/oid4vci/credential", body=sent, headers=headers)
