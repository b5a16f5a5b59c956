"""JAdES signatures of others, against those of EU DSS and of `cryptography`."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.certificates import read_anchor
from hansa.core.errors import Code, Refused
from hansa.identity.jades import JadesDocument, verify_jades
from tests.support.certificates import NOW, ORGANIZATION, Issued, authority, new_key, seal

NOW_S = int(NOW.timestamp())
ROOT = authority()
ANCHORS = [read_anchor(ROOT.der)]
PAYLOAD = b'{"eventType":"product-offering"}'


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signature_of(key: Any, algorithm: str, signed: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    hash_algorithm = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hash_algorithm)))
        size = (key.key_size + 7) // 8
        return r.to_bytes(size) + s.to_bytes(size)
    pss = padding.PSS(padding.MGF1(hash_algorithm), hash_algorithm.digest_size)
    raw: bytes = key.sign(signed, padding.PKCS1v15() if algorithm[0] == "R" else pss, hash_algorithm)
    return raw


def signed(leaf: Issued, algorithm: str = "ES256", payload: bytes = PAYLOAD, **changes: Any) -> str:
    """A document in the older form; a header parameter of None is left out."""
    header: dict[str, Any] = {
        "alg": algorithm,
        "cty": "application/json",
        "typ": "jose",
        "sigT": "2026-11-30T12:00:00Z",
        "crit": ["sigT"],
        "x5t#S256": b64(hashlib.sha256(leaf.der).digest()),
        "x5c": [base64.b64encode(leaf.der).decode()],
    } | changes
    raw = json.dumps({name: value for name, value in header.items() if value is not None}).encode()
    return signed_raw(leaf, algorithm, raw, payload)


def signed_raw(leaf: Issued, algorithm: str, header: bytes, payload: bytes = PAYLOAD) -> str:
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(signature_of(leaf.key, algorithm, text.encode()))}"


def verified(compact: str, time_s: int = NOW_S) -> JadesDocument:
    return verify_jades(compact, ANCHORS, time_s)


def refusal(compact: str, time_s: int = NOW_S) -> Refused:
    with pytest.raises(Refused) as caught:
        verified(compact, time_s)
    return caught.value


LEAF = seal(ROOT)


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        *(("P-256", "ES256"), ("P-384", "ES384"), ("Ed25519", "Ed25519"), ("Ed25519", "EdDSA")),
        *(("2048", "RS256"), ("2048", "RS512"), ("2048", "PS256"), ("3072", "PS384")),
    ],
)
@pytest.mark.parametrize("form", [{}, {"sigT": None, "crit": None, "iat": NOW_S}])
def test_both_forms_are_verified_with_every_algorithm(
    kind: str, algorithm: str, form: dict[str, Any]
) -> None:
    leaf = seal(ROOT, key=new_key(kind))
    document = verified(signed(leaf, algorithm, **form))
    assert document.payload == PAYLOAD
    assert document.did == f"did:elsi:{ORGANIZATION}"
    assert document.signed_at_s == NOW_S
    assert document.content_type == "application/json"


def test_the_anchor_may_be_sent_along() -> None:
    x5c = [base64.b64encode(one.der).decode() for one in (LEAF, ROOT)]
    assert verified(signed(LEAF, x5c=x5c)).payload == PAYLOAD


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"crit": None}, "not critical"),
        ({"crit": []}, "empty"),
        ({"crit": ["sigT", "sigT"]}, "twice"),
        ({"crit": "sigT"}, "no list"),
        ({"crit": [["sigT"]]}, "no list"),
        ({"crit": ["sigT", "sigPl"]}, "not there"),
        ({"crit": ["sigT", "exp"], "exp": NOW_S - 1}, "not supported: exp"),
        ({"crit": ["alg", "sigT"]}, "not supported: alg"),
        ({"crit": ["sigT", "b64"], "b64": False}, "not supported: b64"),
        ({"b64": False}, "payload is not the one inside"),
        ({"iat": NOW_S}, "two signing times"),
        ({"sigT": None, "crit": None}, "or none"),
        ({"sigT": "2026-11-30T12:00:00+01:00"}, "no time in UTC"),
        ({"sigT": "2026-13-30T12:00:00Z"}, "no time in UTC"),
        ({"sigT": 5}, "no time in UTC"),
        ({"sigT": None, "crit": None, "iat": -1}, "no number of seconds"),
        ({"sigT": None, "crit": None, "iat": 1.5}, "no number of seconds"),
        ({"sigT": None, "crit": None, "iat": True}, "no number of seconds"),
        ({"sigT": "2027-01-30T12:00:00Z"}, "in the future"),
        ({"sigT": "2020-01-30T12:00:00Z"}, "validity of the certificate"),
        ({"x5c": None}, "certificates"),
        ({"x5c": []}, "certificates"),
        ({"x5c": ["AAAA"] * 6}, "certificates"),
        ({"x5c": [5]}, "no list of certificates"),
        ({"x5t#S256": b64(bytes(32))}, "another certificate"),
        ({"alg": "none"}, "algorithm"),
        ({"alg": "HS256"}, "algorithm"),
        ({"alg": "RS256"}, "algorithm"),
        ({"alg": ["ES256"]}, "algorithm"),
        ({"alg": None}, "algorithm"),
    ],
)
def test_a_header_that_demands_something_else_is_refused(changes: dict[str, Any], reason: str) -> None:
    error = refusal(signed(LEAF, **changes))
    assert error.code is Code.MALFORMED
    assert reason in error.message


def test_whoever_is_not_certified_is_refused() -> None:
    for leaf in (seal(None), seal(authority())):
        assert refusal(signed(leaf)).code is Code.CERTIFICATE_INVALID
    assert refusal(signed(LEAF), NOW_S + 3 * 365 * 86_400).code is Code.CERTIFICATE_INVALID
    assert refusal(signed(LEAF, x5c=["!!!!"])).code is Code.CERTIFICATE_INVALID


def test_what_somebody_else_signed_or_changed_is_refused() -> None:
    other = Issued(new_key(), LEAF.certificate)
    assert refusal(signed(other)).code is Code.EVENT_SIGNATURE_INVALID
    header, payload, signature = signed(LEAF).split(".")
    assert refusal(f"{header}.{b64(b'{}')}.{signature}").code is Code.EVENT_SIGNATURE_INVALID
    for wrong in ("", b64(bytes(64)), b64(bytes(1)), signature + "AAAA"):
        error = refusal(f"{header}.{payload}.{wrong}")
        assert error.code in {Code.EVENT_SIGNATURE_INVALID, Code.MALFORMED}


def test_a_header_with_a_name_twice_or_nested_deeply_is_refused() -> None:
    certificate = base64.b64encode(LEAF.der).decode()
    for raw in (
        f'{{"alg":"ES256","sigT":"2026-11-30T12:00:00Z","sigT":"2026-11-30T12:00:00Z","crit":["sigT"],"x5c":["{certificate}"]}}',
        '{"x":' + "[" * 20_000 + "]" * 20_000 + "}",
        "[]",
        "{}x",
        '{"x":"' + "y" * 70_000 + '"}',
    ):
        assert refusal(signed_raw(LEAF, "ES256", raw.encode())).code in {Code.MALFORMED, Code.INVALID}


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    refusal(text)
    refusal(f"{text}.{text}.{text}")


FOLDER = "vectors/jades-dss/dss-jades/src/test/resources/validation"
GOOD = (
    "jades-level-b-full-type.json",
    "dss2620/jades-with-expiration-time-header.json",
    "dss2620/jades-with-notBefore-header.json",
)
BAD = {
    "dss2620/jades-with-b64-not-in-crit.json": "payload is not the one inside",
    "dss2620/jades-with-crit-string-type.json": "no list",
    "dss2620/jades-with-crit-with-duplicated-header.json": "twice",
    "dss2620/jades-with-crit-with-wrong-entry-type.json": "no list",
    "dss2620/jades-with-critical-headers-in-crit.json": "not supported",
    "dss2620/jades-with-empty-crit.json": "empty",
    "dss2620/jades-with-expiration-time-header-in-crit.json": "not supported: exp",
    "dss2620/jades-with-extra-crit-entry.json": "not there",
    "dss2620/jades-with-notBefore-header-in-crit.json": "not supported: nbf",
    "dss2620/jades-without-non-critical-header-in-crit.json": "not supported",
    "jades-b-copied-cnttst.json": "not supported: adoTst",
    "jades-b-iat-and-sigt.json": "not critical",
    "jades-b-no-signing-time.json": "or none",
    "jades-detached-by-uri-encoded-pars.json": "elsewhere",
    "jades-with-asn1policy.json": "not supported: sigPId",
    "jades-with-certified.json": "not supported: srAts",
    "jades-with-double-sigt.json": "",
    "jades-with-multiple-sign-cert-refs.json": "not supported: sigX5ts",
    "jades-wrong-x5c-header.json": "",
    "simple-detached.json": "elsewhere",
    "altered-jws.json": "",
}


def vector(shared: Path, name: str) -> tuple[str, dict[str, Any]]:
    compact = (shared / FOLDER / name).read_text().strip()
    try:
        return compact, json.loads(base64.urlsafe_b64decode(compact.split(".")[0] + "=="))
    except ValueError:
        return compact, {}


def anchors_of(header: dict[str, Any]) -> list[Any]:
    texts = header.get("x5c", [])
    return [read_anchor(base64.b64decode(texts[1]))] if len(texts) == 2 else []


@pytest.mark.parametrize("name", GOOD)
def test_signatures_that_dss_made_are_verified(shared: Path, name: str) -> None:
    compact, header = vector(shared, name)
    text = header.get("sigT")
    at_s = int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) if text else header["iat"]
    document = verify_jades(compact, anchors_of(header), at_s)
    assert document.payload.startswith(b"{")
    assert document.signed_at_s == at_s
    swapped = compact[:-8] + ("AAAAAAAA" if compact[-8:] != "AAAAAAAA" else "BBBBBBBB")
    with pytest.raises(Refused):
        verify_jades(swapped, anchors_of(header), at_s)
    with pytest.raises(Refused, match="trust anchors"):
        verify_jades(compact, ANCHORS, at_s)


@pytest.mark.parametrize("name", BAD)
def test_signatures_that_dss_refuses_or_we_do_not_support_are_refused(shared: Path, name: str) -> None:
    compact, header = vector(shared, name)
    text = header.get("sigT") or "2023-05-22T12:00:00Z"
    at_s = int(datetime.fromisoformat(text).astimezone(UTC).timestamp())
    with pytest.raises(Refused) as caught:
        verify_jades(compact, anchors_of(header), at_s)
    assert BAD[name] in caught.value.message
