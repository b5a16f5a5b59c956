"""The examples of docs/operators/access.md are valid, and decide as the page says."""

from __future__ import annotations

import re

import msgspec

from hansa.core.access import AccessTarget, Action, Caller, EntityFacts
from hansa.core.clock import SystemClock
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import AccessPolicies
from tests.docs.pages import page
from tests.support.rights import ACME, BOLT, CALLERS, CITY, party

BLOCK = re.compile(r"```cedar\n// policies/access/([a-z.-]+)\n(.*?)```", re.DOTALL)
ORDER = AccessTarget("ProductOrder", "ProductOrder", True, party_attributes=("relatedParty",))
OFFERING = AccessTarget(
    *("ProductOffering", "ProductOffering", False),
    party_attributes=("relatedParty",),
    status_attribute="lifecycleStatus",
    is_catalogue=True,
)
BOUGHT = EntityFacts({"relatedParty": [party(CITY, "Buyer")]}, False)
SOLD = EntityFacts({"relatedParty": [party(ACME)], "lifecycleStatus": "Launched"}, True)


def reason(caller: Caller, action: Action, target: AccessTarget, facts: EntityFacts) -> str | None:
    texts = dict(BLOCK.findall(page("docs/operators/access.md")))
    assert len(texts) == 3
    approved = {ACME: frozenset({"Seller", "Buyer"})}
    rights = AccessRights(
        AccessPolicies(texts, SystemClock()),
        SystemClock(),
        party_roles=lambda one: approved.get(one, frozenset()),
    )
    decision = rights(caller, action, target)
    assert decision.rule is not None
    refusal = decision.rule.refusal(facts, frozenset())
    return None if refusal is None else refusal.reason


def test_the_examples_decide_as_the_page_says() -> None:
    clerk = Caller("clerk", organization=CITY)
    assert reason(clerk, Action.CREATE, ORDER, BOUGHT) is None
    machine = msgspec.structs.replace(clerk, is_machine=True)
    refused = reason(machine, Action.CREATE, ORDER, BOUGHT)
    assert refused is not None
    assert "machines-write-no-orders" in refused
    assert reason(CALLERS["acme"], Action.CHANGE, OFFERING, SOLD) is None
    assert "nobody-deletes-what-is-sold" in (reason(CALLERS["acme"], Action.DELETE, OFFERING, SOLD) or "")
    bolts = EntityFacts({"relatedParty": [party(BOLT)], "lifecycleStatus": "In design"}, False)
    assert "only-approved-sellers-offer" in (reason(CALLERS["bolt"], Action.CHANGE, OFFERING, bolts) or "")
    assert reason(CALLERS["boss"], Action.DELETE, OFFERING, SOLD) is None
