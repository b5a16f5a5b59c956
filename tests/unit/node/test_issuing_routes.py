"""The issuer of a whole marketplace over HTTP: by operators, by wallets, by whoever else comes."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hansa.core.clock import SystemClock, epoch_s
from hansa.core.errors import Code, Fatal
from hansa.node.folder import ATTESTERS, ISSUING, init_member
from hansa.node.settings.loading import load_settings
from tests.support.certificates import authority, new_key
from tests.support.credentials import decoded, jwk, jwt
from tests.support.issuing import EMPLOYEE_SD, ORDER, PRE_AUTHORIZED
from tests.support.provider import dpop_proof
from tests.support.whole import Whole, open_whole
from tests.unit.node.test_every_route import rest_routes

ENDPOINT = "http://127.0.0.1:8101"
OPERATORS = [
    ("GET", "/oid4vci/offers"),
    ("POST", "/oid4vci/offers"),
    ("DELETE", "/oid4vci/offers/x"),
    ("GET", "/oid4vci/credentials"),
    ("PUT", "/oid4vci/credentials/x/status"),
]
KEY = new_key()


@pytest.fixture
async def issuing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "market", {"HANSA_ISSUING": "true"}) as made:
        yield made


def order(**changes: Any) -> bytes:
    return json.dumps({"order": msgspec.to_builtins(ORDER), **changes}).encode()


async def offered(whole: Whole) -> dict[str, Any]:
    answer = await whole.client.request("POST", "/oid4vci/offers", body=order())
    assert answer.status == 201
    report: dict[str, Any] = answer.json()
    return report


async def grant_of(whole: Whole) -> dict[str, str]:
    """The fields of a token request, of a new offer that was fetched as a wallet does."""
    offer = await offered(whole)
    address = parse_qs(urlsplit(offer["url"]).query)["credential_offer_uri"][0]
    assert address.startswith(f"{ENDPOINT}/oid4vci/offers/")
    document = (await whole.anonymous.get(address.removeprefix(ENDPOINT))).json()
    code = document["grants"][PRE_AUTHORIZED]["pre-authorized_code"]
    return {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code, "tx_code": offer["tx_code"]}


async def requested(whole: Whole, **headers: str) -> Any:
    """The answer to a request for a credential, with a proof of `KEY`."""
    nonce = (await whole.anonymous.request("POST", "/oid4vci/nonce")).json()["c_nonce"]
    claims = {"aud": ENDPOINT, "iat": epoch_s(SystemClock()), "nonce": nonce}
    of_key = jwt(KEY, claims, typ="openid4vci-proof+jwt", jwk=jwk(KEY))
    body = {"credential_configuration_id": EMPLOYEE_SD, "proofs": {"jwt": [of_key]}}
    client = whole.anonymous.with_headers(**headers)
    return await client.request("POST", "/oid4vci/credential", body=json.dumps(body).encode())


async def form(whole: Whole, path: str, **fields: str) -> Any:
    return await whole.anonymous.post_form(path, fields)


def proof(path: str, key: Any = KEY, token: str | None = None, **claims: str) -> str:
    """A DPoP proof for a path of the issuer."""
    more = {"jti": os.urandom(8).hex(), **claims}
    return dpop_proof(key, "POST", f"{ENDPOINT}{path}", epoch_s(SystemClock()), more, token)


class BoundToken:
    """The access token of an offer, which is bound to a key."""

    def __init__(self, whole: Whole, text: str) -> None:
        self._whole = whole
        self.text = text

    @classmethod
    async def of(cls, whole: Whole) -> BoundToken:
        """One of a new offer, with a nonce that was requested first."""
        fields = await grant_of(whole)
        refused = await cls._granted(whole, fields)
        assert (refused.status, refused.json()["error"]) == (400, "use_dpop_nonce")
        granted = await cls._granted(whole, fields, nonce=refused.headers["dpop-nonce"])
        assert granted.json()["token_type"] == "DPoP"
        return cls(whole, granted.json()["access_token"])

    @staticmethod
    async def _granted(whole: Whole, fields: dict[str, str], **claims: str) -> Any:
        sent = {"dpop": proof("/oid4vci/token", **claims)}
        return await whole.anonymous.post_form("/oid4vci/token", fields, sent)

    def proof(self, key: Any = KEY) -> str:
        """A proof for the credential endpoint with this token."""
        return proof("/oid4vci/credential", key, self.text)

    async def used(self, scheme: str, dpop: str | None = None) -> Any:
        """The answer to a request for a credential."""
        headers = {} if dpop is None else {"dpop": dpop}
        return await requested(self._whole, authorization=f"{scheme} {self.text}", **headers)


async def test_a_bound_token_is_good_with_a_proof_of_its_key_alone(issuing: Whole) -> None:
    token = await BoundToken.of(issuing)
    refused = [
        await token.used("Bearer"),
        await token.used("Bearer", token.proof()),
        await token.used("DPoP"),
        await token.used("DPoP", token.proof(new_key())),
        await token.used("DPoP", proof("/oid4vci/token")),
    ]
    assert [one.status for one in refused] == [401] * len(refused)
    assert (await token.used("DPoP", token.proof())).status == 200


async def test_a_proof_is_good_once(issuing: Whole) -> None:
    token = await BoundToken.of(issuing)
    used = token.proof()
    assert (await token.used("DPoP", used)).status == 200
    again = await token.used("DPoP", used)
    assert (again.status, again.json()["error"]) == (401, "invalid_dpop_proof")
    assert again.headers["www-authenticate"].startswith("DPoP ")


async def issued(whole: Whole) -> str:
    """A credential, all the way of a wallet."""
    granted = await form(whole, "/oid4vci/token", **await grant_of(whole))
    assert granted.status == 200
    assert granted.headers["cache-control"] == "no-store"
    answer = await requested(whole, authorization=f"Bearer {granted.json()['access_token']}")
    assert answer.status == 200
    return str(answer.json()["credentials"][0]["credential"])


async def test_a_wallet_gets_a_credential_whose_status_list_is_served(issuing: Whole) -> None:
    claims = decoded((await issued(issuing)).split("~")[0].split(".")[1])
    uri = claims["status"]["status_list"]["uri"]
    answer = await issuing.anonymous.get(uri.removeprefix(ENDPOINT))
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    assert decoded(answer.body.decode().split(".")[1])["sub"] == uri


async def test_the_metadata_name_what_is_served(issuing: Whole) -> None:
    metadata = (await issuing.anonymous.get("/.well-known/openid-credential-issuer")).json()
    assert metadata["credential_issuer"] == ENDPOINT
    server = (await issuing.anonymous.get("/.well-known/oauth-authorization-server/oid4vci")).json()
    assert metadata["authorization_servers"] == [server["issuer"]]
    paths = {route.path for route in rest_routes(issuing.marketplace)}
    for address in (metadata["credential_endpoint"], metadata["nonce_endpoint"], server["token_endpoint"]):
        assert address.removeprefix(ENDPOINT) in paths


async def test_an_operator_sees_and_revokes_what_was_issued(issuing: Whole) -> None:
    await issued(issuing)
    (credential,) = (await issuing.client.get("/oid4vci/credentials")).json()
    assert (credential["holder"], credential["status"]) == ("Ana María Prueba", "valid")
    path = f"/oid4vci/credentials/{credential['id']}/status"
    answer = await issuing.client.request("PUT", path, body=b'{"status":"revoked"}')
    assert answer.json()["status"] == "revoked"
    assert (await issuing.client.request("PUT", path, body=b'{"status":"valid"}')).status == 409
    assert (await issuing.client.request("PUT", path, body=b'{"status":"odd"}')).status == 400


async def test_an_operator_sees_and_withdraws_offers(issuing: Whole) -> None:
    offer = await offered(issuing)
    (waiting,) = (await issuing.client.get("/oid4vci/offers")).json()
    assert (waiting["id"], waiting["state"]) == (offer["id"], "waits")
    assert "tx_code" not in waiting
    assert (await issuing.client.request("DELETE", f"/oid4vci/offers/{offer['id']}")).status == 204
    assert (await issuing.client.get("/oid4vci/offers")).json() == []


@pytest.mark.parametrize(("method", "path"), OPERATORS)
async def test_orders_are_for_operators_alone(issuing: Whole, method: str, path: str) -> None:
    anonymous = await issuing.anonymous.request(method, path, body=order())
    provider = await issuing.with_role("provider").request(method, path, body=order())
    assert (anonymous.status, provider.status) == (401, 403)


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        ("grant_type=a&grant_type=b", "application/x-www-form-urlencoded", 400),
        ("grant_type=%FF", "application/x-www-form-urlencoded", 400),
        ("&".join(f"a{number}=1" for number in range(40)), "application/x-www-form-urlencoded", 400),
        ("x" * 5000, "application/x-www-form-urlencoded", 413),
        ("{}", "application/json", 415),
        ("", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_a_form_that_is_none_gets_no_token(
    issuing: Whole, body: str, media_type: str, status: int
) -> None:
    headers = {"content-type": media_type}
    answer = await issuing.anonymous.request("POST", "/oid4vci/token", body=body.encode(), headers=headers)
    assert answer.status == status


async def test_an_error_has_the_form_that_wallets_know(issuing: Whole) -> None:
    answer = await form(issuing, "/oid4vci/token", grant_type=PRE_AUTHORIZED, **{"pre-authorized_code": "x"})
    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    answer = await issuing.anonymous.request("POST", "/oid4vci/credential", body=b"{}")
    assert (answer.status, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("segment", ["x", "0", "1", "-1", "9" * 5000, "%D9%A1", "%00", "..%2F.."])
async def test_a_list_that_is_not_there_is_not_found(issuing: Whole, segment: str) -> None:
    assert (await issuing.anonymous.get(f"/status-lists/{segment}")).status == 404


@pytest.mark.parametrize("body", [b"", b"[]", b'{"order":1}', b'{"order":{}}', b"\xff", b"[" * 5000])
async def test_an_order_that_cannot_be_read_is_refused(issuing: Whole, body: bytes) -> None:
    assert (await issuing.client.request("POST", "/oid4vci/offers", body=body)).status == 400


async def test_nothing_of_it_is_there_without_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "market") as plain:
        paths = {route.path for route in rest_routes(plain.marketplace)}
        assert not [path for path in paths if "oid4vci" in path or "status-lists" in path]
        assert not (plain.folder / ISSUING).exists()


async def test_an_issuer_that_demands_attestations_and_believes_nobody_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"HANSA_ISSUING": "true", "HANSA_ISSUING_ATTESTATIONS": "wallets"}
    with pytest.raises(Fatal) as refused:
        async with open_whole(tmp_path / "market", environment):
            pass
    assert refused.value.code == Code.SETTINGS_INVALID


async def test_an_issuer_demands_what_its_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    attesters = tmp_path / "market" / ATTESTERS

    def believe() -> None:
        attesters.mkdir(parents=True)
        (attesters / "provider.pem").write_bytes(authority().certificate.public_bytes(Encoding.PEM))

    environment = {
        "HANSA_ISSUING": "true",
        "HANSA_ISSUING_FORMATS": "dc+sd-jwt",
        "HANSA_ISSUING_SD_JWT_ISSUER": "address",
        "HANSA_ISSUING_DPOP": "true",
        "HANSA_ISSUING_WALLET_INITIATED": "true",
        "HANSA_ISSUING_ATTESTATIONS": "keys",
    }
    async with open_whole(tmp_path / "market", environment, before=believe) as whole:
        refused = await form(whole, "/oid4vci/token", **await grant_of(whole))
        assert refused.json()["error"] == "invalid_dpop_proof"
        token = await BoundToken.of(whole)
        refused = await token.used("DPoP", token.proof())
        assert (refused.status, refused.json()["error"]) == (400, "invalid_proof")


@pytest.mark.parametrize(
    ("endpoint", "environment"),
    [
        ("https://market.example", {}),
        ("http://127.0.0.1:8101", {"HANSA_LISTEN_HOST": "0.0.0.0"}),  # noqa: S104 - refused
        ("http://127.0.0.1:8101", {"HANSA_LISTEN_HOST": "::"}),
        ("http://10.0.0.1:8101", {}),
    ],
)
def test_an_issuer_that_others_could_reach_does_not_start(
    tmp_path: Path, endpoint: str, environment: dict[str, str]
) -> None:
    init_member(tmp_path / "market", "lubeck", endpoint, SystemClock(), p2p_port=26_656)
    with pytest.raises(Fatal) as refused:
        load_settings(tmp_path / "market", {"HANSA_ISSUING": "true", **environment})
    assert refused.value.code == Code.SETTINGS_INVALID
    insisting = {"HANSA_ISSUING": "true", "HANSA_DEVELOPMENT_ANYWHERE": "true", **environment}
    assert load_settings(tmp_path / "market", insisting).issuing
