"""W3C credentials and presentations as JWTs."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.core.errors import Code
from tests.support.credentials import (
    AUDIENCE,
    DAY_S,
    EMPLOYEE,
    HOLDER,
    ISSUER,
    NOW_S,
    SEAL,
    THIEF,
    Verifying,
    did_jwk,
    did_key,
    encoded,
    jwk,
    jwt,
    jwt_vc,
    jwt_vp,
    lear,
    mandate,
    x5c,
)


def flat(**changes: Any) -> dict[str, Any]:
    """A credential of version 2.0: the claims themselves."""
    claims = lear()["vc"] | changes
    return {name: value for name, value in claims.items() if value is not None}


async def test_both_versions_of_the_data_model_are_read() -> None:
    for claims, typ in ((lear(), "JWT"), (lear(), None), (flat(), "vc+jwt"), (flat(), "application/vc+jwt")):
        credential = await Verifying().credential(jwt_vc(claims, typ=typ))
        assert credential.types == (EMPLOYEE,)
        assert credential.end_s is not None
        assert credential.id.startswith("urn:uuid:")


async def test_a_jades_seal_with_a_signing_time_is_understood() -> None:
    sealed: dict[str, Any] = {"typ": "jose", "sigT": "2026-11-29T12:00:00Z", "crit": ["sigT"]}
    assert (await Verifying().credential(jwt_vc(**sealed))).issuer.id == ISSUER
    for changes in (
        {"crit": None},
        {"sigT": "yesterday"},
        {"sigT": 5},
        {"crit": ["sigT", "sigD"], "sigD": {}},
    ):
        assert await Verifying().code(jwt_vc(**(sealed | changes))) is Code.CREDENTIAL_MALFORMED


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "two issuers": lear(issuer="did:elsi:VATES-87654321"),
    "no issuer": lear(issuer=None) | {"iss": None},
    "two subjects": lear() | {"sub": did_key(THIEF)},
    "a credential beside the credential": lear() | {"credentialSubject": {"id": did_key(THIEF)}},
    "a type beside the credential": lear() | {"type": ["VerifiableCredential", "Other"]},
    "a presentation as well": lear() | {"vp": {}},
    "no type of its own": lear(type=["VerifiableCredential"]),
    "no types": lear(type=None),
    "types that are none": lear(type=[1]),
    "two subjects in a list": lear(credentialSubject=[{}, {}]),
    "no subject": lear(credentialSubject=None),
    "an issuer that is a number": lear(issuer=5) | {"iss": None},
    "an issuer of two lines": lear(issuer="did:web:a\nb") | {"iss": None},
    "a credential that is a text": {"vc": "text"},
    "an end that is no date": lear(validUntil="tomorrow"),
    "a beginning without a zone": lear(validFrom="2026-01-01T00:00:00"),
    "a day that does not exist": lear(validFrom="2026-02-30T00:00:00Z"),
    "an end in milliseconds": lear() | {"exp": 1000 * (NOW_S - DAY_S)},
    "types of a person and a machine": lear(type=["VerifiableCredential", EMPLOYEE, "LEARCredentialMachine"]),
    "two keys of the holder": lear(cnf={"jwk": jwk(THIEF)}) | {"cnf": {"jwk": jwk(HOLDER)}},
    "a key of the holder that is none": lear() | {"cnf": {"jwk": {}}},
    "a key that is named twice over": lear() | {"cnf": {"kid": did_key(HOLDER), "jku": "https://x.y"}},
    "a key that is named by no DID": lear() | {"cnf": {"kid": "key-1"}},
    "more places of a status than anybody needs": lear(credentialStatus=[{}] * 9),
    "a private key": lear() | {"cnf": {"jwk": jwk(HOLDER) | {"d": "AA"}}},
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
async def test_what_contradicts_itself_is_refused(case: str) -> None:
    assert await Verifying().code(jwt_vc(CONTRADICTIONS[case])) is Code.CREDENTIAL_MALFORMED


ENDS: dict[str, tuple[dict[str, Any], Code]] = {
    "exp": (lear() | {"exp": NOW_S - 300}, Code.CREDENTIAL_EXPIRED),
    "validUntil": (lear(validUntil="2026-11-30T11:54:59Z"), Code.CREDENTIAL_EXPIRED),
    "expirationDate": (lear(expirationDate="2026-11-30T11:54:59Z"), Code.CREDENTIAL_EXPIRED),
    "nbf": (lear() | {"nbf": NOW_S + 301}, Code.CREDENTIAL_NOT_YET_VALID),
    "validFrom": (lear(validFrom="2026-11-30T14:05:01+02:00"), Code.CREDENTIAL_NOT_YET_VALID),
    "issuanceDate": (lear(issuanceDate="2026-11-30T12:05:01Z"), Code.CREDENTIAL_NOT_YET_VALID),
    "the mandate's end": (
        lear(
            credentialSubject={
                "id": did_key(HOLDER),
                "mandate": mandate(life_span={"end_date_time": "2026-11-30T11:54:59Z"}),
            }
        ),
        Code.CREDENTIAL_EXPIRED,
    ),
}


@pytest.mark.parametrize("case", ENDS)
async def test_every_end_and_every_beginning_counts(case: str) -> None:
    claims, code = ENDS[case]
    assert await Verifying().code(jwt_vc(claims)) is code
    assert await Verifying().code(jwt_vp(jwt_vc(claims)), is_presented=True) is code


@pytest.mark.parametrize("typ", ["vp+jwt", "kb+jwt", "at+jwt", "statuslist+jwt", "dc+sd-jwt", "", 5, ["JWT"]])
async def test_a_token_for_something_else_is_no_credential(typ: Any) -> None:
    text = jwt_vc(typ=typ)
    expected = None if typ == "" else Code.CREDENTIAL_MALFORMED
    if expected is None:
        assert (await Verifying().credential(text)).issuer.id == ISSUER
    else:
        assert await Verifying().code(text) is expected


async def test_a_holder_presents_a_credential() -> None:
    presented = await Verifying().presentation(jwt_vp(jwt_vc()))
    assert presented.is_presented
    envelope = {
        "type": "EnvelopedVerifiableCredential",
        "id": f"data:application/vc+jwt,{jwt_vc(flat(), typ='vc+jwt')}",
    }
    claims = {
        "vp": None,
        "type": ["VerifiablePresentation"],
        "holder": did_key(HOLDER),
        "verifiableCredential": [envelope],
    }
    assert (await Verifying().presentation(jwt_vp("", changes=claims, typ="vp+jwt"))).is_presented
    single = {"vp": {"type": "VerifiablePresentation", "verifiableCredential": jwt_vc()}}
    assert (await Verifying().presentation(jwt_vp("", changes=single, kid=None))).is_presented


@pytest.mark.parametrize("holder", ["mandatee", "cnf", "cnf-kid", "jwk"])
async def test_a_credential_names_its_holder_in_one_of_several_places(holder: str) -> None:
    claims, signer = lear(), HOLDER
    kid: dict[str, Any] = {}
    if holder == "mandatee":
        claims = lear(credentialSubject={"mandate": mandate()}) | {"sub": None}
    elif holder == "cnf":
        claims = lear() | {"cnf": {"jwk": jwk(THIEF)}}
        signer = THIEF
    elif holder == "cnf-kid":
        claims = lear() | {"cnf": {"kid": f"{did_key(THIEF)}#x"}}
        signer = THIEF
    else:
        did = did_jwk(HOLDER)
        claims = lear(credentialSubject={"id": did, "mandate": mandate()}) | {"sub": did}
        content = {"type": ["VerifiablePresentation"], "verifiableCredential": [jwt_vc(claims)]}
        kid = {"kid": f"{did}#0", "changes": {"iss": did, "vp": content}}
    text = jwt_vp(jwt_vc(claims), signer, **kid)
    assert (await Verifying().presentation(text)).is_presented
    if signer is THIEF:
        assert await Verifying().code(jwt_vp(jwt_vc(claims)), is_presented=True) is Code.PRESENTATION_UNBOUND


def vp(**changes: Any) -> str:
    return jwt_vp(jwt_vc(), changes=changes)


def content(*credentials: Any, **changes: Any) -> dict[str, Any]:
    return {"type": ["VerifiablePresentation"], "verifiableCredential": list(credentials)} | changes


STOLEN: dict[str, tuple[str, Code]] = {
    "by a thief with a key of their own": (jwt_vp(jwt_vc(), THIEF), Code.PRESENTATION_UNBOUND),
    "by a thief in the holder's name": (
        jwt(
            THIEF,
            {
                "iss": did_key(HOLDER),
                "aud": AUDIENCE,
                "nonce": "n-0S6_WzA2Mj",
                "iat": NOW_S,
                "vp": content(jwt_vc()),
            },
        ),
        Code.PRESENTATION_UNBOUND,
    ),
    "by a thief whose key the header names": (
        jwt_vp(jwt_vc(), THIEF, {"iss": did_key(HOLDER), "vp": content(jwt_vc())}),
        Code.PRESENTATION_UNBOUND,
    ),
    "by nobody": (vp(iss=None, vp=content(jwt_vc())), Code.PRESENTATION_UNBOUND),
    "of two holders": (vp(vp=content(jwt_vc(), holder=did_key(THIEF))), Code.CREDENTIAL_MALFORMED),
    "by no DID": (vp(iss="ana", vp=content(jwt_vc())), Code.PRESENTATION_UNBOUND),
    "of a credential for nobody": (
        jwt_vp(
            jwt_vc(
                lear(credentialSubject={"mandate": mandate(mandatee={"email": "ana@x.y"})}) | {"sub": None}
            )
        ),
        Code.PRESENTATION_UNBOUND,
    ),
    "for another verifier": (vp(aud="x509_hash:other"), Code.PRESENTATION_FOREIGN),
    "for several verifiers": (vp(aud=[AUDIENCE, "other"]), Code.PRESENTATION_FOREIGN),
    "for nobody": (vp(aud=None), Code.PRESENTATION_FOREIGN),
    "for another request": (vp(nonce="other"), Code.PRESENTATION_FOREIGN),
    "for no request": (vp(nonce=None), Code.PRESENTATION_FOREIGN),
    "long ago": (vp(iat=NOW_S - 601), Code.PRESENTATION_EXPIRED),
    "in the future": (vp(iat=NOW_S + 301), Code.PRESENTATION_EXPIRED),
    "it has ended": (vp(exp=NOW_S - 300), Code.PRESENTATION_EXPIRED),
    "in milliseconds": (vp(iat=1000 * NOW_S, exp=1000 * NOW_S), Code.CREDENTIAL_MALFORMED),
    "without a time": (vp(iat=None), Code.CREDENTIAL_MALFORMED),
    "without a credential": (vp(vp=content()), Code.CREDENTIAL_MALFORMED),
    "with two credentials": (vp(vp=content(jwt_vc(), jwt_vc())), Code.CREDENTIAL_MALFORMED),
    "with a credential in the open": (vp(vp=content(lear()["vc"])), Code.CREDENTIAL_MALFORMED),
    "with a presentation inside": (vp(vp=content(vp())), Code.CREDENTIAL_MALFORMED),
    "with a credential beside": (vp(vc=lear()["vc"]), Code.CREDENTIAL_MALFORMED),
    "of no type": (vp(vp={"verifiableCredential": [jwt_vc()]}), Code.CREDENTIAL_MALFORMED),
    "with a forged credential": (jwt_vp(jwt(THIEF, lear(), x5c=x5c(SEAL))), Code.CREDENTIAL_ALTERED),
    "unsigned": (
        ".".join([encoded({"alg": "none"}), vp().split(".")[1], ""]),
        Code.CREDENTIAL_MALFORMED,
    ),
    "of a critical header": (
        jwt_vp(jwt_vc(), crit=["sigT"], sigT="2026-11-29T12:00:00Z"),
        Code.CREDENTIAL_MALFORMED,
    ),
}


@pytest.mark.parametrize("case", STOLEN)
async def test_a_presentation_that_is_not_the_holders_for_us_now_is_refused(case: str) -> None:
    text, code = STOLEN[case]
    verifying = Verifying()
    assert await verifying.code(text, is_presented=True) is code
    assert verifying.web.requests == []


async def test_a_presentation_is_accepted_once() -> None:
    verifying = Verifying()
    text = vp()
    await verifying.presentation(text)
    assert await verifying.code(text, is_presented=True) is Code.PRESENTATION_REPLAYED
