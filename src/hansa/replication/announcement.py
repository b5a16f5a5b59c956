"""Announcements: which lifecycle event brings the ledger up to date on an entity.

| on the ledger | public here | event |
|---|---|---|
| no, or deleted | yes | Create |
| yes | yes, same hashlink | none |
| yes | yes, other lifecycle status | StateChange |
| yes | yes, else | AttributeValueChange |
| yes | no, or deleted | Delete: to the other members a withdrawal is a deletion |
| no, or deleted | no, or deleted | none |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from hansa.core.characteristics import labels_of, regions_of
from hansa.core.entity_form import form_violation, size_violation
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import (
    ATTRIBUTE_VALUE_CHANGE,
    CREATE,
    DELETE,
    METADATA_LIST_MAX,
    STATE_CHANGE,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    ValidityPeriod,
    decode_event,
    encode_event,
    event_id,
    event_name,
    event_time,
    event_time_ms,
    is_metadata_text,
)
from hansa.core.identifiers import entity_key
from hansa.store import Entity
from hansa.store.tables.publications import Outgoing, Publication

UNTIL_REGISTERED: Final = frozenset({Code.EVENT_ISSUER_UNKNOWN, Code.CERTIFICATE_INVALID})
"""Refusals that end when the registry changes: this member is suspended, or its certificate has expired."""
OUTDATED_S: Final = 60.0
"""From then on an event is announced anew when the ledger takes its time for wrong."""
_METADATA_LISTS: Final = ("categories", "compliance", "region")


def age_s(content: bytes, issuer: str, now: datetime) -> float:
    """How old an event is by a clock, in seconds; below 0: the clock was ahead when it was announced."""
    return now.timestamp() - event_time_ms(decode_event(content, issuer).time) / 1000


def is_over(failure: Refused | Unavailable, contents: Sequence[bytes], issuer: str, now: datetime) -> bool:
    """Whether events that were not committed never will be as they are.

    Those whose time the ledger takes for wrong have it from this marketplace's clock. While that says the
    same, it is wrong itself, and is waited for. When it says something else, they are announced anew.
    """
    if failure.code is not Code.EVENT_TIME_WRONG:
        return isinstance(failure, Refused) and failure.code not in UNTIL_REGISTERED
    ages_s = [age_s(content, issuer, now) for content in contents]
    return min(ages_s) < 0 if isinstance(failure, Unavailable) else max(ages_s) >= OUTDATED_S


class Announcer:
    """Builds the events of one member.

    Args:
        did: The member.
        size_max_bytes: The largest event that the league takes now.
    """

    def __init__(self, did: str, size_max_bytes: Callable[[], int]) -> None:
        self._did = did
        self._size_max_bytes = size_max_bytes

    def key_of(self, entity_id: str) -> str:
        """The ledger key of one of our entities, in hex."""
        return entity_key(self._did, entity_id)

    def announce(
        self,
        entity_id: str,
        entity: Entity | None,
        publication: Publication | None,
        now: datetime,
        fields: dict[str, Any] | None = None,
    ) -> Outgoing | None:
        """The event that brings the ledger up to date on an entity; None when it is up to date.

        Args:
            entity_id: Which entity.
            entity: Its published part, when it is ours and may be published; else None.
            publication: The end of its version chain; None when it was never announced.
            now: Time of the event.
            fields: The published part, decoded, if it is.

        Raises:
            Refused: `Code.TOO_LARGE` or `Code.ENTITY_INVALID`: no member may publish the entity as it is
                (`hansa.core.entity_form`).
        """
        assert entity is None or entity.id == entity_id, "an announcement is about one entity"
        assert publication is None or publication.entity_id == entity_id, "with its own chain"
        is_published = publication is not None and publication.version > 0 and not publication.is_withdrawn
        current = publication if is_published else None
        if entity is None:
            return self._withdrawal(current, now) if current is not None else None
        if current is not None and (current.hashlink, current.type) == (entity.hashlink, entity.type):
            return None
        body = _publishable(entity, fields)
        status = _metadata_text(body.get("lifecycleStatus"))
        change = CREATE
        if current is not None:
            is_same_status = current.lifecycle_status in {None, status}
            change = ATTRIBUTE_VALUE_CHANGE if is_same_status else STATE_CHANGE
        event = self._event(self.key_of(entity_id), entity.type, change, entity.hashlink, publication, now)
        if entity.nonce is not None:
            event = msgspec.structs.replace(event, nonce=entity.nonce.hex())
        event, content = self._with_metadata(event, _metadata(body, status))
        return self._outgoing(entity_id, event, content, status)

    def _withdrawal(self, publication: Publication, now: datetime) -> Outgoing:
        assert publication.hashlink is not None, "a withdrawal follows a published version"
        event = self._event(publication.key, publication.type, DELETE, publication.hashlink, publication, now)
        return self._outgoing(publication.entity_id, event, encode_event(event), None)

    def _event(
        self,
        key: str,
        type_name: str,
        change: str,
        hashlink: str,
        publication: Publication | None,
        now: datetime,
    ) -> LifecycleEvent:
        version = EntityVersion(key, type_name, (publication.version if publication else 0) + 1)
        time = event_time(now)
        return LifecycleEvent(
            id=event_id(self._did, version, time),
            type=event_name(type_name, change),
            time=time,
            issuer=self._did,
            entity=version,
            hashlink=hashlink,
            previous=publication.hashlink if publication else None,
        )

    def _with_metadata(self, event: LifecycleEvent, metadata: Metadata) -> tuple[LifecycleEvent, bytes]:
        """The event with its metadata, and its content; too large, it goes without the last of its lists."""
        while True:
            full = msgspec.structs.replace(event, metadata=metadata)
            content = encode_event(full)
            if len(content) <= self._size_max_bytes():
                return full, content
            longest = max(_METADATA_LISTS, key=lambda name: len(getattr(metadata, name)))
            values = getattr(metadata, longest)
            if not values:
                return full, content
            metadata = msgspec.structs.replace(metadata, **{longest: values[:-1]})

    def _outgoing(
        self, entity_id: str, event: LifecycleEvent, content: bytes, status: str | None
    ) -> Outgoing:
        return Outgoing(
            seq=0,
            entity_id=entity_id,
            key=event.entity.key,
            type=event.entity.type,
            version=event.entity.version,
            hashlink=event.hashlink,
            lifecycle_status=status,
            is_delete=event.is_delete,
            content=content,
            previous=event.previous,
        )


def _metadata(body: dict[str, Any], status: str | None) -> Metadata:
    period = body.get("validFor")
    valid_for = None
    if isinstance(period, dict):
        valid_for = ValidityPeriod(
            _metadata_text(period.get("startDateTime")), _metadata_text(period.get("endDateTime"))
        )
    return Metadata(
        status,
        valid_for if valid_for != ValidityPeriod() else None,
        _categories(body),
        _metadata_texts(labels_of(body)),
        _metadata_texts(regions_of(body)),
    )


def _publishable(entity: Entity, fields: dict[str, Any] | None) -> dict[str, Any]:
    """The body of an entity, decoded, when every member accepts one of its form."""
    too_large = size_violation(entity.body)
    if too_large is not None:
        raise Refused(Code.TOO_LARGE, f"The entity is not published: it {too_large}.")
    body: dict[str, Any] = msgspec.json.decode(entity.body) if fields is None else fields
    violation = form_violation(entity.body, body)
    if violation is not None:
        raise Refused(Code.ENTITY_INVALID, f"The entity is not published: it {violation}.")
    return body


def published_ids(entity: Entity) -> tuple[str, ...]:
    """Identifiers of other entities that the event of an entity names: those of its categories."""
    return _categories(msgspec.json.decode(entity.body))


def _categories(body: dict[str, Any]) -> tuple[str, ...]:
    references = body.get("category")
    if not isinstance(references, list):
        return ()
    return _metadata_texts(reference.get("id") for reference in references if isinstance(reference, dict))


def _metadata_texts(values: Iterable[object]) -> tuple[str, ...]:
    """The texts among some values that may stand in an event, each once, as many as may."""
    texts = (_metadata_text(value) for value in values)
    return tuple(dict.fromkeys(text for text in texts if text))[:METADATA_LIST_MAX]


def _metadata_text(value: object) -> str | None:
    """A text that may stand in an event; None for every other value."""
    return value if is_metadata_text(value) else None
