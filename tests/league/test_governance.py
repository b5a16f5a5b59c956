"""A league of four real marketplaces that govern themselves: votes, keys, endpoints, suspensions, removal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.governance.changes import ParamSet
from hansa.core.governance.elements import BaseElement
from hansa.core.governance.proposals import proposal_hash
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.node.folder import LEDGER, LEDGER_STATE, MEMBER_KEY
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET, read_key
from hansa.pubsub.league.writing import base_of, expiry
from hansa.pubsub.ledger.commitments.governance import LEAGUE
from tests.league.harness import CLOCK, OFFERINGS, League, RunningMember, league, wait_until

pytestmark = [pytest.mark.league, pytest.mark.timeout(300)]

SHOWN_TIMEOUT_S = 30.0


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[League]:
    """Four members, running and ready."""
    async with league(tmp_path / "league", 4) as made:
        yield made


class CommandFailed(Exception):
    """A command ended with another status than 0."""


async def hansa(*words: str) -> str:
    """What a command writes to stdout."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hansa.cli", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    written, said = await process.communicate()
    if process.returncode:
        raise CommandFailed(f"{process.returncode}: {said.decode()}")
    return written.decode()


async def propose(member: RunningMember, *words: str) -> str:
    """The hash of a proposal."""
    return (await hansa("league", "propose", str(member.folder), *words)).strip()


async def decide(
    members: League, *words: str, voters: int = 3, known_to: Sequence[RunningMember] = ()
) -> str:
    """Propose and vote, and wait until those that voted know of the decision; the hash of the proposal.

    Args:
        members: Of the league; the first proposes.
        words: The proposal.
        voters: How many of the members vote.
        known_to: Who has to know of the decision, too.
    """
    name = await propose(members[0], *words)
    voting = members.members[:voters]
    await asyncio.gather(*(hansa("league", "vote", str(one.folder), name[:16], "yes") for one in voting))

    async def is_known() -> bool:
        outcomes = [(await proposal(one, name)).get("outcome") for one in (*voting, *known_to)]
        return all(outcome not in {None, "open"} for outcome in outcomes)

    await until(f"everybody knows of the decision on {' '.join(words)}", members, is_known)
    assert (await proposal(members[0], name))["outcome"] == "passed"
    return name


async def proposal(member: RunningMember, name: str) -> Any:
    """What a member says of a proposal."""
    return (await member.get(f"/league/v1/proposals/{name}")).json()


async def registered(member: RunningMember, did: str) -> Any:
    """A member of the league, as another one serves it."""
    members = (await member.get("/league/v1/members")).json()
    return next(one for one in members if one["did"] == did)


def did_of(member: RunningMember) -> str:
    return str(msgspec.json.decode((member.folder / "member.json").read_bytes())["member"]["did"])


async def until(what: str, members: League, condition: Callable[[], Awaitable[bool]]) -> None:
    await wait_until(condition, what, SHOWN_TIMEOUT_S, members.members)


@contextlib.asynccontextmanager
async def bus_of(member: RunningMember, publish_timeout_s: float = 20.0) -> AsyncIterator[CometBftBus]:
    limits = Limits(publish_timeout_s=publish_timeout_s)
    bus = CometBftBus(member.folder / LEDGER / RPC_SOCKET, member.folder / LEDGER_STATE, CLOCK, limits)
    try:
        yield bus
    finally:
        await bus.close()


async def signer_of(
    member: RunningMember, bus: CometBftBus, key: SigningKey | None = None
) -> GovernanceSigner:
    record = (await bus.league()).record("league", "league")
    assert record is not None
    key = key or SigningKey.load(member.folder / MEMBER_KEY)
    return GovernanceSigner(key, did_of(member), LEAGUE.read(record).id, CLOCK)


@pytest.mark.timed
async def test_a_proposal_is_effective_within_a_second_when_four_vote(four: League) -> None:
    async with contextlib.AsyncExitStack() as stack:
        buses = [await stack.enter_async_context(bus_of(one)) for one in four.members]
        signers = [await signer_of(one, bus) for one, bus in zip(four.members, buses, strict=True)]

        took_s = []
        for value in (300, 310, 320, 330, 340):
            changes = (ParamSet("issuer_events_per_s", value),)
            state = await buses[0].league()
            until_at = expiry(state, 3600, CLOCK)
            begun_s = CLOCK.monotonic()
            proposed = await buses[0].govern(
                "propose",
                did_of(four[0]),
                lambda seq, changes=changes, state=state, until_at=until_at: signers[0].propose(  # type: ignore[misc]
                    changes,
                    base_of(changes, state),
                    seq=seq,
                    expires_height=until_at.height,
                    expires_time_ms=until_at.time_ms,
                    entropy=os.urandom,
                ),
            )

            name = proposal_hash(proposed.jws)
            votes = [
                asyncio.create_task(
                    bus.govern(
                        "vote",
                        did_of(one),
                        lambda seq, signer=signer, name=name: signer.vote(name, "yes", seq=seq),  # type: ignore[misc]
                    )
                )
                for one, bus, signer in zip(four.members, buses, signers, strict=True)
            ]

            async def is_effective(value: int = value) -> bool:
                states = await asyncio.gather(*(bus.league() for bus in buses))
                return all(state.params.issuer_events_per_s == value for state in states)

            await until("the limit is set at all members", four, is_effective)
            took_s.append(CLOCK.monotonic() - begun_s)
            await asyncio.wait(votes, timeout=0.5)
            for one in votes:  # the last one may find it decided
                one.cancel()
            await asyncio.gather(*votes, return_exceptions=True)
        shown = ", ".join(f"{each:.3f}" for each in sorted(took_s))
        sys.stdout.write(f"propose to effective everywhere, in s: {shown}\n")
        assert sorted(took_s)[2] <= 1.0


async def test_an_operator_proposes_votes_and_everybody_sees_it(four: League) -> None:
    name = await propose(four[0], "param", "issuer_events_per_s", "300", "--note", "more room")
    await is_known_at(four[1], name)
    explained = await hansa("league", "explain", name[:8], four[1].url)
    assert re.search(r"now\s+250", explained), explained
    assert "not voted" in explained
    for one in four.members[:3]:
        await hansa("league", "vote", str(one.folder), name[:8], "yes")

    async def is_set() -> bool:
        ledgers = [(await one.get("/league/v1/ledger")).json() for one in four.members]
        return all(each["params"]["issuer_events_per_s"] == 300 for each in ledgers)

    await until("the limit is set everywhere", four, is_set)
    assert (await proposal(four[3], name))["outcome"] == "passed"
    with pytest.raises(CommandFailed, match="closed"):
        await hansa("league", "vote", str(four[3].folder), name[:8], "no")
    with pytest.raises(CommandFailed, match="did you mean"):
        await propose(four[0], "param", "issuer_event_per_s", "1")


async def is_known_at(member: RunningMember, name: str) -> None:
    """Wait until a member knows a proposal: it has a block a moment before or after another one."""

    async def is_known() -> bool:
        return "hash" in await proposal(member, name)

    await wait_until(is_known, f"{member.name} knows the proposal", SHOWN_TIMEOUT_S, [member])


async def publish_until(members: League, is_over: asyncio.Event, by: int) -> list[str]:
    """Publish at one member until told to stop; what was published."""
    created: list[str] = []
    while not is_over.is_set():
        created.append(await members[by].create_offering(name=f"{by}/{len(created)}"))
        await CLOCK.sleep(0.02)
    return created


@pytest.mark.slow
async def test_a_key_is_rotated_under_load_without_a_restart(four: League) -> None:
    is_over = asyncio.Event()
    load = asyncio.create_task(publish_until(four, is_over, by=1))
    await CLOCK.sleep(1.0)
    before = SigningKey.load(four[1].folder / MEMBER_KEY).kid
    made = msgspec.json.decode(
        await hansa("keys", "rotate", str(four[1].folder), "--key", "member", "--overlap", "10s", "--json")
    )
    pid = four[1].process.pid if four[1].process else 0

    async def is_old_key_gone() -> bool:
        member = await registered(four[0], did_of(four[1]))
        return [key["kid"] for key in member["keys"]] == [made["kid"]]

    await until("the old key has been retired", four, is_old_key_gone)
    await CLOCK.sleep(1.0)
    is_over.set()
    created = await load
    assert four[1].process is not None
    assert four[1].process.pid == pid
    assert made["kid"] != before
    assert SigningKey.load(four[1].folder / MEMBER_KEY).kid == made["kid"]
    for each in (created[0], created[len(created) // 2], created[-1]):
        await four.wait_until_visible(f"{OFFERINGS}/{each}")
    await four[1].stop()
    await four[1].start()
    await four[1].wait_until_ready()
    await four.wait_until_visible(f"{OFFERINGS}/{await four[1].create_offering()}")
    sys.stdout.write(f"rotated under a load of {len(created)} offerings: {before[:8]} to {made['kid'][:8]}\n")
    await old_events_verify_with_the_genesis_alone(four)
    await the_engine_s_keys_are_replaced(four, four[2])


async def old_events_verify_with_the_genesis_alone(members: League) -> None:
    """Those before the rotation, those afterwards, and every one of them against the signed states."""
    genesis = str(members[0].folder / "genesis.json")
    shown = await hansa("events", members[0].url, "--genesis", genesis, "--after", "0", "--json")
    count = len(shown.splitlines())
    audited = json.loads(await hansa("audit", members[0].url, "--genesis", genesis, "--signatures", "--json"))
    assert audited["samples"] == audited["events"] >= count > 10
    receipt = members[0].folder / "member.receipt"
    await hansa("receipt", members[3].url, did_of(members[1]), "--member", "-o", str(receipt))
    proved = json.loads(await hansa("verify", str(receipt), "--genesis", genesis, "--json"))["history"]
    assert len([one for one in proved["keys"] if one["did"] == did_of(members[1])]) == 2


def engine_keys(member: RunningMember) -> tuple[str, str]:
    """Node id and address of the validator."""
    keys = member.folder / "ledger" / "config"
    return read_key(keys / "node_key.json").node_id, read_key(keys / "priv_validator_key.json").address


async def the_engine_s_keys_are_replaced(members: League, member: RunningMember) -> None:
    """By a vote the validator's, by a statement the node's; the marketplace runs on."""
    pid = member.process.pid if member.process else 0
    node_id, address = engine_keys(member)
    folder = str(member.folder)
    name = (await hansa("keys", "rotate", folder, "--key", "validator")).splitlines()[0]
    again = (await hansa("keys", "rotate", folder, "--key", "validator")).splitlines()[0]
    assert again == name, "it is proposed once"
    assert engine_keys(member) == (node_id, address), "nothing changes before the vote"
    await is_known_at(members[0], name)
    explained = await hansa("league", "explain", name[:12], members[0].url)
    assert "and another validator key" in explained
    for one in members.members[:3]:
        await hansa("league", "vote", str(one.folder), name[:16], "yes")

    async def signs_with_the_new_one() -> bool:
        await members[0].create_offering(name="has a block made")
        own = str((await member.status())["validator"]["address"])
        return own == engine_keys(member)[1] != address

    await until("the validator signs with its new key", members, signs_with_the_new_one)
    made = json.loads(await hansa("keys", "rotate", folder, "--key", "node", "--json"))
    assert made["before"] == node_id
    assert engine_keys(member)[0] == made["node_id"] != node_id

    async def is_registered() -> bool:
        return list((await registered(members[0], did_of(member)))["node_ids"]) == [made["node_id"]]

    await until("the new node key is registered", members, is_registered)
    assert member.process is not None
    assert member.process.pid == pid, "the marketplace was not restarted"
    await members.wait_until_visible(f"{OFFERINGS}/{await member.create_offering()}", timeout_s=60)
    await members[0].stop()  # what is left makes blocks only if the new key signs
    rest = League(members.members[1:])
    await rest.wait_until_visible(f"{OFFERINGS}/{await member.create_offering()}", timeout_s=60)


async def relay(port: int) -> tuple[asyncio.Server, str]:
    """Another address for what listens on a port; its URL."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_what_was_published_before_a_move_is_retrieved_at_the_new_address(four: League) -> None:
    old = four[2]
    before = await old.create_offering(name="before the move")
    await four.wait_until_visible(f"{OFFERINGS}/{before}")
    await four[3].stop()
    missed = [await old.create_offering(name=f"missed {n}") for n in range(5)]
    server, url = await relay(old.port)
    async with server:
        await hansa("league", "endpoint", str(old.folder), url)
        after = await old.create_offering(name="after the move")
        await League(four.members[:3]).wait_until_visible(f"{OFFERINGS}/{after}")
        await four[3].start()
        await four[3].wait_until_ready()
        for each in (*missed, after):
            await four.wait_until_visible(f"{OFFERINGS}/{each}")

        async def knows_the_address() -> bool:
            return bool((await registered(four[3], did_of(old)))["endpoint"] == url)

        await until("who was away knows the new address", four, knows_the_address)
        histories = (await four[3].get("/league/v1/members?history=true")).json()
        served = next(one for one in histories if one["member"]["did"] == did_of(old))["endpoints"]
        assert [one["endpoint"] for one in served] == [old.url, url]
        assert f'endpoint = "{url}"' in (old.folder / "hansa.toml").read_text()


async def test_a_suspended_member_publishes_nothing_until_it_is_active_again(four: League) -> None:
    thief = four[3]
    await decide(four, "suspend", did_of(thief))

    async def is_told() -> bool:
        conditions = (await thief.get("/readyz")).json().get("conditions", ())
        return "member-suspended" in conditions

    await until("it says that it is suspended", four, is_told)
    held = await thief.create_offering(name="while suspended")
    seen = await four[0].create_offering(name="of another")
    await four.wait_until_visible(f"{OFFERINGS}/{seen}")
    assert not await four[0].has(f"{OFFERINGS}/{held}")
    ledger = (await four[0].get("/league/v1/ledger")).json()
    assert sum(one["power"] for one in ledger["validators"]) == 40
    await decide(four, "activate", did_of(thief))
    await four.wait_until_visible(f"{OFFERINGS}/{held}", timeout_s=60)


async def test_a_power_acts_two_blocks_later_and_a_removed_member_is_nobody(four: League) -> None:
    name = await decide(four, "power", did_of(four[1]), "12")

    async def has_power() -> bool:
        validators = (await four[0].get("/league/v1/ledger")).json()["validators"]
        return bool({one["did"]: one["power"] for one in validators}[did_of(four[1])] == 12)

    await until("it has the power", four, has_power)
    assert (await proposal(four[0], name))["outcome"] == "passed"
    leaver = four[3]
    kept = await leaver.create_offering(name="published before the removal")
    await four.wait_until_visible(f"{OFFERINGS}/{kept}")
    await decide(four, "remove", did_of(leaver))

    async def is_removed() -> bool:
        await four[0].create_offering(name="has a block made")
        return str((await registered(four[0], did_of(leaver)))["status"]) == "removed"

    await until("it is removed", four, is_removed)
    rest = League(four.members[:3])
    created = await four[0].create_offering(name="without it")
    await rest.wait_until_visible(f"{OFFERINGS}/{created}")
    assert await four[0].has(f"{OFFERINGS}/{kept}")

    async def knows_it() -> bool:
        return str((await registered(leaver, did_of(leaver)))["status"]) == "removed"

    await until("it knows itself that it is removed", four, knows_it)
    with pytest.raises(CommandFailed, match=r"not a member|status"):
        await propose(leaver, "param", "issuer_events_per_s", "1")


async def flood(member: RunningMember, count: int) -> None:
    """Have a member propose more and more."""
    for value in range(count):
        await propose(member, "param", "issuer_bytes_per_s", str(200_000 + value))


async def test_a_lie_a_replay_and_a_flood_are_refused(four: League) -> None:
    async with bus_of(four[0], publish_timeout_s=5.0) as bus, bus_of(four[1]) as other:
        state = await bus.league()
        foreign = await signer_of(four[1], bus, SigningKey.generate())
        unsigned = BaseElement("param/issuer_events_per_s", "0" * 64)

        until_at = expiry(state, 3600, CLOCK)

        def lie(seq: int) -> str:
            return foreign.propose(
                (ParamSet("issuer_events_per_s", 1),),
                (unsigned,),
                seq=seq,
                expires_height=until_at.height,
                expires_time_ms=until_at.time_ms,
                entropy=os.urandom,
            )

        with pytest.raises(Refused) as refused:
            await bus.govern("propose", did_of(four[1]), lie)
        assert refused.value.code is Code.EVENT_SIGNATURE_INVALID

        name = await propose(four[0], "param", "issuer_events_per_s", "300")
        voter = await signer_of(four[1], other)
        first = await other.govern("vote", did_of(four[1]), lambda seq: voter.vote(name, "no", seq=seq))
        await other.govern("vote", did_of(four[1]), lambda seq: voter.vote(name, "yes", seq=seq))
        with pytest.raises((Refused, Unavailable)):  # an engine that has the bytes does not judge them again
            await bus.govern("vote", did_of(four[1]), lambda _: first.jws)

        async def counts_once() -> bool:
            votes = (await proposal(four[0], name))["votes"]
            return [one["choice"] for one in votes] == ["yes"]

        await until("the last vote counts, and no other", four, counts_once)

        with pytest.raises(CommandFailed, match=r"open|quota"):
            await flood(four[0], 40)


async def test_without_a_quorum_a_vote_says_so_and_counts_later(four: League) -> None:
    name = await propose(four[0], "param", "issuer_events_per_s", "300")
    await four[2].stop()
    await four[3].stop()
    async with bus_of(four[0], publish_timeout_s=3.0) as bus:
        signer = await signer_of(four[0], bus)
        with pytest.raises(Unavailable, match="quorum"):
            await bus.govern("vote", did_of(four[0]), lambda seq: signer.vote(name, "yes", seq=seq))
    await four[2].start()
    await four[2].wait_until_ready()

    async def has_voted() -> bool:
        return bool((await proposal(four[0], name)).get("votes"))

    await until("the vote counts", four, has_voted)
