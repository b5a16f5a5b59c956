"""`hansa clients`, and the rotation of the keys of the OpenID Provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from typer.main import get_command

from hansa.cli.app import app
from hansa.cli.doctor.checks import check_clients
from hansa.core.clock import SystemClock
from hansa.identity.provider.clients.registry import read_clients
from hansa.identity.provider.clients.secrets import is_client_secret
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


SECRET_CLIENT = ("--redirect-uri", BACK, "--secret", "client_secret_basic")


def test_a_secret_is_shown_once_and_nowhere_kept(folder: Path) -> None:
    added = hansa("clients", "add", str(folder), "old", *SECRET_CLIENT)
    secret = added.stdout.strip()
    assert len(secret) == 43
    assert secret not in (folder / "clients.json").read_text()
    (client,) = read_clients(folder / "clients.json")
    assert is_client_secret(client, "old", secret, 0)
    for listed in (hansa("clients", "list", str(folder)), hansa("clients", "list", str(folder), "--json")):
        assert secret not in listed.output
        assert client.client_secrets[0].digest not in listed.output
        assert "client_secret_basic" in listed.output
    assert "with a secret: old" in check_clients(folder / "clients.json").result


def test_a_client_that_is_registered_anew_keeps_its_secret_and_loses_it_with_the_option(folder: Path) -> None:
    secret = document(hansa("clients", "add", str(folder), "old", *SECRET_CLIENT, "--json"))["client_secret"]
    again = document(hansa("clients", "add", str(folder), "old", *SECRET_CLIENT, "--without-pkce", "--json"))
    assert "client_secret" not in again
    (client,) = read_clients(folder / "clients.json")
    assert is_client_secret(client, "old", secret, 0)
    assert not client.require_pkce
    assert "may do without PKCE: old" in check_clients(folder / "clients.json").result
    hansa("clients", "add", str(folder), "old", "--redirect-uri", BACK)
    (client,) = read_clients(folder / "clients.json")
    assert client.client_secrets == ()


def test_a_secret_is_rotated_with_an_overlap_or_none(folder: Path) -> None:
    first = document(hansa("clients", "add", str(folder), "old", *SECRET_CLIENT, "--json"))["client_secret"]
    second = document(hansa("clients", "rotate", str(folder), "old", "--overlap", "7d", "--json"))
    (client,) = read_clients(folder / "clients.json")
    ends_s = client.client_secrets[0].expires_s
    assert ends_s is not None
    assert is_client_secret(client, "old", first, ends_s - 1)
    assert not is_client_secret(client, "old", first, ends_s)
    third = hansa("clients", "rotate", str(folder), "old", "--overlap", "0s").stdout.strip()
    (client,) = read_clients(folder / "clients.json")
    good = [one for one in (first, second["client_secret"], third) if is_client_secret(client, "old", one, 0)]
    assert good == [third]


def test_what_has_no_secret_cannot_be_rotated(folder: Path) -> None:
    hansa("clients", "add", str(folder), "shop", "--redirect-uri", BACK)
    assert "no secret" in hansa("clients", "rotate", str(folder), "shop").output
    assert "no client" in hansa("clients", "rotate", str(folder), "nobody").output
    hansa("clients", "add", str(folder), "old", *SECRET_CLIENT)
    assert "30 days" in hansa("clients", "rotate", str(folder), "old", "--overlap", "31d").output


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
        ["--redirect-uri", BACK, "--without-pkce"],
        ["--redirect-uri", BACK, "--secret", "client_secret_jwt"],
        ["--redirect-uri", BACK, "--secret", "client_secret_post", "--grant", "client_credentials"],
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
