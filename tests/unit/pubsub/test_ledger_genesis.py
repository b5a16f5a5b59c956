"""The `app_state` of a genesis document."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.core.errors import Code, Fatal
from hansa.core.members import Member
from hansa.pubsub.ledger.genesis import AppState, LedgerParams, check_engine_validators, read_app_state
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


@pytest.mark.parametrize("name", LedgerParams.__struct_fields__)
def test_every_limit_must_be_given(name: str) -> None:
    document = msgspec.to_builtins(AppState((LUBECK,)))
    del document["params"][name]
    assert name in expect_unusable(msgspec.json.encode(document))


@pytest.mark.parametrize("ruleset", ["hansa-ledger/2", "", None])
def test_a_league_of_other_rules_is_refused(ruleset: str | None) -> None:
    document = msgspec.to_builtins(AppState((LUBECK,)))
    if ruleset is None:
        del document["ruleset"]
    else:
        document["ruleset"] = ruleset
    with pytest.raises(Fatal, match="hansa-ledger/3") as fatal:
        read_app_state(msgspec.json.encode(document))
    assert fatal.value.code is Code.RULES_DIFFER


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
        (REPLACE(LUBECK, power=2**53),),
        (REPLACE(LUBECK, name="x" * 65),),
        (REPLACE(LUBECK, name="a\nb"),),
        (REPLACE(LUBECK, validator_key="a" * 63),),
        (REPLACE(LUBECK, validator_key=LUBECK.validator_key.upper()),),
        (REPLACE(LUBECK, validator_key="00" * 32),),
        (LUBECK, REPLACE(BERGEN, validator_key=LUBECK.validator_key)),
        (REPLACE(LUBECK, prefixes=("urn:acme",)),),
        (REPLACE(LUBECK, prefixes=("urn:acme:", "urn:acme:")),),
        (REPLACE(LUBECK, prefixes=("urn:acme:",)), REPLACE(BERGEN, prefixes=("urn:acme:x:",))),
    )
    for members in cases:
        expect_unusable(msgspec.json.encode(AppState(members)))


COMPLETE = msgspec.to_builtins(AppState(()))


@pytest.mark.parametrize(
    "change",
    [{"members": {}}, {"x": 1}, {"params": {}}, {"params": {**COMPLETE["params"], "x": 1}},
     {"params": {**COMPLETE["params"], "event_size_max_bytes": 0}}, {"members": [{"did": "did:x"}]},
     {"params": {**COMPLETE["params"], "issuer_events_per_s": 10**9}}],
)  # fmt: skip
def test_documents_of_another_form_are_refused(change: Any) -> None:
    expect_unusable(msgspec.json.encode(COMPLETE | change))


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"[" * 100_000])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    expect_unusable(raw)


def expect_unusable(raw: bytes) -> str:
    with pytest.raises(Fatal, match="genesis") as fatal:
        read_app_state(raw)
    assert fatal.value.code is Code.SETTINGS_INVALID
    return fatal.value.message


@pytest.mark.parametrize(
    "engine",
    [{}, {"00" * 32: 1}, {LUBECK.validator_key: 2}, {LUBECK.validator_key: 1, BERGEN.validator_key: 1}],
)
def test_the_engine_has_the_validators_of_the_members(engine: dict[str, int]) -> None:
    check_engine_validators((LUBECK, REPLACE(BERGEN, power=0)), {LUBECK.validator_key: 1})
    with pytest.raises(Fatal, match="validators"):
        check_engine_validators((LUBECK, REPLACE(BERGEN, power=0)), engine)
    with pytest.raises(Fatal, match="no validator_key"):
        check_engine_validators((REPLACE(LUBECK, validator_key=""),), {})


@pytest.mark.parametrize(
    "did", ["did:web:a/b", "did:web:\u00e9", "did:", "did:x:" + "y" * 216, "did:X:y", "did:x:y z"]
)
def test_a_member_whose_events_could_never_be_read_is_no_member(did: str) -> None:
    member = msgspec.structs.replace(Origin("lubeck").member, did=did)
    with pytest.raises(Fatal) as caught:
        read_app_state(msgspec.json.encode(AppState((member,))))
    assert caught.value.code is Code.SETTINGS_INVALID
