"""The rules of the ledger do not change by accident."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hansa.core.closed_json import FreeText, Integer, ListOf, Record, Text, WithBytes
from hansa.pubsub.ledger.results import TRANSACTION_RULES
from hansa.pubsub.ledger.rules.rulesets import RULESETS, Ruleset, rules_digest

PINNED = {"hansa-ledger/3": "e4b06270c4151678287171ee768bf84706a516a3ad142d9daa0aef129625c53e"}
"""Of those by which leagues judge."""

CHANGED = """
The declarations of a rule set have changed: a form, a rule's number or code, a kind of transaction, a limit's name or
bounds, or the layout of a hash. Members that run this version and members that run the last one would refuse each
other's ledgers, and a ledger that exists may have another history under these rules. So either undo the change, or put
it into a rule set of another name, to which leagues go over at a height that their members agree on.
"""


@pytest.mark.parametrize(("ruleset", "digest"), PINNED.items())
def test_the_rules_are_those_that_were_pinned(ruleset: str, digest: str) -> None:
    assert rules_digest(ruleset) == digest, CHANGED


def test_rule_sets_have_digests_of_their_own() -> None:
    assert len({rules_digest(name) for name in RULESETS}) == len(RULESETS)
    assert rules_digest("hansa-ledger/0") == ""


@pytest.mark.parametrize("rules", RULESETS.values())
def test_the_digest_covers_every_rule_and_form(rules: Ruleset) -> None:
    text = json.dumps(rules.declarations())
    assert rules.name in text
    own = [*TRANSACTION_RULES, *(rule for kind in rules.kinds for rule in kind.rules)]
    for rule in own:
        assert f"[{rule.number}, " in text
    for name in (
        "hashlink",
        "issuer_burst_s",
        "validator_key",
        "recorded_height",
        "events_level",
        "iat",
        "claim",
    ):
        assert name in text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Text("[a-z]"), Text("[a-y]")),
        (FreeText(1), FreeText(2)),
        (Integer(0, 1), Integer(0, 2)),
        (ListOf(Text("a"), 1), ListOf(Text("a"), 2)),
        (ListOf(Text("a"), 1), ListOf(Text("b"), 1)),
        (Record({"a": Text("a")}), Record({}, {"a": Text("a")})),
        (Record({"a": Text("a")}), Record({"b": Text("a")})),
        (Record({}, {"a": Text("a")}), Record({}, {"a": Text("a")}, is_empty=True)),
        (WithBytes(Text("a")), WithBytes(Text("b"))),
    ],
)
def test_forms_that_accept_other_bytes_have_other_descriptions(one: Any, other: Any) -> None:
    assert one.describe() != other.describe()
    assert json.loads(json.dumps(one.describe())) == one.describe()
