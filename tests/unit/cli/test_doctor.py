"""The checks of `hansa doctor` that need no network."""

from __future__ import annotations

import fcntl
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from hansa.cli.app import app
from hansa.cli.demo.members import DemoMember, DemoProcesses, serving_process
from hansa.cli.doctor.checks import (
    check_disk,
    check_engine_keys,
    check_keys,
    check_publications,
    check_registration,
    check_rules,
    check_store,
    check_validator,
    verdict,
)
from hansa.cli.doctor.network import (
    check_answer,
    check_condition,
    check_expiry,
    check_indexes,
    check_ledger,
    check_registered_engines,
    check_shared_addresses,
    conditions_in,
    private_addresses,
)
from hansa.cli.doctor.results import CheckResult, look, ok, wrong
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal
from hansa.core.limits import Limits
from hansa.node.folder import LEDGER, LEDGER_STATE, init_member
from hansa.node.settings.loading import load_settings
from hansa.node.validator.observing import Observing, Reason, Sighting, write_observing
from hansa.pubsub.engine import SIGNING_STATE
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.rules.upgrades import PLAN, PLAN_FORM, SECTION, UpgradePlan
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state import Overlay
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import publications
from tests.contract.origins import Origin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "market"
    init_member(made, "market", "http://127.0.0.1:8101", ManualClock(), p2p_port=29001)
    return made


def states(results: list[CheckResult]) -> set[str]:
    return {result.state for result in results}


def test_a_new_folder_is_well(folder: Path) -> None:
    settings = load_settings(folder, {})
    results = [
        *check_keys(folder),
        check_registration(folder, settings),
        check_store(folder / "store.db"),
    ]
    assert states(results) == {"ok"}


def test_a_key_that_others_can_read_is_wrong_and_the_command_that_helps_is_shown(folder: Path) -> None:
    (folder / "keys" / "token.jwk").chmod(0o644)
    results = [result for result in check_keys(folder) if result.state == "wrong"]
    assert [result.check for result in results] == ["permissions"]
    assert str(folder / "keys" / "token.jwk") in results[0].result
    assert results[0].todo == f"chmod -R go-rwx {folder}"


def test_a_validator_that_observes_or_has_a_double_is_reported(folder: Path) -> None:
    assert check_validator(folder).state == "ok"
    (folder / LEDGER / SIGNING_STATE).unlink()
    assert check_validator(folder).state == "wrong"
    write_observing(folder, Observing("today", Reason.RESTORED))
    assert check_validator(folder).state == "look"
    write_observing(folder, Observing("today", Reason.RESTORED, double=Sighting(9, "today")))
    result = check_validator(folder)
    assert result.state == "wrong"
    assert "hansa engine observe" in result.todo


def test_a_damaged_key_and_a_missing_one_are_wrong(folder: Path) -> None:
    (folder / "keys" / "member.jwk").write_text("{}")
    (folder / "ledger" / "config" / "node_key.json").unlink()
    results = [*check_keys(folder), check_engine_keys(folder, load_settings(folder, {}))]
    wrong = {result.check: result.result for result in results if result.state == "wrong"}
    assert list(wrong) == ["key member.jwk", "engine keys"]
    assert "is missing" in wrong["engine keys"]


def test_a_key_that_the_league_does_not_know_is_wrong(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    init_member(other, "other", "http://127.0.0.1:8102", ManualClock(), p2p_port=29002)
    (folder / "genesis.json").write_bytes((other / "genesis.json").read_bytes())
    assert check_registration(folder, load_settings(folder, {})).state == "wrong"


def test_little_disk_is_reported_early(tmp_path: Path) -> None:
    assert check_disk(tmp_path, 1).state == "ok"
    assert check_disk(tmp_path, 10**18).state == "wrong"
    assert check_disk(tmp_path / "none", 1).state == "wrong"


async def test_a_store_is_well_until_it_is_damaged_or_too_new(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await (await SqliteStore.open(path, ManualClock(), Limits())).close()
    assert check_store(path).state == "ok"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    newer = check_store(path)
    assert (newer.state, "newer" in newer.todo) == ("wrong", True)
    path.write_bytes(b"no database at all" * 100)
    assert check_store(path).state == "wrong"


async def test_entities_whose_identifier_belongs_to_another_member_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    assert check_publications(path).state == "ok"
    store = await SqliteStore.open(path, ManualClock(), Limits())
    assert check_publications(path).state == "ok"
    async with store.transaction() as tx:
        await publications.lose(tx, "urn:x:coveted", "ab" * 32, "Category", "did:web:other.example")
    await store.close()
    result = check_publications(path)
    assert (result.state, result.result) == ("look", "refused: urn:x:coveted (identifier-claimed)")
    assert result.todo.startswith("Delete entities whose identifier is claimed")


@pytest.mark.parametrize(("days", "state"), [(-1, "wrong"), (3, "look"), (80, "ok")])
def test_a_certificate_is_looked_at_before_it_expires(days: int, state: str) -> None:
    now = ManualClock().now()
    assert check_expiry("certificate", now + timedelta(days=days, hours=1), now).state == state


def test_the_process_that_serves_a_folder_is_known_without_disturbing_it(folder: Path) -> None:
    assert serving_process(folder) is None
    with (folder / "lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        assert serving_process(folder) is None
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert serving_process(folder) == 4711
    assert serving_process(folder) is None


def test_a_demo_does_not_start_on_a_folder_that_is_served(folder: Path) -> None:
    member = DemoMember("market", folder, "http://127.0.0.1:8101")
    with (folder / "lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Fatal, match="4711") as caught:
            DemoProcesses([member], ManualClock()).check()
    assert caught.value.code is Code.FOLDER_IN_USE


def test_filters_without_an_index_are_reported_with_what_to_do() -> None:
    assert check_indexes([]).state == "ok"
    result = check_indexes([{"type": "ProductOffering", "path": "version", "count": 12}])
    assert result.state == "look"
    assert "ProductOffering.version (12 times)" in result.result
    assert "indexed_attributes" in (result.todo or "")


REPORT: dict[str, Any] = {
    "is_ready": True,
    "version": "1.0",
    "height": 7,
    "peers": 3,
    "lag": 0,
    "powers": [{}, {}],
    "conditions": [{"code": "quorum-missing", "message": "members with 20 of 40 …; not connected: riga"}],
}


def test_what_a_running_marketplace_reports_as_wrong_is_wrong_with_its_remedy() -> None:
    (condition,) = map(check_condition, conditions_in(REPORT))
    assert (condition.check, condition.state) == ("quorum-missing", "wrong")
    assert "not connected: riga" in condition.result
    assert "persistent_peers" in condition.todo
    assert check_condition({"code": "validator-observes", "message": "observes"}).state == "look"
    assert check_condition({"code": "of-a-later-release", "message": "?"}).state == "wrong"


def test_it_answers_and_says_in_what_state() -> None:
    assert [one.result for one in check_answer(REPORT)] == ["degraded, version 1.0"]
    assert [one.result for one in check_answer({**REPORT, "conditions": []})] == ["ready, version 1.0"]
    not_ready = {
        **REPORT,
        "is_ready": False,
        "reasons": ["the disk is nearly full", REPORT["conditions"][0]["message"]],
    }
    assert [(one.state, one.result) for one in check_answer(not_ready)] == [
        ("wrong", "not ready: the disk is nearly full")
    ]


def test_a_ledger_without_peers_is_wrong_but_in_a_league_of_one() -> None:
    assert check_ledger(REPORT).state == "ok"
    assert check_ledger({**REPORT, "peers": 0}).state == "wrong"
    assert check_ledger({**REPORT, "peers": 0, "powers": [{}]}).state == "ok"
    assert check_ledger({**REPORT, "height": None}).state == "wrong"
    alone = {**REPORT, "peers": 0, "powers": [{}, {}]}
    assert "firewall" in check_ledger(alone).todo
    former = {**alone, "conditions": [{"code": "no-member", "message": "left"}]}
    assert check_ledger(former).state == "look", "no firewall is in its way"


def test_all_is_well_only_when_nothing_has_to_be_looked_at() -> None:
    well, noted, failed = (
        ok("disk", "free"),
        look("clock", "?", "Look."),
        wrong("store", "damaged", "Restore."),
    )
    assert verdict([well, well]) == "All is well."
    assert verdict([well, noted]) == "None of 2 checks failed, 1 should be looked at."
    assert verdict([well, failed]) == "1 of 2 checks failed."
    assert verdict([failed, noted]) == "1 of 2 checks failed, 1 should be looked at."


@pytest.mark.parametrize(
    ("endpoint", "private"),
    [
        ("http://10.1.2.3:8080", ("10.1.2.3",)),
        ("https://[fd00::2]", ("fd00::2",)),
        ("http://127.0.0.1:1", ("127.0.0.1",)),
        ("https://8.8.8.8", ()),
        ("https://inside.example", ("10.0.0.1", "fe80::1")),
        ("https://both.example", ()),
        ("https://nowhere.invalid", ()),
    ],
)
async def test_an_endpoint_on_a_private_network_is_noticed(endpoint: str, private: tuple[str, ...]) -> None:
    async def resolve(host: str) -> tuple[str, ...]:
        names = {"inside.example": ("10.0.0.1", "fe80::1%eth0"), "both.example": ("10.0.0.1", "8.8.8.8")}
        if host not in names:
            raise OSError("unknown host")
        return names[host]

    assert await private_addresses(endpoint, resolve) == private


async def test_engines_of_several_members_at_one_address_need_a_setting(folder: Path) -> None:
    async def resolve(host: str) -> tuple[str, ...]:
        return {"one.example": ("192.0.2.1",), "two.example": ("192.0.2.2", "192.0.2.1")}[host]

    settings = load_settings(folder, {})
    apart = ("a@one.example:1", "b@192.0.2.3:1", "c@[2001:db8::1]:1")
    assert await check_shared_addresses(replace(settings, persistent_peers=apart), resolve) == []
    near = replace(settings, persistent_peers=(*apart, "d@two.example:2"))
    (found,) = await check_shared_addresses(near, resolve)
    assert found.state == "wrong"
    assert "192.0.2.1" in found.result
    assert "single_machine" in found.todo
    assert await check_shared_addresses(replace(near, single_machine=True), resolve) == []


def test_an_engine_that_no_member_has_registered_is_noticed(folder: Path) -> None:
    settings = replace(load_settings(folder, {}), persistent_peers=(f"{'a' * 40}@192.0.2.1:26656",))
    member = replace(Origin("bergen").member, node_ids=("a" * 40,))
    assert check_registered_engines(settings, [member]) == []
    (found,) = check_registered_engines(settings, [replace(member, node_ids=("b" * 40,))])
    assert found.state == "look"
    assert settings.persistent_peers[0] in found.result
    assert "persistent_peers" in found.todo


def test_a_founder_on_a_private_network_is_told_the_setting(tmp_path: Path) -> None:
    cards = []
    for number, name in enumerate(("one", "two"), 1):
        init_member(tmp_path / name, name, f"http://10.0.0.{number}", ManualClock(), p2p_port=29000 + number)
        cards.append(str(tmp_path / name / "member.json"))
    line = ["found", *cards, "--into", str(tmp_path / "one")]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0
    assert "two: at an address of a private network" in result.stderr
    assert "allow_private_networks = true" in result.stderr
    with (tmp_path / "one" / "hansa.toml").open("a") as settings:
        settings.write("allow_private_networks = true\n")
    assert "allow_private" not in CliRunner().invoke(app, line).stderr


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        (None, "ok"),
        (UpgradePlan(1000, "hansa-ledger/4", "v0.0.1"), "ok"),
        (UpgradePlan(1000, "hansa-ledger/999"), "wrong"),
        (UpgradePlan(1000, "hansa-ledger/4", "v999.0.0"), "wrong"),
    ],
)
def test_a_change_of_rules_that_this_release_lacks_is_wrong_before_it_comes(
    folder: Path, plan: UpgradePlan | None, state: str
) -> None:
    ledger = SqliteState(folder / LEDGER_STATE)
    origin = Origin("lubeck")
    ledger.write_genesis(AppState((origin.member,)), 0, {origin.member.validator_key: 1})
    if plan is not None:
        overlay = Overlay(ledger, 1, 1)
        overlay.put_record(SECTION, PLAN, PLAN_FORM.write(plan))
        ledger.persist(overlay.effects(()))
    ledger.close()
    result = check_rules(folder)
    assert result.state == state, result
    assert (plan is None) == ("no change" in result.result)


def test_a_founder_on_one_machine_with_others_is_told_the_setting(tmp_path: Path) -> None:
    cards = []
    for number, name in enumerate(("one", "two", "three"), 1):
        endpoint = f"http://127.0.0.1:{8100 + number}"
        init_member(tmp_path / name, name, endpoint, ManualClock(), p2p_port=29000 + number)
        cards.append(str(tmp_path / name / "member.json"))
    result = CliRunner().invoke(app, ["found", *cards, "--into", str(tmp_path / "one")])
    assert result.exit_code == 0
    assert "single_machine = true" in result.stderr
