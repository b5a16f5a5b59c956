"""The `app_state` of a genesis document."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.core.errors import Code, Fatal
from hansa.core.members import Member
from hansa.pubsub.ledger.genesis import AppState, LedgerParams, read_app_state
from tests.contract.origins import Origin

LUBECK, BERGEN = Origin("lubeck").member, Origin("bergen", "Ed25519").member
REPLACE = msgspec.structs.replace


def test_members_and_limits_are_read() -> None:
    state = AppState((LUBECK, BERGEN), LedgerParams(event_size_max_bytes=1000))
    assert read_app_state(msgspec.json.encode(state)) == state


def test_prefixes_of_which_none_includes_another_are_read() -> None:
    members = (
        REPLACE(LUBECK, prefixes=("urn:acme:", "urn:x:y:")),
        REPLACE(BERGEN, prefixes=("urn:acmebank:",)),
    )
    assert read_app_state(msgspec.json.encode(AppState(members))).members == members


def test_limits_have_defaults() -> None:
    assert read_app_state(msgspec.json.encode({"members": []})).params == LedgerParams()


def test_unusable_members_are_named() -> None:
    cases: tuple[tuple[Member, ...], ...] = (
        (LUBECK, REPLACE(BERGEN, did=LUBECK.did)),
        (LUBECK, REPLACE(BERGEN, endpoint=LUBECK.endpoint)),
        (REPLACE(LUBECK, endpoint="https://Lubeck.example/"),),
        (REPLACE(LUBECK, endpoint="ftp://lubeck.example"),),
        (REPLACE(LUBECK, endpoint=""),),
        (REPLACE(LUBECK, keys=()),),
        (REPLACE(LUBECK, keys=LUBECK.keys * 2),),
        (REPLACE(LUBECK, keys=(REPLACE(LUBECK.keys[0], x="AA"),)),),
        (REPLACE(LUBECK, did="lubeck"),),
        (REPLACE(LUBECK, power=-1),),
        (REPLACE(LUBECK, prefixes=("urn:acme",)),),
        (REPLACE(LUBECK, prefixes=("urn:acme:", "urn:acme:")),),
        (REPLACE(LUBECK, prefixes=("urn:acme:",)), REPLACE(BERGEN, prefixes=("urn:acme:x:",))),
    )
    for members in cases:
        expect_unusable(msgspec.json.encode(AppState(members)))


@pytest.mark.parametrize(
    "document",
    [{}, [], {"members": {}}, {"members": [], "x": 1}, {"members": [], "params": {"x": 1}},
     {"members": [], "params": {"event_size_max_bytes": 0}}, {"members": [{"did": "did:x"}]}],
)  # fmt: skip
def test_documents_of_another_form_are_refused(document: Any) -> None:
    expect_unusable(msgspec.json.encode(document))


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    expect_unusable(raw)


def expect_unusable(raw: bytes) -> None:
    with pytest.raises(Fatal, match="genesis") as fatal:
        read_app_state(raw)
    assert fatal.value.code is Code.SETTINGS_INVALID


@pytest.mark.parametrize(
    "did", ["did:web:a/b", "did:web:\u00e9", "did:", "did:x:" + "y" * 216, "did:X:y", "did:x:y z"]
)
def test_a_member_whose_events_could_never_be_read_is_no_member(did: str) -> None:
    member = msgspec.structs.replace(Origin("lubeck").member, did=did)
    with pytest.raises(Fatal) as caught:
        read_app_state(msgspec.json.encode(AppState((member,))))
    assert caught.value.code is Code.SETTINGS_INVALID
