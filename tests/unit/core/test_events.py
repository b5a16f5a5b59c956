"""The form of lifecycle events."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.canonical import hashlink
from hansa.core.errors import Code, Refused
from hansa.core.events import (
    CONFIDENTIAL,
    CONTENT,
    CONTENT_3,
    CONTENT_PARTS,
    CONTENT_PARTS_3,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    ValidityPeriod,
    committed_event,
    decode_event,
    encode_event,
    entity_location,
    event_id,
    event_name,
    event_time,
    event_time_ms,
    identified,
)
from hansa.core.identifiers import entity_key, uuid7

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LINK = hashlink(b"one")
KEY = entity_key("did:key:zA", "urn:ngsi-ld:product-offering:1")
EVENT = LifecycleEvent(
    id=uuid7(NOW, bytes),
    type="productOfferingCreateEvent",
    time=event_time(NOW),
    issuer="did:key:zA",
    entity=EntityVersion(KEY, "ProductOffering", 1),
    hashlink=LINK,
    metadata=Metadata(
        lifecycleStatus="Launched", validFor=ValidityPeriod("2026-01-01T00:00:00Z"), region=("EU",)
    ),
)


def encoded(**overrides: Any) -> bytes:
    fields = msgspec.to_builtins(EVENT) | overrides
    if "issuer" not in overrides:
        del fields["issuer"]
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def expect_malformed(payload: bytes) -> None:
    with pytest.raises(Refused) as refused:
        decode_event(payload, "did:key:zA")
    assert refused.value.code is Code.EVENT_MALFORMED


def test_an_event_is_read_back_from_its_content() -> None:
    content = encode_event(EVENT)
    assert decode_event(content, EVENT.issuer) == EVENT
    assert committed_event(content, EVENT.issuer) == EVENT


def test_a_content_names_neither_issuer_nor_location() -> None:
    assert not {"issuer", "location"} & msgspec.json.decode(encode_event(EVENT)).keys()


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_time_of_an_event_is_counted_in_milliseconds(moment: datetime) -> None:
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert event_time_ms(event_time(whole)) == (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


def test_absent_fields_are_not_written() -> None:
    encoded = msgspec.json.decode(encode_event(EVENT))
    assert "previous" not in encoded
    assert encoded["metadata"] == {
        "lifecycleStatus": "Launched",
        "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
        "region": ["EU"],
    }


@pytest.mark.parametrize(
    "overrides",
    [
        {"id": "x"},
        {"id": "0f0e0d0c-0b0a-4908-8706-050403020100"},
        {"id": EVENT.id.upper()},
        {"id": EVENT.id.replace("-", "")},
        {"type": "productOfferingPriceCreateEvent"},
        {"type": "productOfferingExplodeEvent"},
        {"type": "ProductOfferingCreateEvent"},
        {"type": "productOfferingDeleteEvent"},
        {"time": "2026-01-02T03:04:05Z"},
        {"time": "2026-01-02T03:04:05.678+01:00"},
        {"time": "2026-01-02T03:04:05.678Z\n"},
        {"issuer": "did:key:zA"},
        {"nonce": "x"},
        {"nonce": "A" * 32},
        {"entity": {"key": "x", "type": "ProductOffering", "version": 1}},
        {"entity": {"key": KEY.upper(), "type": "ProductOffering", "version": 1}},
        {"entity": {"key": KEY, "type": "productOffering", "version": 1}},
        {"entity": {"key": KEY, "type": "", "version": 1}},
        {"entity": {"key": KEY, "type": "ProductOffering", "version": 0}},
        {"entity": {"key": KEY, "type": "ProductOffering", "version": -1}},
        {"entity": {"key": KEY, "type": "ProductOffering", "version": 2**53}, "previous": LINK},
        {"entity": {"key": KEY, "type": "ProductOffering", "version": 1.5}},
        {"entity": {"key": KEY, "type": "ProductOffering", "version": True}},
        {"entity": {"key": KEY, "type": "ProductOffering", "version": 2}},
        {"location": f"https://a.example/league/v1/entities/{KEY}?hl={LINK}"},
        {"hashlink": "x"},
        {"hashlink": LINK[3:]},
        {"previous": LINK},
        {"previous": "x", "entity": {"key": KEY, "type": "ProductOffering", "version": 2}},
        {"audience": ["tag"]},
        {"metadata": {"price": 5}},
        {"surprise": 1},
    ],
    ids=lambda overrides: str(overrides)[:60],
)
def test_an_event_of_another_form_is_refused(overrides: dict[str, Any]) -> None:
    expect_malformed(encoded(**overrides))


def test_every_field_without_a_default_is_needed() -> None:
    complete = msgspec.json.decode(encode_event(EVENT))
    for name in ("id", "type", "time", "entity", "hashlink"):
        expect_malformed(
            json.dumps(
                {k: v for k, v in complete.items() if k != name}, sort_keys=True, separators=(",", ":")
            ).encode()
        )


@given(st.binary(max_size=200))
def test_bytes_that_are_no_event_are_refused_whatever_they_are(payload: bytes) -> None:
    expect_malformed(payload)


@pytest.mark.parametrize(
    "payload", [b"[" * 100_000, b'{"id":' * 50_000, b'{"id":"\xed\xa0\x80"}', b"\xff\xfe"]
)
def test_json_made_to_hurt_is_refused(payload: bytes) -> None:
    expect_malformed(payload)


def test_names_follow_tm_forum() -> None:
    assert event_name("ProductOffering", "StateChange") == "productOfferingStateChangeEvent"
    assert event_name("Catalog", "Delete") == "catalogDeleteEvent"


def test_a_deletion_says_so_and_names_the_version_before() -> None:
    version = EntityVersion(KEY, "ProductOffering", 2)
    deletion = msgspec.structs.replace(
        EVENT, type="productOfferingDeleteEvent", entity=version, previous=LINK
    )
    assert decode_event(encode_event(deletion), deletion.issuer).is_delete
    assert (deletion.hashlink, EVENT.is_delete) == (LINK, False)


@given(st.binary(max_size=50), st.from_regex(r"https://[a-z]{1,20}(\?hl=)?[a-z]{0,5}", fullmatch=True))
def test_a_location_lies_under_the_endpoint_and_names_the_hashlink(content: bytes, endpoint: str) -> None:
    link = hashlink(content)
    location = entity_location(endpoint, KEY, link)
    assert location == f"{endpoint}/league/v1/entities/{KEY}?hl={link}"


def test_the_id_of_an_event_belongs_to_its_version_alone() -> None:
    event = identified(EVENT)
    assert decode_event(encode_event(event), event.issuer) == event
    assert int(event.id.replace("-", "")[:12], 16) == event_time_ms(event.time)
    other_version = msgspec.structs.replace(EVENT.entity, version=2)
    other_key = msgspec.structs.replace(EVENT.entity, key="0" * 64)
    others = {
        event_id(event.issuer, EVENT.entity, event.time),
        event_id("did:key:zB", EVENT.entity, event.time),
        event_id(event.issuer, other_version, event.time),
        event_id(event.issuer, other_key, event.time),
        event_id(event.issuer, EVENT.entity, "2026-01-02T03:04:05.679Z"),
    }
    assert len(others) == 5


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20) | st.sampled_from(
    ['"', "\\", "{}", '},"time":"', "é", "x" * 128, "x" * 129, "\x7f"]
)
METADATA = st.builds(
    Metadata,
    lifecycleStatus=st.none() | TEXTS,
    validFor=st.none() | st.builds(ValidityPeriod, st.none() | TEXTS, st.none() | TEXTS),
    categories=st.lists(TEXTS, max_size=3).map(tuple),
    region=st.lists(TEXTS, max_size=40).map(tuple),
)


@given(
    METADATA,
    st.sampled_from([1, 2, 10**15 - 1, 10**15, 2**53 - 1, 2**53]),
    st.none() | st.just("0" * 32),
    st.none() | st.tuples(st.integers(0, 400), st.binary(max_size=3)),
)
def test_what_is_read_quickly_is_read_as_the_form_reads_it(
    metadata: Metadata, version: int, nonce: str | None, change: tuple[int, bytes] | None
) -> None:
    fields = {
        "metadata": msgspec.to_builtins(metadata),
        "entity": {"key": KEY, "type": "X1", "version": version},
    }
    content = json.dumps(
        msgspec.to_builtins(EVENT)
        | fields
        | ({"nonce": nonce} if nonce else {})
        | ({"previous": LINK} if version > 1 else {}),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    content = content.replace(b'"issuer":"did:key:zA",', b"")
    if change is not None:
        at, drawn = change
        content = content[:at] + drawn + content[at + len(drawn) :]
    try:
        expected, end = CONTENT.parse(content, 0)
    except Refused:
        with pytest.raises(Refused):
            CONTENT_PARTS.parse(content, 0)
        return
    parts, quick_end = CONTENT_PARTS.parse(content, 0)
    assert quick_end == end
    read = {name: value for name, value in parts._asdict().items() if value is not None}
    entity = {"key": read.pop("key"), "type": read.pop("entity_type"), "version": read.pop("version")}
    described = msgspec.to_builtins(read.pop("metadata"))
    actual = {**read, "entity": entity} | ({"metadata": described} if described else {})
    assert list_free(actual) == list_free(expected)


def list_free(value: Any) -> Any:
    """The value as msgspec shows it: tuples as lists."""
    if isinstance(value, dict):
        return {name: list_free(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


# -- sealed events -------------------------------------------------------------------------------------------

SEALED = msgspec.structs.replace(
    EVENT,
    type="confidentialCreateEvent",
    entity=EntityVersion(KEY, CONFIDENTIAL, 1),
    metadata=Metadata(),
    sealed="A" * 536,
)


def test_a_sealed_event_is_read_as_it_was_written() -> None:
    content = encode_event(SEALED)
    assert decode_event(content, SEALED.issuer) == SEALED
    assert committed_event(content, SEALED.issuer) == SEALED
    parts, end = CONTENT_PARTS.parse(content, 0)
    assert (parts.sealed, end) == (SEALED.sealed, len(content))
    assert CONTENT.read(content)["sealed"] == SEALED.sealed


def test_the_rules_of_3_know_no_sealed_events() -> None:
    content = encode_event(SEALED)
    for form in (CONTENT_3, CONTENT_PARTS_3):
        with pytest.raises(Refused):
            form.parse(content, 0)
    plain = encode_event(EVENT)
    assert CONTENT_PARTS_3.parse(plain, 0) == CONTENT_PARTS.parse(plain, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "confidentialStateChangeEvent"},
        {"type": "productOfferingCreateEvent", "entity": EVENT.entity},
        {"metadata": Metadata(region=("EU",))},
        {"nonce": "ab" * 16},
        {"entity": EntityVersion(KEY, CONFIDENTIAL, 2), "previous": LINK},
        {"sealed": "A" * 535},
        {"sealed": "A" * 535 + "="},
    ],
    ids=str,
)
def test_a_sealed_event_says_nothing_else(fields: dict[str, Any]) -> None:
    content = msgspec.to_builtins(msgspec.structs.replace(SEALED, **fields))
    del content["issuer"]
    expect_malformed(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
