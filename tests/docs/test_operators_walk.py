"""The operators' pages on founding, joining, light members and certificates, typed as they stand there.

Each operator sits at a machine of its own, which is a folder here. Of other members only the answers are
there; what needs a league that runs is in `tests/league`.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

import hansa.cli.local
from hansa.cli.app import app
from hansa.cli.doctor import network
from hansa.cli.league.changes import ProposalOptions, change_of
from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused
from hansa.core.governance.possession import verify_candidacy, verify_possession
from hansa.node.folder import CARD, GENESIS, load_genesis, read_card
from hansa.node.joining import command
from hansa.node.joining.joining import league_of
from hansa.node.settings.loading import load_settings
from tests.docs.pages import code_blocks, page
from tests.docs.test_readme import typed
from tests.support.certificates import Issued, Usages, authority, issue, new_key, seal
from tests.unit.cli.test_league_changes import SCENE
from tests.unit.identity.test_jades import PAYLOAD, signed
from tests.unit.node.test_joining import CLOCK, FakeLeague
from tests.unit.pubsub.test_league_reports import LEAGUE_ID

PAGES: Final = "docs/operators"
FOUNDERS: Final = ("lubeck", "bergen", "riga", "bruges")
OTHERS_MAY: Final = 0o077
NOW: Final = SystemClock().now().replace(microsecond=0)
DAY: Final = timedelta(days=1)
ROOT: Final = authority(begin=NOW - DAY, end=NOW + DAY)


class Operator:
    """Types the lines of a page at a machine where `market` is the marketplace's folder."""

    def __init__(self, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine = machine
        self.market = machine / "market"
        self._monkeypatch = monkeypatch
        machine.mkdir()

    def types(self, words: Sequence[str], status: int = 0) -> str:
        """Type a line; what is shown."""
        self._monkeypatch.chdir(self.machine)
        assert words[0] == "hansa"
        result = CliRunner().invoke(app, list(words[1:]))
        assert result.exit_code == status, (words, result.output, result.exception)
        return result.output


def lines(name: str, beginning: str) -> list[list[str]]:
    """The lines of a page that begin so."""
    matches = [words for words in typed(f"{PAGES}/{name}.md") if " ".join(words).startswith(beginning)]
    assert matches, f"{name}.md has no line {beginning}"
    return matches


def line(name: str, beginning: str) -> list[str]:
    """The first line of a page that begins so."""
    return lines(name, beginning)[0]


def of(name: str, words: Sequence[str]) -> list[str]:
    """A line of Lübeck's operator as another operator types it."""
    return [word.replace("lubeck", name) for word in words]


async def no_private_address(endpoint: str) -> tuple[str, ...]:
    """No name on a page leads to a private network."""
    assert endpoint.startswith("https://")
    return ()


async def no_shared_address(peers: Sequence[str], resolve: network.Resolve) -> tuple[str, ...]:
    """Every machine on a page has an address of its own."""
    del peers, resolve
    return ()


@pytest.fixture
def founders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Operator]:
    """Four operators who have made their folders and sent each other their cards: steps 1 and 2."""
    monkeypatch.setattr(network, "private_addresses", no_private_address)
    monkeypatch.setattr(network, "shared_addresses", no_shared_address)
    operators = {name: Operator(tmp_path / name, monkeypatch) for name in FOUNDERS}
    further = {"bergen": ["--prefix", "urn:bergen:"], "riga": ["--validator-key-type", "ml-dsa-65"]}
    for name, operator in operators.items():
        operator.types([*of(name, line("found-a-league", "hansa init")), *further.get(name, [])])
    for name, operator in operators.items():
        for other in operators.values():
            shutil.copy(operator.market / CARD, other.machine / f"{name}.json")
    return operators


def test_a_league_is_founded_by_the_page(founders: dict[str, Operator]) -> None:
    lubeck = founders["lubeck"]
    card = read_card(lubeck.market / CARD)
    assert card.p2p_address.endswith("@lubeck.example:26656"), "the card names the endpoint's host"
    assert load_settings(lubeck.market, {}).p2p_external_address == "lubeck.example:26656"
    assert [path for path in lubeck.market.rglob("*") if stat.S_IMODE(path.stat().st_mode) & OTHERS_MAY] == []
    make, take = lines("found-a-league", "hansa found")
    lubeck.types(make)
    for name in FOUNDERS[1:]:
        shutil.copy(lubeck.market / GENESIS, founders[name].machine / GENESIS)
        founders[name].types(take)
    documents = {name: load_genesis(founders[name].market) for name in FOUNDERS}
    assert len({content for content, _ in documents.values()}) == 1
    _, document = documents["lubeck"]
    assert {member.name for member in document.app_state.members} == {*FOUNDERS}
    assert len({member.power for member in document.app_state.members}) == 1
    for operator in founders.values():
        assert len(load_settings(operator.market, {}).persistent_peers) == len(FOUNDERS) - 1


def test_a_genesis_that_names_a_marketplace_otherwise_than_its_card_is_refused(
    founders: dict[str, Operator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    founders["lubeck"].types(line("found-a-league", "hansa found"))
    other = Operator(tmp_path / "another-riga", monkeypatch)
    other.types(of("riga", line("found-a-league", "hansa init")))
    for name in FOUNDERS:
        shutil.copy(founders["riga"].machine / f"{name}.json", other.machine)
    shutil.copy(founders["lubeck"].market / GENESIS, other.machine / GENESIS)
    before = (other.market / GENESIS).read_bytes()
    assert "does not name" in other.types(lines("found-a-league", "hansa found")[1], status=3)
    assert (other.market / GENESIS).read_bytes() == before


@pytest.fixture
def league(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLeague:
    """A league that newcomers ask."""
    made = FakeLeague(tmp_path / "league")

    @asynccontextmanager
    async def client(*, is_private: bool) -> AsyncIterator[FakeLeague]:
        assert not is_private
        yield made

    monkeypatch.setattr(command, "_client", client)
    monkeypatch.setattr(command, "_addresses", lambda _: [])
    monkeypatch.setattr(hansa.cli.local, "CLOCK", CLOCK)
    return made


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(tmp_path / "newcomer", monkeypatch)


def test_a_newcomer_joins_by_the_page(league: FakeLeague, newcomer: Operator) -> None:
    shown = newcomer.types(line("join-a-league", "hansa join"))
    assert "genesis" in shown
    assert "block" in shown
    content, document = load_genesis(newcomer.market)
    assert content == league.genesis
    candidacy = (newcomer.market / "candidacy.jws").read_text().strip()
    sent = verify_candidacy(candidacy, league_of(document))
    assert (sent.name, sent.endpoint) == ("visby", "https://visby.example")
    newcomer.types(line("join-a-league", "hansa join"), status=1)


@pytest.mark.enable_socket
def test_a_light_member_is_made_by_the_page(league: FakeLeague, newcomer: Operator) -> None:
    newcomer.types(line("light-members", "hansa join"))
    settings = load_settings(newcomer.market, {})
    assert settings.bus == "light"
    assert set(settings.followed_members) == {f"https://{card.member.name}.example" for card in league.cards}
    assert read_card(newcomer.market / CARD).member.node_ids == ()


def proof_of(market: Path) -> tuple[str, ...]:
    """The certificates in a candidacy."""
    _, document = load_genesis(market)
    league = league_of(document)
    sent = verify_candidacy((market / "candidacy.jws").read_text().strip(), league)
    return verify_possession(sent.keys[0], sent.did, league, "signing").x5c


def issued(request: x509.CertificateSigningRequest) -> Issued:
    """What an authority makes of a request: it never sees the key."""

    class Holder:
        @staticmethod
        def public_key() -> object:
            return request.public_key()

    usage = Usages(content_commitment=True).extension()
    return issue(request.subject, Holder(), ROOT, extensions=[(usage, True)], begin=NOW - DAY, end=NOW + DAY)


@pytest.mark.enable_socket
@pytest.mark.usefixtures("league")
def test_the_key_of_a_legal_person_is_certified_by_the_page(newcomer: Operator) -> None:
    newcomer.types(line("trust", "hansa join"))
    newcomer.types(line("trust", "hansa keys request market --organization"))
    request = x509.load_pem_x509_csr((newcomer.machine / "market.csr").read_bytes())
    chain = newcomer.machine / "chain.pem"
    chain.write_bytes(issued(request).certificate.public_bytes(Encoding.PEM))
    assert len(proof_of(newcomer.market)) == 0
    newcomer.types(line("trust", "hansa keys certify"))
    assert len(proof_of(newcomer.market)) == 1


@pytest.mark.enable_socket
@pytest.mark.usefixtures("league")
def test_a_seal_with_an_rsa_key_signs_by_the_page(newcomer: Operator) -> None:
    newcomer.types(line("trust", "hansa join"))
    newcomer.types(line("trust", "hansa keys seal"))
    key = new_key("2048")
    certificate = seal(ROOT, key=key, begin=NOW - DAY, end=NOW + DAY)
    (newcomer.machine / "chain.pem").write_bytes(certificate.certificate.public_bytes(Encoding.PEM))
    content = (newcomer.machine / "market.tosign").read_bytes()
    words = line("trust", "openssl dgst -sha256")  # PKCS #1 v1.5, as this is
    assert words[-3:] == ["-out", "market.sig", "market.tosign"]
    (newcomer.machine / "market.sig").write_bytes(key.sign(content, PKCS1v15(), SHA256()))
    newcomer.types(line("trust", "hansa keys certify market chain.pem --seal"))
    assert len(proof_of(newcomer.market)) == 1


def test_what_others_signed_is_verified_by_the_page(newcomer: Operator) -> None:
    leaf = seal(ROOT, begin=NOW - DAY, end=NOW + DAY)
    (newcomer.machine / "event.jws").write_text(signed(leaf, sigT=f"{NOW:%Y-%m-%dT%H:%M:%SZ}"))
    (newcomer.machine / "authority.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    newcomer.types(line("trust", "hansa jades event.jws --anchor"))
    assert (newcomer.machine / "event.json").read_bytes() == PAYLOAD


@pytest.mark.parametrize(
    ("name", "number", "kind", "change"),
    [
        ("trust", 0, "issuer", "issuer.put"),
        ("trust", 1, "policy", "policy.set"),
        ("upgrade", 0, "upgrade", "upgrade.plan"),
    ],
)
def test_the_documents_on_pages_can_be_proposed(
    tmp_path: Path, name: str, number: int, kind: str, change: str
) -> None:
    block = code_blocks(page(f"{PAGES}/{name}.md"), "json")[number]
    file = tmp_path / "change.json"
    file.write_text(block)
    made = change_of(kind, [str(file)], ProposalOptions(), SCENE.state, LEAGUE_ID)
    assert made.kind == change
    file.write_text(re.sub(r'"(rows|ruleset|type)"', r'"no-\1"', block))
    with pytest.raises(Refused) as caught:
        change_of(kind, [str(file)], ProposalOptions(), SCENE.state, LEAGUE_ID)
    assert caught.value.code is Code.INVALID
