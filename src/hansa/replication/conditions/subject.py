"""What conditions are evaluated on: the facts that an event, or an entity, gives about itself.

The metadata of an event are what its origin takes from the entity by `labels_of`, `regions_of` and the
categories. A member that retrieves the entity takes the same from its bytes, so an event that says otherwise
than its entity is worth nothing.

Values are bounded in number and length. What exceeds that is not cut: a condition that forbids one of the
values must not be deceived by many others. `Subject.is_complete` says so then, and no condition is met.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from hansa.core.characteristics import characteristic, labels_of, listed, members, regions_of, texts
from hansa.core.clock import rfc3339
from hansa.core.events import LifecycleEvent
from hansa.core.instants import instant

VALUES_MAX: Final = 200
"""Values of one list of a subject."""
VALUE_MAX_CHARS: Final = 256


class Moment(msgspec.Struct, frozen=True):
    """A point in time, as Cedar reads it."""

    extension: dict[str, str] = msgspec.field(name="__extn")


def moment(text: object) -> Moment | msgspec.UnsetType:
    """The point in time that a date-time says; unset for everything else."""
    key = instant(text) if isinstance(text, str) else None
    if key is None or len(key) < len("0000-00-00T00:00:00"):
        return msgspec.UNSET
    seconds, _, fraction = key.partition(".")
    return Moment({"fn": "datetime", "arg": f"{seconds}.{(fraction + '000')[:3]}Z"})


class Subject(msgspec.Struct, frozen=True, rename="camel"):
    """What policies know as `context`."""

    lifecycle_status: str = ""
    categories: tuple[str, ...] = ()
    """Identifiers."""
    labels: tuple[str, ...] = ()
    """Compliance labels, as the origin says; nobody has verified them."""
    regions: tuple[str, ...] = ()
    valid_from: Moment | msgspec.UnsetType = msgspec.UNSET
    valid_until: Moment | msgspec.UnsetType = msgspec.UNSET
    now: Moment | msgspec.UnsetType = msgspec.UNSET
    """Beginning of the period in which decisions hold; only where a policy needs it."""
    languages: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """This and what follows: of entities, not of events."""
    price_models: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    providers: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """Identifiers of related parties."""
    credentials: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """Types of the credentials that have been verified; none while nothing verifies them."""

    @property
    def is_complete(self) -> bool:
        """Whether it has all values, none of them too long."""
        lists = (
            self.categories,
            self.labels,
            self.regions,
            self.languages,
            self.price_models,
            self.providers,
        )
        return len(self.lifecycle_status) <= VALUE_MAX_CHARS and all(
            len(values) <= VALUES_MAX and all(len(one) <= VALUE_MAX_CHARS for one in values)
            for values in lists
            if isinstance(values, tuple)
        )

    @property
    def announced(self) -> Subject:
        """What of it an event could say."""
        return Subject(
            *(self.lifecycle_status, self.categories, self.labels, self.regions),
            *(self.valid_from, self.valid_until, self.now),
        )

    def at(self, now: datetime) -> Subject:
        """The same at a time."""
        return msgspec.structs.replace(self, now=moment(rfc3339(now)))


def subject_of_event(event: LifecycleEvent) -> Subject:
    """What an event says of its entity."""
    metadata = event.metadata
    period = metadata.validFor
    return Subject(
        metadata.lifecycleStatus or "",
        metadata.categories,
        metadata.compliance,
        metadata.region,
        moment(period.startDateTime) if period is not None else msgspec.UNSET,
        moment(period.endDateTime) if period is not None else msgspec.UNSET,
    )


def subject_of_entity(body: bytes) -> Subject:
    """What an entity says of itself."""
    fields: dict[str, Any] = msgspec.json.decode(body)
    status, period = fields.get("lifecycleStatus"), fields.get("validFor")
    period = period if isinstance(period, dict) else {}
    return Subject(
        status if isinstance(status, str) else "",
        texts(members(fields.get("category"), "id")),
        labels_of(fields),
        regions_of(fields),
        moment(period.get("startDateTime")),
        moment(period.get("endDateTime")),
        languages=texts((*listed(fields.get("language")), *characteristic(fields, "language"))),
        price_models=texts(
            (*listed(fields.get("priceType")), *members(fields.get("productOfferingPrice"), "priceType"))
        ),
        providers=texts(members(fields.get("relatedParty"), "id")),
        credentials=(),
    )
