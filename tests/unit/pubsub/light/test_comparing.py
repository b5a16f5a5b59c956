"""Members compare checkpoints, and retain what proves a lie."""

from __future__ import annotations

import msgspec

from hansa.core.clock import ManualClock
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.pubsub.light.capturing import Capture
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.comparing import FORGERY, FORK, CheckpointComparison, evidence_text
from tests.contract.origins import NOW, Origin
from tests.support.answering_member import AnsweringMember
from tests.support.light_chain import Signer, digest, light_block
from tests.support.light_engine import LightEngine

FOUR = [Signer(f"v{number}") for number in range(4)]
STRANGERS = [Signer(f"x{number}") for number in range(4)]
RIGA = Origin("riga").member


async def comparison(member: AnsweringMember, heights: int = 205) -> CheckpointComparison:
    engine = LightEngine([light_block(height, FOUR) for height in range(1, heights + 1)])
    capture = Capture(engine, CapturedBlocks(":memory:"), ManualClock(NOW), 1000)
    await capture.look()
    return CheckpointComparison(capture, member, lambda: [RIGA], ManualClock(NOW))


async def test_equal_checkpoints_are_compared_once_and_leave_nothing() -> None:
    member = AnsweringMember(lambda height: light_block(height, FOUR))
    made = await comparison(member)
    await made.compare()
    requests = member.requests
    await made.compare()
    assert (made.evidence, member.requests) == ((), requests)


async def test_a_fork_is_retained_as_evidence_once() -> None:
    member = AnsweringMember(lambda height: light_block(height, FOUR, app_hash=digest("another history")))
    made = await comparison(member)
    await made.compare()
    await made.compare()
    assert [(one.kind, one.height, one.source) for one in made.evidence] == [(FORK, 200, RIGA.did)]
    body = msgspec.json.decode(made.evidence[0].body)
    assert body["ours"]["header"]["app_hash"] != body["theirs"]["header"]["app_hash"]
    text = evidence_text(made.evidence, lambda did: did)
    assert text is not None
    assert "height 200" in text


async def test_a_header_that_strangers_signed_is_a_forgery() -> None:
    made = await comparison(AnsweringMember(lambda height: light_block(height, STRANGERS)))
    await made.compare()
    assert [one.kind for one in made.evidence] == [FORGERY]


async def test_a_header_that_too_few_signed_is_a_forgery() -> None:
    def block(height: int) -> LightBlock:
        return light_block(height, FOUR, signers=FOUR[:2], app_hash=digest("x"))

    made = await comparison(AnsweringMember(block))
    await made.compare()
    assert [one.kind for one in made.evidence] == [FORGERY]


async def test_a_member_that_is_away_is_compared_with_later() -> None:
    member = AnsweringMember(lambda height: light_block(height, FOUR, app_hash=digest("another history")))
    member.is_away = True
    made = await comparison(member)
    await made.compare()
    assert made.evidence == ()
    member.is_away = False
    await made.compare()
    assert len(made.evidence) == 1


async def test_a_young_league_has_no_checkpoint_yet() -> None:
    member = AnsweringMember(lambda height: light_block(height, FOUR))
    made = await comparison(member, heights=100)
    await made.compare()
    assert member.requests == 0
