"""Light blocks are taken from the engine before it forgets them, and served when it has."""

from __future__ import annotations

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.pubsub.light.captured import CapturedBlocks, Gap, LedgerEvidence
from hansa.pubsub.light.capturing import Capture
from hansa.pubsub.light.chain.blocks import LightBlock, SignedVote, verified_signers
from hansa.pubsub.light.chain.forms import LIGHT_BLOCK, light_block_fields, read_light_block
from hansa.pubsub.light.chain.rpc_form import light_block as of_rpc
from hansa.pubsub.light.chain.rpc_form import (
    read_validators,
    time_ns_of,
    time_text,
    write_commit,
    write_validators,
)
from hansa.pubsub.light.proxy import LightCall, LightProxy, read_call
from tests.contract.origins import NOW
from tests.support.light_chain import CHAIN_ID, Signer, digest, light_block
from tests.support.light_engine import LightEngine

FOUR = [Signer(f"v{number}") for number in range(4)]
FIVE = [*FOUR, Signer("v4")]


def chain(last: int, changes: tuple[int, ...] = ()) -> list[LightBlock]:
    """Blocks whose application hash changes in the header after each height of `changes`."""
    states = [sum(change < height for change in changes) for height in range(last + 1)]
    return [
        light_block(height, FOUR, app_hash=digest(f"state {states[height]}")) for height in range(1, last + 1)
    ]


def capture(engine: LightEngine, blocks: CapturedBlocks | None = None) -> Capture:
    return Capture(engine, blocks or CapturedBlocks(":memory:"), ManualClock(NOW), 1000)


async def heights(made: Capture) -> list[int]:
    return [block.height for block in await made.read(lambda blocks: blocks.after(0, 1000))]


async def test_heights_that_changed_the_state_are_retained_with_those_that_sign_it() -> None:
    engine = LightEngine(chain(60, changes=(7, 30)), transactions={7: 1, 30: 2})
    made = capture(engine)
    await made.look()
    assert await heights(made) == [1, 7, 8, 30, 31]
    block = await made.read(lambda blocks: blocks.block(31))
    assert block == engine.blocks[31]
    assert (await made.read(CapturedBlocks.progress)).height == 60


async def test_a_change_of_the_validators_is_retained() -> None:
    blocks = [
        light_block(n, FOUR, next_validators=FIVE if n == 5 else FOUR, app_hash=b"") for n in range(1, 6)
    ]
    blocks += [light_block(n, FIVE, app_hash=b"") for n in range(6, 9)]
    made = capture(LightEngine(blocks))
    await made.look()
    assert await heights(made) == [1, 5, 6]


async def test_looking_goes_on_where_it_ended_and_reads_nothing_twice() -> None:
    engine = LightEngine(chain(10, changes=(3,)), transactions={3: 1})
    made = capture(engine)
    await made.look()
    calls = len(engine.calls)
    await made.look()
    assert engine.calls[calls:] == [("status", {})]
    for block in chain(15, changes=(3, 12)):
        engine.blocks.setdefault(block.height, block)
    engine.transactions[12] = 1
    await made.look()
    assert await heights(made) == [1, 3, 4, 12, 13]


async def test_what_the_engine_had_forgotten_is_a_gap() -> None:
    engine = LightEngine(chain(50, changes=(40,)), transactions={40: 1})
    engine.earliest = 21
    made = capture(engine)
    await made.look()
    assert await made.read(CapturedBlocks.gaps) == (Gap(1, 20),)
    assert await heights(made) == [21, 40, 41]


async def test_an_engine_that_does_not_answer_changes_nothing() -> None:
    engine = LightEngine(chain(9))
    made = capture(engine)
    engine.is_down = True
    with pytest.raises(Unavailable):
        await made.look()
    engine.is_down = False
    await made.look()
    assert (await made.read(CapturedBlocks.progress)).height == 9


async def test_a_vote_that_does_not_verify_is_not_retained() -> None:
    blocks = chain(2)
    votes = [
        *blocks[0].commit.votes[:3],
        msgspec.structs.replace(blocks[0].commit.votes[3], signature=bytes(64)),
    ]
    commit = msgspec.structs.replace(blocks[0].commit, votes=tuple(votes))
    made = capture(LightEngine([msgspec.structs.replace(blocks[0], commit=commit), blocks[1]]))
    await made.look()
    block = await made.read(lambda captured: captured.block(1))
    assert block is not None
    assert block.commit.votes[3] == SignedVote()
    assert len(verified_signers(block)) == 3


async def test_the_header_that_signs_a_state_is_the_first_with_its_hash() -> None:
    made = capture(LightEngine(chain(30, changes=(7, 20)), transactions={7: 1, 20: 1, 25: 1}))
    signing = await made.wait_for(digest("state 2"), 0.0)
    assert signing.height == 21
    with pytest.raises(Unavailable):
        await made.wait_for(digest("state 3"), 0.0)


async def test_the_oldest_are_thinned_out_and_changes_of_validators_stay() -> None:
    blocks = [light_block(n, FOUR) for n in range(1, 30)] + [light_block(n, FIVE) for n in range(30, 60)]
    captured = CapturedBlocks(":memory:")
    captured.write(blocks)
    assert captured.thin_out(20) == 39
    left = [block.height for block in captured.after(0, 100)]
    assert {1, 29, 30, 59} <= set(left)
    assert len(left) == 20
    assert left[-10:] == list(range(50, 60))


def test_evidence_is_retained_once_and_within_bounds() -> None:
    captured = CapturedBlocks(":memory:")
    one = LedgerEvidence("light_blocks", 5, "did:example:liar", b"{}")
    assert captured.add_evidence(one)
    assert not captured.add_evidence(one)
    assert not captured.add_evidence(msgspec.structs.replace(one, height=6, body=bytes(2_000_000)))
    assert captured.evidence() == (one,)


def test_a_light_block_has_one_closed_form_and_is_read_back() -> None:
    block = light_block(7, FIVE, signers=FIVE[:4])
    raw = LIGHT_BLOCK.write(light_block_fields(block))
    assert read_light_block(LIGHT_BLOCK.read(raw), CHAIN_ID) == block


def test_a_light_block_is_read_back_from_the_form_of_the_engines_rpc() -> None:
    block = light_block(7, FIVE, signers=FIVE[:4])
    pages = [msgspec.json.encode(write_validators(7, block.validators, page, 2)) for page in (1, 2, 3)]
    assert of_rpc(msgspec.json.encode(write_commit(block)), read_validators(pages)) == block


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-30T03:39:07.017874903Z",
        "2026-11-30T03:39:07Z",
        "2026-11-30T03:39:07.5Z",
        "1999-01-01T00:00:00Z",
    ],
)
def test_times_are_read_and_written_as_go_does(text: str) -> None:
    assert time_text(time_ns_of(text)) == text


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[" * 100_000,
        b'{"signed_header":' * 50_000,
        b'{"signed_header":{"header":' + b'{"x":' * 100_000,
        b'{"signed_header":null}',
        b"{}" + b" " * 9_000_000,
    ],
)
def test_an_answer_of_a_stranger_is_refused_whatever_it_is(raw: bytes) -> None:
    with pytest.raises(Refused) as caught:
        of_rpc(raw, light_block(7, FOUR).validators)
    assert caught.value.code is Code.PROOF_INVALID


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("height", "-1"),
        ("height", "99999999999999999999"),
        ("height", "٣"),
        ("time", "2026-13-30T03:39:07Z"),
        ("app_hash", "abcd"),
        ("app_hash", "0" * 63),
        ("proposer_address", ""),
        ("chain_id", "x" * 51),
    ],
)
def test_a_header_out_of_its_form_is_refused(field: str, value: str) -> None:
    document = write_commit(light_block(7, FOUR))
    document["signed_header"]["header"][field] = value
    with pytest.raises(Refused):
        of_rpc(msgspec.json.encode(document), light_block(7, FOUR).validators)


# -- calls of strangers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("net_info", {}),
        ("broadcast_tx_sync", {"tx": "eA=="}),
        ("commit", {"height": "0"}),
        ("commit", {"height": "-5"}),
        ("commit", {"height": "9" * 17}),
        ("commit", {"height": True}),
        ("commit", {"heights": "1"}),
        ("validators", {"per_page": "101"}),
        ("status", {"height": "1"}),
    ],
)
def test_a_call_that_is_not_allowed_is_refused(method: str, parameters: dict[str, object]) -> None:
    with pytest.raises(Refused):
        read_call(method, parameters)


def test_parameters_are_read_as_cometbft_writes_them() -> None:
    assert read_call("validators", {"height": "5", "page": 1, "per_page": '"100"'}) == LightCall(
        "validators", 5, 1, 100
    )


async def test_the_status_tells_nothing_of_the_node() -> None:
    engine = LightEngine(chain(9))
    result = await LightProxy(engine, capture(engine), ManualClock(NOW)).result(LightCall("status"))
    assert b"secret" not in result
    assert b"10.0.0.1" not in result
    assert msgspec.json.decode(result)["sync_info"]["latest_block_height"] == "9"


async def test_what_is_decided_is_read_once_of_the_engine() -> None:
    engine = LightEngine(chain(9))
    proxy = LightProxy(engine, capture(engine), ManualClock(NOW))
    await proxy.result(LightCall("status"))
    first = await proxy.result(LightCall("commit", 4))
    calls = len(engine.calls)
    assert [await proxy.result(LightCall("commit", 4)) for _ in range(100)] == [first] * 100
    assert len(engine.calls) == calls


async def test_what_the_engine_has_forgotten_comes_from_what_is_retained() -> None:
    engine = LightEngine(chain(60, changes=(7,)), transactions={7: 1})
    made = capture(engine)
    await made.look()
    engine.earliest = 50
    proxy = LightProxy(engine, made, ManualClock(NOW))
    validators = read_validators([await proxy.result(LightCall("validators", 8))])
    assert of_rpc(await proxy.result(LightCall("commit", 8)), validators) == engine.blocks[8]
    with pytest.raises(Refused, match="height 9 is not available, lowest height is 50"):
        await proxy.result(LightCall("commit", 9))
    with pytest.raises(Refused, match="height 61 must be less than or equal to"):
        await proxy.result(LightCall("commit", 61))
