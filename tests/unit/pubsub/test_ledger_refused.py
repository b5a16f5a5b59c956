"""What a member signed and was refused: counted, answered unread, and remembered without its contents."""

from __future__ import annotations

import gc

from hansa.core.events import EntityVersion
from hansa.pubsub.ledger.results import CHECKED_IN_VAIN
from hansa.pubsub.ledger.rules.events import DUPLICATE, VERSION
from hansa.pubsub.ledger.state import Overlay
from tests.contract.origins import Origin
from tests.support.engine_in_process import EngineInProcess


def league() -> tuple[EngineInProcess, list[Origin]]:
    """Four members, and the engine of one."""
    origins = [Origin(name) for name in ("lubeck", "bergen", "riga", "bruges")]
    return EngineInProcess([origin.member for origin in origins]), origins


def gaps(origin: Origin, count: int) -> bytes:
    """A signed batch that no block can have: versions without those before."""
    names = [origin.event_id() for _ in range(count)]
    previous = origin.describe("other").hashlink
    return origin.batch(
        *[
            origin.event(
                name, entity=EntityVersion(origin.key_of(name), "ProductOffering", 2), previous=previous
            )
            for name in names
        ]
    )


def test_a_member_can_have_others_check_in_vain_only_so_much() -> None:
    engine, (hostile, honest, *_) = league()
    codes = [engine.submit(gaps(hostile, 100)).code for _ in range(60)]
    assert codes == [VERSION.number] * 20 + [CHECKED_IN_VAIN.number] * 40
    assert engine.submit(honest.batch(*honest.events(100))).code == 0
    refused = engine.submit(hostile.batch(*hostile.events(1)))
    engine.pass_s(int(refused.data) / 1000)
    assert engine.submit(hostile.batch(*hostile.events(1))).code == 0


def overlays() -> int:
    """How many states in the making there are; each retains what it was made of."""
    gc.collect()
    return sum(isinstance(each, Overlay) for each in gc.get_objects())


def test_the_memory_of_what_was_refused_has_nothing_of_its_contents() -> None:
    engine, (hostile, *_) = league()
    before = overlays()
    for _ in range(10):
        assert engine.submit(gaps(hostile, 10)).code == VERSION.number
    assert overlays() == before


def test_repeating_what_a_member_signed_does_not_count_against_it() -> None:
    engine, (victim, *_) = league()
    contents = victim.events(100)
    engine.submit(victim.batch(*contents))
    engine.block()
    again, gap = victim.batch(*contents), gaps(victim, 100)
    for _ in range(200):
        assert engine.submit(again).code == DUPLICATE.number
        assert engine.submit(gap).code == VERSION.number
    assert engine.submit(victim.batch(*victim.events(100))).code == 0
