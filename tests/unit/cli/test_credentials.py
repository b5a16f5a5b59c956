"""`hansa credentials verify`: what it says of a credential that holds, and of one that does not."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from hansa.cli.app import app
from hansa.core.clock import SystemClock
from tests.support.certificates import authority
from tests.support.credentials import (
    AUDIENCE,
    ISSUER,
    NONCE,
    b64,
    bound,
    jwt_vc,
    lear,
    sd_claims,
    sd_jwt,
    seal,
)
from tests.support.mdocs import (
    DOCTYPE,
    RESPONSE_URI,
    THUMBPRINT,
    elements,
    issued,
    response,
    security_object,
    validity,
)

POWER = "DOME/ProductOffering/Create"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("credentials")
    now = SystemClock().now()
    now_s = int(now.timestamp())
    root = authority(begin=now - timedelta(days=2), end=now + timedelta(days=2))
    leaf = seal(root, begin=now - timedelta(days=1), end=now + timedelta(days=1))
    times = {"iat": now_s - 60, "nbf": now_s - 60, "exp": now_s + 600}
    moments = {"validFrom": "2026-01-01T00:00:00Z", "validUntil": "2126-01-01T00:00:00Z"}
    claims = lear(**moments) | times
    credential = sd_jwt(sd_claims(iat=now_s - 60, exp=now_s + 600), issuer=leaf)
    (folder / "credential.txt").write_text(jwt_vc(claims, leaf) + "\n")
    (folder / "expired.txt").write_text(jwt_vc(claims | {"exp": now_s - 600}, leaf))
    (folder / "presentation.txt").write_text(bound(credential, changes={"iat": now_s}))
    content = security_object({DOCTYPE: elements()}, validityInfo=validity(now_s - 60, now_s + 600))
    (folder / "mdoc.txt").write_text(response(issued(issuer=leaf, mso=content)))
    (folder / "anchors").mkdir()
    (folder / "anchors" / "ca.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    (folder / "other").mkdir()
    grant = '{"credentials":[{"from_s":0,"type":"%s","until_s":9000000000}],"did":"%s"}\n'
    (folder / "issuers.json").write_text(grant % ("LEARCredentialEmployee", ISSUER))
    (folder / "others.json").write_text(grant % ("Other", ISSUER))
    return folder


def run(files: Path, line: str) -> tuple[int, str, str]:
    words = ["credentials", "verify", *line.format(d=files).split()]
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.stdout, result.stderr


def document(files: Path, line: str) -> tuple[int, dict[str, Any]]:
    status, output, _ = run(files, f"{line} --json")
    content: dict[str, Any] = json.loads(output)
    return status, content


def test_a_credential_that_holds_is_shown_with_its_mandate(files: Path) -> None:
    line = "{d}/credential.txt --anchors {d}/anchors --issuers {d}/issuers.json --power " + POWER
    status, output, errors = run(files, line)
    assert (status, errors) == (0, "")
    assert "VATES-12345678 GoodAir" in output
    assert "DOME/ProductOffering/Create" in output
    status, content = document(files, line)
    assert (status, content["accepted"], content["issuer"]["id"]) == (0, True, ISSUER)
    assert content["mandate"]["mandatee"]["first_name"] == "Ana"
    assert content["claims"]["type"][1] == "LEARCredentialEmployee"


def test_a_presentation_is_verified_for_its_request_alone(files: Path) -> None:
    line = "{d}/presentation.txt --anchors {d}/anchors --nonce " + NONCE
    status, content = document(files, f"{line} --audience {AUDIENCE}")
    assert (status, content["presented"]) == (0, True)
    status, content = document(files, f"{line} --audience other")
    assert (status, content["code"]) == (1, "presentation-foreign")
    status, _, errors = run(files, line)
    assert (status, "--audience and --nonce" in errors) == (2, True)


def test_a_presented_mdoc_is_verified_for_the_address_and_the_key_of_its_request(files: Path) -> None:
    line = f"{{d}}/mdoc.txt --anchors {{d}}/anchors --nonce {NONCE} --audience {AUDIENCE}"
    session = f"{line} --response-uri {RESPONSE_URI} --key-thumbprint"
    status, content = document(files, f"{session} {b64(THUMBPRINT)}")
    assert (status, content["format"], content["presented"]) == (0, "mso_mdoc", True)
    status, content = document(files, f"{session} {b64(bytes(32))}")
    assert (status, content["code"]) == (1, "presentation-unbound")
    assert document(files, line)[1]["code"] == "presentation-foreign"
    assert run(files, f"{session} §")[0] == 2


REFUSALS = {
    "expired.txt --anchors {d}/anchors": "credential-expired",
    "credential.txt --anchors {d}/other": "credential-issuer-untrusted",
    "credential.txt --anchors {d}/anchors --issuers {d}/others.json": "credential-type-untrusted",
    "credential.txt --anchors {d}/anchors --power DOME/ProductOffering/Delete": "power-missing",
}


@pytest.mark.parametrize("line", REFUSALS)
def test_a_refusal_says_what_the_person_reads_and_every_step(files: Path, line: str) -> None:
    status, output, errors = run(files, "{d}/" + line)
    assert status == 1
    assert REFUSALS[line] in output.splitlines()[-1]
    assert "is refused: " in errors
    status, content = document(files, "{d}/" + line)
    assert (status, content["accepted"], content["code"]) == (1, False, REFUSALS[line])
    assert content["steps"][-1].startswith(REFUSALS[line])


def test_what_is_no_power_is_a_wrong_command_line(files: Path) -> None:
    status, _, errors = run(files, "{d}/credential.txt --anchors {d}/anchors --power Create")
    assert (status, "domain, function and action" in errors) == (2, True)
