"""`hansa clients`, and the rotation of the keys of the OpenID Provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from typer.main import get_command

from hansa.cli.app import app
from hansa.core.clock import SystemClock
from hansa.identity.provider.clients.registry import read_clients
from hansa.node.folder import init_member
from tests.support.credentials import jwk
from tests.support.provider import CLIENT_KEY

COMMAND: Final[Any] = get_command(app)
BACK = "https://shop.example/callback"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "market"
    init_member(made, "market", "https://market.example", SystemClock(), p2p_port=26_656)
    return made


def hansa(*words: str) -> Result:
    return CliRunner().invoke(COMMAND, words)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_public_client_is_registered_listed_and_removed(folder: Path) -> None:
    hansa("clients", "add", str(folder), "shop", "--redirect-uri", BACK)
    (client,) = document(hansa("clients", "list", str(folder), "--json"))["clients"]
    assert (client["client_id"], client["redirect_uris"]) == ("shop", [BACK])
    assert BACK in hansa("clients", "list", str(folder)).stdout
    assert document(hansa("clients", "remove", str(folder), "shop", "--json")) == {"removed": "shop"}
    assert read_clients(folder / "clients.json") == ()


def test_a_client_with_keys_is_confidential(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [jwk(CLIENT_KEY) | {"kid": "1"}]}))
    line = ["clients", "add", str(folder), "shop", "--redirect-uri", BACK, "--jwks", str(keys)]
    more = [
        "--grant",
        "authorization_code",
        "--grant",
        "token-exchange",
        "--scope",
        "write",
        "--dpop",
        "--par",
    ]
    client = document(hansa(*line, *more, "--json"))
    assert client["jwks"]["keys"][0]["kid"] == "1"
    assert client["grant_types"][1] == "urn:ietf:params:oauth:grant-type:token-exchange"
    (read,) = read_clients(folder / "clients.json")
    assert read.is_confidential
    assert read.dpop_bound_access_tokens
    assert (folder / "clients.json").stat().st_mode & 0o077 == 0


def test_a_client_that_is_there_is_registered_anew(folder: Path) -> None:
    for scope in ("read", "write"):
        hansa("clients", "add", str(folder), "shop", "--redirect-uri", BACK, "--scope", scope)
    (client,) = read_clients(folder / "clients.json")
    assert client.scopes == ("write",)


@pytest.mark.parametrize(
    "words",
    [
        ["--redirect-uri", "http://shop.example/callback"],
        ["--redirect-uri", "https://*.example/callback"],
        ["--redirect-uri", f"{BACK}#x"],
        [],
        ["--redirect-uri", BACK, "--scope", "everything"],
        ["--redirect-uri", BACK, "--grant", "password"],
        ["--redirect-uri", BACK, "--role", "operator"],
        ["--redirect-uri", BACK, "--grant", "client_credentials"],
        ["--redirect-uri", BACK, "--jwks-uri", "http://shop.example/keys"],
        ["--redirect-uri", BACK, "--id-token-alg", "none"],
    ],
    ids=" ".join,
)
def test_a_client_that_cannot_be_used_is_not_registered(folder: Path, words: list[str]) -> None:
    result = hansa("clients", "add", str(folder), "shop", *words)
    assert result.exit_code == 2
    assert not (folder / "clients.json").exists()


def test_private_keys_are_not_for_us(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [jwk(CLIENT_KEY) | {"d": "AAAA"}]}))
    result = hansa("clients", "add", str(folder), "shop", "--redirect-uri", BACK, "--jwks", str(keys))
    assert result.exit_code == 2
    assert "private" in result.output


def test_a_client_that_is_none_cannot_be_removed(folder: Path) -> None:
    result = hansa("clients", "remove", str(folder), "shop")
    assert result.exit_code == 1
    assert "no client" in result.output


def test_the_keys_of_the_openid_provider_are_rotated(folder: Path) -> None:
    first = document(hansa("keys", "rotate", str(folder), "--key", "provider", "--json"))
    again = document(hansa("keys", "rotate", str(folder), "--key", "provider", "--json"))
    assert first == again
    assert len(first["kids"]) == 2
    assert (folder / "keys/provider.json").stat().st_mode & 0o077 == 0
