"""The light client follows a chain through members that it does not believe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.pubsub.light.captured import CapturedBlocks, Gap
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.verifying import trusted_block, trusted_genesis
from hansa.pubsub.light.client import LightClient
from hansa.pubsub.light.filling import GapFilling
from tests.support.answering_member import AnsweringMember
from tests.support.light_chain import CHAIN_ID, START_NS, Signer, digest, light_block, signer_set
from tests.support.proved_league import ProvedLeague

CLOCK = ManualClock(datetime.fromtimestamp(START_NS / 10**9 + 3600, UTC))
FOUR = [Signer(f"v{number}") for number in range(4)]
STRANGERS = [Signer(f"x{number}") for number in range(4)]


class Provider:
    """A member that has some light blocks."""

    def __init__(self, blocks: Sequence[LightBlock], endpoint: str = "https://lubeck.example") -> None:
        self.blocks = {block.height: block for block in blocks}
        self.endpoint = endpoint
        self.requested: list[int | None] = []

    async def light_block(self, height: int | None = None) -> LightBlock:
        """See `LightProvider`."""
        self.requested.append(height)
        chosen = max(self.blocks) if height is None else height
        if chosen not in self.blocks:
            raise Refused(Code.NOT_FOUND, "There is none.")
        return self.blocks[chosen]

    async def light_block_after(self, height: int) -> LightBlock | None:
        """See `LightProvider`."""
        later = [one for one in self.blocks if one > height]
        return self.blocks[min(later)] if later else None


def changing_chain(last: int) -> list[LightBlock]:
    """One validator of four is exchanged every ten blocks."""
    sets = [[Signer(f"v{number}") for number in range(first, first + 4)] for first in range(last // 10 + 2)]
    return [
        light_block(height, sets[height // 10], next_validators=sets[(height + 1) // 10])
        for height in range(1, last + 1)
    ]


def client(primary: Provider, *witnesses: Provider, trust_period_s: float = 86_400.0) -> LightClient:
    genesis = trusted_genesis(CHAIN_ID, START_NS, signer_set(*FOUR))
    return LightClient(genesis, primary, witnesses, CLOCK, trust_period_s)


async def test_unchanged_validators_are_followed_in_one_step() -> None:
    primary = Provider([light_block(height, FOUR) for height in range(1, 1001)])
    assert (await client(primary).advance()).height == 1000
    assert primary.requested == [None]


async def test_changed_validators_are_followed_over_few_blocks_between() -> None:
    primary = Provider(changing_chain(400))
    made = client(primary)
    assert (await made.advance()).height == 400
    assert made.trusted.height == 400
    assert len(primary.requested) < 70


async def test_blocks_that_a_member_has_pruned_are_gone_around() -> None:
    chain = [one for one in changing_chain(200) if one.height % 10 in {0, 9} or one.height == 200]
    assert (await client(Provider(chain)).advance(200)).height == 200


async def test_a_primary_whose_blocks_do_not_follow_is_not_trusted() -> None:
    made = client(Provider([light_block(height, STRANGERS) for height in range(1, 100)]))
    with pytest.raises(Refused) as refused:
        await made.advance()
    assert refused.value.code is Code.PROOF_INVALID
    assert made.trusted.height == 0


async def test_a_witness_that_lies_is_noted_and_believed_no_more() -> None:
    chain = [light_block(height, FOUR) for height in range(1, 50)]
    liar = Provider([light_block(height, STRANGERS) for height in range(1, 50)], "https://liar.example")
    made = client(Provider(chain), liar)
    await made.advance(20)
    assert [one.witness for one in made.forgeries] == ["https://liar.example"]
    await made.advance(40)
    assert made.trusted.height == 40


async def test_a_witness_that_is_away_holds_up_nobody() -> None:
    made = client(Provider([light_block(height, FOUR) for height in range(1, 50)]), Provider([]))
    assert (await made.advance()).height == 49
    assert made.forgeries == []


async def test_two_valid_histories_are_a_fork_and_nothing_is_trusted_after_it() -> None:
    honest = Provider([light_block(height, FOUR) for height in range(1, 50)])
    other = Provider(
        [light_block(height, FOUR, app_hash=digest("other")) for height in range(1, 50)], "https://b"
    )
    made = client(honest, other)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            await made.advance()
        assert refused.value.code is Code.LEDGER_FORKED
    assert made.fork is not None
    assert {made.fork.one.header.hash, made.fork.other.header.hash} == {
        honest.blocks[49].header.hash,
        other.blocks[49].header.hash,
    }
    assert made.trusted.height == 0


async def test_what_is_older_than_the_trust_period_is_not_gone_on_from() -> None:
    chain = [light_block(height, FOUR) for height in range(1, 50)]
    genesis = trusted_block(chain[0])
    made = LightClient(genesis, Provider(chain), (), CLOCK, 1000.0)
    with pytest.raises(Unavailable, match="trust period"):
        await made.advance()


async def test_a_block_from_the_future_is_refused() -> None:
    late = ManualClock(datetime.fromtimestamp(START_NS / 10**9 + 5, UTC))
    genesis = trusted_genesis(CHAIN_ID, START_NS, signer_set(*FOUR))
    made = LightClient(genesis, Provider([light_block(100, FOUR)]), (), late)
    with pytest.raises(Refused, match="future"):
        await made.advance()


async def test_gaps_are_filled_from_members_and_what_does_not_follow_is_not_retained() -> None:
    league = ProvedLeague()
    for _ in range(4):
        league.commit(league.lubeck, *league.lubeck.events(1))
    chain = dict(league.engine.blocks)
    league.engine.earliest = 4
    await league.capture.look()
    assert await league.capture.read(CapturedBlocks.gaps) == (Gap(1, 3),)
    liar = AnsweringMember(lambda height: light_block(height, STRANGERS))
    honest = AnsweringMember(lambda height: chain[height])
    parts = (league.capture, league.bus)
    filling = GapFilling(*parts, liar, lambda: [league.bergen.member], league.trusted, CLOCK, 0.0)
    with pytest.raises(Refused):
        await filling.fill()
    assert await league.capture.read(CapturedBlocks.gaps) == (Gap(1, 3),)
    await GapFilling(*parts, honest, lambda: [league.bergen.member], league.trusted, CLOCK, 0.0).fill()
    assert await league.capture.read(CapturedBlocks.gaps) == ()
    retained = await league.capture.read(lambda blocks: blocks.after(0, 10))
    assert [one.height for one in retained] == [1, 2, 3, 4, 5]
    assert list(retained) == [chain[height] for height in range(1, 6)]
