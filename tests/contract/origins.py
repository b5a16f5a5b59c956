"""Members that publish lifecycle events, for tests of the bus and of the ledger."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hansa.core.batches import BatchSigner
from hansa.core.canonical import hashlink
from hansa.core.clock import ManualClock
from hansa.core.events import (
    CREATE,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    encode_event,
    event_id,
    event_name,
    event_time,
)
from hansa.core.identifiers import entity_key, uuid7
from hansa.core.keys import Algorithm, SigningKey
from hansa.core.members import Member, MemberStatus
from hansa.pubsub.engine import EngineKey
from hansa.pubsub.ledger.rules.events import encode_events

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Origin:
    """A member with its key; remembers its entities' chains and the number of its last batch."""

    def __init__(
        self,
        name: str,
        algorithm: Algorithm = "ES256",
        status: MemberStatus = "active",
        time: datetime = NOW,
    ) -> None:
        self.time = time
        self.key = SigningKey.generate(algorithm)
        self.did = self.key.verifying_key().did_key()
        self.endpoint = f"https://{name}.example"
        validator = EngineKey.from_seed(hashlib.sha256(name.encode()).digest())
        self.member = Member(
            *(self.did, name, self.endpoint, (self.key.public,), 1, status),
            validator_key=validator.public.hex(),
        )
        self.signer = BatchSigner(self.key, self.did, ManualClock(NOW))
        self.seq = 0
        self._random = random.Random(name)
        self._chains: dict[str, tuple[int, str]] = {}

    def key_of(self, entity_id: str) -> str:
        """The ledger's key of an entity of this origin."""
        return entity_key(self.did, entity_id)

    def event_id(self) -> str:
        """A new event id."""
        return uuid7(NOW, self._random.randbytes)

    def describe(self, entity_id: str, change: str = CREATE, **overrides: Any) -> LifecycleEvent:
        """The event that continues an entity's chain, without remembering it."""
        version, previous = self._chains.get(entity_id, (0, None))
        link = hashlink(f"{entity_id} {version + 1}".encode())
        if change == "Delete" and previous is not None:
            link = previous
        key = self.key_of(entity_id)
        fields: dict[str, Any] = {
            "type": event_name("ProductOffering", change),
            "time": event_time(self.time),
            "issuer": self.did,
            "entity": EntityVersion(key, "ProductOffering", version + 1),
            "hashlink": link,
            "previous": previous,
            "metadata": Metadata(lifecycleStatus="Launched", categories=("cloud",)),
        }
        fields |= overrides
        if "id" not in overrides:
            fields["id"] = event_id(fields["issuer"], fields["entity"], fields["time"])
        return LifecycleEvent(**fields)

    def event(self, entity_id: str, change: str = CREATE, **overrides: Any) -> bytes:
        """The content of the next event of an entity; its chain goes on from there."""
        event = self.describe(entity_id, change, **overrides)
        self._chains[entity_id] = (event.entity.version, event.hashlink)
        return encode_event(event)

    def events(self, count: int, prefix: str = "offering") -> list[bytes]:
        """First versions of so many new entities."""
        return [self.event(f"{prefix}-{self._random.getrandbits(64):x}") for _ in range(count)]

    def batch(self, *contents: bytes, seq: int | None = None, signer: BatchSigner | None = None) -> bytes:
        """A transaction of events, with the next number or the given one."""
        if seq is None:
            self.seq += 1
        return transaction(signer or self.signer, contents, self.seq if seq is None else seq)


def transaction(signer: BatchSigner, contents: Sequence[bytes], seq: int) -> bytes:
    """A transaction of events in one signed batch."""
    return encode_events(signer.sign(contents, seq), contents)
