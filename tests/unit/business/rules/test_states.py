"""State machines: the states that the models define, and the transitions that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.models import Api, Items, Lifecycle, Resource, load
from hansa.business.models.lifecycles import lifecycles, load_lifecycles
from hansa.business.rules import Rules
from hansa.core.errors import Code, Fatal, Refused

MODELS = load()
RULES = Rules(MODELS)
FOLLOWING: Final = tuple(
    (api, resource, machine)
    for api in MODELS.apis
    for resource in api.resources
    if (machine := MODELS.lifecycle(resource)) is not None
)
MACHINES: Final = tuple(load_lifecycles().values())

WITHOUT_MACHINE: Final = {
    "ResourceStatusType": "what a resource is like at the moment; each may follow each",
    "ProductStockStatusType": "what a stock is like at the moment; each may follow each",
}
"""Enumerations of status attributes that no machine orders, with the reason."""


def resource_of(collection: str) -> Resource:
    """The resource that serves a collection."""
    return MODELS.served(collection)[1]


def refusal(resource: Resource, before: dict[str, Any] | None, after: dict[str, Any]) -> Refused | None:
    """How a step is refused; None when it is not."""
    try:
        RULES.check_content(resource, before, after)
    except Refused as error:
        return error
    return None


def enumerations(
    api: Api, resource: Resource, machine: Lifecycle
) -> Iterator[tuple[tuple[str, ...], Lifecycle]]:
    """What the document enumerates for an entity and its parts, each with its machine."""
    attributes = api.attributes_of(resource.type)
    yield api.enumerations.get(attributes[resource.status_attribute or ""].type, ()), machine
    for items in machine.items:
        part = api.attributes_of(attributes[items.path].type)
        yield api.enumerations.get(part[items.status].type, ()), MODELS.named_lifecycle(items.lifecycle)


@pytest.mark.parametrize(
    ("api", "resource", "machine"), FOLLOWING, ids=[f"{api.id}-{one.path}" for api, one, _ in FOLLOWING]
)
def test_a_machine_has_the_states_that_the_document_enumerates(
    api: Api, resource: Resource, machine: Lifecycle
) -> None:
    for enumerated, follows in enumerations(api, resource, machine):
        assert set(enumerated) == (set() if follows.is_open else set(follows.states)), follows.name
    initial = resource.status_initial
    assert initial is None or machine.spelling_of(initial) is not None


def test_every_enumerated_status_follows_a_machine_but_for_those_that_are_listed() -> None:
    without = {
        attribute.type
        for api in MODELS.apis
        for resource in api.resources
        if resource.status_attribute is not None and resource.lifecycle is None
        for attribute in [api.attributes_of(resource.type)[resource.status_attribute]]
        if attribute.type in api.enumerations
    }
    assert without == WITHOUT_MACHINE.keys()


def test_every_machine_is_followed() -> None:
    followed = {machine.name for _, _, machine in FOLLOWING}
    followed |= {items.lifecycle for machine in MACHINES for items in machine.items}
    assert followed == {machine.name for machine in MACHINES}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_state_of_a_machine_can_be_reached_from_where_it_begins(machine: Lifecycle) -> None:
    reached, newest = set(machine.initial), set(machine.initial)
    while newest:
        newest = {state for each in newest for state in machine.successors(each)} - reached
        reached |= newest
    assert reached == set(machine.states)


@given(st.data(), st.sampled_from(FOLLOWING))
def test_only_what_a_machine_allows_passes_and_nothing_leaves_a_final_state(
    data: st.DataObject, following: tuple[Api, Resource, Lifecycle]
) -> None:
    _, resource, machine = following
    name = resource.status_attribute or ""
    before = data.draw(st.sampled_from(machine.states))
    after = data.draw(st.sampled_from(machine.states))
    refused = refusal(resource, {name: before}, {name: after})
    if after == before or after in machine.successors(before):
        assert refused is None
    else:
        assert refused is not None
        assert refused.code is Code.TRANSITION_REFUSED
    if machine.is_final(before):
        assert refused is not None or after == before


@given(st.sampled_from(FOLLOWING), st.data())
def test_an_entity_is_created_in_any_state_of_its_machine(
    following: tuple[Api, Resource, Lifecycle], data: st.DataObject
) -> None:
    _, resource, machine = following
    state = data.draw(st.sampled_from(machine.states))
    assert refusal(resource, None, {str(resource.status_attribute): state}) is None


def test_a_refusal_names_the_state_and_those_that_can_follow() -> None:
    order = resource_of("ProductOrder")
    refused = refusal(order, {"state": "pendingCancellation"}, {"state": "completed"})
    assert refused is not None
    assert refused.http_status == 409
    assert refused.message == (
        "state cannot become “completed”: it is “pendingCancellation”, and it can be followed by cancelled, failed."
    )
    refused = refusal(order, {"state": "completed"}, {"state": "inProgress"})
    assert refused is not None
    assert refused.message == "state cannot become “inProgress”: it is “completed”, and it is final."


def test_what_was_launched_is_not_designed_again() -> None:
    offering = resource_of("ProductOffering")
    assert refusal(offering, {"lifecycleStatus": "In study"}, {"lifecycleStatus": "Launched"}) is None
    assert refusal(offering, {"lifecycleStatus": "Launched"}, {"lifecycleStatus": "Active"}) is None
    for state in ("In study", "In design", "In test", "Rejected", "Obsolete"):
        assert refusal(offering, {"lifecycleStatus": "Launched"}, {"lifecycleStatus": state}) is not None
    assert refusal(offering, {"lifecycleStatus": "Obsolete"}, {"lifecycleStatus": "Launched"}) is not None


def test_states_are_compared_without_regard_to_case() -> None:
    offering = resource_of("ProductOffering")
    assert refusal(offering, {"lifecycleStatus": "In study"}, {"lifecycleStatus": "In Study"}) is None
    assert refusal(offering, {"lifecycleStatus": "obsolete"}, {"lifecycleStatus": "launched"}) is not None


def test_a_state_of_ones_own_is_possible_where_the_document_enumerates_none() -> None:
    offering = resource_of("ProductOffering")
    assert refusal(offering, {"lifecycleStatus": "Launched"}, {"lifecycleStatus": "On hold"}) is None
    assert refusal(offering, {"lifecycleStatus": "On hold"}, {"lifecycleStatus": "Launched"}) is None
    assert refusal(offering, {"lifecycleStatus": "Obsolete"}, {"lifecycleStatus": "On hold"}) is not None
    refused = refusal(resource_of("ProductOrder"), None, {"state": "on hold"})
    assert refused is not None
    assert refused.code is Code.INVALID


def test_a_state_cannot_be_taken_away() -> None:
    order = resource_of("ProductOrder")
    refused = refusal(order, {"state": "completed"}, {})
    assert refused is not None
    assert refused.code is Code.TRANSITION_REFUSED
    assert refusal(order, {}, {"state": "completed"}) is None


def items(*states: tuple[str | None, str]) -> dict[str, Any]:
    """An order with items."""
    parts = [({} if name is None else {"id": name}) | {"state": state} for name, state in states]
    return {"state": "inProgress", "productOrderItem": parts}


def test_items_of_an_order_have_states_of_their_own_whatever_their_place() -> None:
    order = resource_of("ProductOrder")
    before = items(("1", "completed"), ("2", "inProgress"))
    assert refusal(order, before, items(("2", "completed"), ("1", "completed"))) is None
    refused = refusal(order, before, items(("2", "inProgress"), ("1", "inProgress")))
    assert refused is not None
    assert refused.code is Code.TRANSITION_REFUSED
    assert refused.message.startswith("productOrderItem[1].state cannot become “inProgress”")
    assert refusal(order, before, items((None, "pending"), ("3", "held"))) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[a]\ninitial = ["x"]\nnext.x = ["y"]', "a refers to states that it does not have: y"),
        ('[a]\ninitial = ["y"]\nnext.x = []', "a refers to states that it does not have: y"),
        ("[a]\nnext.x = []", "a needs states, and one to begin in"),
        ('[a]\ninitial = ["x"]\nnext.x = []\nnext.X = []', "a has a state twice"),
        ('[a]\nlike = "b"', "a is like 'b', which is no machine with states of its own"),
        ('[a]\ninitial = ["x"]\nnext.x = []\nfinal = ["x"]', "unknown field `final`"),
        (
            '[a]\ninitial = ["x"]\nnext.x = []\nitems = [{ path = "p", status = "s", lifecycle = "q" }]',
            "a.p follows 'q', which is no machine",
        ),
    ],
)
def test_a_machine_that_is_not_in_the_form_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Fatal, match="holds no state machines") as raised:
        lifecycles(text)
    assert reason in raised.value.message


def test_a_machine_like_another_has_its_states_and_items_of_its_own() -> None:
    text = '[a]\ninitial = ["x"]\nnext.x = ["y"]\nnext.y = []\n[b]\nlike = "a"\nopen = true\nitems = [{path="p", status="s", lifecycle="a"}]'
    machine = lifecycles(text)["b"]
    assert (machine.states, machine.initial, machine.is_open) == (("x", "y"), ("x",), True)
    assert [state for state in machine.states if machine.is_final(state)] == ["y"]
    assert machine.items == (Items("p", "s", "a"),)
