"""Mdocs: what their issuer signed, what the device signs, and every way to tamper with either."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.base64url import from_base64url
from hansa.core.bounded_cbor import write_cbor
from hansa.core.errors import Code
from hansa.identity.credentials import CredentialRefused, PresentationRequest, SessionTerms
from hansa.identity.credentials.formats.device_response import session_transcript
from tests.support.certificates import ORGANIZATION, Usages, authority, new_key
from tests.support.credentials import (
    AUDIENCE,
    DAY_S,
    EMPLOYEE,
    HOLDER,
    ISSUER,
    LIST_URI,
    NONCE,
    NOW_S,
    REQUEST,
    ROOT,
    THIEF,
    Verifying,
    b64,
    bound,
    grant,
    mandate,
    sd_jwt,
    seal,
    status,
    token_list,
)
from tests.support.mdocs import (
    DOCTYPE,
    MDOC_REQUEST,
    OURS,
    RESPONSE_URI,
    SIGNER,
    SIGNER_PURPOSE,
    THUMBPRINT,
    cbor,
    cose_key,
    device_signed,
    element,
    elements,
    embedded,
    issued,
    moment,
    response,
    security_object,
    sign1,
    transcript,
    validity,
)


async def presented(
    text: str, verifying: Verifying | None = None, request: PresentationRequest = MDOC_REQUEST
) -> Any:
    return await (verifying or Verifying()).verifier.presentation(text, "mso_mdoc", request)


async def code(
    text: str, verifying: Verifying | None = None, request: PresentationRequest = MDOC_REQUEST
) -> Code:
    """The code with which a presentation is refused."""
    try:
        await presented(text, verifying, request)
    except CredentialRefused as error:
        return error.code
    raise AssertionError("it was accepted")


async def test_an_employees_mdoc_is_verified_with_its_mandate() -> None:
    credential = await presented(response())
    assert credential.types == (DOCTYPE,)
    assert (credential.issuer.id, credential.issuer.proof) == (ISSUER, "certificate")
    assert credential.mandate.organization.identifier == ORGANIZATION
    assert credential.mandate.covers("DOME", "ProductOffering", "Create")
    assert (credential.begin_s, credential.end_s) == (NOW_S - DAY_S, NOW_S + DAY_S)
    assert credential.is_presented
    assert json.loads(credential.claims)[DOCTYPE]["mandate"]["mandatee"]["firstName"] == "Ana"


async def test_an_mdoc_as_it_is_issued_is_verified_without_a_presentation() -> None:
    credential = await Verifying().verifier.credential(b64(cbor(issued())), "mso_mdoc")
    assert not credential.is_presented
    assert credential.mandate is not None


async def test_elements_that_are_not_shown_are_not_needed_and_values_are_given_as_json() -> None:
    items = elements(portrait=b"\xff\xd8", birth_date=cbor2.CBORTag(1004, "1990-01-31"), height=1.72)
    credential = await presented(response(issued(items, shown=[items[0], items[2]])))
    shown = json.loads(credential.claims)[DOCTYPE]
    assert shown.keys() == {"mandate", "birth_date"}
    assert shown["birth_date"] == "1990-01-31"
    whole = json.loads((await presented(response(issued(items)))).claims)[DOCTYPE]
    assert (whole["portrait"], whole["height"]) == (b64(b"\xff\xd8"), 1.72)


@pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519"])
async def test_devices_have_keys_of_several_kinds(kind: str) -> None:
    holder = new_key(kind)
    document = issued(elements(), mso=security_object({DOCTYPE: elements()}, holder))
    assert (await presented(response(document, device_signed(holder=holder)))).is_presented


@pytest.mark.parametrize("function", ["sha256", "sha384", "sha512"])
async def test_digests_may_be_by_stronger_hashes(function: str) -> None:
    document = issued(mso=security_object({DOCTYPE: elements()}, function=function))
    assert (await presented(response(document))).types == (DOCTYPE,)


def mso(**changes: Any) -> dict[str, Any]:
    return issued(mso=security_object({DOCTYPE: elements()}, **changes))


OTHER = element(0, "mandate", mandate(THIEF))
TWICE = [*elements(), element(1, "mandate", mandate())]
WITH_ALGORITHM = sign1(SIGNER.key, cbor(embedded(security_object({DOCTYPE: elements()}))), chain=SIGNER.der)


def with_auth(auth: Any) -> str:
    return response(issued(issuerAuth=auth))


def changed_auth(number: int, value: Any) -> str:
    auth = list(WITH_ALGORITHM)
    auth[number] = value
    return with_auth(auth)


TAMPERED: dict[str, tuple[str, Code]] = {
    # What the issuer signed.
    "an element was altered": (response(issued(shown=[OTHER])), Code.CREDENTIAL_MALFORMED),
    "an element that the issuer did not sign": (
        response(issued(shown=[*elements(), element(9, "role", "admin")])),
        Code.CREDENTIAL_MALFORMED,
    ),
    "an element twice": (response(issued(shown=elements() * 2)), Code.CREDENTIAL_MALFORMED),
    "two elements of one name": (response(issued(TWICE)), Code.CREDENTIAL_MALFORMED),
    "an element in a namespace of which the issuer signed nothing": (
        response(issued(nameSpaces={"org.example": [embedded(one) for one in elements()]})),
        Code.CREDENTIAL_MALFORMED,
    ),
    "an element in two namespaces": (
        response(
            issued(
                mso=security_object({DOCTYPE: elements(), "org.example": elements()}),
                nameSpaces={name: [embedded(one) for one in elements()] for name in (DOCTYPE, "org.example")},
            )
        ),
        Code.CREDENTIAL_MALFORMED,
    ),
    "an element that is not embedded": (
        response(issued(nameSpaces={DOCTYPE: [cbor2.loads(one) for one in elements()]})),
        Code.CREDENTIAL_MALFORMED,
    ),
    "an element with a further part": (
        response(issued([element(0, "mandate", mandate(), more=1)])),
        Code.CREDENTIAL_MALFORMED,
    ),
    "an element with a tag that means nothing": (
        response(issued([*elements(), element(1, "x", cbor2.CBORTag(35, "(a+)+$"))])),
        Code.CREDENTIAL_MALFORMED,
    ),
    "a number of an element beyond those of JSON": (
        response(issued([*elements(), element(1, "x", -(2**64))])),
        Code.CREDENTIAL_MALFORMED,
    ),
    "an element that is no number": (
        response(issued([*elements(), element(1, "x", float("nan"))])),
        Code.CREDENTIAL_MALFORMED,
    ),
    "digests by an algorithm that is broken": (
        response(mso(digestAlgorithm="SHA-1")),
        Code.CREDENTIAL_MALFORMED,
    ),
    "a security object of another version": (response(mso(version="2.0")), Code.CREDENTIAL_MALFORMED),
    "no security object": (
        with_auth(sign1(SIGNER.key, b"\xa0", chain=SIGNER.der)),
        Code.CREDENTIAL_MALFORMED,
    ),
    "no validity": (response(mso(validityInfo=None)), Code.CREDENTIAL_MALFORMED),
    "times that are texts without a tag": (
        response(mso(validityInfo=dict.fromkeys(validity(), "2026-11-30T00:00:00Z"))),
        Code.CREDENTIAL_MALFORMED,
    ),
    "no key of the device": (response(mso(deviceKeyInfo={})), Code.CREDENTIAL_MALFORMED),
    "a private key of the device": (
        response(mso(deviceKeyInfo={"deviceKey": cose_key(HOLDER) | {-4: b"secret"}})),
        Code.CREDENTIAL_MALFORMED,
    ),
    "a key of the device that is no point": (
        response(mso(deviceKeyInfo={"deviceKey": cose_key(HOLDER) | {-3: bytes(32)}})),
        Code.CREDENTIAL_MALFORMED,
    ),
    "the security object was altered": (
        changed_auth(2, cbor(embedded(security_object({DOCTYPE: elements()}, docType=DOCTYPE + " ")))),
        Code.CREDENTIAL_MALFORMED,
    ),
    "the security object was altered, and says the same type": (
        changed_auth(2, cbor(embedded(security_object({DOCTYPE: elements()}, validityInfo=validity(0))))),
        Code.CREDENTIAL_ALTERED,
    ),
    "a signature of zeros": (changed_auth(3, bytes(64)), Code.CREDENTIAL_ALTERED),
    "a signature in DER": (
        changed_auth(3, bytes.fromhex("3006020101020101")),
        Code.CREDENTIAL_ALTERED,
    ),
    "no algorithm": (changed_auth(0, cbor({})), Code.CREDENTIAL_MALFORMED),
    "an algorithm of a secret": (changed_auth(0, cbor({1: 5})), Code.CREDENTIAL_MALFORMED),
    "an algorithm for another kind of key": (changed_auth(0, cbor({1: -8})), Code.CREDENTIAL_ALTERED),
    "the algorithm where nobody signs it": (
        changed_auth(1, {1: -7, 33: SIGNER.der}),
        Code.CREDENTIAL_MALFORMED,
    ),
    "something critical": (changed_auth(0, cbor({1: -7, 2: [99], 99: 1})), Code.CREDENTIAL_MALFORMED),
    "no certificates": (changed_auth(1, {}), Code.CREDENTIAL_ISSUER_UNTRUSTED),
    "a chain that is none": (changed_auth(1, {33: "certificate"}), Code.CREDENTIAL_MALFORMED),
    # Who signed it.
    "a self-signed certificate with the right name": (
        response(issued(issuer=seal(None, further=[(SIGNER_PURPOSE, True)]))),
        Code.CREDENTIAL_ISSUER_UNTRUSTED,
    ),
    "an authority that nobody knows": (
        response(issued(issuer=seal(authority("Unknown CA")))),
        Code.CREDENTIAL_ISSUER_UNTRUSTED,
    ),
    "a certificate without digital signature": (
        response(issued(issuer=seal(ROOT, usages=Usages(content_commitment=True)))),
        Code.CREDENTIAL_ISSUER_UNTRUSTED,
    ),
    "an authority that signs itself": (response(issued(issuer=ROOT)), Code.CREDENTIAL_ISSUER_UNTRUSTED),
    "a mandate in the name of another organisation": (
        response(issued(elements(mandate=mandate(organization="VATFR-99999999")))),
        Code.CREDENTIAL_TYPE_UNTRUSTED,
    ),
    # When.
    "expired": (
        response(mso(validityInfo=validity(end_s=NOW_S - 301))),
        Code.CREDENTIAL_EXPIRED,
    ),
    "not valid yet": (
        response(mso(validityInfo=validity(NOW_S + 302))),
        Code.CREDENTIAL_NOT_YET_VALID,
    ),
    "valid from earlier than it was signed": (
        response(mso(validityInfo=validity() | {"signed": moment(NOW_S + 302)})),
        Code.CREDENTIAL_NOT_YET_VALID,
    ),
    # Who presents it.
    "of another type than the issuer signed": (response(docType="org.example"), Code.CREDENTIAL_MALFORMED),
    "no device": (response(deviceSigned=None), Code.PRESENTATION_UNBOUND),
    "another device": (response(device=device_signed(holder=THIEF)), Code.PRESENTATION_UNBOUND),
    "a device that signs another type": (
        response(device=device_signed("org.example")),
        Code.PRESENTATION_UNBOUND,
    ),
    "a device that authenticates by a MAC": (
        response(
            device={
                "nameSpaces": embedded({}),
                "deviceAuth": {"deviceMac": [b"\xa1\x01\x05", {}, None, b"x"]},
            }
        ),
        Code.PRESENTATION_UNBOUND,
    ),
    "elements of the device that it did not sign": (
        response(device=device_signed() | {"nameSpaces": embedded({"org.example": {"role": "admin"}})}),
        Code.PRESENTATION_UNBOUND,
    ),
    "for another verifier": (
        response(device=device_signed(session=transcript("other", NONCE, RESPONSE_URI, THUMBPRINT))),
        Code.PRESENTATION_UNBOUND,
    ),
    "for another request": (
        response(device=device_signed(session=transcript(AUDIENCE, "other", RESPONSE_URI, THUMBPRINT))),
        Code.PRESENTATION_UNBOUND,
    ),
    "for another address": (
        response(device=device_signed(session=transcript(AUDIENCE, NONCE, "https://evil", THUMBPRINT))),
        Code.PRESENTATION_UNBOUND,
    ),
    "for another key": (
        response(device=device_signed(session=transcript(AUDIENCE, NONCE, RESPONSE_URI, bytes(32)))),
        Code.PRESENTATION_UNBOUND,
    ),
    "for an answer in the clear": (
        response(device=device_signed(session=transcript(AUDIENCE, NONCE, RESPONSE_URI, None))),
        Code.PRESENTATION_UNBOUND,
    ),
    "a transcript of another protocol": (
        response(device=device_signed(session=[None, None, ["OpenID4VPDCAPIHandover", OURS[2][1]]])),
        Code.PRESENTATION_UNBOUND,
    ),
    # The response.
    "two documents": (
        response(changes={"documents": [cbor2.loads(cbor({})), {}]}),
        Code.CREDENTIAL_MALFORMED,
    ),
    "no document": (response(changes={"documents": []}), Code.CREDENTIAL_MALFORMED),
    "an error of the device": (response(changes={"status": 10}), Code.CREDENTIAL_MALFORMED),
    "another version": (response(changes={"version": "2.0"}), Code.CREDENTIAL_MALFORMED),
    "parts that nobody knows": (response(changes={"more": 1}), Code.CREDENTIAL_MALFORMED),
    "an mdoc that nobody presents": (b64(cbor(issued())), Code.CREDENTIAL_MALFORMED),
    "no base64url": ("§", Code.CREDENTIAL_MALFORMED),
    "nothing": ("", Code.CREDENTIAL_MALFORMED),
    "too long": ("A" * 131_073, Code.CREDENTIAL_MALFORMED),
    "a number": ("AA", Code.CREDENTIAL_MALFORMED),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_does_not_hold_is_refused(what: str) -> None:
    text, expected = TAMPERED[what]
    assert await code(text) is expected


async def test_a_presentation_is_accepted_once() -> None:
    verifying, text = Verifying(), response()
    await presented(text, verifying)
    assert await code(text, verifying) is Code.PRESENTATION_REPLAYED
    again = response(issued())  # the same device signs the same request anew
    assert await code(again, verifying) is Code.PRESENTATION_REPLAYED


async def test_an_mdoc_is_presented_to_a_request_and_to_nothing_else() -> None:
    assert await code(response(), request=REQUEST) is Code.PRESENTATION_FOREIGN
    without = PresentationRequest(AUDIENCE, None, SessionTerms(RESPONSE_URI, THUMBPRINT))
    assert await code(response(), request=without) is Code.PRESENTATION_FOREIGN


async def test_a_signer_of_mdocs_signs_no_other_credential() -> None:
    refusal = await Verifying().refusal(bound(sd_jwt(issuer=SIGNER)), is_presented=True)
    assert refusal.code is Code.CREDENTIAL_ISSUER_UNTRUSTED
    assert "extended key usage" in refusal.steps[-1]


async def test_an_issuer_needs_a_grant_for_the_type_where_there_is_a_registry() -> None:
    assert (await presented(response(), Verifying(grant(DOCTYPE)))).types == (DOCTYPE,)
    assert await code(response(), Verifying(grant(EMPLOYEE))) is Code.CREDENTIAL_TYPE_UNTRUSTED
    trusted = Verifying(grant(EMPLOYEE), anchored_types=[DOCTYPE])
    assert (await presented(response(), trusted)).types == (DOCTYPE,)


@pytest.mark.parametrize(
    ("entry", "pages", "expected"),
    [
        (status(), {LIST_URI: token_list({7: 1})}, Code.CREDENTIAL_REVOKED),
        (status(), {LIST_URI: token_list({7: 2}, bits=2)}, Code.CREDENTIAL_SUSPENDED),
        (status(), {}, Code.CREDENTIAL_STATUS_UNKNOWN),
        (status(), {LIST_URI: "no list"}, Code.CREDENTIAL_STATUS_UNKNOWN),
        (
            status(),
            {LIST_URI: token_list({}, seal(ROOT, "VATFR-99999999"), {"iss": "did:elsi:VATFR-99999999"})},
            Code.CREDENTIAL_STATUS_UNKNOWN,
        ),
        ({"identifier_list": {"id": b"\x01", "uri": LIST_URI}}, {}, Code.CREDENTIAL_STATUS_UNKNOWN),
    ],
    ids=["revoked", "suspended", "unavailable", "unsigned", "of another issuer", "of an unknown kind"],
)
async def test_the_status_in_the_security_object_is_looked_up(
    entry: Any, pages: dict[str, str], expected: Code
) -> None:
    assert await code(response(mso(status=entry)), Verifying(pages=pages)) is expected


async def test_an_mdoc_with_a_good_status_is_accepted() -> None:
    verifying = Verifying(pages={LIST_URI: token_list({8: 1})})
    assert (await presented(response(mso(status=status())), verifying)).status is not None


TEXT = response()
RAW = from_base64url(TEXT)


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_byte_of_a_presentation_can_be_changed(position: int, change: int) -> None:
    altered = bytearray(RAW)
    altered[position] ^= change
    with pytest.raises(CredentialRefused):
        asyncio.run(presented(b64(bytes(altered))))


def test_the_transcript_is_that_of_the_specification() -> None:
    key = {
        "crv": "P-256",
        "kty": "EC",
        "x": "DxiH5Q4Yx3UrukE2lWCErq8N8bqC9CHLLrAwLz5BmE0",
        "y": "XtLM4-3h5o3HUH0MHVJV0kyq0iBlrBwlh8qEDMZ4-Pc",
    }
    thumbprint = hashlib.sha256(json.dumps(key, separators=(",", ":")).encode()).digest()
    terms = SessionTerms("https://example.com/response", thumbprint)
    nonce = "exc7gBkxjx1rdc9udRrveKvSsJIq80avlXeLHhGwqtA"
    assert write_cbor(session_transcript("x509_san_dns:example.com", nonce, terms)).hex() == (
        "83f6f682714f70656e494434565048616e646f7665725820"
        "048bc053c00442af9b8eed494cefdd9d95240d254b046b11b68013722aad38ac"
    )


async def test_whoever_may_present_without_a_request_presents_no_mdoc() -> None:
    from hansa.identity.credentials import format_of

    assert format_of(TEXT) == ("mso_mdoc", True)
    assert format_of(b64(cbor(issued()))) == ("mso_mdoc", False)


ODD = st.sampled_from(
    [
        None,
        [],
        {},
        "x",
        b"x",
        1,
        True,
        -1,
        1e300,
        [1],
        {1: 2},
        cbor2.CBORTag(24, b"\xa0"),
        cbor2.CBORTag(0, "x"),
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a value something stands."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def replaced(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    """A value with something else in a place."""
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    return value


OBJECT_PLACES = list(places(security_object({DOCTYPE: elements()}) | {"status": status()}))
RESPONSE_PLACES = list(places(cbor2.loads(RAW)))


@given(st.sampled_from(OBJECT_PLACES), ODD)
def test_whatever_an_issuer_signs_is_read_or_refused(place: tuple[Any, ...], odd: Any) -> None:
    content = replaced(security_object({DOCTYPE: elements()}) | {"status": status()}, place, odd)
    assert asyncio.run(outcome(response(issued(mso=content)))) in {"accepted", "refused"}


@given(st.sampled_from(RESPONSE_PLACES), ODD)
def test_whatever_a_device_sends_is_read_or_refused(place: tuple[Any, ...], odd: Any) -> None:
    assert asyncio.run(outcome(b64(cbor(replaced(cbor2.loads(RAW), place, odd))))) in {"accepted", "refused"}


async def outcome(text: str) -> str:
    """What becomes of a presentation; anything but a refusal would be an error of ours."""
    try:
        await presented(text, Verifying(pages={LIST_URI: token_list()}))
    except CredentialRefused:
        return "refused"
    return "accepted"
