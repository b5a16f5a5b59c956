"""Requests to wallets: who asks, for what, until when, and how the answer comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from hansa.core.certificates import read_anchor
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.limits import Limits
from hansa.identity.presentations import (
    PresentationQuery,
    read_accepted_type,
    read_identity,
)
from hansa.identity.presentations.transactions import FETCHES_MAX
from tests.support.certificates import new_key
from tests.support.credentials import b64, decoded
from tests.support.wallets import (
    ACCEPTED,
    ACCESS,
    ACCESS_ROOT,
    ENDPOINT,
    Scene,
    access_certificate,
    chain_pem,
    identity_of,
    key_pem,
    request_claims,
)

VECTORS = Path(__file__).parents[5] / "shared/vectors/openid4vp/1.0/examples"


def header_of(request: str) -> dict[str, Any]:
    fields: dict[str, Any] = decoded(request.partition(".")[0])
    return fields


def test_a_request_is_a_signed_jwt_of_its_media_type() -> None:
    scene = Scene()
    request = scene.logins.request_object(scene.begin().same_device)
    assert header_of(request)["typ"] == "oauth-authz-req+jwt"
    assert header_of(request)["alg"] == "ES256"


def test_a_request_says_for_whom_it_is_and_how_it_is_answered() -> None:
    scene = Scene()
    begun = scene.begin()
    claims = scene.request(begun.same_device)
    assert claims["client_id"] == scene.identity.client_id
    assert claims["aud"] == "https://self-issued.me/v2"
    assert (claims["response_type"], claims["response_mode"]) == ("vp_token", "direct_post.jwt")
    assert claims["response_uri"] == f"{ENDPOINT}/oid4vp/response/{begun.same_device}"
    assert claims["exp"] - claims["iat"] == 300


def test_the_metadata_offers_both_encryptions_and_one_key() -> None:
    scene = Scene()
    metadata = scene.request(scene.begin().same_device)["client_metadata"]
    assert metadata["encrypted_response_enc_values_supported"] == ["A128GCM", "A256GCM"]
    ((key,), formats) = metadata["jwks"]["keys"], metadata["vp_formats_supported"]
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "enc", "ECDH-ES")
    assert "d" not in key
    assert set(formats) == {"dc+sd-jwt", "jwt_vc_json"}
    assert "ES256" in formats["dc+sd-jwt"]["sd-jwt_alg_values"]


def test_the_metadata_has_no_key_where_answers_are_not_encrypted() -> None:
    scene = Scene(mode="direct_post")
    metadata = scene.request(scene.begin().same_device)["client_metadata"]
    assert set(metadata) == {"vp_formats_supported"}


def test_no_two_requests_share_a_key_a_nonce_or_a_state() -> None:
    scene = Scene()
    first, second = scene.begin(), scene.begin()
    names = (first.same_device, first.other_device, second.same_device, second.other_device)
    requests = [scene.request(name) for name in names]
    for values in (
        {one["nonce"] for one in requests},
        {one["state"] for one in requests},
        {one["client_metadata"]["jwks"]["keys"][0]["x"] for one in requests},
    ):
        assert len(values) == len(names)


def test_a_request_that_is_fetched_again_is_the_same_one() -> None:
    scene = Scene()
    name = scene.begin().same_device
    assert scene.request(name) == scene.request(name)


def test_a_request_is_fetched_so_often_and_not_more() -> None:
    scene = Scene()
    name = scene.begin().same_device
    for _ in range(FETCHES_MAX):
        scene.request(name)
    with pytest.raises(Refused, match="too often"):
        scene.request(name)


async def test_a_request_that_has_expired_is_not_handed_out() -> None:
    scene = Scene()
    name = scene.begin().same_device
    await scene.wait(301)
    with pytest.raises(Refused, match="not known any more"):
        scene.request(name)


async def test_a_request_that_was_answered_is_not_handed_out() -> None:
    scene = Scene()
    begun = scene.begin()
    await scene.answer(begun.same_device)
    for name in (begun.same_device, begun.other_device):
        with pytest.raises(Refused, match="answered"):
            scene.request(name)


def test_the_lifetime_of_a_request_follows_the_setting() -> None:
    scene = Scene(limits=Limits(login_lifetime_s=60.0))
    claims = scene.request(scene.begin().same_device)
    assert claims["exp"] - claims["iat"] == 60


def test_the_nonce_of_a_wallet_comes_back_signed() -> None:
    scene = Scene()
    name = scene.begin().same_device
    assert scene.request(name, "q-8Aw3")["wallet_nonce"] == "q-8Aw3"
    assert "wallet_nonce" not in scene.request(name)


@pytest.mark.parametrize("nonce", ["", " ", "a\nb", "ü", "x" * 513])
def test_a_nonce_of_a_wallet_that_is_none_is_refused(nonce: str) -> None:
    scene = Scene()
    with pytest.raises(Refused) as caught:
        scene.request(scene.begin().same_device, nonce)
    assert caught.value.code is Code.INVALID


def test_the_link_names_the_verifier_and_where_its_request_is() -> None:
    scene = Scene(web_wallets=("https://wallet.example/authorize?theme=dark",))
    links = scene.logins.links("one", "two")
    native, web = links.same_device
    query = parse_qs(urlsplit(native.address).query)
    assert native.address.startswith("openid4vp://?")
    assert query == {
        "client_id": [scene.identity.client_id],
        "request_uri": [f"{ENDPOINT}/oid4vp/request/one"],
        "request_uri_method": ["post"],
    }
    assert (web.name, web.address.count("?")) == ("wallet.example", 1)
    assert "request%2Ftwo" in links.other_device


def test_a_registration_certificate_goes_with_every_request() -> None:
    scene = Scene(registration="e30.e30.c2ln")
    claims = scene.request(scene.begin().same_device)
    assert claims["verifier_info"] == [{"format": "registration_cert", "data": "e30.e30.c2ln"}]


def test_without_a_registration_certificate_nothing_is_said_about_one() -> None:
    scene = Scene()
    assert "verifier_info" not in scene.request(scene.begin().same_device)


# Client identifiers.


def test_the_client_id_is_the_hash_of_the_certificate_by_default() -> None:
    identity = identity_of()
    request = header_of(identity.sign({}, "oauth-authz-req+jwt"))
    assert identity.client_id.startswith("x509_hash:")
    assert len(identity.client_id.partition(":")[2]) == 43
    assert len(request["x5c"]) == 1, "the anchor is not in the chain (HAIP 1.0, section 5)"


def test_the_client_id_can_be_a_name_in_the_certificate() -> None:
    assert identity_of("x509_san_dns").client_id == "x509_san_dns:market.example"


def test_the_client_id_can_be_a_did_of_the_key() -> None:
    identity = identity_of("decentralized_identifier")
    header = header_of(identity.sign({}, "oauth-authz-req+jwt"))
    did = identity.client_id.removeprefix("decentralized_identifier:")
    assert did.startswith("did:key:zDn")
    assert header["kid"] == f"{did}#{did.removeprefix('did:key:')}"
    assert "x5c" not in header


def test_a_signature_of_a_request_holds_for_openid_libraries() -> None:
    assert request_claims(identity_of().sign({"a": 1}, "oauth-authz-req+jwt")) == {"a": 1}


SELF_SIGNED = access_certificate(None)
UNUSABLE = {
    "self-signed": (key_pem(SELF_SIGNED.key), chain_pem(SELF_SIGNED), "self-signed"),
    "the certificate of another key": (key_pem(new_key()), chain_pem(ACCESS), "not that of the key"),
    "a key on another curve": (key_pem(new_key("P-384")), chain_pem(ACCESS), "P-256"),
    "a key of another kind": (key_pem(rsa.generate_private_key(65537, 2048)), chain_pem(ACCESS), "P-256"),
    "no key": (b"-----BEGIN", chain_pem(ACCESS), "private key"),
    "no certificate": (key_pem(ACCESS.key), b"", "PEM"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_an_identity_that_wallets_would_refuse_is_none(what: str) -> None:
    key, certificates, problem = UNUSABLE[what]
    with pytest.raises(Refused, match=problem):
        read_identity(key, certificates, "x509_hash", "market.example")


def test_a_certificate_of_another_host_does_not_give_its_name() -> None:
    with pytest.raises(Refused, match=r"other\.example"):
        read_identity(key_pem(ACCESS.key), chain_pem(ACCESS, ACCESS_ROOT), "x509_san_dns", "other.example")


# The query.


def test_either_format_will_do() -> None:
    dcql = PresentationQuery(map(read_accepted_type, ACCEPTED)).dcql()
    ids = {one["id"]: one["format"] for one in dcql["credentials"]}
    assert set(ids.values()) == {"dc+sd-jwt", "jwt_vc_json"}
    assert dcql["credential_sets"] == [{"options": [[one] for one in ids]}]


def test_a_query_has_the_form_of_the_published_examples() -> None:
    if not VECTORS.is_dir():
        pytest.skip("the published examples are not here")
    dcql = PresentationQuery(map(read_accepted_type, ACCEPTED)).dcql()
    ours = {one["format"]: one for one in dcql["credentials"]}
    for name in ("request/dcql_jwt_vc.json", "query_lang/credentials_alternatives.json"):
        for theirs in json.loads((VECTORS / name).read_text())["credentials"]:
            mine = ours[theirs["format"]]
            assert mine.keys() <= theirs.keys() | {"claims"}
            assert mine["meta"].keys() == theirs["meta"].keys()


@pytest.mark.parametrize(
    "text", ["", "dc+sd-jwt", "dc+sd-jwt:", "ldp_vc:X", "jwt_vc_json:a b", "jwt_vc_json:\n"]
)
def test_a_type_that_cannot_be_asked_for_is_refused(text: str) -> None:
    with pytest.raises(HansaError) as caught:
        read_accepted_type(text)
    assert caught.value.code is Code.INVALID


def test_only_what_is_accepted_is_asked_for() -> None:
    dcql = PresentationQuery([read_accepted_type("jwt_vc_json:LEARCredentialMachine")]).dcql()
    (query,) = dcql["credentials"]
    assert query["meta"]["type_values"] == [["VerifiableCredential", "LEARCredentialMachine"]]
    assert dcql["credential_sets"] == [{"options": [[query["id"]]]}]


def test_authorities_are_named_by_their_keys_as_certificates_name_them() -> None:
    anchor = read_anchor(ACCESS_ROOT.der)
    authorities = [anchor]
    query = PresentationQuery(map(read_accepted_type, ACCEPTED), lambda: authorities)
    dcql = query.dcql()
    expected = x509.SubjectKeyIdentifier.from_public_key(ACCESS_ROOT.certificate.public_key()).digest
    assert {json.dumps(one["trusted_authorities"]) for one in dcql["credentials"]} == {
        json.dumps([{"type": "aki", "values": [b64(expected)]}])
    }
    authorities.clear()
    assert not any("trusted_authorities" in one for one in query.dcql()["credentials"])


def test_the_anchor_may_be_in_the_file_and_is_not_sent() -> None:
    with_anchor = identity_of("x509_hash", ACCESS, ACCESS_ROOT)
    without = identity_of("x509_hash", ACCESS)
    assert with_anchor.client_id == without.client_id
    assert header_of(with_anchor.sign({}, "x")) == header_of(without.sign({}, "x"))
