"""A client believes keys at the positions at which the registry has them, and reads it again."""

from __future__ import annotations

import msgspec
import pytest

from hansa.client import LeagueClient
from hansa.client.league import verified
from hansa.client.registered_keys import REFRESH_S, RegisteredKeys, RegistryRow, ReportedRegistry
from hansa.client.verification import EventVerifier
from hansa.core.clock import ManualClock
from hansa.core.keys import PublicJwk, SigningKey
from hansa.core.members import Member
from tests.contract.origins import NOW, Origin
from tests.unit.client.test_verification import CONTENTS, ORIGIN, document

ROW = {"kid": "-", "valid_until": None}


def row(member: Member, *keys: tuple[PublicJwk, int, int | None]) -> RegistryRow:
    """As a marketplace reports it."""
    periods = [{**ROW, "jwk": jwk, "since": since, "until": until} for jwk, since, until in keys]
    raw = msgspec.to_builtins({"member": member, "keys": periods, "endpoints": []})
    return msgspec.convert(raw, RegistryRow)


class Registry:
    """What marketplaces report, and how often they were asked."""

    def __init__(self, *rows: RegistryRow, position: int = 3) -> None:
        self.reported = ReportedRegistry(position, rows)
        self.reads = 0

    async def read(self) -> ReportedRegistry:
        self.reads += 1
        return self.reported


OLD, NEW = ORIGIN.key.public, SigningKey.generate().public
ROTATED = row(ORIGIN.member, (OLD, 1, 2), (NEW, 3, None))


async def test_a_key_is_believed_at_its_positions_alone() -> None:
    keys = RegisteredKeys(Registry(ROTATED).read, ManualClock(NOW))
    found = [await keys.key(ORIGIN.did, OLD.kid, position) for position in (1, 2, 3)]
    assert found == [OLD, OLD, None]
    assert await keys.key(ORIGIN.did, NEW.kid, 2) is None
    assert await keys.key(ORIGIN.did, NEW.kid, 3) == NEW
    assert await keys.key(Origin("bergen").did, NEW.kid, 3) is None


async def test_events_before_a_rotation_verify_and_the_same_signature_afterwards_does_not() -> None:
    verifier = EventVerifier(RegisteredKeys(Registry(ROTATED).read, ManualClock(NOW)))
    for index in (0, 1):
        assert (await verified(document(index), verifier)).position == index + 1
    with pytest.raises(Exception, match="had no key"):
        await verified(document(2), verifier)
    assert len(CONTENTS) == 3


async def test_the_registry_is_read_again_for_what_is_newer_and_not_for_each_event() -> None:
    registry, clock = Registry(row(ORIGIN.member, (OLD, 1, None))), ManualClock(NOW)
    keys = RegisteredKeys(registry.read, clock)
    for position in (1, 2, 3, 4, 5):
        assert await keys.key(ORIGIN.did, OLD.kid, position) == OLD
    assert registry.reads == 1
    registry.reported = ReportedRegistry(5, (row(ORIGIN.member, (OLD, 1, 4), (NEW, 5, None)),))
    await clock.advance(REFRESH_S)
    assert await keys.key(ORIGIN.did, OLD.kid, 5) is None
    assert await keys.key(ORIGIN.did, NEW.kid, 5) == NEW
    assert registry.reads == 2
    await clock.advance(60)
    assert await keys.key(ORIGIN.did, NEW.kid, 5) == NEW
    assert registry.reads == 2


async def test_under_rules_that_remember_no_history_the_registry_has_the_keys() -> None:
    keys = RegisteredKeys(Registry(row(ORIGIN.member)).read, ManualClock(NOW))
    assert await keys.key(ORIGIN.did, OLD.kid, 1) == OLD
    assert LeagueClient(["https://lubeck.example"]).url == "https://lubeck.example"
