"""An audit notices whatever was removed, reordered or rewritten, and goes on where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from hansa.core.errors import Code, Refused
from hansa.core.merkle import Frontier
from hansa.pubsub.light.auditing import AuditFigures, Auditor, Checkpoint
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.verifying import trusted_block
from tests.support.light_chain import Signer, digest, light_block
from tests.support.proved_league import ProvedLeague


async def parts(league: ProvedLeague) -> tuple[bytes, list[LightBlock], list[Checkpoint]]:
    """What an audit reads of a member."""
    await league.capture.look()
    leaves = await league.bus.leaves(0, 65_536)
    blocks = await league.capture.read(lambda captured: captured.after(0, 1000))
    stored = await league.bus.checkpoints(0, 1000)
    checkpoints = [
        Checkpoint(one.height, one.events, one.ruleset, tuple(map(bytes.fromhex, one.path))) for one in stored
    ]
    return leaves, list(blocks), checkpoints


def audited(
    league: ProvedLeague, leaves: bytes, blocks: Sequence[LightBlock], checkpoints: Sequence[Checkpoint]
) -> AuditFigures:
    auditor = Auditor(league.trusted, Frontier())
    auditor.add_leaves(leaves)
    for block in blocks:
        auditor.add_block(block)
    for checkpoint in checkpoints:
        auditor.check(checkpoint)
    return auditor.figures


def league_of(batches: int) -> ProvedLeague:
    league = ProvedLeague()
    for number in range(batches):
        origin = (league.lubeck, league.bergen)[number % 2]
        league.commit(origin, *origin.events(1 + number % 3))
    return league


async def test_a_ledger_that_nobody_has_touched_passes() -> None:
    league = league_of(12)
    figures = audited(league, *await parts(league))
    assert (figures.events, figures.checkpoints, figures.unsigned) == (24, 12, 0)


@pytest.mark.parametrize("attack", ["removed", "swapped", "rewritten", "inserted", "cut"])
async def test_a_changed_history_does_not_pass(attack: str) -> None:
    league = league_of(12)
    leaves, blocks, checkpoints = await parts(league)
    hashes = [leaves[at : at + 32] for at in range(0, len(leaves), 32)]
    if attack == "removed":
        del hashes[5]
    elif attack == "swapped":
        hashes[5], hashes[6] = hashes[6], hashes[5]
    elif attack == "rewritten":
        hashes[0] = digest("another event")
    elif attack == "inserted":
        hashes.insert(3, digest("another event"))
    else:
        del hashes[-1]
    with pytest.raises(Refused) as refused:
        audited(league, b"".join(hashes), blocks, checkpoints)
    assert refused.value.code is Code.PROOF_INVALID


async def test_blocks_that_others_signed_do_not_pass() -> None:
    league = league_of(3)
    leaves, blocks, checkpoints = await parts(league)
    forged = light_block(
        blocks[-1].height, [Signer(f"x{number}") for number in range(4)], app_hash=digest("x")
    )
    with pytest.raises(Refused):
        audited(league, leaves, [*blocks[:-1], forged], checkpoints)


async def test_a_checkpoint_of_another_size_does_not_pass() -> None:
    league = league_of(4)
    leaves, blocks, checkpoints = await parts(league)
    changed = msgspec.structs.replace(checkpoints[1], events=checkpoints[1].events - 1)
    with pytest.raises(Refused, match="removed, reordered or rewritten"):
        audited(league, leaves, blocks, [checkpoints[0], changed, *checkpoints[2:]])


async def test_states_without_a_header_are_counted_as_not_compared() -> None:
    league = league_of(4)
    leaves, blocks, checkpoints = await parts(league)
    figures = audited(league, leaves, blocks[:1] + blocks[3:], checkpoints)
    assert (figures.checkpoints, figures.unsigned) == (2, 2)


async def test_an_audit_of_a_member_whose_headers_lag_is_continued_from_the_last_signed_state() -> None:
    league = league_of(5)
    leaves, blocks, checkpoints = await parts(league)
    lagging = [block for block in blocks if block.height <= checkpoints[2].height + 1]
    first = Auditor(league.trusted, Frontier())
    first.add_leaves(leaves)
    for block in lagging:
        first.add_block(block)
    for checkpoint in checkpoints:
        first.check(checkpoint)
    assert first.figures.unsigned == 2
    assert first.compared is not None
    signing, events = first.compared
    assert (signing.height, events.size) == (checkpoints[2].height + 1, checkpoints[2].events)
    second = Auditor(trusted_block(signing), events)
    second.add_leaves(leaves[32 * events.size :])
    for block in blocks[len(lagging) :]:
        second.add_block(block)
    for checkpoint in checkpoints[3:]:
        second.check(checkpoint)
    assert second.figures == AuditFigures(len(leaves) // 32, 2, 0, len(blocks) - len(lagging))


async def test_a_later_audit_goes_on_from_what_the_earlier_one_has_seen() -> None:
    league = league_of(5)
    leaves, blocks, checkpoints = await parts(league)
    first = Auditor(league.trusted, Frontier())
    first.add_leaves(leaves)
    for block in blocks:
        first.add_block(block)
    for checkpoint in checkpoints:
        first.check(checkpoint)
    seen = first.tree
    league.commit(league.lubeck, *league.lubeck.events(4))
    leaves, blocks, checkpoints = await parts(league)
    second = Auditor(first.trusted, seen)
    second.add_leaves(leaves[32 * seen.size :])
    for block in blocks:
        if block.height > first.trusted.height:
            second.add_block(block)
    second.check(checkpoints[-1])
    assert second.figures == AuditFigures(seen.size + 4, 1, 0, 1)
    rewritten = Auditor(first.trusted, msgspec.structs.replace(seen, peaks=(digest("x"), *seen.peaks[1:])))
    rewritten.add_leaves(leaves[32 * seen.size :])
    rewritten.add_block(blocks[-1])
    with pytest.raises(Refused):
        rewritten.check(checkpoints[-1])
