"""A newcomer asks members, some of whom lie; and fetches the history from them."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from hansa.core.clock import ManualClock, SystemClock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.governance.possession import verify_candidacy, verify_possession
from hansa.core.http import HttpRequest, HttpResponse
from hansa.node.folder import CARD, GENESIS, chain_id_of, init_member, league_genesis, read_card
from hansa.node.joining.beginning import state_sync_of
from hansa.node.joining.history import HistoryFetcher
from hansa.node.joining.inquiry import FOUNDING_TIMEOUT_S, inquire
from hansa.node.joining.joining import join_league, league_of
from hansa.node.joining.mark import TRUST_PERIOD_S, read_joining
from hansa.node.settings.loading import load_settings
from hansa.pubsub.ledger.history.segment import compressed
from hansa.pubsub.light.chain.rpc_form import write_commit
from tests.support.light_chain import START_NS, Signer, light_block

CLOCK = ManualClock()
NAMES = ("lubeck", "bergen", "riga")


class FakeLeague:
    """Members that answer what a newcomer asks for; each answer can be another one."""

    def __init__(self, folder: Path) -> None:
        self.cards = [
            init_member(folder / name, name, f"https://{name}.example", CLOCK, p2p_port=26_000 + number)
            for number, name in enumerate(NAMES)
        ]
        self.genesis = league_genesis(self.cards, chain_id_of(self.cards), CLOCK.now())
        self.answers: dict[str, Any] = {}
        self.has_snapshots = False
        signers = [Signer("a")]
        self.blocks = {
            name: msgspec.structs.replace(
                light_block(8, signers),
                header=msgspec.structs.replace(
                    light_block(8, signers).header, chain_id=chain_id_of(self.cards)
                ),
            )
            for name in NAMES
        }

    def bootstrap(self, name: str) -> dict[str, Any]:
        card = self.cards[NAMES.index(name)]
        digest = hashlib.sha256(self.genesis).hexdigest()
        snapshots = [8] if self.has_snapshots else []
        return {
            "chain_id": chain_id_of(self.cards),
            "genesis": digest,
            "engine": card.p2p_address,
            "snapshots": snapshots,
        }

    async def send(self, request: HttpRequest) -> HttpResponse:
        name = request.url.removeprefix("https://").partition(".")[0]
        path = request.url.partition(".example")[2]
        answer = self.answers.get(f"{name} {path}", self.answers.get(name))
        if isinstance(answer, HansaError):
            raise answer
        if answer is None:
            answer = self.right(name, path)
        body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        assert len(body) <= request.answer_size_max_bytes
        return HttpResponse(200, {}, body)

    def right(self, name: str, path: str) -> Any:
        if path == "/league/v1/genesis":
            return self.genesis
        if path == "/league/v1/members":
            return [card.member for card in self.cards]
        if path == "/league/v1/bootstrap":
            return self.bootstrap(name)
        if path == "/league/v1/light/status":
            return {"result": {"sync_info": {"latest_block_height": "9"}}}
        assert path == "/league/v1/light/commit?height=8"
        return {"result": write_commit(self.blocks[name])}


@pytest.fixture
def league(tmp_path: Path) -> FakeLeague:
    return FakeLeague(tmp_path / "league")


async def test_a_newcomer_makes_its_folder_from_what_the_members_agree_on(
    league: FakeLeague, tmp_path: Path
) -> None:
    report = await inquire(league, ["https://lubeck.example/"], CLOCK)
    assert report.genesis == league.genesis
    assert len(report.confirmed_by) == 3
    folder = tmp_path / "visby"
    newcomer = join_league(folder, report, "visby", "https://visby.example", CLOCK, p2p_port=26_100)
    assert (folder / GENESIS).read_bytes() == league.genesis
    assert set(load_settings(folder, {}).persistent_peers) == {card.p2p_address for card in league.cards}
    joining = read_joining(folder)
    assert joining is not None
    assert (joining.trusted_height, joining.trusted_hash) == (8, report.trusted_hash)
    identifier = league_of(report.document)
    candidacy = verify_candidacy(newcomer.candidacy.read_text().strip(), identifier)
    member = read_card(folder / CARD).member
    assert (candidacy.did, candidacy.endpoint, member.power) == (member.did, "https://visby.example", 0)
    verify_possession(candidacy.validator, member.did, identifier, "validator")
    verify_possession(candidacy.nodes[0], member.did, identifier, "node")
    with pytest.raises(Refused):
        verify_candidacy(newcomer.candidacy.read_text().strip(), "0" * 64)


async def test_a_league_that_was_idle_beyond_the_trust_period_is_joined_after_its_next_block(
    league: FakeLeague, tmp_path: Path
) -> None:
    made_at = datetime.fromtimestamp(START_NS // 10**9, UTC)
    clock = ManualClock(made_at + timedelta(seconds=TRUST_PERIOD_S + 3600))
    with pytest.raises(Unavailable, match="no block since"):
        await inquire(league, ["https://lubeck.example"], clock)
    for name, block in league.blocks.items():
        header = msgspec.structs.replace(block.header, time_ns=int(clock.now().timestamp()) * 10**9)
        league.blocks[name] = msgspec.structs.replace(block, header=header)
    report = await inquire(league, ["https://lubeck.example"], clock)
    folder = tmp_path / "visby"
    join_league(folder, report, "visby", "https://visby.example", clock, p2p_port=26_102)
    league.has_snapshots = True
    sync = await state_sync_of(folder, league, clock)
    assert sync is not None
    assert (sync.height, sync.hash, sync.trust_period_s) == (8, report.trusted_hash, TRUST_PERIOD_S)
    await clock.advance(TRUST_PERIOD_S + 1)
    assert await state_sync_of(folder, league, clock) is None, "admitted too late: it executes all blocks"


async def pass_time(clock: ManualClock, seconds: float) -> None:
    """Move a clock in steps small enough for what happens between two sleeps to happen."""
    for _ in range(round(seconds * 20)):
        await clock.advance(0.05)


async def test_the_first_block_of_a_league_that_was_just_founded_is_waited_for(league: FakeLeague) -> None:
    clock = ManualClock()
    missing = Unavailable(Code.UNAVAILABLE, "not yet")
    status = {"result": {"sync_info": {"latest_block_height": "1"}}}
    for name in NAMES:
        league.answers[f"{name} /league/v1/light/status"] = status
        league.answers[f"{name} /league/v1/light/commit?height=1"] = missing
    inquiry = asyncio.create_task(inquire(league, ["https://lubeck.example"], clock))
    await pass_time(clock, 2.0)
    for name in NAMES:
        block = league.blocks[name]
        first = msgspec.structs.replace(block, header=msgspec.structs.replace(block.header, height=1))
        league.answers[f"{name} /league/v1/light/commit?height=1"] = {"result": write_commit(first)}
        await pass_time(clock, 2.0)
    assert len((await inquiry).confirmed_by) == len(NAMES), (
        "also with the members that have it a moment later"
    )
    for name in NAMES:
        league.answers[f"{name} /league/v1/light/commit?height=1"] = missing
    inquiry = asyncio.create_task(inquire(league, ["https://lubeck.example"], clock))
    await pass_time(clock, FOUNDING_TIMEOUT_S + 5.0)
    with pytest.raises(Unavailable, match="second block"):
        await inquiry


async def test_an_observer_names_no_validator(league: FakeLeague, tmp_path: Path) -> None:
    report = await inquire(league, ["https://lubeck.example"], CLOCK)
    newcomer = join_league(
        tmp_path / "o", report, "o", "https://o.example", CLOCK, is_observer=True, p2p_port=26_101
    )
    assert (
        verify_candidacy(newcomer.candidacy.read_text().strip(), league_of(report.document)).validator == ""
    )
    assert newcomer.card.member.validator_key == ""


async def test_a_member_that_is_silent_or_odd_is_left_out(league: FakeLeague) -> None:
    league.answers = {"bergen": Unavailable(Code.RETRIEVAL_TIMEOUT, "no answer"), "riga": b"[" * 5000}
    with pytest.raises(Refused) as refused:
        await inquire(league, ["https://lubeck.example"], CLOCK)
    assert refused.value.code is Code.CONFLICT, "bytes that are another genesis are a contradiction"
    league.answers["riga"] = Unavailable(Code.RETRIEVAL_TIMEOUT, "no answer")
    assert (
        await inquire(league, ["https://bergen.example", "https://lubeck.example"], CLOCK)
    ).confirmed_by == ("https://lubeck.example",)


async def test_members_that_contradict_each_other_are_named(league: FakeLeague) -> None:
    header = msgspec.structs.replace(league.blocks["riga"].header, proposer_address=bytes(20))
    league.blocks["riga"] = msgspec.structs.replace(league.blocks["riga"], header=header)
    report = await inquire(league, ["https://riga.example"], CLOCK)
    assert report.contradicted_by == ("https://riga.example",)
    assert report.confirmed_by == ("https://lubeck.example", "https://bergen.example")
    league.answers = {"bergen": Unavailable(Code.RETRIEVAL_TIMEOUT, "no answer")}
    with pytest.raises(Refused) as refused:
        await inquire(league, ["https://riga.example"], CLOCK)
    assert refused.value.code is Code.CONFLICT
    league.answers = {"riga /league/v1/genesis": league.genesis.replace(b"lubeck", b"visby!")}
    with pytest.raises(Refused, match="riga"):
        await inquire(league, ["https://lubeck.example"], CLOCK)


async def test_the_history_is_fetched_from_those_that_have_it(tmp_path: Path) -> None:
    class Sources:
        asked: list[str] = []  # noqa: RUF012 - of this test alone

        async def send(self, request: HttpRequest) -> HttpResponse:
            self.asked.append(request.url)
            if "liar" in request.url:
                return HttpResponse(200, {}, compressed(bytes(100_000_000)))
            if "silent" in request.url:
                raise Unavailable(Code.RETRIEVAL_TIMEOUT, "no answer")
            return HttpResponse(200, {}, compressed(request.url.rpartition("/")[2].encode()))

    class Reads:
        async def missing_events(self) -> tuple[int, int] | None:
            return 1, 9000

    sources, folder = Sources(), tmp_path / "history"
    fetcher = HistoryFetcher(
        *(folder, Reads(), sources),
        *(lambda: ["https://liar", "https://silent", "https://right"], SystemClock(), structlog.get_logger()),
    )
    task = asyncio.create_task(fetcher.run())

    clock = SystemClock()

    async def until_here() -> None:
        while not all((folder / str(number)).exists() for number in range(3)):
            await clock.sleep(0.01)

    try:
        await asyncio.wait_for(until_here(), 60)
        assert [(folder / str(number)).read_bytes() for number in range(3)] == [b"0", b"1", b"2"]
        assert sum("liar" in url for url in sources.asked) <= 2
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
