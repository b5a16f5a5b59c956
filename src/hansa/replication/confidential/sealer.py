"""What is sealed for whom when an own entity, or its audience, has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from hansa.core.clock import Clock, epoch_ms
from hansa.core.confidential.agreement import AgreementKey, PairwiseSecrets
from hansa.core.confidential.sealing import SLOTS, EventContext, Notice, seal
from hansa.core.entity_form import form_violation, size_violation
from hansa.core.events import (
    CONFIDENTIAL,
    CREATE,
    EntityVersion,
    LifecycleEvent,
    event_name,
    event_time,
    identified,
)
from hansa.core.identifiers import Entropy, entity_key
from hansa.replication.confidential.audience import NOBODY, Addressed
from hansa.store import Entity
from hansa.store.tables.confidential.announced import AnnouncedEntity, SealedPart, audience_text

SENDER_KEY_LIFETIME_S: Final = 3600.0
_KEY_SIZE_BYTES: Final = 32
_NOTHING: Final = b"\0" * 32
_EVENT_TYPE: Final = event_name(CONFIDENTIAL, CREATE)


class Sealing(msgspec.Struct, frozen=True):
    """What becomes of one entity."""

    entity: AnnouncedEntity
    """As it is recorded from now on."""
    events: tuple[LifecycleEvent, ...] = ()
    parts: tuple[SealedPart, ...] = ()
    is_new_version: bool = False
    is_narrower: bool = False
    """Whether a member that had it is not to have it any more."""
    is_forgotten: bool = False
    """Whether it is for nobody, and never was for anybody."""


class Sealer:
    """Seals the entities of one member.

    Args:
        did: The member.
        league: Name of the chain.
        secrets: With the other members.
        clock: For the times and versions of events.
        entropy: For keys.
    """

    def __init__(
        self, did: str, league: str, secrets: PairwiseSecrets, clock: Clock, entropy: Entropy
    ) -> None:
        self._did = did
        self._league = league
        self._secrets = secrets
        self._clock = clock
        self._entropy = entropy
        self._key = AgreementKey.generate(entropy)
        self._key_until_s = clock.monotonic() + SENDER_KEY_LIFETIME_S

    def sealing(
        self,
        addressed: Addressed | None,
        entity: Entity | None,
        before: AnnouncedEntity,
        rule: str,
        registered: Mapping[str, str],
    ) -> Sealing:
        """What is sealed so that those have an entity for whom it is.

        Args:
            addressed: For whom it is; None: it does not say so.
            entity: Whole; None: it was deleted.
            before: What was announced of it.
            rule: By what its audience was determined.
            registered: Keys of all members for key agreement.
        """
        target = addressed or NOBODY
        problem = target.problem
        part = target.part
        if part is not None and (violation := _violation(part)) is not None:
            part, problem = None, f"It is sent to nobody: it {violation}."
        keys = {one.did: one.agreement_key for one in target.members} if part is not None else {}
        link = part.hashlink if part is not None else None
        audience = audience_text(f"{did} {key}" for did, key in keys.items())
        lost = before.members.difference(keys)
        is_new_version = link is not None and link != before.hashlink
        had = frozenset(msgspec.json.decode(before.audience, type=tuple[str, ...]))
        to_send = {did: key for did, key in keys.items() if is_new_version or f"{did} {key}" not in had}
        version = before.version
        if to_send or lost:
            version = max(before.version + 1, epoch_ms(self._clock))
        events: list[LifecycleEvent] = []
        parts: list[SealedPart] = []
        if part is not None:
            events, parts = self._versions(part, version, to_send)
        events += self._withdrawals(before, version, lost, registered)
        recorded = AnnouncedEntity(before.entity_id, before.type, version, link, audience, rule, problem)
        # Of what was ever sent the version stays: what is sent again has to have a greater one.
        is_forgotten = version == 0 and (entity is None or addressed is None)
        return Sealing(
            *(recorded, tuple(events), tuple(parts)),
            *(is_new_version, bool(lost), is_forgotten),
        )

    def withdrawal(
        self, key: bytes, type_name: str, after: int, recipients: Mapping[str, str]
    ) -> list[LifecycleEvent]:
        """Events by which members learn that there is an entity no more, of which the key alone is known.

        Args:
            key: SHA-256 of issuer and identifier.
            type_name: Its type.
            after: The last version that was announced.
            recipients: DIDs with their registered keys.
        """
        notice = Notice(key, type_name, max(after + 1, epoch_ms(self._clock)), _NOTHING, is_withdrawal=True)
        return [self._sealed(notice, b"", some)[0] for some in _chunks(sorted(recipients.items()))]

    def _versions(
        self, part: Entity, version: int, recipients: dict[str, str]
    ) -> tuple[list[LifecycleEvent], list[SealedPart]]:
        key = bytes.fromhex(entity_key(self._did, part.id))
        notice = Notice(key, part.type, version, hashlib.sha256(part.body).digest(), part.nonce)
        events: list[LifecycleEvent] = []
        parts: list[SealedPart] = []
        for some in _chunks(sorted(recipients.items())):
            event, body = self._sealed(notice, part.body, some)
            events.append(event)
            dids = audience_text(did for did, _ in some)
            parts.append(SealedPart(event.entity.key, part.id, version, dids, body))
        return events, parts

    def _withdrawals(
        self, before: AnnouncedEntity, version: int, lost: frozenset[str], registered: Mapping[str, str]
    ) -> list[LifecycleEvent]:
        """Events by which members learn that an entity is not for them any more."""
        if not lost:
            return []
        key = bytes.fromhex(entity_key(self._did, before.entity_id))
        notice = Notice(key, before.type, version, _NOTHING, is_withdrawal=True)
        had = [one.partition(" ") for one in msgspec.json.decode(before.audience, type=tuple[str, ...])]
        recipients = sorted((did, registered.get(did) or its_key) for did, _, its_key in had if did in lost)
        return [self._sealed(notice, b"", some)[0] for some in _chunks(recipients)]

    def _sealed(
        self, notice: Notice, body: bytes, recipients: Sequence[tuple[str, str]]
    ) -> tuple[LifecycleEvent, bytes]:
        key, sender = self._entropy(_KEY_SIZE_BYTES).hex(), self._sender()
        agreed = (
            self._secrets.of_sender(sender, self._did, did, registered) for did, registered in recipients
        )
        # A key that agrees with nobody's has a slot of random bytes, as one that is not needed.
        secrets = [secret or self._entropy(_KEY_SIZE_BYTES) for secret in agreed]
        context = EventContext(self._league, self._did, key)
        sealed = seal(notice, body, sender, secrets, context, self._entropy)
        event = LifecycleEvent(
            *("", _EVENT_TYPE, event_time(self._clock.now()), self._did),
            *(EntityVersion(key, CONFIDENTIAL, 1), sealed.hashlink),
            sealed=sealed.sealed,
        )
        return identified(event), sealed.part

    def _sender(self) -> AgreementKey:
        """The key for now; never the same for long."""
        now_s = self._clock.monotonic()
        if now_s >= self._key_until_s:
            self._key = AgreementKey.generate(self._entropy)
            self._key_until_s = now_s + SENDER_KEY_LIFETIME_S
        return self._key


def _violation(entity: Entity) -> str | None:
    """Why no member would accept an entity, as the end of a sentence about it."""
    return size_violation(entity.body) or form_violation(entity.body, msgspec.json.decode(entity.body))


def _chunks(recipients: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    """As many recipients at a time as an event has slots."""
    for start in range(0, len(recipients), SLOTS):
        yield recipients[start : start + SLOTS]
