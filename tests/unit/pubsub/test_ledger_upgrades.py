"""A league goes on by other rules at the height that its members agreed on, and nobody goes on alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from hansa.core.errors import EXIT_STATUS, Code, Fatal, Refused
from hansa.core.governance.changes import PlanUpgrade
from hansa.core.governance.statements import UpgradeReady
from hansa.pubsub.ledger import __main__ as ledger_process
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3, RULESET_4, SECTIONS
from hansa.pubsub.ledger.genesis import PARAMETERS, AppState, LedgerParams
from hansa.pubsub.ledger.reading import LedgerReader
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE
from hansa.pubsub.ledger.rules.propose import encode_proposal
from hansa.pubsub.ledger.rules.rulesets import RULESETS, Ruleset
from hansa.pubsub.ledger.rules.upgrades import (
    PLAN,
    PLAN_FORM,
    READY_FORM,
    SECTION,
    SWITCH,
    Release,
    StatedRelease,
    UpgradePlan,
    planned_upgrade,
    switch_rules,
)
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import Overlay
from hansa.pubsub.ledger.state_machine import Block
from tests.contract.origins import Origin
from tests.support.governed import GovernedLeague

TIME_MS: Final = 1_767_225_600_000
HEIGHT: Final = 4
"""From which on other rules judge."""
NEXT: Final = "hansa-ledger/5"


class Node:
    """The ledger application of a member."""

    def __init__(
        self,
        origin: Origin,
        ruleset: str = RULESET_3,
        rulesets: dict[str, Ruleset] | None = None,
        path: str = MEMORY,
        **options: Any,
    ) -> None:
        self.application = LedgerApplication(SqliteState(path), rulesets or dict(RULESETS), **options)
        document = msgspec.to_builtins(AppState((origin.member,), ruleset=ruleset))
        limits = msgspec.to_builtins(LedgerParams())
        if ruleset == RULESET_3:
            limits = msgspec.json.decode(PARAMETERS.write(LedgerParams()))
        self.application.init_chain(msgspec.json.encode(document | {"params": limits}), TIME_MS)

    @property
    def ruleset(self) -> str:
        return self.application.state.ruleset

    @property
    def app_hash(self) -> str:
        return self.application.state.head.app_hash.hex()

    def block(self, *transactions: bytes) -> Block:
        """The next one, with what this member would propose when there is nothing given."""
        height = self.application.state.head.height + 1
        time_ms = TIME_MS + 1000 * height
        proposed = transactions or self.application.prepare_proposal((), time_ms, 400_000)
        return Block(height, time_ms, tuple(proposed))

    def execute(self, block: Block) -> None:
        self.application.finalize_block(block)
        self.application.commit()


@pytest.fixture
def origin() -> Origin:
    return Origin("lubeck")


# -- from hansa-ledger/3 to /4, by setting ---------------------------------------------------------------------


def test_members_with_the_same_setting_go_on_together(origin: Origin) -> None:
    nodes = [Node(origin, switch_height=HEIGHT) for _ in range(3)]
    names = []
    for height in range(1, HEIGHT + 3):
        block = nodes[height % 3].block()
        for node in nodes:
            assert node.application.process_proposal(block) is None
            node.execute(block)
        assert len({node.app_hash for node in nodes}) == 1
        names.append(nodes[0].ruleset)
    assert names == [RULESET_3] * (HEIGHT - 1) + [RULESET_4] * 3


def test_events_of_the_block_that_changes_the_rules_are_judged_by_the_next_ones(origin: Origin) -> None:
    node = Node(origin, switch_height=1)
    block = node.block(SWITCH, origin.batch(origin.event("e")))
    assert node.application.process_proposal(block) is None
    node.execute(block)
    assert node.ruleset == RULESET_4
    assert node.application.state.head.position == 1


@pytest.mark.parametrize("setting", [0, HEIGHT - 1, HEIGHT + 1])
def test_a_member_with_another_setting_rejects_the_block_and_ends_before_it(
    origin: Origin, setting: int
) -> None:
    league, other = Node(origin, switch_height=HEIGHT), Node(origin, switch_height=setting)
    while league.application.state.head.height < HEIGHT:
        block = league.block()
        before = other.application.state.head
        if block.height not in {setting, HEIGHT}:
            other.execute(block)
            league.execute(block)
            continue
        refusal = other.application.process_proposal(block)
        assert isinstance(refusal, Refused)
        with pytest.raises(Fatal, match="ledger_upgrade_height") as ended:
            other.application.finalize_block(block)
        assert ended.value.code is Code.UPGRADE_NEEDED
        assert ended.value.exit_status == EXIT_STATUS[Code.UPGRADE_NEEDED]
        assert other.application.state.head == before, "nothing of the block is executed"
        return
    raise AssertionError("the heights differ")


def test_the_message_names_the_line_to_write(origin: Origin) -> None:
    league, other = Node(origin, switch_height=1), Node(origin)
    with pytest.raises(Fatal, match=r"set ledger_upgrade_height = 1, and restart"):
        other.application.finalize_block(league.block())


def test_a_block_with_the_change_at_another_place_or_height_is_rejected(origin: Origin) -> None:
    node = Node(origin, switch_height=2)
    events = origin.batch(origin.event("e"))
    for transactions in ((SWITCH,), (events, SWITCH), (SWITCH, SWITCH)):
        assert node.application.process_proposal(node.block(*transactions)) is not None
    node.execute(node.block(events))
    for transactions in ((SWITCH, SWITCH), (SWITCH.replace(b"4", b"5"),), (b"",)):
        assert node.application.process_proposal(node.block(*transactions)) is not None
    node.execute(node.block(SWITCH))
    assert node.application.process_proposal(node.block(SWITCH)) is not None, "the rules change once"


def test_nobody_can_submit_the_change(origin: Origin) -> None:
    node = Node(origin, switch_height=1)
    with pytest.raises(Refused):
        node.application.check_tx(SWITCH, TIME_MS)


def test_a_setting_is_of_no_effect_once_the_rules_have_changed(origin: Origin) -> None:
    node = Node(origin, RULESET_4, switch_height=1)
    block = node.block()
    assert SWITCH not in block.transactions
    assert node.application.process_proposal(block) is None


# -- from hansa-ledger/4 on, by plan -----------------------------------------------------------------------------


def put_plan(plan: UpgradePlan) -> Any:
    """A step that stands for the vote."""

    def step(state: Overlay) -> None:
        if state.height == 1:
            state.put_record(SECTION, PLAN, PLAN_FORM.write(plan))
        if state.height == 2:
            stated = READY_FORM.write(StatedRelease(plan.ruleset, "1.0.0"))
            state.put_record(SECTION, "did:web:lubeck.example", stated)

    return step


def releases(plan: UpgradePlan, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Ruleset], ...]:
    """The rule sets of a release that has the next ones, and of one that has not."""
    monkeypatch.setitem(SECTIONS, NEXT, SECTIONS[RULESET_4])
    present = msgspec.structs.replace(RULESETS[RULESET_4], begin_block=(put_plan(plan), switch_rules))
    older = {RULESET_4: present}
    following = msgspec.structs.replace(RULESETS[RULESET_4], name=NEXT, begin_block=())
    monkeypatch.setitem(RULESETS, NEXT, following)
    return {**older, NEXT: following}, older


def test_a_release_with_the_rules_goes_on_and_one_without_ends_before_the_block(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = UpgradePlan(HEIGHT, NEXT)
    newer, older = releases(plan, monkeypatch)
    ahead, behind = Node(origin, RULESET_4, newer), Node(origin, RULESET_4, older)
    for _ in range(HEIGHT - 1):
        block = behind.block()
        ahead.execute(block)
        behind.execute(block)
        assert ahead.app_hash == behind.app_hash, "the newer release runs the old rules until then"
    assert planned_upgrade(behind.application.state) == plan
    block = ahead.block()
    for use in (
        behind.block,
        lambda: behind.application.process_proposal(block),
        lambda: behind.application.finalize_block(block),
        lambda: behind.application.require_release(HEIGHT),
    ):
        with pytest.raises(Fatal, match=NEXT) as ended:
            use()
        assert ended.value.code is Code.UPGRADE_NEEDED
    assert behind.application.state.head.height == HEIGHT - 1
    ahead.execute(block)
    assert ahead.ruleset == NEXT
    assert ahead.application.state.records(SECTION) == {}, "the plan is carried out"


def test_an_engine_that_is_too_old_ends_the_application_too(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = UpgradePlan(HEIGHT, NEXT, "v0.41.0")
    newer, _ = releases(plan, monkeypatch)
    for engine, goes_on in (("v0.40.9", False), ("v0.41.0", True), ("v0.100.1", True), ("", True)):
        node = Node(origin, RULESET_4, newer, engine=engine)
        for _ in range(HEIGHT - 1):
            node.execute(node.block())
        if goes_on:
            node.execute(node.block())
        else:
            with pytest.raises(Fatal, match=r"v0\.41\.0"):
                node.block()


def test_readers_see_the_plan_and_who_is_ready(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    newer, _ = releases(UpgradePlan(HEIGHT, NEXT, "v0.40.0"), monkeypatch)
    node = Node(origin, RULESET_4, newer)
    seen = []
    for _ in range(HEIGHT):
        node.execute(node.block())
        upgrade = LedgerReader(node.application.state.connection).head().upgrade
        seen.append(None if upgrade is None else (upgrade.height, upgrade.ruleset, upgrade.ready))
    assert seen == [
        (HEIGHT, NEXT, ()),
        (HEIGHT, NEXT, ("did:web:lubeck.example",)),
        (HEIGHT, NEXT, ("did:web:lubeck.example",)),
        None,
    ]


# -- the vote ----------------------------------------------------------------------------------------------------


def test_a_plan_is_decided_by_vote_and_members_state_to_be_ready() -> None:
    league = GovernedLeague()
    assert league.decide(PlanUpgrade(1000, NEXT, "v0.40.0")) == "passed"
    assert planned_upgrade(league.state) == UpgradePlan(1000, NEXT, "v0.40.0")
    bergen = league.governors[1]
    league.commit(bergen.state(UpgradeReady(NEXT, "1.2.0")))
    league.commit(league.governors[2].state(UpgradeReady(RULESET_4, "1.1.0")))
    upgrade = LedgerReader(league.state.connection).head().upgrade
    assert upgrade is not None
    assert upgrade.ready == (bergen.did,)


def test_a_later_plan_replaces_one_and_a_plan_can_be_given_up() -> None:
    league = GovernedLeague()
    league.decide(PlanUpgrade(1000, NEXT))
    assert league.decide(PlanUpgrade(2000, NEXT)) == "passed"
    assert planned_upgrade(league.state) == UpgradePlan(2000, NEXT)
    assert league.decide(PlanUpgrade(0, NEXT)) == "passed"
    assert planned_upgrade(league.state) is None


@pytest.mark.parametrize(
    "change",
    [
        PlanUpgrade(1, NEXT),
        PlanUpgrade(2, NEXT),
        PlanUpgrade(0, NEXT),
        PlanUpgrade(1000, RULESET_4),
        PlanUpgrade(1000, RULESET_3),
        PlanUpgrade(1000, "hansa-ledger/0", "v0.40.0"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_no_proposal(change: PlanUpgrade) -> None:
    league = GovernedLeague()
    compact = league.proposal(league.governors[0], change)
    assert league.numbers(encode_proposal(compact)) == [CHANGE.number]


def test_no_statement_of_readiness_makes_the_state_unreadable() -> None:
    league = GovernedLeague()
    league.decide(PlanUpgrade(1000, NEXT))
    league.commit(league.governors[0].state(UpgradeReady("///--", "+.-")))
    upgrade = LedgerReader(league.state.connection).head().upgrade
    assert upgrade is not None
    assert upgrade.ready == ()


def test_a_league_whose_members_decided_stops_before_the_block_without_the_rules() -> None:
    league = GovernedLeague()
    league.decide(PlanUpgrade(12, NEXT))
    while league.state.head.height < 11:
        league.commit()
    with pytest.raises(Fatal, match=NEXT) as ended:
        league.commit()
    assert ended.value.code is Code.UPGRADE_NEEDED


@pytest.mark.parametrize(
    "text", ["", "hansa-ledger", "hansa-ledger/", "Hansa/1", "hansa-ledger/12345", "a" * 40]
)
def test_a_plan_names_rules_in_their_one_form(text: str) -> None:
    with pytest.raises(Refused):
        PLAN_FORM.check(UpgradePlan(1, text))


def test_what_a_release_lacks_is_said_in_words() -> None:
    release = Release((RULESET_3, RULESET_4), "v0.40.0")
    assert release.lacks(UpgradePlan(1, RULESET_4)) is None
    assert release.lacks(UpgradePlan(1, NEXT)) == f"the rules {NEXT} (it has {RULESET_3}, {RULESET_4})"
    assert "v0.41.0" in (release.lacks(UpgradePlan(1, RULESET_4, "v0.41.0")) or "")


def test_the_process_ends_with_its_own_status_when_it_is_started_again(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    newer, _ = releases(UpgradePlan(HEIGHT, NEXT), monkeypatch)
    path = tmp_path / "state.db"
    node = Node(origin, RULESET_4, newer, str(path))
    for _ in range(HEIGHT - 1):
        node.execute(node.block())
    node.application.state.close()
    monkeypatch.delitem(RULESETS, NEXT)
    arguments = ["--state", str(path), "--socket", str(tmp_path / "abci.sock")]
    status = ledger_process.main(arguments)
    assert status == EXIT_STATUS[Code.UPGRADE_NEEDED]
    assert NEXT in capfd.readouterr().err
