"""SD-JWT VC: disclosures and key binding, and every way to tamper with them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Refused
from hansa.identity.credentials.formats.disclosures import disclosed_claims
from hansa.identity.credentials.formats.sd_jwt import read_sd_jwt
from tests.support.credentials import (
    AUDIENCE,
    DAY_S,
    HOLDER,
    NOW_S,
    THIEF,
    Verifying,
    b64,
    bound,
    digest,
    disclosure,
    encoded,
    jwk,
    jwt,
    jwt_vc,
    mandate,
    sd_claims,
    sd_jwt,
)

NAME, AGE, CITY = disclosure("name", "Ana"), disclosure("age", 40), disclosure("Madrid")


def pid(**changes: Any) -> dict[str, Any]:
    return sd_claims(**{"vct": "urn:eudi:pid:1", "mandate": None} | changes)


async def claims_of(claims: dict[str, Any], *disclosures: str) -> dict[str, Any]:
    import json

    credential = await Verifying().credential(sd_jwt(claims, disclosures))
    result: dict[str, Any] = json.loads(credential.claims)
    return {name: value for name, value in result.items() if name not in pid()}


async def test_what_is_disclosed_stands_where_its_digest_was() -> None:
    claims = pid(
        _sd=[digest(NAME), digest(AGE), b64(b"a decoy, of which nobody knows anything"[:32])],
        _sd_alg="sha-256",
        cities=["Paris", {"...": digest(CITY)}, {"...": b64(b"another decoy" * 3)}],
    )
    assert await claims_of(claims, NAME, CITY) == {"name": "Ana", "cities": ["Paris", "Madrid"]}
    assert await claims_of(claims) == {"cities": ["Paris"]}


async def test_a_disclosure_may_hold_further_digests() -> None:
    inner = disclosure("street", "Gran Vía")
    outer = disclosure("address", {"_sd": [digest(inner)], "country": "ES"})
    claims = pid(_sd=[digest(outer)])
    assert await claims_of(claims, outer, inner) == {"address": {"street": "Gran Vía", "country": "ES"}}
    assert await claims_of(claims, outer) == {"address": {"country": "ES"}}
    assert await Verifying().code(sd_jwt(claims, [inner])) is Code.CREDENTIAL_MALFORMED


@pytest.mark.parametrize(("name", "function"), [("sha-384", "sha384"), ("sha-512", "sha512")])
async def test_stronger_hashes_are_understood(name: str, function: str) -> None:
    claims = pid(_sd=[digest(NAME, function)], _sd_alg=name)
    assert await claims_of(claims, NAME) == {"name": "Ana"}


TAMPERED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a disclosure was altered": (pid(_sd=[digest(NAME)]), [disclosure("name", "Eva")]),
    "a disclosure that nobody declared": (pid(_sd=[digest(NAME)]), [NAME, AGE]),
    "a disclosure twice": (pid(_sd=[digest(NAME)]), [NAME, NAME]),
    "a digest twice in one list": (pid(_sd=[digest(NAME), digest(NAME)]), [NAME]),
    "a digest twice, in two places": (pid(_sd=[digest(NAME)], inner={"_sd": [digest(NAME)]}), [NAME]),
    "a decoy twice": (pid(_sd=["x" * 43, "x" * 43]), []),
    "a claim that hides a signed one": (pid(_sd=[digest(NAME)], name="Eva"), [NAME]),
    "two disclosures of one name": (
        pid(_sd=[digest(NAME), digest(disclosure("name", "Eva"))]),
        [NAME, disclosure("name", "Eva")],
    ),
    "an element for a claim": (pid(_sd=[digest(CITY)]), [CITY]),
    "a claim for an element": (pid(list=[{"...": digest(NAME)}]), [NAME]),
    "a place with more than a digest": (pid(list=[{"...": digest(CITY), "x": 1}]), [CITY]),
    "a place outside of an array": (pid(place={"...": digest(CITY)}), [CITY]),
    "a digest that is no text": (pid(_sd=[1]), []),
    "a list of digests that is none": (pid(_sd=digest(NAME)), [NAME]),
    "the name _sd": (pid(_sd=[digest(d := disclosure("_sd", []))]), [d]),
    "the name of a place": (pid(_sd=[digest(d := disclosure("...", "x"))]), [d]),
    "the name _sd_alg": (pid(_sd=[digest(d := disclosure("_sd_alg", "sha-1"))]), [d]),
    "an algorithm inside": (pid(inner={"_sd_alg": "sha-256"}), []),
    "a weak hash": (pid(_sd_alg="sha-1"), []),
    "a hash that is no text": (pid(_sd_alg=None) | {"_sd_alg": None}, []),
    "four parts": (pid(_sd=[digest(d := disclosure("a", "b", "c"))]), [d]),
    "a salt that is no text": (pid(_sd=[digest(d := encoded([1, "a", "b"]))]), [d]),
    "a name that is no text": (pid(_sd=[digest(d := disclosure(1, "b"))]), [d]),
    "no array": (pid(_sd=[digest(d := encoded({"a": 1}))]), [d]),
    "no JSON": (pid(_sd=[digest(d := b64("nonsense"))]), [d]),
    "no base64url": (pid(_sd=[digest("~=~")]), ["=="]),
    "a name twice in an object": (pid(_sd=[digest(d := b64('["s","o",{"a":1,"a":2}]'))]), [d]),
    "the type disclosed": (pid(vct=None, _sd=[digest(d := disclosure("vct", "urn:eudi:pid:1"))]), [d]),
    "the end disclosed": (pid(exp=None, _sd=[digest(d := disclosure("exp", 2**31))]), [d]),
    "the key disclosed": (pid(cnf=None, _sd=[digest(d := disclosure("cnf", {"jwk": jwk(THIEF)}))]), [d]),
    "the status disclosed": (pid(_sd=[digest(d := disclosure("status", {}))]), [d]),
    "no type": (pid() | {"vct": ""}, []),
    "no type at all": (pid(vct=None), []),
    "a list of digests that is an object": (pid(_sd={digest(NAME): 1}), [NAME]),
    "two mandates": (
        sd_claims(credentialSubject={"mandate": mandate(organization="VATES-87654321")}),
        [],
    ),
    "more disclosures than anybody needs": (
        pid(list=[{"...": digest(encoded([f"{n}", n]))} for n in range(513)]),
        [encoded([f"{n}", n]) for n in range(513)],
    ),
    "more digests than anybody needs": (
        pid(**{f"list{n}": [{"...": f"{n}-{k}"} for k in range(500)] for n in range(9)}),
        [],
    ),
    "a key with its private half": (pid(cnf={"jwk": jwk(HOLDER) | {"d": "AAAA"}}), []),
    "a secret as key": (pid(cnf={"jwk": {"kty": "oct", "k": "AAAA"}}), []),
    "a key beside a key": (pid(cnf={"jwk": jwk(HOLDER), "kid": "x"}), []),
    "a point that is on no curve": (pid(cnf={"jwk": jwk(HOLDER) | {"y": jwk(THIEF)["y"]}}), []),
}


@pytest.mark.parametrize("case", TAMPERED)
async def test_what_breaks_the_rules_of_disclosure_is_refused(case: str) -> None:
    claims, disclosures = TAMPERED[case]
    verifying = Verifying()
    assert await verifying.code(sd_jwt(claims, disclosures)) is Code.CREDENTIAL_MALFORMED
    text = bound(sd_jwt(claims, disclosures))
    assert await verifying.code(text, is_presented=True) in {
        Code.CREDENTIAL_MALFORMED,
        Code.PRESENTATION_UNBOUND,
    }


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "kb+jwt"},
        {"typ": "statuslist+jwt"},
        {"typ": None},
        {"typ": 1},
        {"crit": ["x"], "x": 1},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["typ"]},
        {"b64": False, "crit": ["b64"]},
    ],
)
async def test_a_header_that_says_something_else_is_refused(header: dict[str, Any]) -> None:
    assert await Verifying().code(sd_jwt(**header)) is Code.CREDENTIAL_MALFORMED
    text = bound(sd_jwt(), **({"typ": "dc+sd-jwt"} if header == {"typ": "kb+jwt"} else header))
    assert await Verifying().code(text, is_presented=True) is Code.CREDENTIAL_MALFORMED


@pytest.mark.parametrize("text", ["", "x", jwt_vc()], ids=["empty", "letter", "jwt"])
async def test_a_text_without_a_tilde_is_refused_as_a_presentation(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_sd_jwt(text)
    assert refused.value.code is Code.CREDENTIAL_MALFORMED


async def test_a_holder_presents_a_credential() -> None:
    credential = await Verifying().presentation(bound(sd_jwt()))
    assert credential.is_presented
    assert credential.mandate is not None
    assert credential.mandate.covers("Dome", "productoffering", "create")


async def test_a_presentation_is_nothing_without_the_request_that_it_is_for() -> None:
    assert await Verifying().code(bound(sd_jwt())) is Code.CREDENTIAL_MALFORMED


STOLEN: dict[str, tuple[str, Code]] = {
    "no key binding": (sd_jwt(), Code.PRESENTATION_UNBOUND),
    "by another key": (bound(sd_jwt(), THIEF), Code.PRESENTATION_UNBOUND),
    "a credential without a key": (bound(sd_jwt(sd_claims(cnf=None))), Code.PRESENTATION_UNBOUND),
    "the binding of another credential": (
        sd_jwt(sd_claims(jti="1")) + bound(sd_jwt()).rpartition("~")[2],
        Code.PRESENTATION_UNBOUND,
    ),
    "a disclosure was left out": (
        sd_jwt(sd_claims(_sd=[digest(NAME)]))
        + bound(sd_jwt(sd_claims(_sd=[digest(NAME)]), [NAME])).rpartition("~")[2],
        Code.PRESENTATION_UNBOUND,
    ),
    "without a hash": (bound(sd_jwt(), changes={"sd_hash": None}), Code.PRESENTATION_UNBOUND),
    "for another verifier": (bound(sd_jwt(), changes={"aud": "x509_hash:other"}), Code.PRESENTATION_FOREIGN),
    "for two verifiers": (bound(sd_jwt(), changes={"aud": [AUDIENCE, "x"]}), Code.PRESENTATION_FOREIGN),
    "for nobody": (bound(sd_jwt(), changes={"aud": None}), Code.PRESENTATION_FOREIGN),
    "for another request": (bound(sd_jwt(), changes={"nonce": "other"}), Code.PRESENTATION_FOREIGN),
    "for no request": (bound(sd_jwt(), changes={"nonce": None}), Code.PRESENTATION_FOREIGN),
    "long ago": (bound(sd_jwt(), changes={"iat": NOW_S - 601}), Code.PRESENTATION_EXPIRED),
    "in the future": (bound(sd_jwt(), changes={"iat": NOW_S + 301}), Code.PRESENTATION_EXPIRED),
    "it has ended": (bound(sd_jwt(), changes={"exp": NOW_S - 300}), Code.PRESENTATION_EXPIRED),
    "it has not begun": (bound(sd_jwt(), changes={"nbf": NOW_S + 301}), Code.PRESENTATION_EXPIRED),
    "without a time": (bound(sd_jwt(), changes={"iat": None}), Code.CREDENTIAL_MALFORMED),
    "in milliseconds": (bound(sd_jwt(), changes={"iat": 1000 * NOW_S}), Code.CREDENTIAL_MALFORMED),
    "an end in milliseconds": (bound(sd_jwt(), changes={"exp": 1000 * NOW_S}), Code.CREDENTIAL_MALFORMED),
    "a time that is a text": (bound(sd_jwt(), changes={"iat": str(NOW_S)}), Code.CREDENTIAL_MALFORMED),
    "a time that is true": (bound(sd_jwt(), changes={"iat": True}), Code.CREDENTIAL_MALFORMED),
    "signed with nothing": (
        sd_jwt() + ".".join([encoded({"alg": "none", "typ": "kb+jwt"}), encoded({"iat": NOW_S}), ""]),
        Code.CREDENTIAL_MALFORMED,
    ),
}


@pytest.mark.parametrize("case", STOLEN)
async def test_a_presentation_that_is_not_the_holders_for_us_now_is_refused(case: str) -> None:
    text, code = STOLEN[case]
    assert await Verifying().code(text, is_presented=True) is code


@pytest.mark.parametrize("offset_s", [-290, 290])
async def test_clocks_that_are_five_minutes_apart_present_all_the_same(offset_s: int) -> None:
    assert (await Verifying(offset_s=offset_s).presentation(bound(sd_jwt()))).is_presented


async def test_a_presentation_is_accepted_once_in_whatever_form_its_signature_is() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    from hansa.core.curve_points import P256_ORDER

    assert isinstance(HOLDER, ec.EllipticCurvePrivateKey)
    verifying = Verifying()
    text = bound(sd_jwt())
    await verifying.presentation(text)
    assert await verifying.code(text, is_presented=True) is Code.PRESENTATION_REPLAYED
    head, _, signature = text.rpartition(".")
    import base64

    raw = base64.urlsafe_b64decode(signature + "==")
    twin = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32)
    assert await verifying.code(f"{head}.{b64(twin)}", is_presented=True) is Code.PRESENTATION_REPLAYED
    await verifying.clock.advance(290)
    assert await verifying.code(text, is_presented=True) is Code.PRESENTATION_REPLAYED


async def test_the_memory_of_presentations_is_bounded_and_forgets_what_is_too_old() -> None:
    from hansa.core.errors import Unavailable

    verifying = Verifying(presentations_max=2)
    for nonce in ("a", "b"):
        await verifying.presentation(bound(sd_jwt(), changes={"jti": nonce}))
    with pytest.raises(Unavailable):
        await verifying.presentation(bound(sd_jwt(), changes={"jti": "c"}))
    await verifying.clock.advance(902)
    later = {"iat": NOW_S + 902, "jti": "d"}
    assert (await verifying.presentation(bound(sd_jwt(), changes=later))).is_presented


async def test_a_refused_presentation_takes_no_room() -> None:
    verifying = Verifying(presentations_max=1)
    expired = bound(sd_jwt(sd_claims(exp=NOW_S - DAY_S)))
    assert await verifying.code(expired, is_presented=True) is Code.CREDENTIAL_EXPIRED
    assert (await verifying.presentation(bound(sd_jwt()))).is_presented


TIMES: dict[str, tuple[dict[str, Any], Code]] = {
    "ended": ({"exp": NOW_S - 300}, Code.CREDENTIAL_EXPIRED),
    "ended long ago": ({"exp": 0}, Code.CREDENTIAL_EXPIRED),
    "not begun": ({"nbf": NOW_S + 301}, Code.CREDENTIAL_NOT_YET_VALID),
    "issued in the future": ({"iat": NOW_S + 301}, Code.CREDENTIAL_NOT_YET_VALID),
    "an end in milliseconds": ({"exp": 1000 * (NOW_S - DAY_S)}, Code.CREDENTIAL_MALFORMED),
    "an end that is a text": ({"exp": "2027-01-01T00:00:00Z"}, Code.CREDENTIAL_MALFORMED),
    "a negative end": ({"exp": -1}, Code.CREDENTIAL_MALFORMED),
    "an endless end": ({"exp": 1e300}, Code.CREDENTIAL_MALFORMED),
}


@pytest.mark.parametrize("case", TIMES)
async def test_a_credential_out_of_its_time_is_refused(case: str) -> None:
    changes, code = TIMES[case]
    assert await Verifying().code(sd_jwt(sd_claims(**changes))) is code
    assert await Verifying().code(bound(sd_jwt(sd_claims(**changes))), is_presented=True) is code


async def test_times_hold_with_fractions_and_five_minutes_beyond() -> None:
    for changes in ({"exp": NOW_S - 298.5}, {"nbf": NOW_S + 299.5}):
        assert (await Verifying().credential(sd_jwt(sd_claims(**changes)))).issuer.proof == "certificate"


async def test_what_is_not_disclosed_of_a_mandate_is_no_mandate() -> None:
    hidden = disclosure("power", [])
    claims = mandate()
    del claims["power"]
    text = sd_jwt(sd_claims(mandate=claims | {"_sd": [digest(hidden)]}))
    assert await Verifying().code(text) is Code.CREDENTIAL_MALFORMED


@pytest.mark.parametrize("depth", [30, 5000])
async def test_deep_and_long_and_foreign_texts_are_refused(depth: int) -> None:
    verifying = Verifying()
    deep = jwt(HOLDER, {}, typ="dc+sd-jwt")
    head, _, tail = deep.split(".")
    claims = '{"a":' + "[" * depth + "]" * depth + "}"
    nested = f"{head}.{b64(claims)}.{tail}~"
    for text in (nested, "~", "~~", "~" * 3000, "a~b", "é~", sd_jwt() + "x" * 140_000, jwt_vc() + "~"):
        assert await verifying.code(text) is Code.CREDENTIAL_MALFORMED
        assert await verifying.code(text, is_presented=True) is Code.CREDENTIAL_MALFORMED


async def test_disclosures_in_disclosures_end_at_a_depth() -> None:
    texts = [disclosure("x", 1)]
    for _ in range(60):
        texts.append(disclosure("x", {"_sd": [digest(texts[-1])]}))
    claims = pid(_sd=[digest(texts[-1])])
    assert await Verifying().code(sd_jwt(claims, texts)) is Code.CREDENTIAL_MALFORMED


NAMES = st.text(alphabet="abcxyz", min_size=1, max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


class Hiding:
    """Replaces parts of claims by digests, as drawn."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self.disclosures: list[str] = []
        self._salts = 0

    def hidden(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return [self._element(item) for item in value]
        return value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        digests = []
        for name, item in value.items():
            if self._draw(st.booleans()):
                digests.append(self._disclosed(name, self.hidden(item)))
            else:
                result[name] = self.hidden(item)
        return result | ({"_sd": digests} if digests else {})

    def _element(self, item: Any) -> Any:
        return {"...": self._disclosed(self.hidden(item))} if self._draw(st.booleans()) else self.hidden(item)

    def _disclosed(self, *parts: Any) -> str:
        self._salts += 1
        text = encoded([f"salt {self._salts}", *parts])
        self.disclosures.append(text)
        return digest(text)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.data())
def test_whatever_is_hidden_and_disclosed_is_what_it_was(value: dict[str, Any], data: st.DataObject) -> None:
    hiding = Hiding(data.draw)
    signed = hiding.hidden(value)
    order = data.draw(st.permutations(hiding.disclosures))
    assert disclosed_claims(signed, order) == value


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.data())
def test_a_disclosure_of_something_else_is_always_refused(value: dict[str, Any], data: st.DataObject) -> None:
    hiding = Hiding(data.draw)
    signed = hiding.hidden(value)
    strange = data.draw(st.sampled_from([disclosure("z", 1), disclosure("z"), *hiding.disclosures]))
    with pytest.raises(Refused):
        disclosed_claims(signed, [*hiding.disclosures, strange])


ISSUED = sd_jwt()


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
async def test_no_text_is_anything_but_refused(raw: bytes) -> None:
    text = raw.decode("latin-1")
    for attempt in (text, f"{text}~", f"{ISSUED}x{text}", f"{b64(raw)}.{b64(raw)}.{b64(raw)}"):
        await Verifying().refusal(attempt)
        await Verifying().refusal(attempt, is_presented=True)
