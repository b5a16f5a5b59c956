"""`hansa jades`: a document that somebody outside of the league signed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from hansa.cli.app import app
from hansa.core.clock import SystemClock
from tests.support.certificates import authority, seal
from tests.unit.identity.test_jades import PAYLOAD, signed


@pytest.fixture
def files(tmp_path: Path) -> Path:
    now = SystemClock().now().replace(microsecond=0)
    begin, end = now - timedelta(days=1), now + timedelta(days=1)
    root = authority(begin=begin, end=end)
    leaf = seal(root, begin=begin, end=end)
    (tmp_path / "event.jws").write_text(signed(leaf, sigT=f"{now:%Y-%m-%dT%H:%M:%SZ}") + "\n")
    (tmp_path / "ca.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "ca.der").write_bytes(root.der)
    (tmp_path / "other.pem").write_bytes(
        authority(begin=begin, end=end).certificate.public_bytes(Encoding.PEM)
    )
    (tmp_path / "empty.pem").write_text("no certificate")
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["jades", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize("anchor", ["ca.pem", "ca.der"])
def test_a_signature_under_an_anchor_is_verified_and_its_content_written(files: Path, anchor: str) -> None:
    into = files / "event.json"
    status, output = run(files / "event.jws", "--anchor", files / anchor, "-o", into, "--json")
    assert status == 0, output
    assert into.read_bytes() == PAYLOAD
    assert json.loads(output)["signed by"] == "did:elsi:VATES-12345678"


def test_what_is_not_trusted_or_not_by_whom_it_should_be_is_refused(files: Path) -> None:
    document = files / "event.jws"
    assert run(document, "--anchor", files / "other.pem")[0] != 0
    assert run(document, "--anchor", files / "ca.pem", "--did", "did:elsi:VATES-1")[0] != 0
    assert run(document, "--anchor", files / "empty.pem")[0] != 0
    assert run(document)[0] != 0
    assert run(files / "ca.pem", "--anchor", files / "ca.pem")[0] != 0
