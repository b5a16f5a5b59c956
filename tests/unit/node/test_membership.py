from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import structlog

from hansa.core.clock import ManualClock
from hansa.core.jws import read_compact, token_header
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.node.folder import (
    CARD,
    MEMBER_KEY,
    NEXT_MEMBER_KEY,
    adopt_member_key,
    init_member,
    read_card,
)
from hansa.node.membership import OwnEndpoints, OwnKey
from hansa.node.membership.own_endpoints import BEFORE_FOR_S
from hansa.node.membership.own_key import SWITCH_AFTER_S


def next_member_key(folder: Path) -> SigningKey:
    """A key that is to take the place of the member's."""
    key = SigningKey.generate()
    key.save(folder / NEXT_MEMBER_KEY)
    return key


HEADER = token_header("test+jwt")


class Scene:
    """A marketplace, and what the registry says of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, ManualClock()
        self.me = init_member(folder, "lubeck", "http://lubeck.example", self.clock, p2p_port=26656).member
        self.first = SigningKey.load(folder / MEMBER_KEY)
        self.key = self.started()

    def started(self) -> OwnKey:
        """The key of a process that starts now."""
        key = adopt_member_key(self.folder, self.me)
        made = OwnKey(self.folder, self.me.did, key, self.clock, structlog.get_logger())
        made.note_members([self.me])
        return made

    def register(self, *keys: SigningKey) -> None:
        """Have the registry name these keys."""
        self.me = msgspec.structs.replace(self.me, keys=tuple(key.public for key in keys))
        self.key.note_members([self.me])

    @property
    def kid(self) -> str:
        """Of the key that signs now."""
        return read_compact(self.key.sign(b"{}", HEADER, typ="test+jwt"), HEADER).kid


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "d")


async def test_a_key_that_the_ledger_registers_signs_after_those_who_are_behind_know_it(scene: Scene) -> None:
    second = next_member_key(scene.folder)
    assert scene.kid == scene.first.kid
    scene.register(scene.first, second)
    assert scene.kid == scene.first.kid
    await scene.clock.advance(SWITCH_AFTER_S)
    assert scene.kid == second.kid == scene.key.kid
    scene.register(second)
    assert scene.kid == second.kid


def test_without_an_overlap_the_new_key_signs_at_once(scene: Scene) -> None:
    second = next_member_key(scene.folder)
    scene.register(second)
    assert scene.kid == second.kid


def test_an_overlap_that_ends_early_ends_the_key_before(scene: Scene) -> None:
    second = next_member_key(scene.folder)
    scene.register(scene.first, second)
    scene.register(second)
    assert scene.kid == second.kid


def test_a_key_that_nobody_made_here_never_signs(scene: Scene) -> None:
    scene.register(scene.first, SigningKey.generate())
    assert scene.kid == scene.first.kid
    assert SigningKey.load(scene.folder / MEMBER_KEY).kid == scene.first.kid


def test_another_key_of_the_same_name_never_takes_its_place(scene: Scene) -> None:
    second, other = next_member_key(scene.folder), SigningKey.generate()
    named_alike = msgspec.structs.replace(other.public, kid=second.kid)
    scene.me = msgspec.structs.replace(scene.me, keys=(scene.first.public, named_alike))
    scene.key.note_members([scene.me])
    assert SigningKey.load(scene.folder / MEMBER_KEY).kid == scene.first.kid
    assert (scene.folder / NEXT_MEMBER_KEY).exists()


def test_a_rotation_that_is_interrupted_anywhere_goes_on_at_the_next_start(scene: Scene) -> None:
    second = next_member_key(scene.folder)
    assert scene.started().kid == scene.first.kid
    scene.me = msgspec.structs.replace(scene.me, keys=(scene.first.public, second.public))
    assert scene.started().kid == second.kid
    assert scene.started().kid == second.kid
    assert read_card(scene.folder / CARD).member == scene.me
    assert not (scene.folder / NEXT_MEMBER_KEY).exists()


def test_a_key_file_that_cannot_be_used_leaves_the_key_as_it_is(scene: Scene) -> None:
    (scene.folder / NEXT_MEMBER_KEY).write_text("nonsense")
    scene.register(scene.first, SigningKey.generate())
    assert scene.kid == scene.first.kid


async def test_requests_to_the_endpoint_before_are_accepted_for_a_while(scene: Scene) -> None:
    endpoints = OwnEndpoints(scene.me.did, scene.me.endpoint, scene.clock)
    other = Member("did:x:other", "other", "http://other.example", scene.me.keys, 1)
    endpoints.note_members([other, scene.me])
    assert set(endpoints.accepted()) == {"http://lubeck.example"}
    endpoints.note_members([other, msgspec.structs.replace(scene.me, endpoint="https://new.example")])
    assert set(endpoints.accepted()) == {"http://lubeck.example", "https://new.example"}
    restarted = OwnEndpoints(scene.me.did, "https://new.example", scene.clock)
    restarted.note_members([scene.me])
    restarted.note_members([msgspec.structs.replace(scene.me, endpoint="https://new.example")])
    assert set(restarted.accepted()) == {"http://lubeck.example", "https://new.example"}
    await scene.clock.advance(BEFORE_FOR_S)
    assert restarted.accepted() == ("https://new.example", "https://new.example")
    assert restarted.registered == restarted.configured
