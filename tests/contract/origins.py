"""Members that sign lifecycle events, for tests of the bus and of the ledger."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from hansa.core.canonical import hashlink
from hansa.core.events import (
    CREATE,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    event_name,
    event_time,
    sign_event,
)
from hansa.core.identifiers import entity_key, uuid7
from hansa.core.keys import Algorithm, SigningKey
from hansa.core.members import Member, MemberStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Origin:
    """A member with its key; remembers its entities' chains."""

    def __init__(self, name: str, algorithm: Algorithm = "ES256", status: MemberStatus = "active") -> None:
        self.key = SigningKey.generate(algorithm)
        self.did = self.key.verifying_key().did_key()
        self.endpoint = f"https://{name}.example"
        self.member = Member(self.did, name, self.endpoint, (self.key.public,), 1, status)
        self._random = random.Random(name)
        self._chains: dict[str, tuple[int, str]] = {}

    def key_of(self, entity_id: str) -> str:
        """The ledger's key of an entity of this origin."""
        return entity_key(self.did, entity_id)

    def event_id(self) -> str:
        """A new event id."""
        return uuid7(NOW, self._random.randbytes)

    def location(self, key: str, link: str) -> str:
        """Where this origin serves a version."""
        return f"{self.endpoint}/league/v1/entities/{key}?hl={link}"

    def describe(self, entity_id: str, change: str = CREATE, **overrides: Any) -> LifecycleEvent:
        """The event that continues an entity's chain, without remembering it."""
        version, previous = self._chains.get(entity_id, (0, None))
        link = hashlink(f"{entity_id} {version + 1}".encode())
        if change == "Delete" and previous is not None:
            link = previous
        key = self.key_of(entity_id)
        fields: dict[str, Any] = {
            "id": self.event_id(),
            "type": event_name("ProductOffering", change),
            "time": event_time(NOW),
            "issuer": self.did,
            "entity": EntityVersion(key, "ProductOffering", version + 1),
            "location": self.location(key, link),
            "previous": previous,
            "metadata": Metadata(lifecycleStatus="Launched", categories=("cloud",)),
        }
        return LifecycleEvent(**(fields | overrides))

    def sign(self, event: LifecycleEvent) -> str:
        """The event as this origin signs it."""
        return sign_event(event, self.key, NOW)

    def event(self, entity_id: str, change: str = CREATE, **overrides: Any) -> str:
        """The next event of an entity, signed; its chain goes on from there."""
        event = self.describe(entity_id, change, **overrides)
        self._chains[entity_id] = (event.entity.version, event.hashlink)
        return self.sign(event)

    def events(self, count: int, prefix: str = "offering") -> list[str]:
        """First versions of so many new entities."""
        return [self.event(f"{prefix}-{self._random.getrandbits(64):x}") for _ in range(count)]
