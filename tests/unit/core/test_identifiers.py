"""Identifiers: what binds one to its member, and which beginnings a member can have for itself."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.identifiers import (
    bound_entity_id,
    has_identifier_prefix,
    is_bound_form,
    is_bound_to,
    is_identifier_prefix,
)
from hansa.core.members import Member, prefix_owner

DID = "did:web:market.example"
NONCE = bytes(range(16))

nonces = st.binary(min_size=16, max_size=16)
dids = st.from_regex(r"did:web:[a-z]{1,20}", fullmatch=True)


@given(dids, nonces)
def test_an_identifier_is_bound_to_its_member_by_its_nonce(did: str, nonce: bytes) -> None:
    made = bound_entity_id("ProductOffering", did, nonce)
    assert is_bound_form(made)
    assert is_bound_to(made, did, nonce)


@given(dids, dids, nonces, nonces)
def test_it_is_bound_to_nobody_else_and_by_no_other_nonce(
    did: str, other: str, one: bytes, two: bytes
) -> None:
    made = bound_entity_id("Category", did, one)
    assert is_bound_to(made, other, two) == ((did, one) == (other, two))
    assert not is_bound_to(made, did, None)
    assert not is_bound_to(made, did, one[:15])


@given(nonces)
def test_its_uuid_is_the_first_122_bits_of_the_digest(nonce: bytes) -> None:
    text = bound_entity_id("ProductOffering", DID, nonce).rpartition(":")[2]
    made = uuid.UUID(text)
    assert str(made) == text
    assert made.version == 8
    assert made.variant == uuid.RFC_4122
    bits = f"{made.int:0128b}"
    digest = int.from_bytes(hashlib.sha256(DID.encode() + b"\0" + nonce).digest(), "big")
    assert bits[:48] + bits[52:64] + bits[66:] == f"{digest:0256b}"[:122]


def test_the_identifier_of_a_nonce_never_changes() -> None:
    made = bound_entity_id("ProductOffering", DID, NONCE)
    assert made == "urn:ngsi-ld:product-offering:3a77e8ef-5624-80ec-9142-d450e51b0130"


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda made: made.replace("urn:", "URN:"),
        lambda made: made.replace("category", "Category"),
        lambda made: made.replace("urn:ngsi-ld:", "urn:ngsi-ld:x:y\n"),
    ],
)
def test_a_look_alike_has_the_form_and_is_bound_to_nobody_or_is_the_same_uuid(change: object) -> None:
    made = bound_entity_id("Category", DID, NONCE)
    changed = change(made)  # type: ignore[operator]
    assert is_bound_form(changed)
    assert is_bound_to(changed, DID, NONCE) == (changed == changed.lower())


@pytest.mark.parametrize(
    "chosen",
    [
        "urn:x:1",
        "urn:ngsi-ld:category:edge",
        "urn:ngsi-ld:category:0190163d-8694-739b-aea5-966c26f8ad90",
        "urn:ngsi-ld:category:0190163d-8694-839b-cea5-966c26f8ad90",
        "urn:ngsi-ld:category:0190163d-8694-839b-aea5-966c26f8ad90x",
        "0190163d-8694-839b-aea5-966c26f8ad90",
        "",
    ],
)
def test_other_identifiers_do_not_have_the_bound_form(chosen: str) -> None:
    assert not is_bound_form(chosen)


@pytest.mark.parametrize("text", ["urn:acme:", "https:acme.example:", "a:b:"])
def test_a_prefix_ends_with_a_colon(text: str) -> None:
    assert is_identifier_prefix(text)


@pytest.mark.parametrize(
    "text", ["", ":", "urn", "urn:acme", "URN:acme:", "urn:ac me:", "urn:acme:\n", "a" * 128 + ":"]
)
def test_no_other_text_is_a_prefix(text: str) -> None:
    assert not is_identifier_prefix(text)


def test_the_owner_of_an_identifier_has_its_prefix_in_whatever_case() -> None:
    acme = Member("did:web:acme.example", "acme", "https://acme.example", (), 1, prefixes=("urn:acme:",))
    other = Member("did:web:other.example", "other", "https://other.example", (), 1)
    assert prefix_owner((other, acme), "urn:acme:1") is acme
    assert prefix_owner((other, acme), "URN:Acme:1") is acme
    assert prefix_owner((other, acme), "urn:acmebank:1") is None
    assert has_identifier_prefix("urn:acme:", "urn:acme:")
