"""Keys: did:key against its vectors, signatures and what they refuse, key files."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import based58
import pytest

from hansa.core.errors import Code, Fatal, Refused
from hansa.core.jws import read_compact, token_header
from hansa.core.keys import Algorithm, PublicJwk, SigningKey, VerifyingKey

HEADER = token_header("test+jwt")

algorithms = pytest.mark.parametrize("algorithm", ["ES256", "Ed25519"])


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def with_header(compact: str, **header: Any) -> str:
    """A JWS with another header and the signature it had."""
    _, payload, signature = compact.split(".")
    return f"{b64(json.dumps(header, sort_keys=True, separators=(',', ':')).encode())}.{payload}.{signature}"


def vectors(shared: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((shared / "vectors" / "did-key" / "test-vectors" / name).read_text())
    return loaded


def test_did_keys_of_p256_are_those_of_the_vectors(shared: Path) -> None:
    checked = 0
    for did, vector in vectors(shared, "nist-curves.json").items():
        jwk = vector["verificationMethod"].get("publicKeyJwk")
        if jwk is None or jwk["crv"] != "P-256":
            continue
        assert VerifyingKey(PublicJwk("k", "EC", "P-256", jwk["x"], jwk["y"])).did_key() == did
        checked += 1
    assert checked >= 1


def test_did_keys_of_ed25519_are_those_of_the_vectors(shared: Path) -> None:
    checked = 0
    for did, vector in vectors(shared, "ed25519-x25519.json").items():
        encoded = vector["verificationKeyPair"].get("publicKeyBase58")
        if encoded is None:
            continue
        assert (
            VerifyingKey(PublicJwk("k", "OKP", "Ed25519", b64(based58.b58decode(encoded.encode())))).did_key()
            == did
        )
        checked += 1
    assert checked >= 1


@algorithms
def test_what_was_signed_verifies_and_names_its_key(algorithm: Algorithm) -> None:
    key = SigningKey.generate(algorithm)
    jws = read_compact(sign(key), HEADER)
    assert key.verifying_key().verify(jws) == jws.payload == b"payload"
    assert (jws.algorithm, jws.kid) == (algorithm, key.kid)


@algorithms
def test_another_payload_does_not_verify(algorithm: Algorithm) -> None:
    key = SigningKey.generate(algorithm)
    header, _, signature = sign(key).split(".")
    expect_invalid(key, f"{header}.{b64(b'other')}.{signature}")


@algorithms
def test_another_key_does_not_verify(algorithm: Algorithm) -> None:
    expect_invalid(SigningKey.generate(algorithm), sign(SigningKey.generate(algorithm)))


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "RS256", "EdDSA", "Ed25519", "", None, 7])
def test_the_algorithm_is_the_keys_and_not_the_headers(alg: Any) -> None:
    key = SigningKey.generate("ES256")
    expect_invalid(key, with_header(sign(key), alg=alg, kid=key.kid, typ="test+jwt"))


def test_a_mac_with_the_public_key_does_not_verify() -> None:
    key = SigningKey.generate("Ed25519")
    expect_invalid(key, with_header(sign(key), alg="HS256", kid=key.kid, typ="test+jwt"))


@pytest.mark.parametrize(
    "extra", [{"crit": ["unknown"], "unknown": 1}, {"crit": ["b64"], "b64": False}, {"b64": False}]
)
def test_a_critical_parameter_that_is_not_understood_is_refused(extra: dict[str, Any]) -> None:
    key = SigningKey.generate()
    expect_invalid(key, with_header(sign(key), alg="ES256", kid=key.kid, typ="test+jwt", **extra))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "e30.e30.e30", "bnVsbA.bnVsbA.bnVsbA"]
)
def test_what_is_no_compact_jws_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_compact(text, HEADER)
    assert refused.value.code is Code.MALFORMED


@pytest.mark.parametrize("x", ["", "!!!", "AAAA", b64(b"\x01" * 32)])
def test_what_is_no_point_on_the_curve_is_no_key(x: str) -> None:
    with pytest.raises(Refused) as refused:
        VerifyingKey(PublicJwk("k", "EC", "P-256", x, b64(b"\x02" * 32)))
    assert refused.value.code is Code.INVALID


@pytest.mark.parametrize(
    "jwk",
    [
        PublicJwk("k", "EC", "P-256", "AA"),
        PublicJwk("k", "OKP", "Ed25519", "AA"),
        PublicJwk("k", "EC", "Ed25519", "AA", "AA"),
    ],
)
def test_an_incomplete_or_contradictory_jwk_is_no_key(jwk: PublicJwk) -> None:
    with pytest.raises(Refused):
        VerifyingKey(jwk)


@algorithms
def test_a_key_file_is_read_back_and_is_its_owners_alone(tmp_path: Path, algorithm: Algorithm) -> None:
    key, path = SigningKey.generate(algorithm), tmp_path / "member.jwk"
    key.save(path)
    loaded = SigningKey.load(path)
    assert loaded.public == key.public
    assert key.verifying_key().verify(read_compact(sign(loaded), HEADER)) == b"payload"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "member.jwk"
    SigningKey.generate().save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        SigningKey.generate().save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b'{"kid":"k","kty":"EC"}', b'{"kid":"k","kty":"RSA","n":"AA"}', b"\xff"],
)
def test_a_damaged_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "member.jwk"
    path.write_bytes(content)
    with pytest.raises(Fatal, match=r"member\.jwk") as fatal:
        SigningKey.load(path)
    assert fatal.value.code is Code.SETTINGS_INVALID


def sign(key: SigningKey, payload: bytes = b"payload") -> str:
    return key.sign(payload, HEADER, typ="test+jwt")


def expect_invalid(key: SigningKey, compact: str) -> None:
    with pytest.raises(Refused) as refused:
        key.verifying_key().verify(read_compact(compact, HEADER))
    assert refused.value.code in {Code.EVENT_SIGNATURE_INVALID, Code.MALFORMED}
