"""The development wallet with our issuer and our verifier: what works, and what it does not fall for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from hansa.core.certificates import read_anchor
from hansa.core.errors import Code, Fatal, HansaError, Refused
from hansa.core.http import HttpResponse
from hansa.identity.wallet import RequestAnswers, WalletFolder, summary_of, wallets_in
from hansa.identity.wallet.presenting import presentation
from hansa.store.tables import issuing as tables
from tests.support.certificates import NOW, authority, new_key
from tests.support.credentials import b64, decoded, encoded, jwt, x5c
from tests.support.wallet_scene import OFFER, Change, WalletScene
from tests.support.wallets import ACCESS, ACCESS_ROOT, access_certificate, identity_of


@pytest.fixture
def scene(tmp_path: Path) -> WalletScene:
    return WalletScene(tmp_path)


def replaced(**changes: Any) -> Change:
    """An answer in JSON with other members; None leaves one out."""

    def change(response: HttpResponse) -> HttpResponse:
        content = json.loads(response.body) | changes
        content = {name: value for name, value in content.items() if value is not None}
        return msgspec.structs.replace(response, body=json.dumps(content).encode())

    return change


def signed_again(changes: dict[str, Any], key: Any = ACCESS.key, **header: Any) -> Change:
    """A request object with other claims, signed again; by default by the verifier's own key."""

    def change(response: HttpResponse) -> HttpResponse:
        parts = response.body.decode().split(".")
        claims = decoded(parts[1]) | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        text = jwt(key, claims, **(decoded(parts[0]) | header))
        return msgspec.structs.replace(response, body=text.encode())

    return change


# -- what works ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["direct_post.jwt", "direct_post"])
async def test_a_person_gets_a_credential_and_logs_in_with_it(tmp_path: Path, mode: str) -> None:
    scene = WalletScene(tmp_path, mode=mode)
    await scene.accept()
    principal = await scene.log_in()
    assert principal.organization == "VATES-12345678"
    assert (principal.name, principal.email) == ("Ana María Prueba", "ana@goodair.example")


@pytest.mark.parametrize("prefix", ["x509_hash", "x509_san_dns", "decentralized_identifier"])
async def test_the_wallet_knows_every_kind_of_client_identifier(tmp_path: Path, prefix: Any) -> None:
    scene = WalletScene(tmp_path, identity=identity_of(prefix))
    await scene.accept()
    assert (await scene.log_in()).organization == "VATES-12345678"


async def test_a_wallet_with_the_older_format_alone_logs_in(tmp_path: Path) -> None:
    scene = WalletScene(tmp_path)
    for held in await scene.accept():
        if held.format == "dc+sd-jwt":
            scene.folder.remove(held.id)
    assert (await scene.log_in()).name == "Ana María Prueba"


async def test_the_holder_sees_what_is_shown_and_to_whom(scene: WalletScene) -> None:
    await scene.accept()
    request = await scene.fetch(scene.begin()[1])
    assert (request.host, request.name) == ("market.example", "")
    (match,) = scene.matches(request)
    assert match.disclosed == ("email", "firstName", "lastName")
    vouched = await scene.fetch(scene.begin()[1], read_anchor(ACCESS_ROOT.der))
    assert vouched.name == "Market"


async def test_the_holder_can_decline(scene: WalletScene) -> None:
    await scene.accept()
    begun, link = scene.begin()
    await RequestAnswers(scene, scene.issuing.clock).decline(await scene.fetch(link))
    view = scene.scene.logins.view(begun.id, begun.secret)
    assert view is not None
    assert view.declined == "access_denied"


async def test_what_was_revoked_logs_nobody_in(scene: WalletScene) -> None:
    await scene.accept()
    for one in await tables.credentials(scene.issuing.store, 10):
        await scene.issuing.issuer.set_status(one.id, "revoked")
    with pytest.raises(Refused) as refused:
        await scene.log_in()
    assert "invalid_request" in refused.value.message


async def test_a_wallet_without_a_credential_that_fits_answers_nothing(scene: WalletScene) -> None:
    assert scene.matches(await scene.fetch(scene.begin()[1])) == ()


async def test_each_credential_has_a_key_of_its_own(scene: WalletScene) -> None:
    await scene.accept()
    keys = [held.key["x"] for held in scene.folder.credentials()]
    assert len(set(keys)) == len(keys) == 2


async def test_keys_are_for_their_owner_alone(scene: WalletScene, tmp_path: Path) -> None:
    await scene.accept()
    paths = [tmp_path / "wallet" / "ana", *(tmp_path / "wallet" / "ana").iterdir()]
    assert {path.stat().st_mode & 0o077 for path in paths} == {0}


async def test_a_summary_says_who_may_do_what(scene: WalletScene) -> None:
    summaries = [summary_of(held) for held in await scene.accept()]
    assert {one.holder for one in summaries} == {"Ana María Prueba"}
    assert {one.organization for one in summaries} == {"GoodAir"}
    assert summaries[0].powers == ("ProductOffering: Create, Update", "Onboarding: Execute")


async def test_a_removed_credential_is_gone_with_its_key(scene: WalletScene, tmp_path: Path) -> None:
    for held in await scene.accept():
        scene.folder.remove(held.id)
    assert list((tmp_path / "wallet" / "ana").iterdir()) == []
    for id in ("../../x", "0" * 16, ""):
        with pytest.raises(Refused) as refused:
            scene.folder.remove(id)
        assert refused.value.code == Code.NOT_FOUND


def test_wallets_of_several_people_stand_beside_each_other(tmp_path: Path) -> None:
    assert wallets_in(tmp_path / "none") == ()
    for name in ("bob", "ana", ".hidden"):
        (tmp_path / name).mkdir()
    assert [one.name for one in wallets_in(tmp_path)] == ["ana", "bob"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 10_000, b'{"id":"0000000000000000"}'])
def test_a_file_that_holds_no_credential_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0000000000000000.json").write_bytes(content)
    with pytest.raises(Fatal) as refused:
        WalletFolder(tmp_path).credentials()
    assert "0000000000000000.json" in refused.value.message


# -- offers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        "",
        "openid-credential-offer://",
        "https://lubeck.example",
        OFFER + "x",
        OFFER + "file:///etc/passwd",
        OFFER + "https%3A%2F%2Fuser%3Apass%40lubeck.example",
        OFFER + "a&credential_offer_uri=b",
        OFFER + "a&credential_offer=b",
        "openid-credential-offer://?credential_offer=%7B%7D",
        "openid-credential-offer://?credential_offer=" + "x" * 10_000,
        "openid-credential-offer://?credential_offer=%FF",
    ],
)
async def test_a_link_that_is_no_offer_is_refused(scene: WalletScene, link: str) -> None:
    assert await scene.offer_refusal(link)
    assert scene.folder.credentials() == ()


async def test_an_offer_by_value_is_taken_too(scene: WalletScene) -> None:
    offer = await scene.issuing.offer()
    document = json.dumps(await scene.issuing.issuer.offer_document(offer.reference))
    link = f"openid-credential-offer://?{urlencode({'credential_offer': document})}"
    assert len(await scene.accept(link, offer.tx_code)) == 2


async def test_a_wrong_transaction_code_leaves_the_wallet_empty(scene: WalletScene) -> None:
    assert "invalid_grant" in await scene.offer_refusal(tx_code="wrong")
    assert scene.folder.credentials() == ()


METADATA: dict[str, tuple[str, dict[str, Any]]] = {
    "of another issuer": ("/.well-known/openid-cred", {"credential_issuer": "https://evil.example"}),
    "with a server elsewhere": (
        "/.well-known/openid-cred",
        {"authorization_servers": ["https://evil.example"]},
    ),
    "with credentials elsewhere": (
        "/.well-known/openid-cred",
        {"credential_endpoint": "https://evil.example/c"},
    ),
    "with nonces elsewhere": ("/.well-known/openid-cred", {"nonce_endpoint": "https://evil.example/n"}),
    "without credentials": ("/.well-known/openid-cred", {"credential_endpoint": None}),
    "without formats": ("/.well-known/openid-cred", {"credential_configurations_supported": []}),
    "of another server": ("/.well-known/oauth", {"issuer": "https://evil.example"}),
    "with tokens elsewhere": ("/.well-known/oauth", {"token_endpoint": "https://evil.example/t"}),
}


@pytest.mark.parametrize("name", METADATA)
async def test_metadata_send_no_code_elsewhere(scene: WalletScene, name: str) -> None:
    path, changes = METADATA[name]
    scene.changes[path] = replaced(**changes)
    assert await scene.offer_refusal()
    assert not [one for one in scene.requests if "evil" in one.url or one.method == "POST"]


async def test_a_credential_that_is_bound_to_another_key_is_refused(scene: WalletScene) -> None:
    other = await scene.issuing.issued()
    scene.changes["/oid4vci/credential"] = replaced(credentials=[{"credential": other}])
    assert "another key" in await scene.offer_refusal()
    assert scene.folder.credentials() == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"credentials": None},
        {"credentials": []},
        {"credentials": [7]},
        {"credentials": [{"credential": "x"}]},
        {"credentials": [{"credential": "x~" * 100_000}]},
        {"transaction_id": "later", "credentials": None},
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_no_credential_is_refused(scene: WalletScene, changes: dict[str, Any]) -> None:
    scene.changes["/oid4vci/credential"] = replaced(**changes)
    assert await scene.offer_refusal()
    assert scene.folder.credentials() == ()


@pytest.mark.parametrize("body", [b"x" * 2_000_000, b"[" * 100_000, b'{"a":1,"a":2}', b"\xff"])
async def test_an_answer_that_cannot_be_read_is_refused(scene: WalletScene, body: bytes) -> None:
    scene.changes["/oid4vci/token"] = lambda one: msgspec.structs.replace(one, body=body)
    assert await scene.offer_refusal()


async def test_the_words_of_an_issuer_are_not_ours(scene: WalletScene) -> None:
    body = b'{"error":"invalid_grant","error_description":"Call +34 600"}'
    scene.changes["/oid4vci/token"] = lambda one: msgspec.structs.replace(one, status=400, body=body)
    message = await scene.offer_refusal()
    assert "invalid_grant" in message
    assert "+34" not in message


# -- requests --------------------------------------------------------------------------------------------------

ALTERED: dict[str, Change] = {
    "signed by a thief": signed_again({}, key=new_key()),
    "with the certificate of a thief": signed_again(
        {}, key=(thief := access_certificate()).key, x5c=x5c(thief)
    ),
    "with a key in the header": signed_again({}, key=(other := new_key()), jwk={"kty": "EC"}),
    "of another type": signed_again({}, typ="JWT"),
    "with what is critical and unknown": signed_again({}, crit=["x"], x=1),
    "without certificates": signed_again({}, x5c=None),
    "with no list of certificates": signed_again({}, x5c="MIIB"),
    "with a broken certificate": signed_again({}, x5c=["MIIB"]),
    "of another client": signed_again({"client_id": "x509_hash:other"}),
    "for another wallet": signed_again({"aud": "https://wallet.example"}),
    "for nobody": signed_again({"aud": None}),
    "expired": signed_again({"iat": 1_700_000_000, "exp": 1_700_000_300}),
    "from the future": signed_again({"iat": 1_900_000_000, "exp": 1_900_000_300}),
    "without an end": signed_again({"exp": None}),
    "good for ten days": signed_again({"exp": int(NOW.timestamp()) + 864_000}),
    "in milliseconds": signed_again({"iat": 1_796_000_000_000, "exp": 1_796_000_300_000}),
    "with another wallet's nonce": signed_again({"wallet_nonce": "x"}),
    "without this wallet's nonce": signed_again({"wallet_nonce": None}),
    "answered at another host": signed_again({"response_uri": "https://evil.example/r"}),
    "answered at a host that begins alike": signed_again({"response_uri": "https://market.example.evil/r"}),
    "answered without TLS": signed_again({"response_uri": "http://market.example/r"}),
    "answered nowhere": signed_again({"response_uri": None}),
    "answered in the address": signed_again({"response_mode": "fragment"}),
    "with two places for the answer": signed_again({"redirect_uri": "https://market.example/"}),
    "for a code": signed_again({"response_type": "code"}),
    "without a nonce": signed_again({"nonce": None}),
    "with a nonce that is no text": signed_again({"nonce": 7}),
    "with a state that is no text": signed_again({"state": {}}),
    "over data": signed_again({"transaction_data": ["x"]}),
}


@pytest.mark.parametrize("name", ALTERED)
async def test_a_request_that_does_not_hold_is_refused(scene: WalletScene, name: str) -> None:
    scene.changes["/oid4vp/request"] = ALTERED[name]
    assert await scene.refusal(scene.begin()[1])


async def test_a_request_without_a_signature_is_refused(scene: WalletScene) -> None:
    def unsigned(response: HttpResponse) -> HttpResponse:
        header, payload, _ = response.body.decode().split(".")
        header = encoded(decoded(header) | {"alg": "none"})
        return msgspec.structs.replace(response, body=f"{header}.{payload}.".encode())

    scene.changes["/oid4vp/request"] = unsigned
    assert await scene.refusal(scene.begin()[1])


@pytest.mark.parametrize("issuer", [None, ACCESS_ROOT], ids=["self-signed", "another"])
async def test_another_certificate_of_the_same_name_is_refused(scene: WalletScene, issuer: Any) -> None:
    leaf = access_certificate(issuer)
    scene.changes["/oid4vp/request"] = signed_again({}, key=leaf.key, x5c=x5c(leaf))
    assert "does not hold" in await scene.refusal(scene.begin()[1])


async def test_with_anchors_a_stranger_is_refused(scene: WalletScene) -> None:
    link = scene.begin()[1]
    assert "does not hold" in await scene.refusal(link, read_anchor(authority("Other CA").der))


@pytest.mark.parametrize(
    "change", ["client_id=x509_hash%3Aother", "client_id=https%3A%2F%2Fmarket.example", ""]
)
async def test_a_link_with_another_client_identifier_is_refused(scene: WalletScene, change: str) -> None:
    link = scene.begin()[1]
    address = link.partition("request_uri=")[2]
    assert await scene.refusal(f"openid4vp://?{change}&request_uri={address}")


@pytest.mark.parametrize("body", [b"x" * 200_000, b"a.b.c", b"\xff" * 10, b"", b64(b"{}").encode() + b".."])
async def test_a_request_that_cannot_be_read_is_refused(scene: WalletScene, body: bytes) -> None:
    scene.changes["/oid4vp/request"] = lambda one: msgspec.structs.replace(one, body=body)
    assert await scene.refusal(scene.begin()[1])


KEYS: dict[str, Any] = {
    "no keys": {"jwks": {"keys": []}},
    "no set": {"jwks": None},
    "a symmetric key": {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
    "a key for signatures": {
        "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "use": "sig"}]}
    },
    "a key off its curve": {
        "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": b64(b"1" * 32), "y": b64(b"2" * 32)}]}
    },
    "a broken algorithm": {"encrypted_response_enc_values_supported": ["A128CBC-HS256"]},
    "algorithms that are no list": {"encrypted_response_enc_values_supported": "A128GCM"},
}


@pytest.mark.parametrize("name", KEYS)
async def test_nothing_is_sent_that_cannot_be_encrypted(scene: WalletScene, name: str) -> None:
    await scene.accept()

    def change(response: HttpResponse) -> HttpResponse:
        claims = decoded(response.body.decode().split(".")[1])
        return signed_again({"client_metadata": claims["client_metadata"] | KEYS[name]})(response)

    scene.changes["/oid4vp/request"] = change
    with pytest.raises(HansaError):
        await scene.present(scene.begin()[1])
    assert not [one for one in scene.requests if "/oid4vp/response" in one.url]


async def test_a_relayed_request_gives_the_relay_nothing(tmp_path: Path) -> None:
    """Somebody shows Ana the QR code of a login that they began; she answers, and her answer is bound to it.

    The way back leads into her own browser, which did not begin the login.
    """
    scene = WalletScene(tmp_path)
    await scene.accept()
    begun, link = scene.begin()
    redirect = await scene.present(link)
    with pytest.raises(Refused) as refused:
        scene.scene.logins.return_from_wallet(begun.id, None, redirect.rpartition("=")[2])
    assert refused.value.code == Code.FORBIDDEN


async def test_a_presentation_is_for_the_verifier_that_asked(scene: WalletScene, tmp_path: Path) -> None:
    """A verifier that gets one cannot present it to another."""
    await scene.accept()
    other = access_certificate(ACCESS_ROOT, "evil.example")
    request = await scene.fetch(scene.begin()[1])
    (match,) = scene.matches(request)
    relayed = msgspec.structs.replace(request, client_id=f"x509_hash:{other.certificate.serial_number}")
    text = await presentation(match, relayed, scene.issuing.now_s)
    begun = scene.scene.begin()
    assert await scene.scene.refused(begun.same_device, text) == Code.PRESENTATION_FOREIGN


async def test_a_way_back_that_is_no_address_is_not_followed(scene: WalletScene) -> None:
    await scene.accept()
    for address in ("javascript:alert(1)", "file:///etc/passwd", "//evil.example", 7):
        scene.changes["/oid4vp/response"] = replaced(redirect_uri=address, error=None)
        with pytest.raises(Refused):
            await scene.present(scene.begin()[1])


async def test_the_wallet_is_full_at_some_time(scene: WalletScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansa.identity.wallet.folder.CREDENTIALS_MAX", 2)
    await scene.accept()
    assert "remove some" in await scene.offer_refusal()
