from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hansa.cli.league.changes import ProposalOptions, change_of, member_named
from hansa.core.errors import Code, Refused
from hansa.core.governance.changes import (
    MemberPut,
    MemberStatusChange,
    ParamSet,
    Suspension,
    ValidatorPower,
)
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.possession import CANDIDACY, Candidacy, prove_possession
from hansa.core.keys import SigningKey
from tests.unit.pubsub.test_league_reports import LEAGUE_ID, Scene

SCENE = Scene()
FIRST = SCENE.members[0]


def made(kind: str, *arguments: str, options: ProposalOptions | None = None) -> LeagueChange:
    return change_of(kind, arguments, options or ProposalOptions(), SCENE.state, LEAGUE_ID)


def refused(kind: str, *arguments: str) -> str:
    with pytest.raises(Refused) as caught:
        made(kind, *arguments)
    assert caught.value.code is Code.INVALID
    return caught.value.message


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (("suspend", "member-0"), MemberStatusChange(FIRST.did, "suspended")),
        (("activate", FIRST.did), MemberStatusChange(FIRST.did, "active")),
        (("remove", FIRST.did[-11:]), MemberStatusChange(FIRST.did, "removed")),
        (("power", "member-0", "20"), ValidatorPower(FIRST.did, 20)),
        (("param", "issuer_bytes_per_s", "1_000,000"), ParamSet("issuer_bytes_per_s", 1_000_000)),
    ],
)
def test_the_words_of_a_command_line_make_a_change(words: tuple[str, ...], change: LeagueChange) -> None:
    assert made(*words) == change


def test_a_suspension_for_a_time_is_the_emergency_one() -> None:
    assert made("suspend", "member-0", options=ProposalOptions(lasts="2h")) == Suspension(FIRST.did, 7200)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ('{"height": 0}', "it lacks ruleset."),
        ('{"hight": 9, "ruleset": "hansa-ledger/5"}', "it lacks height; hight is no field of it."),
        ('{"height": 9, "ruleset": "Rules"}', "at byte"),
    ],
)
def test_a_file_that_is_not_in_its_form_is_told_what_is_wrong(
    tmp_path: Path, written: str, hint: str
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(written)
    assert hint in refused("upgrade", str(plan))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("supend", "member-0"), "did you mean suspend"),
        (("power", "member-0"), "hansa league propose D power DID N"),
        (("power", "member-0", "-1"), "whole number"),
        (("power", "member-0", "1" * 30), "whole number"),
        (("remove", "membre-0"), "member-0"),
        (("remove", "nobody at all"), "there are"),
        (("param", "issuer_event_per_s", "1"), "did you mean issuer_events_per_s"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_resembles_it(words: tuple[str, ...], hint: str) -> None:
    assert hint in refused(*words)


def test_a_name_that_two_members_have_names_none() -> None:
    scene = Scene()
    scene.members = (*scene.members[:3], msgspec.structs.replace(scene.members[3], name="member-0"))
    with pytest.raises(Refused, match="2 members are called"):
        member_named("member-0", scene.state)


def candidacy(league: str) -> str:
    key = SigningKey.generate()
    proof = prove_possession(key, "did:web:new.example", league, "signing", 1)
    content = Candidacy("did:web:new.example", "https://new.example", (proof,), league, "newcomer")
    return CANDIDACY.sign(content, key, 1)


def test_a_candidate_is_admitted_by_its_file_as_text_or_as_json(tmp_path: Path) -> None:
    jws = candidacy(LEAGUE_ID)
    file = tmp_path / "candidacy.jws"
    for content in (jws, f"{jws}\n", f'{{"candidacy":"{jws}"}}'):
        file.write_text(content)
        change = made("admit", str(file), options=ProposalOptions(power=5, prefixes=("urn:new:",)))
        assert change == MemberPut(jws, 5, ("urn:new:",))


def test_a_candidacy_for_another_league_or_of_nobody_is_refused_before_it_is_signed(tmp_path: Path) -> None:
    file = tmp_path / "candidacy.jws"
    for content in (candidacy("1" * 64), "nonsense", "{}", ""):
        file.write_text(content)
        assert "is no candidacy for this league" in refused("admit", str(file))


def test_a_file_holds_a_change_whole_or_the_thing_itself(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text('{"change":"policy.set"}')
    assert made("policy", str(file)).kind == "policy.set"
    file.write_text('{"change":"issuer.remove","did":"did:web:issuer.example"}')
    assert made("issuer", str(file)).kind == "issuer.remove"
    assert "there is policy.set" in refused("policy", str(file))
    for content in ("nonsense", "1", '{"rows":1}', '{"change":"policy.set","further":1}'):
        file.write_text(content)
        assert str(file) in refused("policy", str(file))
