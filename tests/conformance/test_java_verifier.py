"""What is signed here, judged in Java: JAdES by EU DSS, the rest by Nimbus JOSE+JWT and the JDK's paths."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec
import pytest

from hansa.core.batches import BatchSigner
from hansa.core.clock import ManualClock, SystemClock
from hansa.core.keys import SigningKey
from hansa.identity.issuing import IssuingRules
from tests.support.certificates import new_key
from tests.support.issuing import EMPLOYEE_JWT, EMPLOYEE_SD, Issuing
from tests.support.provider import Provided
from tests.support.wallets import ACCESS_ROOT, Scene

VERIFIER: Final = Path(__file__).parent / "java_verifier"
FILES: Final = ("pom.xml", "Verify.java")
KEY: Final = new_key()

pytestmark = [pytest.mark.kits, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def verifier() -> Path:
    """The folder of the compiled verifier; libraries come from Maven's repository when they are not here."""
    if any(shutil.which(name) is None for name in ("java", "javac", "mvn")):
        pytest.skip("this verifier needs Java and Maven: install a JDK and maven")
    content = b"".join((VERIFIER / name).read_bytes() for name in FILES)
    folder = Path.home() / ".cache" / "hansa-java-verifier" / hashlib.sha256(content).hexdigest()[:16]
    if not (folder / "Verify.class").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(VERIFIER / name, folder)
        maven = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
        libraries = ["timeout", "120", *maven]
        if subprocess.run(libraries, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode:
            pytest.skip("the libraries of this verifier cannot be had from Maven's repository now")
        compiler = ["javac", "-cp", "lib/*", "Verify.java"]
        subprocess.run(compiler, check=True, cwd=folder)
    return folder


class Documents:
    """Signed documents in files, and what signed them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._named: list[str] = []

    def add(self, kind: str, trust: bytes, text: str) -> None:
        """One more: `kind` is that of the verifier, `trust` a certificate in DER or a set of keys."""
        number = len(self._named)
        trust_file, file = self._folder / f"{number}.trust", self._folder / f"{number}.jws"
        trust_file.write_bytes(trust)
        file.write_text(text, "ascii")
        self._named.append(f"{kind}:{trust_file}:{file}")

    def judged(self, verifier: Path) -> list[str]:
        """One line for each."""
        command = ["java", "-cp", "lib/*:.", "Verify", *self._named]
        ended = subprocess.run(command, cwd=verifier, capture_output=True, text=True, timeout=120, check=True)
        return ended.stdout.splitlines()


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    folder = tmp_path / "documents"
    folder.mkdir()
    return Documents(folder)


def altered(compact: str) -> str:
    """A JWS with another payload under the same signature."""
    header, payload, signature = compact.split(".")
    return f"{header}.{payload[:-4]}{'AAAA' if payload[-4:] != 'AAAA' else 'BBBB'}.{signature}"


@pytest.mark.parametrize("named_by", ["did", "address"])
async def test_credentials_and_their_status_lists_verify(
    verifier: Path, documents: Documents, tmp_path: Path, named_by: str
) -> None:
    rules = IssuingRules(sd_jwt_issuer="address") if named_by == "address" else IssuingRules()
    issuing = Issuing(tmp_path, SystemClock().now(), rules)
    sealed = await issuing.issued(EMPLOYEE_JWT, key=KEY)
    sd_jwt = await issuing.issued(EMPLOYEE_SD, key=KEY)
    anchor = issuing.authority.certificate()
    documents.add("jades", anchor, sealed)
    documents.add("x5c", anchor, sd_jwt)
    documents.add("x5c", anchor, (await issuing.lists.signed(1)).body.decode())
    documents.add("jades", anchor, altered(sealed))
    documents.add("x5c", anchor, altered(sd_jwt.split("~")[0]))
    assert documents.judged(verifier) == [
        "JAdES-BASELINE-B TOTAL_PASSED",
        "valid",
        "valid",
        "JAdES-BASELINE-B TOTAL_FAILED",
        "invalid",
    ]


async def test_requests_to_wallets_verify(verifier: Path, documents: Documents) -> None:
    scene = Scene()
    documents.add("x5c", ACCESS_ROOT.der, scene.logins.request_object(scene.begin().same_device))
    assert documents.judged(verifier) == ["valid"]


async def test_tokens_verify_by_the_published_keys(
    verifier: Path, documents: Documents, tmp_path: Path
) -> None:
    op = Provided(tmp_path)
    tokens = await op.tokens_of(scope="openid write")
    keys = (await op.client.get("/oidc/jwks")).body
    for name in ("access_token", "id_token"):
        documents.add("jwks", keys, tokens[name])
        documents.add("jwks", keys, altered(tokens[name]))
    assert documents.judged(verifier) == ["valid", "invalid", "valid", "invalid"]


def test_batches_of_events_verify(verifier: Path, documents: Documents) -> None:
    key = SigningKey.generate()
    batch = BatchSigner(key, key.verifying_key().did_key(), ManualClock()).sign([b"{}"], 1)
    keys = json.dumps({"keys": [msgspec.to_builtins(key.verifying_key().jwk)]})
    documents.add("jwks", keys.encode(), batch)
    documents.add("jwks", keys.encode(), altered(batch))
    assert documents.judged(verifier) == ["valid", "invalid"]
