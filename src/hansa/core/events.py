"""Lifecycle events: a member's statement on the bus about one version of one of its entities.

An event carries no business data and no personal data: a key, a hash and a place. It travels as a compact
JWS with a JAdES B-B header (`alg`, `kid`, `typ`, `cty`, `iat`), signed by a key that the ledger's registry
holds for the issuer. `version` counts the published versions from 1 and `previous` names the hash of the one
before, so the history of an entity is a chain that its issuer alone can prolong.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Final, TypeGuard

import msgspec

from hansa.core.canonical import is_hashlink
from hansa.core.clock import rfc3339
from hansa.core.closed_json import FreeText, Integer, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import DID_PATTERN
from hansa.core.jws import CompactJws, jades_header, read_compact
from hansa.core.keys import SigningKey

JWS_TYPE: Final = "jose"
JWS_CONTENT_TYPE: Final = "application/json"

METADATA_TEXT_MAX_CHARS: Final = 128
METADATA_LIST_MAX: Final = 32

JWS_HEADER: Final = jades_header(JWS_CONTENT_TYPE)

_UUID7: Final = Text("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_DID: Final = Text(DID_PATTERN)
_TIME: Final = Text(
    "(?:19[7-9][0-9]|[2-9][0-9]{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z"
)
_HASHLINK: Final = Text("hl:z[1-9A-HJ-NP-Za-km-z]{46}")
_METADATA_TEXT: Final = FreeText(METADATA_TEXT_MAX_CHARS)
_METADATA_LIST: Final = ListOf(_METADATA_TEXT, METADATA_LIST_MAX)
_EVENT: Final = Record(
    {
        "entity": Record(
            {
                "key": Text("[0-9a-f]{64}"),
                "type": Text("[A-Z][A-Za-z0-9]{1,63}"),
                "version": Integer(1, 2**53 - 1),
            }
        ),
        "id": _UUID7,
        "issuer": _DID,
        "location": Text(r"https?://[\x21\x23-\x5b\x5d-\x7e]{1,2000}"),
        "time": _TIME,
        "type": Text("[a-z][A-Za-z0-9]{1,127}Event"),
    },
    {
        "metadata": Record(
            {},
            {
                "categories": _METADATA_LIST,
                "compliance": _METADATA_LIST,
                "lifecycleStatus": _METADATA_TEXT,
                "region": _METADATA_LIST,
                "validFor": Record({}, {"endDateTime": _METADATA_TEXT, "startDateTime": _METADATA_TEXT}),
            },
        ),
        "previous": _HASHLINK,
    },
)
"""The signed content of an event, as every validator reads it."""

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
    """What consume conditions are evaluated on, without retrieving the entity."""

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
        """Whether this version deletes the entity, or withdraws it from the public."""
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


_decoder: Final = msgspec.json.Decoder(LifecycleEvent)


def encode_event(event: LifecycleEvent) -> bytes:
    """The one byte string of an event: canonical JSON (RFC 8785), what is absent or empty left out."""
    fields = msgspec.to_builtins(event)
    metadata = {name: value for name, value in fields.pop("metadata", {}).items() if value}
    return _EVENT.write({**fields, "metadata": metadata} if metadata else fields)


def decode_event(payload: bytes) -> LifecycleEvent:
    """A well-formed event from its one byte string: `encode_event(decode_event(payload)) == payload`.

    Raises:
        Refused: `Code.EVENT_MALFORMED`.
    """
    try:
        fields = _EVENT.read(payload)
    except Refused as error:
        raise Refused(Code.EVENT_MALFORMED, "The event is not in its one canonical form.") from error
    metadata = fields.pop("metadata", {})
    if "validFor" in metadata:
        metadata["validFor"] = ValidityPeriod(**metadata["validFor"])
    event = LifecycleEvent(
        **{**fields, "entity": EntityVersion(**fields["entity"]), "metadata": Metadata(**metadata)}
    )
    reason = _contradiction(event)
    if reason is not None:
        raise Refused(Code.EVENT_MALFORMED, f"The event contradicts itself: {reason}.")
    return event


def _contradiction(event: LifecycleEvent) -> str | None:
    """Which of its fields an event's other fields do not allow, or None."""
    type_name, version = event.entity.type, event.entity.version
    names = {
        event_name(type_name, change) for change in (CREATE, STATE_CHANGE, ATTRIBUTE_VALUE_CHANGE, DELETE)
    }
    checks = (
        (_is_date(event.time), "time is no day of the calendar"),
        (event.type in names, "type does not belong to entity.type"),
        (is_hashlink(event.hashlink), "location has no hashlink parameter (?hl=)"),
        (event.previous is None or is_hashlink(event.previous), "previous is not a hashlink"),
        ((event.previous is None) == (version == 1), "previous must be absent for version 1 alone"),
        (not (event.is_delete and version == 1), "a first version cannot be a deletion"),
    )
    return next((reason for holds, reason in checks if not holds), None)


def _is_date(time: str) -> bool:
    year, month, day = int(time[:4]), int(time[5:7]), int(time[8:10])
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= (29 if is_leap else 28) if month == 2 else day <= (30 if month in {4, 6, 9, 11} else 31)


def sign_event(event: LifecycleEvent, key: SigningKey, now: datetime) -> str:
    """The event as a compact JWS. `iat` is the claimed signing time (ETSI TS 119 182-1)."""
    assert _contradiction(event) is None, _contradiction(event)
    return key.sign(
        encode_event(event), JWS_HEADER, cty=JWS_CONTENT_TYPE, iat=int(now.timestamp()), typ=JWS_TYPE
    )


def read_event(compact: str) -> tuple[LifecycleEvent, CompactJws]:
    """The event inside a JWS, and the JWS that is still to be verified.

    The header's form keeps a signature that was made for another purpose from passing as an event.

    Raises:
        Refused: `Code.EVENT_MALFORMED`.
    """
    try:
        jws = read_compact(compact, JWS_HEADER)
    except Refused as error:
        raise Refused(Code.EVENT_MALFORMED, error.message) from error
    return decode_event(jws.payload), jws


def verified_event(compact: str) -> LifecycleEvent:
    """The event inside a JWS that this member's own ledger has verified and committed.

    Read, not checked again.
    """
    payload = compact.split(".", 2)[1]
    return _decoder.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def is_metadata_text(value: object) -> TypeGuard[str]:
    """Whether metadata of an event may have this value: a short text without control characters."""
    return isinstance(value, str) and _METADATA_TEXT.holds(value)


def event_time(now: datetime) -> str:
    """`now` as an event's `time`."""
    return rfc3339(now)
