"""What a registration asks for: its query, checked and ready to be held against events (TMF630 Part 1, section 10.4).

At the hub of an API the query speaks of the envelope, and of what the API's events carry in it. At the hub of a topic
(TMF688) it speaks of events as they were published, and the topic has queries of its own that hold for all its
listeners.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from hansa.business.hub.events import Event, is_published
from hansa.business.models import Api
from hansa.business.query import event_fields, event_query
from hansa.business.query.evaluation import matches
from hansa.business.query.filters import FilterCompiler, conditions
from hansa.business.query.parameters import AssertionGroup, groups
from hansa.business.query.paths import follow
from hansa.business.representation import Selection, select
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.store import Condition, Entity

ALWAYS_SENT: Final = ("eventId", "eventTime", "eventType")
"""Of the envelope, whatever `fields` selects."""
TOPIC_QUERIES: Final = ("headerQuery", "contentQuery")
"""Attributes of a topic with a query that chooses its events."""

_encode = msgspec.json.Encoder().encode


class SubscriptionFilter(msgspec.Struct, frozen=True):
    """Which events a listener wants, and how much of them."""

    event_types: frozenset[str] | None
    """In lower case; None for all."""
    conditions: tuple[Condition, ...] = ()
    """On the event with its envelope, as `event.productOffering.lifecycleStatus`."""
    fields: Selection | None = None
    """Of the envelope, with what is always sent; None for the whole event."""

    def is_for(self, event: Event) -> bool:
        """Whether a listener at that event's hub wants it."""
        if self.event_types is not None and event.event_type.lower() not in self.event_types:
            return False
        return not self.conditions or matches(event.content, self.conditions)

    def body(self, event: Event) -> bytes:
        """What the listener is sent of it."""
        if self.fields is None:
            return event.body
        return _encode(select(event.content, self.fields))


def wish(text: str, api: Api, limits: Limits) -> SubscriptionFilter:
    """The query of a registration at the hub of an API.

    Raises:
        Refused: as `hansa.business.query.event_query`.
    """
    found = event_query(text, api, limits)
    types = None if found.event_types is None else frozenset(map(str.lower, found.event_types))
    return SubscriptionFilter(types, found.conditions, _with_always_sent(found.fields))


def topic_wish(text: str, topic: Entity | None, api: Api, limits: Limits) -> SubscriptionFilter:
    """The query of a registration at the hub of a topic; without the topic, what it asks for by itself.

    Raises:
        Refused: `Code.INVALID` or `Code.MALFORMED`, naming what no event of a topic has.
    """
    fields: list[str] = []
    found = list(_on_published(text, fields, api, limits))
    own = msgspec.json.decode(topic.body) if topic is not None else {}
    for name in TOPIC_QUERIES:
        query = own.get(name)
        if isinstance(query, str):
            found += _on_published(query, [], api, limits)
    return SubscriptionFilter(None, tuple(found), _with_always_sent(event_fields(fields, limits)))


def _with_always_sent(fields: Selection | None) -> Selection | None:
    if fields is None:
        return None
    return Selection({**fields.names, **{name: {} for name in ALWAYS_SENT}}, fields.locators)


def _on_published(text: str, fields: list[str], api: Api, limits: Limits) -> tuple[Condition, ...]:
    """The conditions of a query on published events; what its `fields` say goes into the list."""
    event_type = next(resource.type for resource in api.resources if is_published(resource))
    asserted: list[AssertionGroup] = []
    for group in groups(text.encode(), limits):
        stripped = tuple(one._replace(value=one.value.strip()) for one in group)
        fields += [one.value for one in stripped if one.name == "fields"]
        asserted.append(tuple(one for one in stripped if one.name != "fields"))
    comparison = FilterCompiler(api, limits, partial(follow, api=api, type_name=event_type))
    try:
        return conditions(asserted, comparison, limits)
    except Refused as error:
        raise Refused(error.code, f"query: {error.message}") from None
