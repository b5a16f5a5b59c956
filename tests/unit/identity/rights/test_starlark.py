"""Policies in the form of DOME's `auth_policies.star` stand beside the Cedar policies: both have to allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.core.access import Action, EntityFacts
from hansa.core.clock import ManualClock, SystemClock
from hansa.core.errors import Fatal
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import AccessPolicies, read_texts
from hansa.identity.rights.starlark_policy import FILE_NAME
from tests.support.rights import ACME, CALLERS, party
from tests.unit.identity.rights.test_policies import OFFERING, may

DOME = '''
"""Who may do what, as an operator of DOME writes it."""

forbidden_countries = ["PT"]

def has_power(function, action):
    for power in input.token.vc.credentialSubject.mandate.power:
        if power.function == function and action in power.action:
            return True
    return False

def authorize():
    print("asked about", input.request.action, input.tmf.type)
    if input.user.country in forbidden_countries:
        return False
    if input.request.action in ["CREATE", "UPDATE"] and not has_power("ProductOffering", "Update"):
        return False
    if input.request.action == "DELETE" and not input.user.isLEAR:
        return False
    if input.user.country in input.tmf.prohibitedCountries:
        return False
    return input.user.isOwner or input.request.action == "READ"
'''
OWN = EntityFacts(
    {
        "id": "x",
        "@type": "ProductOffering",
        "relatedParty": [party(ACME)],
        "productOfferingTerm": [{"prohibitedCustomerRegion": [{"country": "ES"}]}],
    },
    True,
)


def rights_of(text: str) -> AccessRights:
    clock = SystemClock()
    return AccessRights(AccessPolicies({FILE_NAME: text}, clock), clock)


def test_both_have_to_allow() -> None:
    rights = rights_of(DOME)
    for name, action, is_allowed in (
        ("acme", Action.CHANGE, True),
        ("acme", Action.DELETE, True),
        ("acme-machine", Action.DELETE, False),
        ("acme-clerk", Action.CHANGE, False),
        ("stranger", Action.READ, True),
        ("bolt", Action.READ, False),
        ("city", Action.READ, False),
        ("boss", Action.READ, True),
        ("provider", Action.CHANGE, False),
        ("operator", Action.CHANGE, True),
    ):
        assert may(rights, name, action, OWN, OFFERING) is is_allowed, (name, action)


def test_a_refusal_names_the_file() -> None:
    readable = 'def authorize():\n    return input.request.action == "READ"\n'
    rule = rights_of(readable)(CALLERS["acme"], Action.CHANGE, OFFERING).rule
    assert rule is not None
    refusal = rule.refusal(EntityFacts({"relatedParty": [party(ACME)]}, True), frozenset())
    assert refusal is not None
    assert FILE_NAME in refusal.reason


@pytest.mark.parametrize(
    "body",
    [
        "return 1",
        "return 'True'",
        "return None",
        "return input.nothing",
        "fail('no')",
        "for i in range(10000):\n        for j in range(10000):\n            i = i + 1\n    return True",
    ],
    ids=["number", "text", "nothing", "unknown", "fails", "endless"],
)
def test_whatever_is_not_true_refuses(body: str) -> None:
    rights = rights_of(f"def authorize():\n    {body}\n")
    assert not may(rights, "acme", Action.READ, OWN, OFFERING)
    assert may(rights, "operator", Action.READ, OWN, OFFERING)


@pytest.mark.parametrize(
    "text",
    [
        "def authorize(:",
        "x = 1",
        'load("other.star", "x")\ndef authorize():\n    return True',
        "def authorize():\n    return True\n" + "#" * 70_000,
        "authorize = 1 + 'x'",
    ],
    ids=["no syntax", "no function", "loads", "too large", "fails"],
)
def test_a_file_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(Fatal) as refused:
        AccessPolicies({FILE_NAME: text}, ManualClock())
    assert FILE_NAME in refused.value.message


def test_a_file_of_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policies.star").write_text(DOME)
    with pytest.raises(Fatal):
        read_texts(tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        "return True\n\nTOO_LONG = 'a' * 1000000000",
        "return 'a' * input.tmf.count",
        "return 1 << input.tmf.count",
        "return '%s' % input.tmf.name",
        "return list(range(input.tmf.count))",
        "return range(0, 100000)",
        "return input.tmf.name.replace('a', input.tmf.name)",
        "return input.tmf.name.join(input.tmf.tags)",
        "return input.tmf.name.format(1)",
        "return [1].extend(input.tmf.tags)",
        "other = range\n    return other(input.tmf.count)",
        "return [one(input.tmf.count) for one in [range]]",
        "other = input.tmf.name.replace\n    return other('a', input.tmf.name)",
        "return getattr(input.tmf.name, 'join')(input.tmf.tags)",
        "return getattr(input.tmf.name, input.tmf.tags[0])('a', input.tmf.name)",
        "other = getattr\n    return other(input.tmf.name, 'join')(input.tmf.tags)",
        "return getattr(input.tmf.name, 'upper')('a') or getattr('a', *input.tmf.tags)",
        "return lambda: True",
        "a = 'a'\n    for one in range(9):\n        a = '{}{}'.format(a, a)\n    return a",
        "a = 'a'\n    for one in range(9):\n        a = ''.join([a, a])\n    return a",
        "a = 'a'\n    for one in range(9):\n        a = repr(a)\n    return a",
        "a = 'a'\n    for one in range(9):\n        a = [a, a]\n    return str(a)",
        "a = {}\n    for one in range(9):\n        a = {'a': a, 'b': a}\n    return a == a",
        "a = ['a']\n    for one in range(9):\n        a = [c for b in [a, a] for c in b]\n    return a",
        "a = ['a']\n    for one in range(9):\n        a.append(str(a))\n    return a",
        "text = ''\n    for one in input.tmf.tags:\n        text += input.tmf.name\n    return text",
        "text = ''\n    for one in input.tmf.tags:\n        text = text + one\n    return text",
        "return [input.tmf.name + one for one in input.tmf.tags]",
        "return authorize()",
        "return other()\n\ndef other():\n    return third()\n\ndef third():\n    return other()",
        "for one in input.tmf.tags:\n        grown(one)\n\ndef grown(one):\n    return one + one",
    ],
)
def test_a_policy_that_nothing_bounds_is_refused_when_it_is_loaded(body: str) -> None:
    with pytest.raises(Fatal) as error:
        rights_of(f"def authorize():\n    {body}\n")
    assert "nothing bounds what it may take: line" in error.value.message


def test_what_is_bounded_is_loaded() -> None:
    rights = rights_of(
        """
def authorize():
    name = "did:elsi:" + input.user.organizationIdentifier
    some, inner = ["a", "b"], input.tmf
    for number in range(10):
        name = name + "-"
        some = [one for one in some if one != name]
        inner = getattr(inner, "inner", inner)
        some.append(str(number))
    if getattr(input.tmf, "nothing", None):
        return False
    return ",".join([one.upper() for one in ["a"]]) + name.replace("-", "") != ""
"""
    )
    assert may(rights, "acme", Action.CHANGE, OWN, OFFERING)


def test_a_policy_refuses_what_is_larger_than_it_may_look_at() -> None:
    rights = rights_of("def authorize():\n    return True\n")
    for size_chars, is_allowed in ((1000, True), (300_000, False)):
        facts = EntityFacts({**OWN.fields, "description": "x" * size_chars}, True)
        assert may(rights, "acme", Action.CHANGE, facts, OFFERING) is is_allowed


def test_an_interpreter_that_panics_allows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    policy = rights_of("def authorize():\n    return True\n").policies.starlark
    assert policy is not None

    def panic(*_: object) -> None:
        raise PanicException

    monkeypatch.setattr(policy, "_frozen", panic)
    assert policy.problem(CALLERS["acme"], Action.CHANGE, OFFERING, OWN, frozenset()) == "cannot be evaluated"
