"""Lifecycle events: what a member says on the bus about one version of one of its entities.

An event carries no business data and no personal data: a key, a hash and a place. It travels as a compact
JWS with a JAdES B-B header (`alg`, `kid`, `typ`, `cty`, `iat`), signed by a key that the ledger's registry
holds for the issuer. `version` counts the published versions from 1 and `previous` names the hash of the one
before, so the history of an entity is a chain that its issuer alone can prolong.
"""

from __future__ import annotations

import re
import uuid
from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Final

import msgspec

from hansa.core.canonical import is_hashlink
from hansa.core.clock import rfc3339
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_entity_key
from hansa.core.keys import SigningKey, split_compact

JWS_TYPE: Final = "jose"
JWS_CONTENT_TYPE: Final = "application/json"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_TYPE_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]{1,63}")
_EVENT_NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{1,127}Event")
_LOCATION: Final = re.compile(r"https?://[\x21-\x7e]{1,2000}")

ENTITIES_PATH: Final = "/league/v1/entities"
"""Below a member's endpoint: where it serves its entities."""
HASHLINK_PARAMETER: Final = "hl"
"""Query parameter of an entity's address: which version."""
_HASHLINK_QUERY: Final = f"?{HASHLINK_PARAMETER}="

DELETE: Final = "Delete"
CREATE: Final = "Create"
STATE_CHANGE: Final = "StateChange"
ATTRIBUTE_VALUE_CHANGE: Final = "AttributeValueChange"


class EntityVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version of which entity an event is about."""

    key: str
    """SHA-256 of issuer DID, zero byte, identifier; hex (`hansa.core.identifiers.entity_key`)."""
    type: str
    """TM Forum type name, as `ProductOffering`."""
    version: int
    """Published versions so far, from 1."""


class ValidityPeriod(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """TM Forum TimePeriod of the entity; RFC 3339."""

    startDateTime: str | None = None  # noqa: N815 - TM Forum's name
    endDateTime: str | None = None  # noqa: N815 - TM Forum's name


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What others need for deciding whether they want the entity, without retrieving it."""

    lifecycleStatus: str | None = None  # noqa: N815 - TM Forum's name
    validFor: ValidityPeriod | None = None  # noqa: N815 - TM Forum's name
    categories: tuple[str, ...] = ()
    compliance: tuple[str, ...] = ()
    region: tuple[str, ...] = ()


class LifecycleEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The signed content. `audience` is reserved for confidential entities and refused for now."""

    id: str
    type: str
    time: str
    issuer: str
    entity: EntityVersion
    location: str
    """Where the origin serves this version; for a deletion, where it served the entity."""
    previous: str | None = None
    metadata: Metadata = Metadata()

    @property
    def is_delete(self) -> bool:
        """Whether the entity is gone (deleted, or withdrawn from the public) with this version."""
        return self.type.endswith("DeleteEvent")

    @property
    def hashlink(self) -> str:
        """Hashlink of this version, from the location; of the version before, for a deletion."""
        return location_hashlink(self.location)


def entity_location(endpoint: str, key: str, hashlink: str) -> str:
    """Where an origin serves one version of an entity: `<endpoint>/league/v1/entities/<key>?hl=<hashlink>`.

    Consensus compares an event's location with this, so its form never changes.
    """
    return f"{endpoint}{ENTITIES_PATH}/{key}{_HASHLINK_QUERY}{hashlink}"


def location_hashlink(location: str) -> str:
    """The hashlink that a location names; something that is no hashlink when it names none."""
    return location.rpartition(_HASHLINK_QUERY)[2]


def event_name(type_name: str, change: str) -> str:
    """`productOfferingStateChangeEvent` of `ProductOffering` and `StateChange`."""
    return f"{type_name[0].lower()}{type_name[1:]}{change}Event"


_decoder = msgspec.json.Decoder(LifecycleEvent)
_encoder = msgspec.json.Encoder(order="sorted")


def _well_formed(event: LifecycleEvent) -> str | None:
    """What is wrong with the event's form, or None."""
    try:
        if uuid.UUID(event.id).version != 7 or str(uuid.UUID(event.id)) != event.id:
            return "id is not a version 7 UUID"
    except ValueError:
        return "id is not a UUID"
    type_name = event.entity.type
    names = (
        {event_name(type_name, c) for c in (CREATE, STATE_CHANGE, ATTRIBUTE_VALUE_CHANGE, DELETE)}
        if type_name
        else set()
    )
    checks = (
        (_EVENT_NAME.fullmatch(event.type), "type is not an event name"),
        (_TIME.fullmatch(event.time), "time is not RFC 3339 in UTC with milliseconds"),
        (event.issuer.startswith("did:") and len(event.issuer) <= 256, "issuer is not a DID"),
        (is_entity_key(event.entity.key), "entity.key is not a SHA-256 in hex"),
        (_TYPE_NAME.fullmatch(type_name), "entity.type is not a type name"),
        (event.type in names, "type does not belong to entity.type"),
        (1 <= event.entity.version < 2**53, "entity.version is not a positive integer"),
        (_LOCATION.fullmatch(event.location), "location is not a web address"),
        (is_hashlink(event.hashlink), "location has no hashlink parameter (?hl=)"),
        (event.previous is None or is_hashlink(event.previous), "previous is not a hashlink"),
        (
            (event.previous is None) == (event.entity.version == 1),
            "previous must be absent for version 1 alone",
        ),
        (not (event.is_delete and event.entity.version == 1), "a first version cannot be a deletion"),
    )
    return next((reason for holds, reason in checks if not holds), None)


def decode_event(payload: bytes) -> LifecycleEvent:
    """A well-formed event from its JSON.

    Raises:
        Refused: `Code.EVENT_MALFORMED`, saying what is wrong.
    """
    try:
        event = _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(Code.EVENT_MALFORMED, f"The event is not of the expected form: {error}.") from error
    wrong = _well_formed(event)
    if wrong is not None:
        raise Refused(Code.EVENT_MALFORMED, f"The event is not of the expected form: {wrong}.")
    return event


def sign_event(event: LifecycleEvent, key: SigningKey, now: datetime) -> str:
    """The event as a compact JWS. `iat` is the claimed signing time (ETSI TS 119 182-1)."""
    assert _well_formed(event) is None, _well_formed(event)
    return key.sign(_encoder.encode(event), typ=JWS_TYPE, cty=JWS_CONTENT_TYPE, iat=int(now.timestamp()))


def read_event(compact: str) -> tuple[LifecycleEvent, str]:
    """The event inside a JWS and the `kid` that is said to have signed it: *unverified*.

    The header's `typ` keeps a signature that was made for another purpose from passing as an event.

    Raises:
        Refused: `Code.EVENT_MALFORMED`.
    """
    try:
        header, payload = split_compact(compact)
    except Refused as error:
        raise Refused(Code.EVENT_MALFORMED, error.message) from error
    if header.typ != JWS_TYPE:
        raise Refused(Code.EVENT_MALFORMED, f"The signature is not of type {JWS_TYPE!r}.")
    return decode_event(payload), header.kid


def verified_event(compact: str) -> LifecycleEvent:
    """The event inside a JWS that this member's own ledger has verified and committed.

    Read, not checked again.
    """
    payload = compact.split(".", 2)[1]
    return _decoder.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def event_time(now: datetime) -> str:
    """`now` as an event's `time`."""
    return rfc3339(now)
