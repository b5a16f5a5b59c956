"""Keys of did:key, did:jwk and did:web."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.errors import Code, HansaError
from hansa.identity.credentials import DidKeys
from hansa.identity.credentials.issuers.dids import web_address_of
from hansa.identity.foreign_jws import key_of_jwk
from tests.support.certificates import new_key
from tests.support.credentials import (
    HOLDER,
    NOW_S,
    THIEF,
    Verifying,
    Web,
    did_jwk,
    did_key,
    encoded,
    jwk,
    jwt,
    jwt_vc,
    jwt_vp,
    lear,
    mandate,
    mandating,
)

DID = "did:web:issuer.example"
ADDRESS = "https://issuer.example/.well-known/did.json"
KEY = new_key()


def document(**changes: Any) -> str:
    content = {
        "id": DID,
        "verificationMethod": [
            {"id": f"{DID}#one", "type": "JsonWebKey", "controller": DID, "publicKeyJwk": jwk(KEY)},
            {
                "id": "#two",
                "type": "Multikey",
                "controller": DID,
                "publicKeyMultibase": did_key(HOLDER).removeprefix("did:key:"),
            },
        ],
        "assertionMethod": [f"{DID}#one"],
        "authentication": ["#two"],
    } | changes
    return json.dumps(content)


async def key_of(
    did: str, kid: str | None, page: str = "", relationship: Any = "assertionMethod"
) -> CertifiedKey | None:
    try:
        return await DidKeys(Web({ADDRESS: page})).key(did, kid, relationship, NOW_S)
    except HansaError:
        return None


@pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519"])
async def test_keys_stand_in_did_key_and_did_jwk(kind: str) -> None:
    key = new_key(kind)
    expected = key_of_jwk(jwk(key))
    did = did_key(key)
    for kid in (None, did, f"{did}#{did.removeprefix('did:key:')}", did.removeprefix("did:key:")):
        assert await key_of(did, kid) == expected
    for kid in (None, "0", did_jwk(key), f"{did_jwk(key)}#0"):
        assert await key_of(did_jwk(key), kid) == expected
    for kid in (f"{did_key(THIEF)}#x", f"{did}#x", "x"):
        assert await key_of(did, kid) is None
        assert await key_of(did_jwk(key), kid) is None


COMPRESSED = did_key(HOLDER)


@pytest.mark.parametrize(
    "did",
    [
        COMPRESSED[:-1],
        COMPRESSED + "1",
        COMPRESSED.replace("did:key:z", "did:key:z1"),
        COMPRESSED.replace("did:key:z", "did:key:"),
        COMPRESSED.replace("did:key:z", "did:key:m"),
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
        "did:key:",
        "did:jwk:",
        f"did:jwk:{encoded(jwk(HOLDER) | {'d': 'AA'})}",
        f"did:jwk:{encoded({'kty': 'oct', 'k': 'AA'})}",
        f"did:jwk:{encoded(jwk(HOLDER) | {'use': 'enc'})}",
        f"did:jwk:{encoded(jwk(HOLDER) | {'y': jwk(THIEF)['y']})}",
        f"did:jwk:{encoded(jwk(HOLDER) | {'alg': 'HS256'})}",
        "did:elsi:VATES-12345678",
        "did:ebsi:zr2rWDHHrUCdZAW7wsSb5nQ",
        "did:example:1",
        "ana",
    ],
    ids=list(range(17)),
)
async def test_a_did_that_shows_no_key_has_none(did: str) -> None:
    assert await key_of(did, None) is None


async def test_a_document_names_keys_for_what_they_are_for() -> None:
    for kid in (None, DID, f"{DID}#one", "#one", "one"):
        assert await key_of(DID, kid, document()) == key_of_jwk(jwk(KEY))
    assert await key_of(DID, f"{DID}#two", document()) is None
    assert await key_of(DID, f"{DID}#two", document(), "authentication") == key_of_jwk(jwk(HOLDER))
    embedded = {"id": "#e", "controller": DID, "publicKeyJwk": jwk(KEY)}
    assert await key_of(DID, "#e", document(assertionMethod=[embedded])) == key_of_jwk(jwk(KEY))


METHOD = {"id": f"{DID}#one", "controller": DID, "publicKeyJwk": jwk(KEY)}


@pytest.mark.parametrize(
    "page",
    [
        document(id="did:web:other.example"),
        document(id=None),
        document(verificationMethod=[METHOD | {"controller": "did:web:other.example"}]),
        document(verificationMethod=[METHOD | {"id": "did:web:other.example#one"}]),
        document(verificationMethod=[METHOD, METHOD]),
        document(verificationMethod={}),
        document(verificationMethod=[METHOD] * 65),
        document(verificationMethod=[{}]),
        document(verificationMethod=[METHOD | {"publicKeyJwk": jwk(KEY) | {"d": "AA"}}]),
        document(assertionMethod=[]),
        document(assertionMethod=None),
        document(assertionMethod=["did:web:other.example#one"]),
        document()[:-1],
        "[]",
        '{"id": "x", "id": "' + DID + '"}',
        "[" * 10_000,
    ],
)
async def test_a_document_that_is_not_the_ones_own_shows_no_key(page: str) -> None:
    assert await key_of(DID, f"{DID}#one", page) is None


ADDRESSES = {
    "did:web:issuer.example": ADDRESS,
    "did:web:issuer.example%3A8443": "https://issuer.example:8443/.well-known/did.json",
    "did:web:issuer.example:a:b-c": "https://issuer.example/a/b-c/did.json",
    "did:web:issuer.example%3A8443:a": "https://issuer.example:8443/a/did.json",
}


@pytest.mark.parametrize("did", ADDRESSES)
def test_a_did_web_says_where_its_document_is(did: str) -> None:
    assert web_address_of(did) == ADDRESSES[did]


@pytest.mark.parametrize(
    "rest",
    [
        "localhost",
        "Issuer.example",
        "issuer.example:..",
        "issuer.example:a:..:b",
        "issuer.example:.",
        "issuer.example:",
        "issuer.example::a",
        "issuer.example%2Fa",
        "issuer.example%3Aabc",
        "issuer.example%3A0",
        "issuer.example:%2e%2e",
        "issuer.example:a%2Fb",
        "user%40issuer.example",
        "issuer.example?x",
        "issuer.example#x",
        "issuer.example/x",
        "[::1]",
        ".example",
        "-a.example",
        "",
    ],
)
async def test_a_did_web_that_could_lead_elsewhere_is_refused(rest: str) -> None:
    web = Web()
    with pytest.raises(HansaError):
        web_address_of(f"did:web:{rest}")
    with pytest.raises(HansaError):
        await DidKeys(web).key(f"did:web:{rest}", None, "assertionMethod", NOW_S)
    assert web.requests == []


async def test_an_address_that_stands_for_a_machine_is_left_to_the_client_which_refuses_it() -> None:
    web = Web()
    with pytest.raises(HansaError):
        await DidKeys(web).key("did:web:10.0.0.1", None, "assertionMethod", NOW_S)
    assert web.requests == ["https://10.0.0.1/.well-known/did.json"]


async def test_documents_are_cached_for_minutes_and_failures_for_seconds() -> None:
    web = Web()
    keys = DidKeys(web)
    for now_s in (NOW_S, NOW_S + 14):
        with pytest.raises(HansaError):
            await keys.key(DID, None, "assertionMethod", now_s)
    assert len(web.requests) == 1
    web.pages[ADDRESS] = document()
    for now_s in (NOW_S + 15, NOW_S + 314):
        await keys.key(DID, None, "assertionMethod", now_s)
    assert len(web.requests) == 2
    web.pages.clear()
    with pytest.raises(HansaError):
        await keys.key(DID, None, "assertionMethod", NOW_S + 315)


async def test_an_issuer_with_a_did_web_is_trusted_by_the_registry() -> None:
    trusted = mandating(DID)
    text = jwt(KEY, lear(issuer=DID) | {"iss": DID}, kid=f"{DID}#one")
    verifying = Verifying(trusted, pages={ADDRESS: document()})
    assert (await verifying.credential(text)).issuer.id == DID
    absent = Verifying(trusted)
    assert await absent.code(text) is Code.CREDENTIAL_ISSUER_UNTRUSTED
    stranger = Verifying(pages={ADDRESS: document()})
    assert await stranger.code(text) is Code.CREDENTIAL_ISSUER_UNTRUSTED
    assert stranger.web.requests == []


async def test_a_holder_with_a_did_web_signs_with_a_key_for_authentication() -> None:
    claims = lear(credentialSubject={"id": DID, "mandate": mandate()}) | {"sub": DID}
    content = {"type": ["VerifiablePresentation"], "verifiableCredential": [jwt_vc(claims)]}
    changes = {"iss": DID, "vp": content}
    verifying = Verifying(pages={ADDRESS: document()})
    good = jwt_vp("", HOLDER, changes, kid=f"{DID}#two")
    assert (await verifying.presentation(good)).is_presented
    for_issuing = jwt_vp("", KEY, changes, kid=f"{DID}#one")
    assert await verifying.code(for_issuing, is_presented=True) is Code.PRESENTATION_UNBOUND
    absent = Verifying()
    assert await absent.code(good, is_presented=True) is Code.PRESENTATION_UNBOUND
