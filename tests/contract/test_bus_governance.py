"""What every `Bus` keeps of governance: what is said is committed, or refused with a code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.governance.changes import ParamSet
from hansa.core.governance.possession import prove_possession
from hansa.core.governance.proposals import proposal_hash
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.governance.statements import EndpointSet, KeyRotate
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.pubsub.bus import Bus
from hansa.pubsub.league.writing import base_of, expiry
from hansa.pubsub.ledger.commitments.governance import LEAGUE
from hansa.pubsub.ledger_records import Governed
from tests.contract.leagues import MakeBus, buses_of
from tests.contract.origins import Origin

LIMITS = Limits(publish_timeout_s=5.0)
CLOCK = SystemClock()


class Scene:
    """Two members, of which the first has all the power, and a suspended one, on one ledger."""

    def __init__(self) -> None:
        now = CLOCK.now()
        self.lubeck = Origin("lubeck", time=now)
        self.bergen = Origin("bergen", "Ed25519", time=now)
        self.riga = Origin("riga", status="suspended", time=now)
        others = self.bergen.member, self.riga.member
        powerless = [msgspec.structs.replace(one, validator_key="", power=0) for one in others]
        self.members = [self.lubeck.member, *powerless]


@pytest.fixture(params=["memory", pytest.param("cometbft", marks=pytest.mark.league)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def make_bus(backend: str, scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeBus]:
    with buses_of(backend, scene.members, LIMITS, tmp_path_factory) as make:
        yield make


@pytest.fixture
async def bus(make_bus: MakeBus) -> AsyncIterator[Bus]:
    made = make_bus()
    while True:
        try:
            await made.league()
            break
        except Exception:  # noqa: BLE001 - the ledger begins with its first block
            await CLOCK.sleep(0.05)
    yield made
    await made.close()


async def signer_of(bus: Bus, origin: Origin, key: SigningKey | None = None) -> GovernanceSigner:
    record = (await bus.league()).record("league", "league")
    assert record is not None
    return GovernanceSigner(key or origin.key, origin.did, LEAGUE.read(record).id, CLOCK)


async def propose(bus: Bus, origin: Origin, value: int, key: SigningKey | None = None) -> Governed:
    """Have a member propose a limit."""
    state, signer, changes = (
        await bus.league(),
        await signer_of(bus, origin, key),
        (ParamSet("issuer_events_per_s", value),),
    )
    until = expiry(state, 3600, CLOCK)
    return await bus.govern(
        "propose",
        origin.did,
        lambda seq: signer.propose(
            changes,
            base_of(changes, state),
            seq=seq,
            expires_height=until.height,
            expires_time_ms=until.time_ms,
            entropy=os.urandom,
            note="why",
        ),
    )


async def vote(bus: Bus, origin: Origin, name: str, choice: str) -> Governed:
    signer = await signer_of(bus, origin)
    return await bus.govern("vote", origin.did, lambda seq: signer.vote(name, choice, seq=seq))  # type: ignore[arg-type]


async def refusal(governed: object) -> Code:
    with pytest.raises(Refused) as refused:
        await governed  # type: ignore[misc]
    return refused.value.code


async def test_a_proposal_that_passes_changes_the_limits(bus: Bus, scene: Scene) -> None:
    proposed = await propose(bus, scene.bergen, 300)
    name = proposal_hash(proposed.jws)
    report = await bus.proposal(name[:8])
    assert (report.outcome, report.proposer, report.note, report.missing) == (
        "open",
        scene.bergen.did,
        "why",
        ("lubeck",),
    )
    voted = await vote(bus, scene.lubeck, name, "yes")
    assert voted.height > proposed.height
    assert (await bus.league()).params.issuer_events_per_s == 300
    await bus.members()
    assert bus.params.issuer_events_per_s == 300
    report = await bus.proposal(name)
    assert (report.outcome, report.decided_height) == ("passed", voted.height)
    assert [one.hash for one in await bus.proposals(with_closed=True)] == [name]
    assert await bus.proposals() == ()


async def test_what_breaks_a_rule_is_refused_with_its_code(
    bus: Bus, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansa.pubsub.ledger_bus.SOON_TIMEOUT_S", 0.2)
    assert (
        await refusal(propose(bus, scene.bergen, 300, SigningKey.generate())) is Code.EVENT_SIGNATURE_INVALID
    )
    assert await refusal(propose(bus, Origin("nobody"), 300)) is Code.FORBIDDEN
    assert await refusal(propose(bus, scene.bergen, 0)) is Code.INVALID
    with pytest.raises(Unavailable, match="No proposal"):  # it may be on its way
        await vote(bus, scene.lubeck, "0" * 64, "yes")
    name = proposal_hash((await propose(bus, scene.lubeck, 300)).jws)
    assert await refusal(vote(bus, scene.bergen, name, "yes")) is Code.FORBIDDEN


async def test_a_vote_that_comes_before_its_proposal_counts_as_soon_as_that_is_there(
    bus: Bus, scene: Scene
) -> None:
    state, signer = await bus.league(), await signer_of(bus, scene.bergen)
    changes, until = (ParamSet("issuer_events_per_s", 300),), expiry(state, 3600, CLOCK)
    proposed = signer.propose(
        changes,
        base_of(changes, state),
        seq=1,
        expires_height=until.height,
        expires_time_ms=until.time_ms,
        entropy=os.urandom,
    )
    name = proposal_hash(proposed)
    voting = asyncio.create_task(vote(bus, scene.lubeck, name, "yes"))
    await asyncio.wait([voting], timeout=0.2)
    assert not voting.done(), "another member may know the proposal before this one does"
    await bus.govern("propose", scene.bergen.did, lambda _: proposed)
    voted = await voting
    report = await bus.proposal(name)
    assert (report.outcome, report.decided_height) == ("passed", voted.height)


async def test_a_vote_that_is_sent_again_changes_nothing(bus: Bus, scene: Scene) -> None:
    name = proposal_hash((await propose(bus, scene.bergen, 300)).jws)
    first = await vote(bus, scene.lubeck, name, "no")
    second = await vote(bus, scene.lubeck, name, "no")
    for did in (scene.lubeck.did, scene.bergen.did):
        with pytest.raises(
            (Refused, Unavailable)
        ):  # an engine that has the bytes already does not judge them
            await bus.govern("vote", did, lambda _: first.jws)
    report = await bus.proposal(name)
    assert [one.height for one in report.votes] == [second.height]


async def test_transactions_of_one_member_at_the_same_time_are_all_committed(bus: Bus, scene: Scene) -> None:
    governed = await asyncio.gather(*(propose(bus, scene.bergen, 300 + n) for n in range(4)))
    assert len({one.seq for one in governed}) == 4
    assert {one.hash for one in await bus.proposals()} == {proposal_hash(one.jws) for one in governed}


async def test_a_suspended_member_states_where_it_is(bus: Bus, scene: Scene) -> None:
    signer = await signer_of(bus, scene.riga)
    await bus.govern(
        "member", scene.riga.did, lambda seq: signer.state(EndpointSet("https://new.riga.example"), seq=seq)
    )
    moved = next(one for one in await bus.histories() if one.member.did == scene.riga.did)
    assert moved.member.endpoint == "https://new.riga.example"
    assert [one.endpoint for one in moved.endpoints][-1] == "https://new.riga.example"


async def test_a_rotated_key_signs_and_the_one_before_signs_no_more(bus: Bus, scene: Scene) -> None:
    record, new = (await bus.league()).record("league", "league"), SigningKey.generate()
    assert record is not None
    proof = prove_possession(new, scene.bergen.did, LEAGUE.read(record).id, "signing", 1)
    signer = await signer_of(bus, scene.bergen)
    rotate = KeyRotate(proof, 0, scene.bergen.key.kid)
    await bus.govern("member", scene.bergen.did, lambda seq: signer.state(rotate, seq=seq))
    await bus.publish(scene.lubeck.events(1), scene.lubeck.signer)
    assert await refusal(propose(bus, scene.bergen, 300)) is Code.EVENT_SIGNATURE_INVALID
    await propose(bus, scene.bergen, 300, new)
    history = next(one for one in await bus.histories() if one.member.did == scene.bergen.did)
    assert [one.kid for one in history.keys if one.until is None] == [new.kid]
