"""Access policies: what is read from files, what takes effect, and what the shipped ones say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.access import (
    ANONYMOUS,
    AccessTarget,
    Action,
    Caller,
    EntityFacts,
    Power,
    authorize_by_role,
)
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal
from hansa.identity.rights.deciding import AccessDecided, AccessRights
from hansa.identity.rights.decision_log import WAITING_MAX, DecisionLog
from hansa.identity.rights.policies import AccessPolicies, read_texts
from hansa.identity.rights.watch import AccessWatch
from tests.support.rights import ACME, BOLT, CALLERS, party

OFFERING = AccessTarget(
    *("ProductOffering", "ProductOffering", False),
    api="TMF620",
    party_attributes=("relatedParty",),
    status_attribute="lifecycleStatus",
    is_catalogue=True,
)
ORDER = AccessTarget(
    *("ProductOrder", "ProductOrder", True),
    api="TMF622",
    party_attributes=("relatedParty",),
    status_attribute="state",
)
OWN = EntityFacts({"relatedParty": [party(ACME)], "lifecycleStatus": "Launched"}, True)
NONE: frozenset[str] = frozenset()


def rights_of(texts: Mapping[str, str] | None = None) -> AccessRights:
    clock = ManualClock()
    return AccessRights(AccessPolicies(texts or {}, clock), clock)


def may(rights: AccessRights, name: str, action: Action, facts: EntityFacts, target: AccessTarget) -> bool:
    decision = rights(CALLERS[name], action, target)
    if decision.refusal is not None:
        return False
    if decision.rule is None:
        return facts.is_public or not decision.public_only or action is not Action.READ
    return decision.rule.refusal(facts, NONE) is None


# -- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("permit (principal, action, resource);", "has no name"),
        ('@id("a") permit (principal, action, resource)', "policies/access/x.cedar"),
        ('@id("a") permit (principal, action == Action::"publish", resource);', "policy a"),
        ('@id("a") permit (principal, action, resource) when { resource.colour == "red" };', "policy a"),
        ('@id("a") permit (principal == ?principal, action, resource);', "template"),
        (
            '@id("a") permit (principal, action, resource); @id("a") forbid (principal, action, resource);',
            "two",
        ),
        ("//" + "x" * 70_000, "bytes"),
    ],
    ids=["no id", "no syntax", "unknown action", "unknown attribute", "template", "same id", "too large"],
)
def test_a_file_that_is_not_valid_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(Fatal) as refused:
        AccessPolicies({"x.cedar": text}, ManualClock())
    assert refused.value.code is Code.SETTINGS_INVALID
    assert reason in refused.value.message


async def test_another_content_is_adopted_and_a_broken_one_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "access"
    rights = rights_of()
    watch = AccessWatch(folder, rights, read_texts(folder), ManualClock())
    folder.mkdir()
    file = folder / "own.cedar"
    file.write_text('@id("no") forbid (principal, action == Action::"change", resource);')
    await watch.look()
    assert str(watch.problem) == "None"
    assert not may(rights, "acme", Action.CHANGE, OWN, OFFERING)
    file.write_text("permit everything")
    await watch.look()
    assert "own.cedar" in str(watch.problem)
    assert not may(rights, "acme", Action.CHANGE, OWN, OFFERING)
    file.unlink()
    await watch.look()
    assert str(watch.problem) == "None"
    assert may(rights, "acme", Action.CHANGE, OWN, OFFERING)


def test_a_policy_that_cannot_be_evaluated_refuses() -> None:
    text = '@id("late") forbid (principal, action, resource) when { context.member == "did:web:a" };'
    with pytest.raises(Fatal):
        AccessPolicies({"x.cedar": text}, ManualClock())
    guarded = text.replace("{ context", "{ context has member && context")
    rights = rights_of({"x.cedar": guarded})
    assert may(rights, "acme", Action.CHANGE, OWN, OFFERING)


# -- what is decided ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stranger", "reader", "provider", "operator", "boss"])
@pytest.mark.parametrize("action", [Action.READ, Action.CREATE, Action.CHANGE, Action.DELETE])
@pytest.mark.parametrize("target", [OFFERING, ORDER], ids=["offering", "order"])
def test_the_shipped_policies_leave_tokens_what_their_roles_give(
    name: str, action: Action, target: AccessTarget
) -> None:
    assert rights_of()(CALLERS[name], action, target) == authorize_by_role(CALLERS[name], action, target)


powers = st.lists(
    st.builds(
        Power,
        st.sampled_from(("DOME", "OTHER")),
        st.sampled_from(("ProductOffering", "productoffering", "ProductOrder", "Certification")),
        st.sampled_from((("Create",), ("Update",), ("delete",), ("Create", "Update"))),
    ),
    max_size=2,
).map(tuple)
callers = st.builds(
    lambda organization, powers, roles: Caller("x", roles, organization=organization, powers=powers),
    st.sampled_from((None, ACME, BOLT)),
    powers,
    st.sets(st.sampled_from(("reader", "provider", "operator"))).map(frozenset),
) | st.just(ANONYMOUS)
facts = st.builds(
    EntityFacts,
    st.fixed_dictionaries(
        {
            "relatedParty": st.lists(
                st.builds(party, st.sampled_from((ACME, BOLT)), st.sampled_from(("Owner", "Buyer", "x"))),
                max_size=2,
            ),
            "lifecycleStatus": st.sampled_from(("Launched", "Retired")),
        }
    ),
    st.booleans(),
)
actions = st.sampled_from((Action.READ, Action.CREATE, Action.CHANGE, Action.DELETE))
FORBIDS = tuple(
    f'@id("f{n}") forbid (principal, action{scope}, resource){when};'
    for n, (scope, when) in enumerate(
        (
            ("", ' when { resource.status == "Retired" }'),
            (' == Action::"read"', " unless { principal.isAuthenticated }"),
            (' in [Action::"change", Action::"delete"]', " when { principal has organization }"),
            ("", f' when {{ resource.owners.contains(Organization::"{BOLT}") }}'),
        )
    )
)


def decided(
    rights: AccessRights, caller: Caller, action: Action, of: EntityFacts, target: AccessTarget
) -> bool:
    decision = rights(caller, action, target)
    if decision.refusal is not None:
        return False
    if decision.rule is not None:
        return decision.rule.refusal(of, NONE) is None
    return action is not Action.READ or of.is_public or not decision.public_only


@given(
    callers, actions, facts, st.sampled_from((OFFERING, ORDER)), st.sets(st.sampled_from(FORBIDS), min_size=1)
)
def test_a_forbid_never_shows_more(
    caller: Caller, action: Action, of: EntityFacts, target: AccessTarget, forbids: set[str]
) -> None:
    before = decided(rights_of(), caller, action, of, target)
    after = decided(rights_of({"f.cedar": "\n".join(sorted(forbids))}), caller, action, of, target)
    assert before or not after


@given(callers, actions, facts, st.sampled_from((OFFERING, ORDER)))
def test_what_is_known_without_an_evaluation_is_what_the_policies_say(
    caller: Caller, action: Action, of: EntityFacts, target: AccessTarget
) -> None:
    never = '@id("never") forbid (principal, action, resource) when { resource.type == "Nothing" };'
    evaluated = decided(rights_of({"never.cedar": never}), caller, action, of, target)
    assert decided(rights_of(), caller, action, of, target) == evaluated


@given(callers, facts, st.sampled_from((OFFERING, ORDER)))
def test_a_power_of_another_domain_or_organisation_gives_nothing(
    caller: Caller, of: EntityFacts, target: AccessTarget
) -> None:
    if caller.organization is None or "operator" in caller.roles:
        return
    if decided(rights_of(), caller, Action.CHANGE, of, target):
        function = "ProductOffering" if target.is_catalogue else "ProductOrder"
        assert any(one.covers("DOME", function, "Update") for one in caller.powers)
        owners = {one["id"] for one in of.fields["relatedParty"] if one["role"] == "Owner"}
        assert owners == {f"did:elsi:{caller.organization}"}


# -- the log ------------------------------------------------------------------------------------------------------


async def test_refusals_are_recorded_without_who_it_was(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "decisions" / "access.jsonl"
    log = DecisionLog(path, b"k" * 32, clock, 2000, 0)
    rights = AccessRights(AccessPolicies({}, clock), clock, log.record)
    caller = Caller("did:key:ada", organization=BOLT, powers=CALLERS["bolt"].powers)

    def ask(who: Caller) -> None:
        rule = rights(who, Action.CHANGE, OFFERING).rule
        assert rule is not None
        rule.refusal(OWN, NONE)

    ask(caller)
    ask(CALLERS["acme"])
    await log.write()
    (line,) = path.read_bytes().splitlines()
    fields: dict[str, Any] = msgspec.json.decode(line)
    assert (fields["organization"], fields["allowed"], fields["code"]) == (BOLT, False, "forbidden")
    assert b"ada" not in line
    for _ in range(40):
        ask(caller)
        await log.write()
    assert path.stat().st_size <= 2000
    assert path.with_name("access.jsonl.1").stat().st_size <= 2000


async def test_more_decisions_than_fit_are_counted_and_some_that_allow_are_sampled(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "access.jsonl"
    log = DecisionLog(path, b"k" * 32, clock, 10_000_000, 10)
    rights = AccessRights(AccessPolicies({}, clock), clock, log.record)
    rule = rights(CALLERS["acme"], Action.CHANGE, OFFERING).rule
    assert rule is not None
    for _ in range(20):
        rule.refusal(OWN, NONE)
    await log.write()
    assert len(path.read_bytes().splitlines()) == 2
    refused = AccessDecided(
        Action.CHANGE, "ProductOffering", CALLERS["bolt"], rights.decide(CALLERS["bolt"], Action.CHANGE, OFFERING, OWN, NONE), rule.refusal(EntityFacts({}, True), NONE)
    )  # fmt: skip
    for _ in range(WAITING_MAX + 5):
        log.record(refused)
    await log.write()
    last = msgspec.json.decode(path.read_bytes().splitlines()[-1])
    assert last["dropped"] >= 5
