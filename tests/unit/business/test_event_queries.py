"""The query of a hub registration (TMF630 Part 1, chapter 10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.models import load
from hansa.business.query import EventQuery, event_query
from hansa.business.representation import select
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.store import Filter
from hansa.store.evaluation import matches

LIMITS = Limits()
API, _ = load().served("ProductOffering")

EVENT = {
    "eventId": "1",
    "eventTime": "2026-01-31T12:00:00Z",
    "eventType": "ProductOfferingStateChangeEvent",
    "event": {"productOffering": {"id": "o", "name": "Edge", "lifecycleStatus": "Launched"}},
}


def parsed(text: str) -> EventQuery:
    return event_query(text, API, LIMITS)


def is_accepted(text: str, event: Any = EVENT) -> bool:
    query = parsed(text)
    if query.event_types is not None and event["eventType"] not in query.event_types:
        return False
    return matches(event, query.conditions)


def test_the_guidelines_own_example_is_read() -> None:
    """Section 10.4, with its line breaks, blanks, and a spelling of its own."""
    query = parsed(
        "eventType =\n  ProductOfferingStateChangeNotification&event.productoffering.lifecycleStatus=Launched"
        "&fields=\n  event.productOffering.id,event.ProductOffering.name"
    )
    assert query.event_types == frozenset({"ProductOfferingStateChangeEvent"})
    assert query.conditions == (Filter(("event", "productOffering", "lifecycleStatus"), ("Launched",)),)
    assert query.fields is not None
    assert select(EVENT, query.fields) == {"event": {"productOffering": {"id": "o", "name": "Edge"}}}


@pytest.mark.parametrize("pattern", ["^productOffering", "^ProductOffering", "statechange"])
def test_patterns_of_names_have_no_regard_to_case_either(pattern: str) -> None:
    assert is_accepted(f"eventType.regex={pattern}")
    assert not is_accepted("eventType.regex=^category")


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("", None),
        ("eventType=ProductOfferingCreateEvent", {"ProductOfferingCreateEvent"}),
        ("eventType=productofferingcreate", {"ProductOfferingCreateEvent"}),
        ("eventType=CatalogCreateEvent,CategoryCreateEvent", {"CatalogCreateEvent", "CategoryCreateEvent"}),
        ("eventType=CatalogCreateEvent;CategoryCreateEvent", {"CatalogCreateEvent", "CategoryCreateEvent"}),
        (
            "eventType=CatalogCreateEvent&event.catalog.name=x;eventType=CategoryCreateEvent",
            {"CatalogCreateEvent", "CategoryCreateEvent"},
        ),
        ("eventType=CatalogCreateEvent;event.category.name=x", None),
        ("eventType.regex=State", None),
    ],
)
def test_types_of_events_are_known_beforehand_where_the_query_says_them(
    text: str, types: set[str] | None
) -> None:
    assert parsed(text).event_types == types


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("", True),
        ("eventType=ProductOfferingStateChangeEvent", True),
        ("eventType=ProductOfferingCreateEvent", False),
        ("eventType=ProductOfferingCreateEvent;event.productOffering.name=Edge", True),
        ("eventType=ProductOfferingCreateEvent&event.productOffering.name=Edge", False),
        ("eventType=ProductOfferingStateChangeEvent&event.productOffering.name=Core;eventTime>2026", True),
        ("event.productOffering.name.regex=^E", True),
        ("event.productOffering.name*=^e", False),
        ("eventTime.gt=2026-01-31T12:30:00+01:00", True),
        ("eventTime.gt=2026-02", False),
        ("event.catalog.name=Edge", False),
        ("filter=$.event.productOffering[?(@=='Edge')]", True),
        ("filter=$[?(@.event.productOffering.name=='Core')]", False),
        ("eventType*=StateChange", True),
    ],
)
def test_an_event_is_accepted_or_not(text: str, *, accepted: bool) -> None:
    assert is_accepted(text) is accepted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eventType=TroubleTicketCreateEvent", "There is no event of TMF620 'TroubleTicketCreateEvent'"),
        ("event.troubleTicket.id=1", "an event of TMF620 has no 'event.troubleTicket.id'"),
        ("event.productOffering.nme=1", "Did you mean name?"),
        ("name=1", "Did you mean event."),
        (
            "event.productOffering.isBundle.gt=true",
            "query: event.productOffering.isBundle.gt: there is no order",
        ),
        ("filter=[", "filter: '[' is no JSONPath"),
        ("\ud800", "not UTF-8"),
    ],
)
def test_what_no_event_has_is_refused(text: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        parsed(text)
    assert message in caught.value.message


def test_what_takes_too_long_to_tell_is_sent_whole() -> None:
    event = {**EVENT, "event": {"productOffering": {"id": "o", "note": [{"text": n} for n in range(1000)]}}}
    assert is_accepted("filter=$..nothing", event)
    assert not is_accepted("filter=$..nothing")
    fields = parsed("fields=$..text").fields
    assert fields is not None
    assert select(event, fields) == event


@given(st.text(max_size=40) | st.text("eventTyp=.&;,$[]?@'*~<>%", max_size=40))
def test_no_query_does_more_than_be_refused(text: str) -> None:
    try:
        query = parsed(text)
    except Refused as error:
        status = error.http_status
    else:
        matches(EVENT, query.conditions)
        status = 400
    assert status in {400, 501}
