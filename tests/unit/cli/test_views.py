"""What people read: status, events, the demo's lines."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len

from hansa.cli.client import ClientResponse, reason_of, refusal, retry_after_s
from hansa.cli.demo.league import announce
from hansa.cli.demo.members import DemoMember, last_message
from hansa.cli.demo.view import DOWN, DemoView, MemberView, RateMeter
from hansa.cli.events import EventLines, EventSelection, check_selection, report_nothing, time_of
from hansa.cli.league.showing import shown_block
from hansa.cli.output import Output, is_number
from hansa.cli.status import facts_of, rows_of_entities, rows_of_evidence, rows_of_origins
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.foreign_text import printable
from hansa.core.known_words import check_known
from hansa.pubsub.light.chain.rpc_form import write_commit
from tests.support.light_chain import Signer, light_block

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)

REPORT = {
    "name": "lubeck",
    "did": "did:key:zOne",
    "endpoint": "http://127.0.0.1:8101",
    "version": "0.1.0",
    "uptime_s": 65.2,
    "status": "not ready",
    "conditions": [],
    "is_ready": False,
    "reasons": ["the ledger does not answer: stopped"],
    "height": None,
    "position": None,
    "followed_to": 12_345,
    "lag": None,
    "unpublished": 3,
    "pending": 2,
    "failed": 1,
    "evidence": 0,
    "origins": [
        {
            "did": "did:key:zTwo",
            "name": "riga",
            "lag": 2,
            "stored": 1200,
            "pending": 2,
            "failed": 1,
            "deferred": 0,
            "rejected": 3,
            "problem": "hash-mismatch",
        }
    ],
    "entities": [
        {"type": "Category", "own": True, "public": True, "count": 4},
        {"type": "Category", "own": True, "public": False, "count": 1},
        {"type": "Category", "own": False, "public": True, "count": 1200},
    ],
    "tasks": [{"name": "publisher", "is_running": False, "problem": "boom", "restarts": 2}],
    "children": [{"name": "cometbft", "state": "backing-off", "pid": None, "starts": 3}],
}


def test_status_says_what_is_wrong_first() -> None:
    facts = facts_of(REPORT)
    assert facts["lubeck"] == "http://127.0.0.1:8101  not ready: the ledger does not answer: stopped"
    assert facts["ledger"] == "does not answer"
    assert facts["here"].startswith("followed to 12,345, lag -")
    assert facts["problems"] == "publisher (boom); cometbft is backing-off"
    assert rows_of_origins(REPORT) == [["riga", "2", "1,200", "2", "1", "0", "3", "hash-mismatch"]]
    assert rows_of_entities(REPORT) == [["Category", "4", "1", "1,200"]]


def test_status_names_who_sent_invalid_data() -> None:
    records = [
        {"issuer": "did:key:zTwo", "code": "hash-mismatch", "reason": "The bytes differ.", "count": 3},
        {"issuer": "did:key:zGone", "code": "key-mismatch", "reason": "\x1b[2J.", "count": 1},
    ]
    assert rows_of_evidence({**REPORT, "evidence_newest": records}) == [
        ["riga", "hash-mismatch", "The bytes differ.", "3"],
        ["did:key:zGone", "key-mismatch", "�[2J.", "1"],
    ]
    assert rows_of_evidence(REPORT) == []


def test_a_status_of_another_version_is_shown_as_far_as_it_goes() -> None:
    assert facts_of({"name": "riga"})["riga"].startswith("-")
    assert rows_of_origins({}) == []


def test_text_of_others_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\nc") == "a�[2Jb�c"
    assert len(printable("x" * 1000)) == 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1,200", True), ("-", True), ("", True), ("3.5", True), ("v1", False), ("1.2.3", False)],
)
def test_columns_of_numbers_are_known(text: str, expected: bool) -> None:
    assert is_number(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-01", "2026-08-01T00:00:00.000Z"),
        ("2026-08-01T10:00:00+02:00", "2026-08-01T08:00:00.000Z"),
        ("2h", "2026-08-01T10:00:00.000Z"),
    ],
)
def test_times_are_moments_or_how_long_ago(text: str, expected: str) -> None:
    assert time_of(text, NOW) == expected


def test_what_is_no_time_is_refused_with_examples() -> None:
    for text in (
        "yesterday",
        "999999999w",
        "2026-13-01",
        "2026-W05-1T12:00:00Z",
        "0001-01-01T00:00:00+14:00",
    ):
        with pytest.raises(Refused, match="2h"):
            time_of(text, NOW)


EVENT = {
    "position": 7,
    "time": "2026-08-01T12:00:00.000Z",
    "event": {
        "type": "productOfferingAttributeValueChangeEvent",
        "time": "2026-08-01T12:00:30.000Z",
        "issuer": "did:key:zOne",
        "entity": {"key": "ab" * 32, "type": "ProductOffering", "version": 1},
        "metadata": {"lifecycleStatus": "Launched"},
    },
}


@pytest.mark.parametrize(("width", "key"), [(None, "ab" * 32), (200, "ab" * 8)])
def test_an_event_is_a_line_with_the_issuers_name(width: int | None, key: str) -> None:
    lines = EventLines({"did:key:zOne": "lubeck"}, width)
    assert lines.line(EVENT).split() == [
        "7",
        "2026-08-01T12:00:30.000Z",
        "2026-08-01T12:00:00.000Z",
        "productOfferingAttributeValueChangeEvent",
        "lubeck",
        "v1",
        "Launched",
        key,
    ]
    assert lines.line({"position": "x\n", "event": 3}).isprintable()


@pytest.mark.parametrize("width", [40, 80, 100, 157])
@pytest.mark.parametrize("name", ["lubeck", "Ürümqi marketplace", "東京のマーケット"])
def test_lines_of_events_and_their_heading_fit_the_terminal(width: int, name: str) -> None:
    lines = EventLines({"did:key:zOne": name}, width)
    shown = [lines.heading(), lines.line(EVENT), lines.line({**EVENT, "position": 10**9})]
    assert all(cell_len(line) <= max(width, 64) for line in shown)
    assert shown[0].split()[-2:] == ["status", "key"]
    assert "08-01 12:00:30" in shown[1]


def test_an_event_that_does_not_exist_is_refused_with_the_one_that_is_meant() -> None:
    with pytest.raises(Refused, match="productOfferingCreateEvent") as caught:
        check_selection(EventSelection(types=("productOfferingCreatedEvent",)))
    assert caught.value.exit_status == 2
    check_selection(EventSelection(types=("productOfferingCreateEvent", "categoryDeleteEvent")))


def test_a_part_of_a_key_is_refused_and_a_whole_one_or_an_identifier_is_not() -> None:
    with pytest.raises(Refused, match="64 digits"):
        check_selection(EventSelection(entities=("ab" * 8,)))
    check_selection(EventSelection(entities=("ab" * 32, "urn:ngsi-ld:category:1", "cafe")))


def test_an_entity_without_events_is_an_error_and_an_empty_period_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Refused, match="no event of urn:x:1") as caught:
        report_nothing(EventSelection(entities=("urn:x:1",)), Output())
    assert caught.value.code is Code.NOT_FOUND
    report_nothing(EventSelection(entities=("urn:x:1",), from_time="2026-08-01"), Output())
    report_nothing(EventSelection(), Output())
    assert capsys.readouterr().err == "No event matches.\n" * 2


def test_unknown_words_are_refused_with_near_ones_or_with_all_when_they_are_few() -> None:
    for word, hint in (("lübeck", "did you mean lubeck"), ("oslo", "there are bergen, lubeck.")):
        with pytest.raises(Refused, match=hint):
            check_known([word], ["lubeck", "bergen"], "member")
    check_known(["lubeck"], ["lubeck", "bergen"], "member")


def response(status: int, body: object, **headers: str) -> ClientResponse:
    return ClientResponse(status, headers, json.dumps(body).encode())


def test_error_responses_become_errors_that_say_what_to_do() -> None:
    body = {"code": "conflict", "message": "There is one already."}
    assert "HANSA_TOKEN" in refusal(response(401, body), "http://m").message
    assert refusal(response(403, body), "http://m").exit_status == 13
    assert isinstance(refusal(response(503, body), "http://m"), Unavailable)
    conflict = refusal(response(409, body), "http://m")
    assert conflict.code is Code.CONFLICT
    assert "There is one already." in conflict.message
    assert refusal(ClientResponse(500, {}, b"<html>"), "http://m").code is Code.INVALID


def test_reasons_are_shown_as_far_as_they_are_fit() -> None:
    assert reason_of(response(400, {"code": "invalid", "message": "bad\x07"})) == ("invalid", "bad�")
    assert reason_of(response(400, [1])) == ("", "status 400")
    assert reason_of(response(400, {"code": 3})) == ("", "status 400")


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("9999", 30.0), ("soon", 1.0), ("-1", 1.0)])
def test_a_marketplace_cannot_make_a_command_wait_for_ever(header: str, seconds: float) -> None:
    assert retry_after_s(ClientResponse(503, {"retry-after": header}, b"")) == seconds


def demo_members(folder: Path) -> list[DemoMember]:
    members = []
    for number, name in enumerate(("lubeck", "bergen"), 1):
        (folder / name).mkdir()
        (folder / name / "token").write_text(f"token-{name}\n")
        members.append(DemoMember(name, folder / name, f"http://127.0.0.1:{8100 + number}"))
    return members


def test_the_league_is_announced_in_one_line_and_its_tokens_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(demo_members(tmp_path), Output())
    output = capsys.readouterr().out
    first, *rest = output.splitlines()
    assert first == "league ready  lubeck http://127.0.0.1:8101  bergen http://127.0.0.1:8102"
    assert rest == [f"operators' tokens: {tmp_path / 'NAME' / 'token'}"]
    assert "token-lubeck" not in output


class Terminal(io.StringIO):
    """What a terminal would show."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "lines"), [(80, 2), (120, 2), (160, 1), (10, 4)])
def test_on_a_terminal_no_address_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int, lines: int
) -> None:
    names = ("lubeck", "bergen", "riga", "bruges")
    members = [
        DemoMember(name, tmp_path / name, f"http://127.0.0.1:{8101 + n}") for n, name in enumerate(names)
    ]
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    announce(members, Output())
    *shown, tokens = screen.getvalue().splitlines()
    assert tokens == f"operators' tokens: {tmp_path / 'NAME' / 'token'}"
    assert shown[0].startswith("league ready  lubeck http://127.0.0.1:8101")
    assert len(shown) == lines
    assert columns < 42 or max(map(len, shown)) <= columns
    assert "  ".join(line.strip() for line in shown) == "league ready  " + "  ".join(
        f"{member.name} {member.url}" for member in members
    )


def test_the_announcement_says_where_the_wallets_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = demo_members(tmp_path)
    announce(members, Output(), Path("league/wallet"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "log in: http://127.0.0.1:8101/login  wallets: league/wallet"
    announce(members, Output(as_json=True), Path("league/wallet"))
    assert json.loads(capsys.readouterr().out)["wallets"] == "league/wallet"


def test_the_league_is_announced_as_one_line_of_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(demo_members(tmp_path), Output(as_json=True))
    announcement = json.loads(capsys.readouterr().out)
    assert announcement["event"] == "league ready"
    assert [member["token"] for member in announcement["members"]] == ["token-lubeck", "token-bergen"]


def test_the_demos_line_counts_who_is_up(tmp_path: Path) -> None:
    view = DemoView(demo_members(tmp_path), ManualClock(), Output())
    up = MemberView("ready", height=5, position=1234, lag=0, pending=2, failed=0, entities=181)
    assert view.summary([up, DOWN]) == (
        "1 of 2 members up, height 5, 1,234 events (0.0/s), lag 0 -, pending 2 -, entities 181 -"
    )


async def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = ManualClock()
    meter = RateMeter(clock)
    meter.add(0)
    assert meter.per_s == 0
    await clock.advance(2)
    meter.add(100)
    assert meter.per_s == 50
    for _ in range(10):
        await clock.advance(1)
        meter.add(100)
    assert meter.per_s == 0


def test_the_reason_of_a_failed_start_is_the_last_line_for_people(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    assert last_message(log) is None
    log.write_text('old reason\n{"event": "x"}\nPort 8101 (HTTP) is in use.\n{"event": "stopped"}\n')
    assert last_message(log) == "Port 8101 (HTTP) is in use."


def test_a_member_without_voting_power_is_not_said_to_sign() -> None:
    validator = {"address": "AB", "is_observing": False, "summary": "signs"}
    member = {
        **REPORT,
        "validator": validator,
        "powers": [{"did": REPORT["did"], "name": "lubeck", "power": 1}],
    }
    assert facts_of(member)["validator"] == "signs"
    observer = {**member, "powers": [{"did": "did:key:zTwo", "name": "bergen", "power": 1}]}
    assert "no voting power" in facts_of(observer)["validator"]
    light = {**observer, "validator": {**validator, "address": "", "summary": "runs none (a light member)"}}
    assert facts_of(light)["validator"] == "runs none (a light member)"


def test_the_hash_of_a_block_is_computed_from_what_the_marketplace_shows() -> None:
    block = light_block(8, [Signer("v1")])
    shown = shown_block({"result": write_commit(block)}, 8)
    assert (shown["height"], shown["hash"]) == (8, block.header.hash.hex().upper())
    with pytest.raises(Refused) as another:
        shown_block({"result": write_commit(block)}, 9)
    assert another.value.code is Code.PROOF_INVALID
    with pytest.raises(Refused) as missing:
        shown_block({"error": {"code": -32603, "message": "Internal error"}}, 9)
    assert missing.value.code is Code.NOT_FOUND
