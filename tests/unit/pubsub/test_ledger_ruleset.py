"""The rules of the ledger do not change by accident."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hansa.core.closed_json import FreeText, Integer, ListOf, Record, Text, WithBytes
from hansa.pubsub.ledger.commitments.app_hash import RULESET
from hansa.pubsub.ledger.results import WAITING_RULES
from hansa.pubsub.ledger.rules import RULES
from hansa.pubsub.ledger.rules.ruleset import CURRENT_RULESET, declarations

PINNED = ("hansa-ledger/3", "e4b06270c4151678287171ee768bf84706a516a3ad142d9daa0aef129625c53e")

CHANGED = """
The declarations of the ledger's rules have changed: a form, a rule's number or code, a kind of transaction, a limit's
name or bounds, or the layout of a hash. Members that run this version and members that run the last one would refuse
each other's ledgers, and a ledger that exists may have another history under these rules. So either undo the change,
or give leagues a way to it: a new name in `RULESET`, under which the ledger goes on from a height that its members
agree on, with `tests/golden/ledger-3.jsonl.xz` still replayed under the rules of its name. Then pin the new digest.
"""


def test_the_rules_are_those_that_were_pinned() -> None:
    assert (CURRENT_RULESET.name, CURRENT_RULESET.digest) == PINNED, CHANGED


def test_the_digest_covers_every_rule_and_form() -> None:
    text = json.dumps(declarations())
    assert RULESET in text
    for rule in (rule for rule in RULES if rule not in WAITING_RULES):
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
