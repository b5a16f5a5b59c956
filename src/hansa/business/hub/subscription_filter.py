"""The filter of a registration: its query, compiled to be tested against events (TMF630 Part 1, 10.4).

At the hub of an API the query refers to the envelope, and to the entity that the API's events carry in it. At
the hub of a topic (TMF688) it refers to events as they were published, and the topic has queries of its own
that hold for all its listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import msgspec

from hansa.business.hub.events import Event, is_published_event
from hansa.business.models import Api
from hansa.business.query import event_fields, event_query
from hansa.business.query.filters import FilterCompiler, conditions
from hansa.business.query.parameters import AssertionGroup, groups
from hansa.business.query.paths import resolve_path
from hansa.business.representation import Selection, select
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.core.refusals import all_refusals
from hansa.store import Condition, Entity
from hansa.store.evaluation import matches

ALWAYS_SENT: Final = ("eventId", "eventTime", "eventType")
"""Of the envelope, whatever `fields` selects."""
TOPIC_QUERIES: Final = ("headerQuery", "contentQuery")
"""Attributes of a topic that hold a query on its events."""

_encode = msgspec.json.Encoder().encode


class SubscriptionFilter(msgspec.Struct, frozen=True):
    """Which events a listener receives, and which of their attributes."""

    event_types: frozenset[str] | None
    """In lower case; None for all."""
    conditions: tuple[Condition, ...] = ()
    """On the event with its envelope, as `event.productOffering.lifecycleStatus`."""
    fields: Selection | None = None
    """Of the envelope, with what is always sent; None for the whole event."""

    def accepts(self, event: Event) -> bool:
        """Whether a listener at that event's hub receives it."""
        if self.event_types is not None and event.event_type.lower() not in self.event_types:
            return False
        try:
            return not self.conditions or matches(event.content, self.conditions)
        except Refused:  # too much work: a notification too many is better than one too few
            return True

    def body_of(self, event: Event) -> bytes:
        """The body that the listener is sent."""
        if self.fields is None:
            return event.body
        return _encode(select(event.content, self.fields))


def api_filter(text: str, api: Api, limits: Limits) -> SubscriptionFilter:
    """The filter of a registration at the hub of an API.

    Raises:
        Refused: As `hansa.business.query.event_query`.
    """
    query = event_query(text, api, limits)
    types = None if query.event_types is None else frozenset(map(str.lower, query.event_types))
    return SubscriptionFilter(types, query.conditions, _with_always_sent(query.fields))


def topic_filter(text: str, topic: Entity | None, api: Api, limits: Limits) -> SubscriptionFilter:
    """The filter of a registration at the hub of a topic; without the topic, that of the query alone.

    Raises:
        Refused: `Code.INVALID` or `Code.MALFORMED`, naming an attribute that no event of a topic has.
    """
    try:
        return _topic_filter(text, topic, api, limits)
    except Refused as first:
        raise all_refusals(first, _topic_checks(text, api, limits)) from None


def _topic_filter(text: str, topic: Entity | None, api: Api, limits: Limits) -> SubscriptionFilter:
    """The same; it raises at the first fault."""
    fields: list[str] = []
    all_conditions = list(_published_event_conditions(text, fields, api, limits))
    attributes = msgspec.json.decode(topic.body) if topic is not None else {}
    for name in TOPIC_QUERIES:
        query = attributes.get(name)
        if isinstance(query, str):
            all_conditions += _published_event_conditions(query, [], api, limits)
    selection = _with_always_sent(event_fields(fields, limits))
    return SubscriptionFilter(None, tuple(all_conditions), selection)


def _topic_checks(text: str, api: Api, limits: Limits) -> Iterator[Callable[[], object]]:
    """Checks of the parts of a query on published events, each by itself."""
    fields: list[str] = []
    for part in text.replace(";", "&").split("&"):
        yield partial(_published_event_conditions, part, fields, api, limits)
    yield partial(event_fields, fields, limits)


def _with_always_sent(fields: Selection | None) -> Selection | None:
    if fields is None:
        return None
    return Selection({**fields.names, **{name: {} for name in ALWAYS_SENT}}, fields.locators)


def _published_event_conditions(
    text: str, fields: list[str], api: Api, limits: Limits
) -> tuple[Condition, ...]:
    """The conditions of a query on published events; the values of its `fields` are added to that list."""
    event_type = next(resource.type for resource in api.resources if is_published_event(resource))
    asserted: list[AssertionGroup] = []
    for group in groups(text.encode(), limits):
        stripped = tuple(one._replace(value=one.value.strip()) for one in group)
        fields += [one.value for one in stripped if one.name == "fields"]
        asserted.append(tuple(one for one in stripped if one.name != "fields"))
    compiler = FilterCompiler(api, limits, partial(resolve_path, api=api, type_name=event_type))
    try:
        return conditions(asserted, compiler, limits)
    except Refused as error:
        raise Refused(error.code, f"query: {error.message}") from None
