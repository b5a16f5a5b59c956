"""Lifecycle events: a member's statement on the bus about one version of one of its entities.

An event carries no business data and no personal data: a key and hashes. Its *content* is one byte string,
canonical JSON. Events travel in batches that their issuer signs (`hansa.core.batches`), so the content names
no issuer, and no location either: where an issuer serves a version follows from its registered endpoint
(`entity_location`). `version` counts the published versions from 1 and `previous` names the hash of the one
before, so the history of an entity is a chain that its issuer alone can prolong. An event's id follows from
the version that it is about (`event_id`), so the chain decides whether an id was used, and nobody needs the
history for that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeGuard

import msgspec

from hansa.core.canonical import is_hashlink
from hansa.core.clock import rfc3339
from hansa.core.closed_json import Form, FreeText, Integer, ListOf, Record, Text
from hansa.core.errors import Code, Refused

METADATA_TEXT_MAX_CHARS: Final = 128
METADATA_LIST_MAX: Final = 32

_UUID7: Final = Text("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME_PATTERN: Final = (
    "(?:19[7-9][0-9]|[2-9][0-9]{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z"
)
_TIME: Final = Text(_TIME_PATTERN)
_HASHLINK: Final = Text("hl:z[1-9A-HJ-NP-Za-km-z]{46}")
_METADATA_TEXT: Final = FreeText(METADATA_TEXT_MAX_CHARS)
_METADATA_LIST: Final = ListOf(_METADATA_TEXT, METADATA_LIST_MAX)
_METADATA: Final = Record(
    {},
    {
        "categories": _METADATA_LIST,
        "compliance": _METADATA_LIST,
        "lifecycleStatus": _METADATA_TEXT,
        "region": _METADATA_LIST,
        "validFor": Record({}, {"endDateTime": _METADATA_TEXT, "startDateTime": _METADATA_TEXT}),
    },
)
_REQUIRED: Final[Mapping[str, Form]] = {
    "entity": Record(
        {
            "key": Text("[0-9a-f]{64}"),
            "type": Text("[A-Z][A-Za-z0-9]{1,63}"),
            "version": Integer(1, 2**53 - 1),
        }
    ),
    "hashlink": _HASHLINK,
    "id": _UUID7,
    "time": _TIME,
    "type": Text("[a-z][A-Za-z0-9]{1,127}Event"),
}
_OPTIONAL: Final[Mapping[str, Form]] = {
    "metadata": _METADATA,
    "nonce": Text("[0-9a-f]{32}"),
    "previous": _HASHLINK,
}
SEALED_PATTERN: Final = "[A-Za-z0-9_-]{536}"
"""402 bytes in base64url, every one of which has one such text."""
CONTENT: Final = Record(_REQUIRED, {**_OPTIONAL, "sealed": Text(SEALED_PATTERN)})
"""The content of an event, as every validator reads it."""
CONTENT_3: Final = Record(_REQUIRED, _OPTIONAL)
"""The same under `hansa-ledger/3`, where no event is sealed."""

ENTITIES_PATH: Final = "/league/v1/entities"
"""Below a member's endpoint: where it serves its entities."""
HASHLINK_PARAMETER: Final = "hl"
"""Query parameter of an entity's address: which version."""
_HASHLINK_QUERY: Final = f"?{HASHLINK_PARAMETER}="

CONFIDENTIAL: Final = "Confidential"
"""The type that a sealed event names, whatever it is about."""
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
    """An event: its content, and the issuer of the batch that it is part of."""

    id: str
    type: str
    time: str
    issuer: str
    entity: EntityVersion
    hashlink: str
    """Of this version; for a deletion, of the version that is deleted."""
    previous: str | None = None
    metadata: Metadata = Metadata()
    nonce: str | None = None
    """Of an identifier that is bound to its marketplace: what binds it (`hansa.core.identifiers`); hex."""
    sealed: str | None = None
    """What it says to its recipients alone (`hansa.core.confidential.sealing`); base64url. The other fields
    of such an event say nothing of the entity: its key is random."""

    @property
    def is_delete(self) -> bool:
        """Whether this version deletes the entity, or withdraws it from the public."""
        return self.type.endswith("DeleteEvent")


def entity_location(endpoint: str, key: str, hashlink: str) -> str:
    """Where an origin serves a version of an entity: `<endpoint>/league/v1/entities/<key>?hl=<hashlink>`."""
    return f"{endpoint}{ENTITIES_PATH}/{key}{_HASHLINK_QUERY}{hashlink}"


def event_name(type_name: str, change: str) -> str:
    """`productOfferingStateChangeEvent` of `ProductOffering` and `StateChange`."""
    return f"{type_name[0].lower()}{type_name[1:]}{change}Event"


def event_names(type_name: str) -> frozenset[str]:
    """The names of all events of a type."""
    return _names(type_name)


@lru_cache(512)
def _names(type_name: str) -> frozenset[str]:
    return frozenset(
        event_name(type_name, change) for change in (CREATE, STATE_CHANGE, ATTRIBUTE_VALUE_CHANGE, DELETE)
    )


def event_id(issuer: str, entity: EntityVersion, time: str) -> str:
    """The id of the event about a version: a UUID of version 7 (RFC 9562) whose time is the event's own.

    What is random in other such UUIDs is SHA-256 over the issuer, a zero byte, the key, a zero byte and the
    version.

    Args:
        issuer: DID.
        entity: Which version of which entity.
        time: Of the event, as it stands in it.
    """
    return event_id_at(issuer, entity, event_time_ms(time))


def event_id_at(issuer: str, entity: EntityVersion, time_ms: int) -> str:
    """The same, for whoever knows the time in milliseconds since 1970."""
    ms, named = f"{time_ms:012x}", f"{issuer}\0{entity.key}\0{entity.version}"
    drawn = hashlib.sha256(named.encode("ascii")).hexdigest()
    variant = "89ab"[int(drawn[3], 16) & 3]
    return f"{ms[:8]}-{ms[8:]}-7{drawn[:3]}-{variant}{drawn[4:7]}-{drawn[7:19]}"


def identified(event: LifecycleEvent) -> LifecycleEvent:
    """The event with the id that belongs to its version."""
    return msgspec.structs.replace(event, id=event_id(event.issuer, event.entity, event.time))


_decoder: Final = msgspec.json.Decoder(LifecycleEvent)


def encode_event(event: LifecycleEvent) -> bytes:
    """The content of an event: canonical JSON (RFC 8785), what is absent or empty left out."""
    assert _contradiction(event) is None, _contradiction(event)
    fields = msgspec.to_builtins(event)
    del fields["issuer"]
    metadata = {name: value for name, value in fields.pop("metadata", {}).items() if value}
    return CONTENT.write({**fields, "metadata": metadata} if metadata else fields)


def decode_event(content: bytes, issuer: str) -> LifecycleEvent:
    """A well-formed event from its content: `encode_event(decode_event(content, issuer)) == content`.

    Raises:
        Refused: `Code.EVENT_MALFORMED`.
    """
    try:
        parts, end = CONTENT_PARTS.parse(content, 0)
    except Refused as error:
        raise Refused(Code.EVENT_MALFORMED, "The event is not in its one canonical form.") from error
    if end != len(content):
        raise Refused(Code.EVENT_MALFORMED, "The event is not in its one canonical form.")
    return event_of_parts(parts, issuer)


class EventParts(NamedTuple):
    """What a content says."""

    key: str
    entity_type: str
    version: int
    hashlink: str
    id: str
    metadata: Metadata
    nonce: str | None
    previous: str | None
    sealed: str | None
    time: str
    type: str


class ContentParts:
    """The form `CONTENT`, whose values are the parts of an event.

    Most contents are of a shape that one regular expression reads, many times faster than the form: plain
    ASCII, a version of 15 digits at most, metadata of 512 bytes at most without braces in texts. What that
    accepts, the form accepts with the same values; all else the form reads itself.

    Args:
        form: Of the contents.
        quick: Accepts most of them.
    """

    def __init__(self, form: Record, quick: re.Pattern[str]) -> None:
        self._form = form
        self._quick = quick
        self._text = b"", ""
        """The last bytes, and the same with a character for each: many contents are parsed of one batch."""

    def parse(self, raw: bytes, at: int) -> tuple[EventParts, int]:
        """See `hansa.core.closed_json.Form.parse`."""
        text = self._text
        if text[0] is not raw:
            text = self._text = raw, raw.decode("latin-1")
        match = self._quick.match(text[1], at)
        if match is not None:
            key, entity_type, version, link, id, described, nonce, previous, sealed, time, type = (
                match.groups()
            )
            metadata: Metadata | None = _NO_METADATA
            if described is not None:
                short = len(described) <= _QUICK_METADATA_MAX_BYTES
                metadata = _read_metadata(described) if short else None
            if metadata is not None:
                said = key, entity_type, int(version), link, id, metadata, nonce, previous, sealed, time, type
                return EventParts._make(said), match.end()
        fields, end = self._form.parse(raw, at)
        return _parts(fields), end

    def render(self, value: EventParts) -> bytes:
        """See `hansa.core.closed_json.Form.render`: contents are written as `CONTENT`."""
        raise AssertionError(f"contents are written by `CONTENT`, and not from {value}")

    def describe(self) -> Any:
        """See `hansa.core.closed_json.Form.describe`."""
        return self._form.describe()


_SEALED_EVENT: Final = "confidentialCreateEvent"
"""The name of every sealed event."""
_QUICK_METADATA_MAX_BYTES: Final = 512
_NO_METADATA: Final = Metadata()
_LINK: Final = r'"(hl:z[1-9A-HJ-NP-Za-km-z]{46})"'
_PLAIN: Final = r"[^{}\\\x00-\x1f\x7f-\xff]*+"
_QUICK_BEGINNING: Final = (
    r'\{"entity":\{"key":"([0-9a-f]{64})","type":"([A-Z][A-Za-z0-9]{1,63})","version":([1-9][0-9]{0,14})\}'
    r',"hashlink":' + _LINK + r',"id":"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"'
    r'(?:,"metadata":(\{' + _PLAIN + r"(?:\{" + _PLAIN + r'\})?+\}))?+(?:,"nonce":"([0-9a-f]{32})")?+'
    r'(?:,"previous":' + _LINK + r")?+"
)
_QUICK_END: Final = r',"time":"(' + _TIME_PATTERN + r')","type":"([a-z][A-Za-z0-9]{1,127}Event)"\}'
_QUICK_SEALED: Final = r'(?:,"sealed":"(' + SEALED_PATTERN + r')")?+'
CONTENT_PARTS: Final = ContentParts(CONTENT, re.compile(_QUICK_BEGINNING + _QUICK_SEALED + _QUICK_END))
CONTENT_PARTS_3: Final = ContentParts(CONTENT_3, re.compile(_QUICK_BEGINNING + r"((?!))?+" + _QUICK_END))


def _parts(fields: dict[str, Any]) -> EventParts:
    """The parts, from the fields of `CONTENT`."""
    entity = fields["entity"]
    return EventParts(
        *(entity["key"], entity["type"], entity["version"], fields["hashlink"], fields["id"]),
        _metadata_of(fields.get("metadata", {})),
        *(fields.get("nonce"), fields.get("previous"), fields.get("sealed"), fields["time"], fields["type"]),
    )


def _metadata_of(fields: dict[str, Any]) -> Metadata:
    metadata = dict(fields)
    if "validFor" in metadata:
        metadata["validFor"] = ValidityPeriod(**metadata["validFor"])
    return Metadata(**metadata)


@lru_cache(1024)
def _read_metadata(text: str) -> Metadata | None:
    """Metadata in its form, of ASCII; None when it is not."""
    try:
        return _metadata_of(_METADATA.read(text.encode("ascii")))
    except Refused:
        return None


def event_of_parts(parts: EventParts, issuer: str) -> LifecycleEvent:
    """The event that the parts of a content are.

    Raises:
        Refused: `Code.EVENT_MALFORMED`, when they contradict each other.
    """
    key, entity_type, version, link, id, metadata, nonce, previous, sealed, time, type = parts
    entity = EntityVersion(key, entity_type, version)
    event = LifecycleEvent(id, type, time, issuer, entity, link, previous, metadata, nonce, sealed)
    reason = _contradiction(event)
    if reason is not None:
        raise Refused(Code.EVENT_MALFORMED, f"The event contradicts itself: {reason}.")
    return event


def _contradiction(event: LifecycleEvent) -> str | None:
    """Which of its fields an event's other fields do not allow, or None."""
    version, previous = event.entity.version, event.previous
    if not _day(event.time[:10])[1]:
        return "time is no day of the calendar"
    if event.type not in _names(event.entity.type):
        return "type does not belong to entity.type"
    if not is_hashlink(event.hashlink):
        return "hashlink is not a hashlink"
    if previous is not None and not is_hashlink(previous):
        return "previous is not a hashlink"
    if (previous is None) != (version == 1):
        return "previous must be absent for version 1 alone"
    if event.sealed is not None and not _says_nothing(event):
        return "a sealed event says nothing else of its entity"
    return "a first version cannot be a deletion" if version == 1 and event.is_delete else None


def _says_nothing(event: LifecycleEvent) -> bool:
    """Whether the fields of a sealed event are those of every other one."""
    is_first = event.type == _SEALED_EVENT and event.entity.version == 1
    return is_first and event.nonce is None and event.metadata == _NO_METADATA


@lru_cache(64)
def _day(date: str) -> tuple[int, bool]:
    """The beginning of a date in milliseconds since 1970, and whether it is a day of the calendar."""
    year, month, day = int(date[:4]), int(date[5:7]), int(date[8:10])
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    is_day = day <= (29 if is_leap else 28) if month == 2 else day <= (30 if month in {4, 6, 9, 11} else 31)
    # Days of the proleptic Gregorian calendar, with years that begin in March.
    if month <= 2:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719_469
    return 86_400_000 * days, is_day


def committed_event(content: bytes, issuer: str) -> LifecycleEvent:
    """The event of a content that this member's own ledger has judged and committed.

    Read, not checked again.
    """
    return _decoder.decode(b'{"issuer":"%b",%b' % (issuer.encode(), content[1:]))


def is_metadata_text(value: object) -> TypeGuard[str]:
    """Whether metadata of an event may have this value: a short text without control characters."""
    return isinstance(value, str) and _METADATA_TEXT.holds(value)


def event_time(now: datetime) -> str:
    """`now` as an event's `time`."""
    return rfc3339(now)


@lru_cache(4096)
def event_time_ms(time: str) -> int:
    """An event's `time` in milliseconds since 1970, by whole numbers alone."""
    seconds = int(time[11:13]) * 3600 + int(time[14:16]) * 60 + int(time[17:19])
    return _day(time[:10])[0] + seconds * 1000 + int(time[20:23])
