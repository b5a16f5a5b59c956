"""Stored structs: a later version adds a field, and no byte of what was stored changes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.closed_json import Integer, ListOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.errors import Code, Refused
from hansa.core.members import MEMBER
from tests.contract.origins import Origin


class Before(msgspec.Struct, frozen=True):
    name: str
    power: int = 0
    tags: tuple[str, ...] = ()


class After(msgspec.Struct, frozen=True):
    name: str
    power: int = 0
    tags: tuple[str, ...] = ()
    colour: str = ""


NAME, POWER, TAGS = Text("[a-z]{1,8}"), Integer(0, 99), ListOf(Text("[a-z]{1,3}"), 4)
BEFORE = StructForm(Before, {"name": NAME}, {"power": POWER, "tags": TAGS})
AFTER = StructForm(After, {"name": NAME}, {"power": POWER, "tags": TAGS, "colour": NAME})

values = st.builds(
    Before,
    st.from_regex("[a-z]{1,8}", fullmatch=True),
    st.integers(0, 99),
    st.lists(st.from_regex("[a-z]{1,3}", fullmatch=True), max_size=4).map(tuple),
)


@given(values)
def test_what_was_written_before_is_read_and_written_the_same_by_a_later_version(value: Before) -> None:
    raw = BEFORE.write(value)
    assert BEFORE.read(raw) == value
    later = AFTER.read(raw)
    assert msgspec.structs.asdict(later) == {**msgspec.structs.asdict(value), "colour": ""}
    assert AFTER.write(later) == raw


def test_a_field_that_this_version_does_not_know_is_refused() -> None:
    raw = AFTER.write(After("lubeck", colour="red"))
    with pytest.raises(Refused) as refused:
        BEFORE.read(raw)
    assert refused.value.code is Code.MALFORMED


@pytest.mark.parametrize(
    "raw", [b'{"name":"a","power":0}', b'{"name":"a","tags":[]}', b'{"power":1,"name":"a"}', b"{}", b""]
)
def test_there_is_one_form_of_each_value(raw: bytes) -> None:
    with pytest.raises(Refused):
        BEFORE.read(raw)


@pytest.mark.parametrize(
    "value", [Before("Capital"), Before("a", -1), Before("a", tags=("abcd",)), Before("")]
)
def test_a_value_of_another_form_is_refused(value: Before) -> None:
    with pytest.raises(Refused):
        BEFORE.check(value)


@pytest.mark.parametrize("status", ["active", "suspended"])
def test_members_are_written_in_one_form(status: str) -> None:
    member = msgspec.structs.replace(Origin("lubeck").member, status=status, prefixes=("urn:lubeck:",))
    assert MEMBER.read(MEMBER.write(member)) == member
    assert (b"status" in MEMBER.write(member)) == (status != "active")
