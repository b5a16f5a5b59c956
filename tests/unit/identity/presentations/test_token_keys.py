"""A verifier's key in a PKCS #11 token: SoftHSM signs requests, and nothing else may be wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from cryptography import x509

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, Refused, Unavailable
from hansa.identity.presentations import VerifierIdentity, identity_of_key
from hansa.identity.presentations.token_keys import TokenKey, TokenKeyUri, read_token_key_uri
from hansa.node.settings.loading import load_settings
from hansa.node.verifier.identity import verifier_identity
from tests.support.certificates import NOW, YEAR, Issued, Usages, issue, name
from tests.support.wallets import ACCESS_ROOT, Scene, chain_pem

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "1234"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> TokenKeyUri:
    """A token with a key pair."""
    pkcs11 = pytest.importorskip("pkcs11")
    if shutil.which("softhsm2-util") is None or not MODULE.exists():
        pytest.skip("SoftHSM is not installed: apt-get install softhsm2")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    line = ["softhsm2-util", "--init-token", "--free", "--label", "hansa", "--pin", PIN, "--so-pin", "5678"]
    subprocess.run(line, check=True, capture_output=True)
    made = pkcs11.lib(str(MODULE)).get_token(token_label="hansa")
    from pkcs11.util.ec import encode_named_curve_parameters

    with made.open(user_pin=PIN, rw=True) as session:
        for label, curve in (("verifier", "secp256r1"), ("other", "secp384r1")):
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC,
                {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)},
                local=True,
            )
            parameters.generate_keypair(store=True, label=label)
    return TokenKeyUri(MODULE, "hansa", "verifier", Path("pin"))


@pytest.fixture
def key(token: TokenKeyUri) -> Iterator[TokenKey]:
    """The key of a verifier; a process logs in to a token once at a time."""
    key = TokenKey(token, PIN)
    yield key
    key._session.close()


def certified(key: TokenKey) -> Issued:
    names = x509.SubjectAlternativeName([x509.DNSName("market.example")])
    extensions = [(Usages(digital_signature=True).extension(), True), (names, False)]

    class Public:
        def public_key(self) -> Any:
            return key.public

    return issue(name("Market"), Public(), ACCESS_ROOT, extensions=extensions, end=NOW + YEAR)


def identity(key: TokenKey) -> VerifierIdentity:
    return identity_of_key(key, chain_pem(certified(key), ACCESS_ROOT), "x509_hash", "market.example")


async def test_somebody_logs_in_to_a_verifier_whose_key_is_in_a_token(key: TokenKey) -> None:
    scene = Scene(identity=identity(key))
    assert (await scene.logged_in()).name == "Ana Prueba"


def test_a_token_that_ended_the_session_signs_in_another_one(key: TokenKey) -> None:
    import pkcs11

    key._private = _Failing(pkcs11.exceptions.SessionHandleInvalid)
    assert len(key.signature(b"content")) == 64


def test_a_token_that_does_not_sign_refuses_for_now(key: TokenKey, monkeypatch: pytest.MonkeyPatch) -> None:
    import pkcs11

    key._private = _Failing(pkcs11.exceptions.DeviceRemoved)
    monkeypatch.setattr(key, "_reopen", lambda: None)
    with pytest.raises(Unavailable) as refusal:
        key.signature(b"content")
    assert refusal.value.retry_after_s


class _Failing:
    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def sign(self, *_: Any, **__: Any) -> bytes:
        raise self._error


@pytest.mark.parametrize(
    ("changes", "pin"),
    [
        ({"object": "absent"}, PIN),
        ({"object": "other"}, PIN),
        ({"token": "absent"}, PIN),
        ({"module": Path("/nowhere/module.so")}, PIN),
        ({}, "wrong"),
    ],
    ids=["no key", "a key on another curve", "no token", "no module", "a wrong PIN"],
)
def test_a_key_that_cannot_be_used_is_said_at_the_start(
    token: TokenKeyUri, changes: dict[str, Any], pin: str
) -> None:
    with pytest.raises(Refused) as refusal:
        TokenKey(msgspec.structs.replace(token, **changes), pin)
    assert refusal.value.code is Code.INVALID
    assert pin not in refusal.value.message


def test_a_uri_names_module_token_key_and_the_file_of_the_pin() -> None:
    text = "pkcs11:token=my%20token;object=verifier?module-path=/usr/lib/m.so&pin-source=file:verifier/pin"
    expected = TokenKeyUri(Path("/usr/lib/m.so"), "my token", "verifier", Path("verifier/pin"))
    assert read_token_key_uri(text) == expected


def test_a_plus_in_a_uri_is_a_plus() -> None:
    text = "pkcs11:token=a+b;object=c+d?module-path=/usr/lib/m+.so&pin-source=file:verifier/p+n"
    expected = TokenKeyUri(Path("/usr/lib/m+.so"), "a+b", "c+d", Path("verifier/p+n"))
    assert read_token_key_uri(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file:key.pem",
        "pkcs11:token=a;object=b",
        "pkcs11:token=a;object=b?module-path=/m.so&pin-value=1234",
        "pkcs11:token=a;object=b?module-path=/m.so&pin-source=|cat%20pin",
        "pkcs11:token=a;token=c;object=b?module-path=/m.so&pin-source=file:p",
        "pkcs11:token=;object=b?module-path=/m.so&pin-source=file:p",
        "pkcs11:token=a;object=b;serial=1?module-path=/m.so&pin-source=file:p",
        "pkcs11:" + "a" * 3000,
    ],
)
def test_a_uri_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        read_token_key_uri(text)


SETTINGS = (
    'name = "lubeck"\ndid = "did:web:lubeck.example"\nendpoint = "https://market.example"\np2p_port = 26656\n'
)


def started(folder: Path, uri: str) -> VerifierIdentity:
    """The verifier of a marketplace whose settings name a key in a token."""
    (folder / "hansa.toml").write_text(f"{SETTINGS}verifier_key = {uri!r}\n")
    settings = load_settings(folder, {})
    return verifier_identity(settings, folder, ManualClock(NOW), os.urandom, structlog.get_logger())


def test_a_marketplace_starts_with_the_key_and_a_file_with_its_pin(
    token: TokenKeyUri, tmp_path: Path
) -> None:
    (tmp_path / "verifier").mkdir()
    (tmp_path / "verifier/pin").write_text(f"{PIN}\n")
    key = TokenKey(token, PIN)
    certificates = chain_pem(certified(key), ACCESS_ROOT)
    (tmp_path / "verifier/certificate.pem").write_bytes(certificates)
    key._session.close()
    uri = f"pkcs11:token=hansa;object=verifier?module-path={MODULE}&pin-source=file:verifier/pin"
    opened = started(tmp_path, uri)
    assert opened.client_id.startswith("x509_hash:")
    assert not (tmp_path / "verifier/key.pem").exists(), "no key is made beside it"
    assert isinstance(opened._key, TokenKey)
    opened._key._session.close()
    with pytest.raises(Fatal, match="verifier_key"):
        started(tmp_path, uri.replace("object=verifier", "object=absent"))
