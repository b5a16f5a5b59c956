"""Keys that follow from a marketplace's secret."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from hansa.core.derivation import DerivationSecret
from hansa.core.errors import Fatal

SECRET = DerivationSecret(bytes(range(32)))


def test_a_key_is_hkdf_of_the_secret_and_the_purpose() -> None:
    extracted = hmac.digest(bytes(32), bytes(range(32)), hashlib.sha256)
    expanded = hmac.digest(extracted, b"hansa pseudonyms 1\x01", hashlib.sha256)
    assert SECRET.key(b"hansa pseudonyms 1") == expanded
    assert SECRET.key(b"hansa pseudonyms 2") != expanded


def test_a_secret_comes_back_from_its_file_and_from_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "secret.jwk"
    path.write_bytes(SECRET.document())
    assert DerivationSecret.load(path).key(b"x 1") == SECRET.key(b"x 1")
    document = SECRET.document()
    for wrong in (b"", b"{}", b'{"k":"AAAA","kty":"oct"}', document.replace(b"oct", b"OKP"), b"\xff"):
        path.write_bytes(wrong)
        with pytest.raises(Fatal, match="secret"):
            DerivationSecret.load(path)


def test_no_two_secrets_are_the_same() -> None:
    assert DerivationSecret.generate().key(b"x 1") != DerivationSecret.generate().key(b"x 1")
