"""From the state of an entity to the lifecycle event that tells the others of it.

published before      public now    event
no, or withdrawn      yes           Create
yes                   yes           StateChange when the lifecycle status differs, else AttributeValueChange;
none when the hashlink is the same
yes                   no, or gone   Delete (a withdrawal is a deletion to everyone else)
no, or withdrawn      no, or gone   none
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from hansa.core.events import (
    ATTRIBUTE_VALUE_CHANGE,
    CREATE,
    DELETE,
    STATE_CHANGE,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    ValidityPeriod,
    entity_location,
    event_name,
    event_time,
    sign_event,
)
from hansa.core.identifiers import Entropy, entity_key, uuid7
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.store import Entity
from hansa.store.tables.publications import Outgoing, Publication

METADATA_TEXT_MAX_CHARS: Final = 128
"""A longer status, time or category identifier is left out of the event."""
CATEGORIES_MAX: Final = 32
_SIGNING_OVERHEAD_BYTES: Final = 512
"""Header, signature and separators of the compact JWS, with room for a long key name."""


class Announcer:
    """Builds and signs the events of one member."""

    def __init__(
        self, signing_key: SigningKey, did: str, endpoint: str, entropy: Entropy, limits: Limits
    ) -> None:
        self._signing_key = signing_key
        self._did = did
        self._endpoint = endpoint
        self._entropy = entropy
        # Base64 makes four characters of three bytes.
        self._payload_max_bytes = (limits.event_size_max_bytes - _SIGNING_OVERHEAD_BYTES) * 3 // 4

    def key_of(self, entity_id: str) -> str:
        """The ledger's key of an entity of ours."""
        return entity_key(self._did, entity_id)

    def announce(
        self, entity_id: str, entity: Entity | None, before: Publication | None, now: datetime
    ) -> Outgoing | None:
        """The signed event that brings the ledger up to date on an entity; None when it is.

        Args:
            entity_id: Which entity.
            entity: Its state, when it is ours and may be published; else None.
            before: What has been published of it.
            now: Time of the event.
        """
        is_out = before is not None and before.version > 0 and not before.is_withdrawn
        if entity is None:
            return self._withdrawal(before, now) if before is not None and is_out else None
        if (
            is_out
            and before is not None
            and before.hashlink == entity.hashlink
            and before.type == entity.type
        ):
            return None
        body = msgspec.json.decode(entity.body)
        status = _short(body.get("lifecycleStatus"))
        change = CREATE
        if is_out and before is not None:
            is_same = before.lifecycle_status in {None, status}
            change = ATTRIBUTE_VALUE_CHANGE if is_same else STATE_CHANGE
        event = self._event(self.key_of(entity_id), entity.type, change, entity.hashlink, before, now)
        event = self._with_metadata(event, _metadata(body, status))
        return self._outgoing(entity_id, event, status, now)

    def _withdrawal(self, before: Publication, now: datetime) -> Outgoing:
        assert before.hashlink is not None, "it has been published"
        event = self._event(before.key, before.type, DELETE, before.hashlink, before, now)
        return self._outgoing(before.entity_id, event, None, now)

    def _event(
        self, key: str, type_name: str, change: str, hashlink: str, before: Publication | None, now: datetime
    ) -> LifecycleEvent:
        return LifecycleEvent(
            id=uuid7(now, self._entropy),
            type=event_name(type_name, change),
            time=event_time(now),
            issuer=self._did,
            entity=EntityVersion(key, type_name, (before.version if before else 0) + 1),
            location=entity_location(self._endpoint, key, hashlink),
            previous=before.hashlink if before else None,
        )

    def _with_metadata(self, event: LifecycleEvent, metadata: Metadata) -> LifecycleEvent:
        """The event with as much of the metadata as fits: categories give way, last ones first."""
        while True:
            full = msgspec.structs.replace(event, metadata=metadata)
            if not metadata.categories or len(msgspec.json.encode(full)) <= self._payload_max_bytes:
                return full
            metadata = msgspec.structs.replace(metadata, categories=metadata.categories[:-1])

    def _outgoing(self, entity_id: str, event: LifecycleEvent, status: str | None, now: datetime) -> Outgoing:
        return Outgoing(
            seq=0,
            entity_id=entity_id,
            key=event.entity.key,
            type=event.entity.type,
            version=event.entity.version,
            hashlink=event.hashlink,
            lifecycle_status=status,
            is_delete=event.is_delete,
            jws=sign_event(event, self._signing_key, now),
            previous=event.previous,
        )


def _metadata(body: dict[str, Any], status: str | None) -> Metadata:
    period = body.get("validFor")
    valid_for = None
    if isinstance(period, dict):
        valid_for = ValidityPeriod(_short(period.get("startDateTime")), _short(period.get("endDateTime")))
    return Metadata(status, valid_for if valid_for != ValidityPeriod() else None, _categories(body))


def _categories(body: dict[str, Any]) -> tuple[str, ...]:
    found = body.get("category")
    if not isinstance(found, list):
        return ()
    ids = (_short(element.get("id")) for element in found if isinstance(element, dict))
    return tuple(dict.fromkeys(id for id in ids if id))[:CATEGORIES_MAX]


def _short(value: object) -> str | None:
    """A text that is short enough for an event."""
    return value if isinstance(value, str) and len(value) <= METADATA_TEXT_MAX_CHARS else None
