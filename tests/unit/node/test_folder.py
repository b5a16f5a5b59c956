from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, HansaError, Refused
from hansa.core.keys import SigningKey
from hansa.identity import TokenAuthenticate
from hansa.identity.tokens import LIFETIME_MAX_S
from hansa.node import folder as member_folder
from hansa.node.folder import (
    MemberCard,
    init_member,
    install_genesis,
    issue_folder_token,
    league_genesis,
    load_genesis,
    member_secret,
    next_member_key,
    read_card,
    rotate_token_key,
)
from hansa.node.settings.loading import load_settings
from hansa.pubsub.engine.home import moniker

CLOCK = ManualClock()
TIME = datetime(2026, 1, 1, tzinfo=UTC)
PORTS = {"lubeck": 26656, "riga": 26657, "bergen": 26658}


def make(tmp_path: Path, name: str = "lubeck") -> MemberCard:
    return init_member(tmp_path / name, name, f"https://{name}.example", CLOCK, p2p_port=PORTS[name])


def refusal(error_type: type[HansaError], *, code: Code) -> pytest.RaisesExc[HansaError]:
    return pytest.RaisesExc(error_type, check=lambda error: error.code is code)


def test_a_new_folder_holds_a_league_of_one(tmp_path: Path) -> None:
    card = make(tmp_path)
    folder = tmp_path / "lubeck"
    settings = load_settings(folder, {})
    _, genesis = load_genesis(folder)
    assert read_card(folder / "member.json") == card
    assert genesis.app_state.members == (card.member,)
    assert (settings.did, settings.p2p_port, settings.persistent_peers) == (card.member.did, 26656, ())
    key = SigningKey.load(folder / "keys" / "member.jwk")
    assert card.member.did == key.verifying_key().did_key()
    assert card.member.keys == (key.public,)


def test_a_secret_is_made_with_the_folder_once_and_outlasts_its_keys(tmp_path: Path) -> None:
    make(tmp_path)
    folder = tmp_path / "lubeck"
    before = (folder / "keys" / "secret.jwk").read_bytes()
    secret = member_secret(folder)
    rotate_token_key(folder)
    next_member_key(folder)
    assert member_secret(folder).key(b"x 1") == secret.key(b"x 1")
    assert (folder / "keys" / "secret.jwk").read_bytes() == before


def test_a_folder_of_an_earlier_release_gets_a_secret_that_stays(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "lubeck" / "keys" / "secret.jwk").unlink()
    made = member_secret(tmp_path / "lubeck")
    assert member_secret(tmp_path / "lubeck").key(b"x 1") == made.key(b"x 1")


def test_secrets_can_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    make(tmp_path)
    for path in (tmp_path / "lubeck", *(tmp_path / "lubeck").rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lubeck").mkdir()
    (tmp_path / "lubeck" / "letter").write_text("keep me")
    with refusal(Refused, code=Code.CONFLICT):
        make(tmp_path)
    assert [path.name for path in (tmp_path / "lubeck").iterdir()] == ["letter"]


@pytest.mark.parametrize(
    ("name", "endpoint", "did"),
    [
        ("", "https://x.example", None),
        ("../x", "https://x.example", None),
        ("x", "x.example", None),
        ("x", "https://x.example/path", None),
        ("x", "https://x.example", "x"),
        ("x", "https://x.example", "did:web:a b"),
    ],
)
def test_what_could_not_be_registered_is_refused_before_anything_is_made(
    tmp_path: Path, name: str, endpoint: str, did: str | None
) -> None:
    with refusal(Refused, code=Code.INVALID):
        init_member(tmp_path / "new", name, endpoint, CLOCK, did=did)
    assert not (tmp_path / "new").exists()


def test_a_card_asks_for_prefixes_and_the_genesis_registers_them(tmp_path: Path) -> None:
    url = "https://x.example"
    with refusal(Refused, code=Code.INVALID):
        init_member(tmp_path / "new", "x", url, CLOCK, prefixes=("urn:acme",), p2p_port=26656)
    assert not (tmp_path / "new").exists()
    cards = [
        init_member(
            tmp_path / name, name, f"https://{name}.example", CLOCK, prefixes=prefixes, p2p_port=26656
        )
        for name, prefixes in (("one", ("urn:acme:",)), ("two", ()), ("three", ("urn:acme:x:",)))
    ]
    document = msgspec.json.decode(league_genesis(cards[:2], "hanse", TIME))
    prefixes = [member.get("prefixes", []) for member in document["app_state"]["members"]]
    assert sorted(prefixes) == [[], ["urn:acme:"]]
    with refusal(Fatal, code=Code.SETTINGS_INVALID):
        league_genesis(cards, "hanse", TIME)


def test_the_same_cards_give_the_same_genesis_in_any_order(tmp_path: Path) -> None:
    cards = [make(tmp_path, name) for name in PORTS]
    genesis = league_genesis(cards, "hanse", TIME)
    assert genesis == league_genesis(cards[::-1], "hanse", TIME)
    assert genesis != league_genesis(cards[:2], "hanse", TIME)
    assert len(msgspec.json.decode(genesis)["validators"]) == 3


def test_cards_of_one_member_twice_make_no_league(tmp_path: Path) -> None:
    card = make(tmp_path)
    with refusal(Fatal, code=Code.SETTINGS_INVALID):
        league_genesis([card, card], "hanse", TIME)


def test_a_founded_league_is_installed_with_the_other_members_as_peers(tmp_path: Path) -> None:
    cards = [make(tmp_path, name) for name in PORTS]
    genesis = league_genesis(cards, "hanse", TIME)
    folder = tmp_path / "riga"
    settings_file = folder / "hansa.toml"
    settings_file.write_text(settings_file.read_text() + "# a remark\nlog_level = 'debug'\n")
    install_genesis(folder, genesis, [card.p2p_address for card in cards])
    install_genesis(folder, genesis, [card.p2p_address for card in cards])
    settings = load_settings(folder, {})
    assert set(settings.persistent_peers) == {cards[0].p2p_address, cards[2].p2p_address}
    assert settings.log_level == "debug"
    assert "# a remark" in settings_file.read_text()
    assert load_genesis(folder)[0] == genesis


def test_a_ledger_that_has_begun_is_not_replaced(tmp_path: Path) -> None:
    cards = [make(tmp_path, name) for name in PORTS]
    (tmp_path / "riga" / "ledger" / "state.db").touch()
    before = (tmp_path / "riga" / "genesis.json").read_bytes()
    with refusal(Refused, code=Code.CONFLICT):
        install_genesis(tmp_path / "riga", league_genesis(cards, "hanse", TIME), [])
    assert (tmp_path / "riga" / "genesis.json").read_bytes() == before


def test_a_league_without_this_member_is_not_installed(tmp_path: Path) -> None:
    cards = [make(tmp_path, name) for name in PORTS]
    with refusal(Fatal, code=Code.SETTINGS_INVALID):
        install_genesis(tmp_path / "riga", league_genesis(cards[:1], "hanse", TIME), [])


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b'{"chain_id":"a","app_state":{"members":[]}']
)
def test_a_damaged_genesis_or_card_is_named(tmp_path: Path, content: bytes) -> None:
    make(tmp_path)
    for name, read in (
        ("genesis.json", load_genesis),
        ("member.json", lambda at: read_card(at / "member.json")),
    ):
        (tmp_path / "lubeck" / name).write_bytes(content)
        with pytest.raises(Fatal, match=name) as caught:
            read(tmp_path / "lubeck")
        assert caught.value.code is Code.SETTINGS_INVALID


def test_a_token_of_the_folder_is_good_at_its_marketplace(tmp_path: Path) -> None:
    card = make(tmp_path)
    folder = tmp_path / "lubeck"
    token = issue_folder_token(folder, "anna", ["provider"], 60, CLOCK, os.urandom)
    key = SigningKey.load(folder / member_folder.TOKEN_KEY)
    authenticate = TokenAuthenticate(key.verifying_key(), card.member.did, CLOCK, LIFETIME_MAX_S)
    assert authenticate({b"authorization": b"Bearer " + token.encode()}).subject == "anna"


def test_an_engine_on_every_address_is_found_at_the_endpoints_host(tmp_path: Path) -> None:
    folder = tmp_path / "lubeck"
    card = init_member(
        folder, "lubeck", "https://lubeck.example", CLOCK, p2p_host="::", p2p_port=PORTS["lubeck"]
    )
    assert card.p2p_address.endswith("@lubeck.example:26656")
    assert load_settings(folder, {}).p2p_external_address == "lubeck.example:26656"


@pytest.mark.parametrize(
    "name", ["Lübeck", "Åbo & Søn", "Ἀθῆναι", "東京", "القاهرة", "हैदराबाद", "a" * 64, "L'Aquila"]
)
def test_a_name_may_have_letters_of_every_script(name: str, tmp_path: Path) -> None:
    card = init_member(tmp_path / "m", name, "http://127.0.0.1:8101", ManualClock(), p2p_port=29001)
    assert card.member.name == name
    assert load_settings(tmp_path / "m", {}).name == name
    assert moniker(name).isascii()
    assert moniker(name)


@pytest.mark.parametrize(
    "name", ["", " x", "x ", "a  b", "-x", "a\nb", "a\u202eb", "a\u200bb", "a\x00b", "a/b", "<b>", "a" * 65]
)
def test_a_name_that_terminals_and_pages_would_not_show_as_it_is_is_refused(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as caught:
        init_member(tmp_path / "m", name, "http://127.0.0.1:8101", ManualClock(), p2p_port=29001)
    assert (caught.value.exit_status, (tmp_path / "m").exists()) == (2, False)


def test_everything_that_is_wrong_with_a_new_marketplace_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        init_member(
            tmp_path / "m", "/", "nowhere", ManualClock(), did="nobody", prefixes=["X", "urn:y:", "z"]
        )
    assert caught.value.code is Code.INVALID
    for said in (
        "'/' is no name",
        "'nowhere' is not an endpoint",
        "'nobody' is not a DID",
        "'X' is no",
        "'z' is no",
    ):
        assert said in caught.value.message
    assert "urn:y:" not in caught.value.message.replace("urn:acme:", "")
