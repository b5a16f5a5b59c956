"""Groups of listeners are indexed by their filters, and none that accepts an event is missed."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.hub.events import Event
from hansa.business.hub.filter_index import ListenerGroups
from hansa.business.hub.listeners import ListenerGroup
from hansa.business.hub.subscription_filter import SubscriptionFilter
from hansa.store import AnyOf, Condition, Filter
from hansa.store.operators import EQ, GT, LTE, Operator
from tests.support.business import Business
from tests.support.conditions import until
from tests.support.listeners import Listeners
from tests.unit.business.test_notifications import dispatching, registered
from tests.unit.business.test_resources import made

TYPES = ("acreateevent", "adeleteevent")
TEXTS = ("x", "y", "1", "1.0", "true", "")
OPERATORS: tuple[Operator, ...] = (EQ, GT, LTE)

values = st.one_of(st.sampled_from(TEXTS), st.sampled_from([1, 1.5, True, False, None]))
contents = st.fixed_dictionaries(
    {},
    optional={
        "a": st.one_of(values, st.lists(values, max_size=3)),
        "b": st.fixed_dictionaries({"c": values}),
    },
)
filters = st.builds(
    Filter,
    st.sampled_from([("a",), ("b", "c")]),
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map(tuple),
    st.sampled_from(OPERATORS),
)
conditions = st.one_of(filters, st.builds(AnyOf, st.lists(filters, min_size=1, max_size=2).map(tuple)))
subscription_filters = st.builds(
    SubscriptionFilter,
    st.one_of(st.none(), st.frozensets(st.sampled_from(TYPES))),
    st.lists(conditions, max_size=3).map(tuple),
)


def event(event_type: str, content: dict[str, Any]) -> Event:
    """An event at the hub of an API."""
    return Event(8, "TMF000", "", event_type, "e", msgspec.json.encode(content))


@given(st.lists(subscription_filters, max_size=8), st.sampled_from(TYPES), contents)
def test_every_group_that_accepts_an_event_is_a_candidate(
    filters_of_groups: list[SubscriptionFilter], event_type: str, content: dict[str, Any]
) -> None:
    groups = ListenerGroups()
    added = [
        ListenerGroup(("TMF000", "", str(number), False), each)
        for number, each in enumerate(filters_of_groups)
    ]
    for group in added:
        groups.add(group)
    sent = event(event_type, content)
    candidates = {
        group for index in groups.indexes("TMF000", "", (event_type,)) for group in index.candidates((sent,))
    }
    assert candidates >= {group for group in added if group.accepts(sent)}
    for group in added:
        groups.remove(group)
    assert groups.indexes("TMF000", "", TYPES) == []


def test_a_group_that_compares_for_equality_is_a_candidate_for_that_value_alone() -> None:
    groups = ListenerGroups()
    for number in range(1000):
        only: Condition = Filter(("a",), (f"party-{number}",))
        groups.add(ListenerGroup(("TMF000", "", str(number), False), SubscriptionFilter(None, (only,))))
    (index,) = groups.indexes("TMF000", "", TYPES)
    candidates = list(index.candidates((event(TYPES[0], {"a": ["party-7", "nobody"]}),)))
    assert [group.key[2] for group in candidates] == ["7"]


async def test_listeners_with_queries_of_their_own_receive_their_own_events(business: Business) -> None:
    listeners = Listeners()
    urls = [f"https://own-{number}.example/" for number in range(60)]
    for number, url in enumerate(urls):
        await registered(business, url, f"event.productOffering.name=n{number}")
    async with dispatching(business, listeners):
        for turn in range(3):
            for number in range(60):
                await made(business, name=f"n{number}", version=str(turn))
        await until(lambda: all(len(listeners.received[url]) == 3 for url in urls))
    for number, url in enumerate(urls):
        received = [each["event"]["productOffering"] for each in listeners.received[url]]
        assert [(one["name"], one["version"]) for one in received] == [
            (f"n{number}", str(t)) for t in range(3)
        ]
