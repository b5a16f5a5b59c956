"""Cedar policies as conditions: default deny, `forbid` wins, errors refuse, and files are checked whole."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.cedar import POLICIES_MAX
from hansa.core.clock import ManualClock, SystemClock
from hansa.core.errors import Code, Fatal
from hansa.replication.conditions.cedar import ACTIONS, PolicyFile, decision_cache, schema_of
from hansa.replication.conditions.files import PERIOD_S, read_conditions
from hansa.replication.conditions.subject import VALUES_MAX, Subject

OPEN = '@id("all") permit (principal, action, resource);'
ISSUER = "did:key:z6MkExample"
CLOUD = Subject(categories=("cloud",))
EDGE = Subject(categories=("edge",))


def consume(text: str) -> PolicyFile:
    return PolicyFile("consume.cedar", text, decision_cache(), SystemClock())


def is_wanted(policies: PolicyFile, subject: Subject, type_name: str = "ProductOffering") -> bool:
    return policies.decide("retrieve", ISSUER, type_name, subject) is None


def test_what_no_policy_permits_is_refused_and_the_answer_names_the_file() -> None:
    policies = consume(
        '@id("cloud") permit (principal, action, resource) when { context.categories.contains("cloud") };'
    )
    assert is_wanted(policies, CLOUD)
    unmet = policies.decide("retrieve", ISSUER, "ProductOffering", EDGE)
    assert unmet is not None
    assert (unmet.condition, "cloud" in unmet.reason) == ("consume.cedar", True)


def test_a_policy_that_forbids_wins_and_is_named() -> None:
    policies = consume(
        OPEN + f'@id("not-them") forbid (principal == Marketplace::"{ISSUER}", action, resource);'
    )
    unmet = policies.decide("retrieve", ISSUER, "ProductOffering", CLOUD)
    assert unmet is not None
    assert unmet.condition == "consume.cedar#not-them"
    assert policies.decide("retrieve", "did:key:other", "ProductOffering", CLOUD) is None


def test_a_policy_that_cannot_be_evaluated_refuses() -> None:
    # An overflow is found by no validator. In Cedar alone the policy would not count.
    overflow = '@id("broken") forbid (principal, action, resource) when { 9223372036854775807 + 1 == 0 };'
    unmet = consume(OPEN + overflow).decide("retrieve", ISSUER, "ProductOffering", CLOUD)
    assert unmet is not None
    assert "cannot be evaluated" in unmet.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("permit (principal, action, resource) when { ", "unexpected"),
        ("permit (principal, action, resource);", 'policy 1 has no name: write @id("…")'),
        (OPEN + '@id("") permit (principal, action, resource);', "policy 2 has no name"),
        (OPEN + OPEN, "two policies have the id all"),
        ("", "no policy permits anything"),
        ('@id("no") forbid (principal, action, resource);', "no policy permits anything"),
        (
            '@id("a") permit (principal, action, resource) when { context.catgories.contains("x") };',
            "policy a: ",
        ),
        (
            '@id("a") permit (principal, action, resource) when { context.languages.contains("de") };',
            "policy a: ",
        ),
        ('@id("a") permit (principal, action == Action::"publish", resource);', "policy a: "),
        ('@id("a") permit (principal == ?principal, action, resource);', "template"),
        (OPEN + " " * 65_536, "bytes"),
        ("".join(OPEN.replace("all", f"p{n}") for n in range(POLICIES_MAX + 1)), "at most 100"),
    ],
)
def test_a_file_that_is_not_valid_is_refused_with_place_and_reason(text: str, reason: str) -> None:
    with pytest.raises(Fatal) as refusal:
        consume(text)
    assert refusal.value.code is Code.SETTINGS_INVALID
    assert refusal.value.message.startswith("policies/consume.cedar: ")
    assert reason in refusal.value.message


def test_the_schema_of_each_file_is_one_that_policies_can_be_checked_by() -> None:
    for name in ACTIONS:
        assert PolicyFile(name, OPEN, decision_cache(), SystemClock()).is_open
        assert "action" in schema_of(name)


def test_more_values_than_are_looked_at_meet_no_condition() -> None:
    policies = consume(
        OPEN + '@id("x") forbid (principal, action, resource) when { context.categories.contains("x") };'
    )
    many = (*(f"c{n}" for n in range(VALUES_MAX)), "x")
    for categories in (many, ("y" * 1000,)):
        unmet = policies.decide("retrieve", ISSUER, "ProductOffering", Subject(categories=categories))
        assert unmet is not None


def test_the_same_question_is_evaluated_once() -> None:
    policies = consume(
        OPEN + '@id("x") forbid (principal, action, resource) when { context.categories.contains("x") };'
    )
    for _ in range(5):
        assert is_wanted(policies, CLOUD)
    assert policies.evaluations.count == 1
    assert is_wanted(policies, CLOUD, "Category")
    assert policies.evaluations.count == 2
    assert policies.evaluations.seconds > 0


Effect = Literal["permit", "forbid"]
RULES = st.lists(
    st.tuples(
        st.sampled_from(["permit", "forbid"]),
        st.sampled_from(["cloud", "edge", "any"]),
        st.sampled_from(["ProductOffering", "Category", "any"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def applies(rule: tuple[str, str, str, bool], category: str, type_name: str, issuer: str) -> bool:
    _, rule_category, rule_type, is_of_issuer = rule
    return (
        rule_category in {"any", category}
        and rule_type in {"any", type_name}
        and (not is_of_issuer or issuer == ISSUER)
    )


@settings(max_examples=30)
@given(
    RULES,
    st.sampled_from(["cloud", "edge"]),
    st.sampled_from(["ProductOffering", "Category"]),
    st.sampled_from([ISSUER, "did:key:other"]),
)
def test_whatever_permits_what_is_forbidden_or_not_permitted_is_refused(
    rules: list[tuple[str, str, str, bool]], category: str, type_name: str, issuer: str
) -> None:
    text = '@id("never") permit (principal, action, resource) when { context.lifecycleStatus == "never" };'
    for n, (effect, of_category, of_type, is_of_issuer) in enumerate(rules):
        principal = f'principal == Marketplace::"{ISSUER}"' if is_of_issuer else "principal"
        resource = "resource" if of_type == "any" else f'resource == Type::"{of_type}"'
        when = "" if of_category == "any" else f' when {{ context.categories.contains("{of_category}") }}'
        text += f'@id("r{n}") {effect} ({principal}, action, {resource}){when};'
    matching = [rule[0] for rule in rules if applies(rule, category, type_name, issuer)]
    unmet = consume(text).decide("retrieve", issuer, type_name, Subject(categories=(category,)))
    assert (unmet is None) == ("permit" in matching and "forbid" not in matching)
    assert ("forbid" in matching) == (unmet is not None and "#r" in unmet.condition)


async def test_conditions_that_depend_on_the_time_hold_for_a_period(tmp_path: Path) -> None:
    clock = ManualClock()
    (tmp_path / "publish.cedar").write_text(
        OPEN + '@id("ended") forbid (principal, action, resource) '
        "when { context has validUntil && context.validUntil <= context.now };"
    )
    conditions = read_conditions(tmp_path, clock)
    end = clock.now().replace(microsecond=0).isoformat().replace("+00:00", "Z")
    first = conditions.digest_of("publish")
    body = b'{"id":"urn:x","validFor":{"endDateTime":"%s"}}' % end.encode()
    forever = b'{"id":"urn:x"}'
    assert conditions.of_entity(("publish",), ISSUER, "ProductOffering", forever) is None
    await clock.advance(PERIOD_S)
    assert conditions.digest_of("publish") != first
    assert conditions.of_entity(("publish",), ISSUER, "ProductOffering", body) is not None
    assert conditions.of_entity(("publish",), ISSUER, "ProductOffering", forever) is None


def test_a_decision_costs_little(tmp_path: Path) -> None:
    """Not a bound on time, but on what would be another algorithm: a thousand decisions in a second or so."""
    policies = consume(
        OPEN + '@id("x") forbid (principal, action, resource) when { context.categories.contains("x") };'
    )
    started_s = time.process_time()
    for n in range(1000):
        policies.decide("retrieve", ISSUER, "ProductOffering", Subject(categories=(f"c{n}",)))
    assert policies.evaluations.count == 1000
    assert time.process_time() - started_s < 10


@pytest.mark.parametrize("name", ["consum.cedar", "Publish.cedar", "policies.cedar"])
def test_a_file_of_another_name_is_refused_since_it_would_leave_everything_allowed(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "notes.txt").write_text("of the operator")
    assert not read_conditions(tmp_path, ManualClock()).policies
    (tmp_path / name).write_text(OPEN)
    with pytest.raises(
        Fatal, match=rf"{name} is read by nothing.*publish\.cedar and consume\.cedar"
    ) as caught:
        read_conditions(tmp_path, ManualClock())
    assert caught.value.code is Code.SETTINGS_INVALID
