"""A member that comes back from a backup: it observes first, and nobody ever signs twice."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.core.errors import Refused
from hansa.node.backup import restore_backup, write_backup
from hansa.node.folder import LEDGER, LEDGER_STATE, NODE_KEY, OBSERVING, VALIDATOR_KEY
from hansa.node.validator.decisions import sign
from hansa.node.validator.observing import read_observing, write_observing
from hansa.node.validator.repair import repair_engine
from hansa.pubsub.engine import PRECOMMIT, SIGNING_STATE, EngineKey, SigningState, read_key
from tests.league.further_engines import register_second_engine
from tests.league.harness import (
    CLOCK,
    OFFERINGS,
    League,
    RunningMember,
    engine_rpc,
    free_base_port,
    league,
    wait_until,
)

pytestmark = pytest.mark.league

SETTINGS: dict[str, Any] = {"observe_blocks_min": 5, "observe_min_s": 1.0}
OBSERVE_TIMEOUT_S = 60.0


class Engine:
    """What a member's engine has."""

    def __init__(self, member: RunningMember) -> None:
        self._member = member

    async def call(self, method: str, **params: str) -> Any:
        return await engine_rpc(self._member, method, **params)

    async def height(self) -> int:
        return int((await self.call("status"))["sync_info"]["latest_block_height"])

    async def signers(self, height: int) -> set[str]:
        """Addresses whose votes are in the commit of a block."""
        commit = (await self.call("commit", height=str(height)))["signed_header"]["commit"]
        return {vote["validator_address"] for vote in commit["signatures"]}

    async def evidence(self) -> list[Any]:
        """All evidence of misbehaviour in all blocks."""
        pieces: list[Any] = []
        for height in range(1, await self.height() + 1):
            block = (await self.call("block", height=str(height)))["block"]
            pieces += block["evidence"]["evidence"] or []
        return pieces


async def validator(member: RunningMember) -> Any:
    return (await member.status())["validator"]


async def rename(member: RunningMember, offering: str, name: str) -> None:
    answer = await member.request("PATCH", f"{OFFERINGS}/{offering}", {"name": name}, with_token=True)
    assert answer.status == 200, answer.body


async def is_named(member: RunningMember, offering: str, name: str) -> bool:
    answer = await member.get(f"{OFFERINGS}/{offering}")
    return answer.status == 200 and answer.json()["name"] == name


async def make_blocks_until(made: League, maker: RunningMember, condition: Any, what: str) -> None:
    """Create offerings, one after the other, until a condition holds."""

    async def holds() -> bool:
        await maker.create_offering()
        return bool(await condition())

    await wait_until(holds, what, OBSERVE_TIMEOUT_S, made.members)


@contextlib.asynccontextmanager
async def second_copy(
    folder: Path, node_key: EngineKey, original: RunningMember
) -> AsyncIterator[RunningMember]:
    """A second copy of a member, running beside it with an engine of its own node key."""
    (folder / NODE_KEY).write_bytes(node_key.node_document())
    http_port, p2p_port = two_ports()
    copy = RunningMember(folder, http_port, original._session)
    await copy.start({"HANSA_LISTEN_PORT": str(http_port), "HANSA_P2P_PORT": str(p2p_port)})
    try:
        await copy.wait_until_ready()
        yield copy
    finally:
        await copy.stop()


def two_ports() -> tuple[int, int]:
    """Free ones for an HTTP server and an engine."""
    base_port = free_base_port(2)
    return base_port + 1, base_port + 2


async def goes_on(made: League) -> None:
    """Wait until a change at the first member is on the ledger."""
    first = made[0]
    await first.create_offering()

    async def is_published() -> bool:
        return bool((await first.status())["unpublished"] == 0)

    await wait_until(is_published, "the ledger goes on", 30.0, made.members)


async def test_a_restored_member_observes_and_then_signs_again(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 4, SETTINGS) as made:
        lubeck, riga = made[0], made[2]
        address = read_key(riga.folder / VALIDATOR_KEY).address
        mine = await riga.create_offering()
        await made.wait_until_visible(f"{OFFERINGS}/{mine}")
        write_backup(riga.folder, tmp_path / "riga.backup", CLOCK)
        await rename(riga, mine, "after the backup")
        await wait_until(lambda: is_named(lubeck, mine, "after the backup"), "it is replicated", 30.0)
        for _ in range(10):
            await lubeck.create_offering()
        assert await riga.stop() == 0
        shutil.rmtree(riga.folder)
        restore_backup(tmp_path / "riga.backup", riga.folder, CLOCK)
        stopped_at = await Engine(lubeck).height()
        await riga.start()
        await riga.wait_until_ready()
        observing = await validator(riga)
        assert observing["is_observing"]
        assert observing["reason"] == "restored"
        answer = (await riga.get("/readyz", with_token=True)).json()
        assert answer["status"] == "degraded"
        assert any("observes" in note for note in answer["notes"])
        assert b"hansa_validator_observing 1.0" in (await riga.get("/metrics", with_token=True)).body
        assert await riga.has(f"{OFFERINGS}/{mine}")

        observed_to = stopped_at

        async def signs() -> bool:
            nonlocal observed_to
            height = await Engine(lubeck).height()
            is_observing = (await validator(riga))["is_observing"]
            if is_observing:  # still, after that block
                observed_to = height
            return not is_observing

        await make_blocks_until(made, lubeck, signs, "riga signs again")
        assert not (riga.folder / OBSERVING).exists()
        for height in range(stopped_at + 2, observed_to):
            assert address not in await Engine(lubeck).signers(height), (
                f"it signed {height} while it observed"
            )

        async def has_signed() -> bool:
            return address in await Engine(lubeck).signers(await Engine(lubeck).height() - 1)

        await make_blocks_until(made, lubeck, has_signed, "riga's signature is in a block")
        created = await riga.create_offering()
        await made.wait_until_visible(f"{OFFERINGS}/{created}")
        await rename(riga, mine, "after the restore")
        await wait_until(
            lambda: is_named(lubeck, mine, "after the restore"), "it goes on publishing", 30.0, made.members
        )
        assert await Engine(lubeck).evidence() == []


async def test_a_restored_member_never_signs_while_the_original_runs(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 4, SETTINGS) as made:
        lubeck, riga = made[0], made[2]
        write_backup(riga.folder, tmp_path / "riga.backup", CLOCK)
        restored = tmp_path / "restored" / "riga"
        restored.parent.mkdir()
        restore_backup(tmp_path / "riga.backup", restored, CLOCK)
        http_port, p2p_port = two_ports()
        double = RunningMember(restored, http_port, lubeck._session)
        await double.start({"HANSA_LISTEN_PORT": str(http_port), "HANSA_P2P_PORT": str(p2p_port)})
        try:

            async def is_reported() -> bool:
                state = await validator(double)
                return bool(state["double"] or state["elsewhere"])

            await make_blocks_until(made, lubeck, is_reported, "the original is reported")
            await made[1].stop()
            await made[1].start()  # whoever is first gets this connection
            await made[1].wait_until_ready()
            for _ in range(40):
                await lubeck.create_offering()
                assert (await validator(double))["is_observing"]
            assert not (restored / LEDGER / SIGNING_STATE).exists()
            assert "ANOTHER ENGINE" in (await validator(double))["summary"]
            assert await Engine(lubeck).evidence() == []
        finally:
            await double.stop()


async def test_a_member_that_lost_what_it_signed_observes(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 4, SETTINGS) as made:
        bergen = made[1]
        await bergen.create_offering()
        await bergen.stop()
        (bergen.folder / LEDGER / SIGNING_STATE).unlink()
        await bergen.start()
        await bergen.wait_until_ready()
        assert (await validator(bergen))["reason"] == "memory-lost"

        async def signs() -> bool:
            return not (await validator(bergen))["is_observing"]

        await make_blocks_until(made, made[0], signs, "bergen signs again")
        assert await Engine(made[0]).evidence() == []


@pytest.mark.parametrize("harm", ["a damaged log", "a damaged state"])
async def test_an_engine_that_does_not_start_is_repaired(tmp_path: Path, harm: str) -> None:
    async with league(tmp_path / "league", 1) as made:
        lubeck = made[0]
        created = await lubeck.create_offering()
        await goes_on(made)
        await lubeck.stop()
        signed = (lubeck.folder / LEDGER / SIGNING_STATE).read_bytes()
        if harm == "a damaged log":
            path = lubeck.folder / LEDGER / "data" / "cs.wal" / "wal"
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2] + bytes(1000))
        else:
            path = lubeck.folder / LEDGER_STATE
            path.write_bytes(path.read_bytes()[:4096] + b"x" * 20_000)
        moves = repair_engine(lubeck.folder, CLOCK, rebuilds_ledger=harm == "a damaged state")
        assert moves
        assert (lubeck.folder / LEDGER / SIGNING_STATE).read_bytes() == signed
        await lubeck.start()
        await lubeck.wait_until_ready()
        assert await lubeck.has(f"{OFFERINGS}/{created}")
        await goes_on(made)


async def test_a_league_of_one_comes_back_with_its_ledger(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 1) as made:
        lubeck = made[0]
        created = await lubeck.create_offering()
        await goes_on(made)
        await lubeck.stop()
        write_backup(lubeck.folder, tmp_path / "b", CLOCK)
        shutil.rmtree(lubeck.folder)
        restore_backup(tmp_path / "b", lubeck.folder, CLOCK)
        await lubeck.start()

        async def observes() -> bool:
            return bool((await validator(lubeck))["is_observing"])

        await wait_until(observes, "it observes", 30.0, made.members)
        await lubeck.stop()
        sign(lubeck.folder)
        await lubeck.start()
        await lubeck.wait_until_ready()
        assert await lubeck.has(f"{OFFERINGS}/{created}")
        await goes_on(made)


async def test_a_restored_member_sees_the_original_sign(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 4, SETTINGS, is_started=False) as made:
        lubeck, riga = made[0], made[2]
        node_key = register_second_engine(made.members, riga)
        await made.start()
        write_backup(riga.folder, tmp_path / "riga.backup", CLOCK)
        restore_backup(tmp_path / "riga.backup", tmp_path / "riga", CLOCK)
        async with second_copy(tmp_path / "riga", node_key, riga) as restored:

            async def is_seen() -> bool:
                return (await validator(restored))["double"] is not None

            await make_blocks_until(made, lubeck, is_seen, "the original's signature is seen")
            assert "ANOTHER ENGINE SIGNS" in (await validator(restored))["summary"]
            assert b"hansa_validator_double 1.0" in (await restored.get("/metrics", with_token=True)).body
            for _ in range(30):
                await lubeck.create_offering()
            assert (await validator(restored))["is_observing"]
            assert not (tmp_path / "riga" / LEDGER / SIGNING_STATE).exists()
        assert not (await validator(riga))["is_observing"], "the original goes on"
        assert await Engine(lubeck).evidence() == []


async def test_a_league_that_waits_for_a_restored_member_goes_on_when_its_operator_says_so(
    tmp_path: Path,
) -> None:
    async with league(tmp_path / "league", 3, SETTINGS) as made:
        lubeck, riga = made[0], made[2]
        write_backup(riga.folder, tmp_path / "riga.backup", CLOCK)
        for _ in range(5):
            before = await lubeck.create_offering()
            await made.wait_until_visible(f"{OFFERINGS}/{before}")  # no vote of the backup's round is needed
        await riga.kill_whole()
        created = await lubeck.create_offering()
        shutil.rmtree(riga.folder)
        restore_backup(tmp_path / "riga.backup", riga.folder, CLOCK)
        await riga.start()

        async def is_up_to_date() -> bool:
            marked = read_observing(riga.folder)
            return marked is not None and marked.caught_up_at is not None

        await wait_until(is_up_to_date, "riga is up to date", OBSERVE_TIMEOUT_S, made.members)
        assert not await riga.has(f"{OFFERINGS}/{created}"), "no block is made without it"
        await riga.stop()
        sign(riga.folder)
        await riga.start()
        await made.wait_until_visible(f"{OFFERINGS}/{created}", OBSERVE_TIMEOUT_S)
        assert await Engine(lubeck).evidence() == []


async def restore_in_the_round(
    made: League, riga: RunningMember, backup: Path, away: RunningMember | None = None
) -> str:
    """Kill a member, have the league wait for it, and restore it as from a backup of that very round.

    The backup says that it signed in that round, and nobody else has that vote. The identifier of what waits.
    """
    for _ in range(3):
        before = await made[0].create_offering()
        await made.wait_until_visible(f"{OFFERINGS}/{before}")
    if away is not None:
        await away.stop()
    await riga.kill_whole()
    waiting = await made[0].create_offering()
    shutil.rmtree(riga.folder)
    restore_backup(backup, riga.folder, CLOCK)
    marked = read_observing(riga.folder)
    assert marked is not None
    signed = SigningState(await Engine(made[0]).height() + 1, 0, PRECOMMIT)
    write_observing(riga.folder, msgspec.structs.replace(marked, signed=signed))
    await riga.start()
    return waiting


async def is_awaited(member: RunningMember) -> bool:
    answer = await member.get("/readyz", with_token=True)
    return b"THE LEAGUE WAITS FOR IT" in answer.body


@pytest.mark.slow
async def test_a_league_goes_on_whose_round_a_restored_member_had_signed_unseen(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 3, SETTINGS) as made:
        riga = made[2]
        write_backup(riga.folder, tmp_path / "riga.backup", CLOCK)
        created = await restore_in_the_round(made, riga, tmp_path / "riga.backup")
        await wait_until(lambda: is_awaited(riga), "it is awaited", OBSERVE_TIMEOUT_S, made.members)
        await riga.stop()
        assert sign(riga.folder).step < PRECOMMIT
        await riga.start()
        await made.wait_until_visible(f"{OFFERINGS}/{created}", OBSERVE_TIMEOUT_S)
        assert await Engine(made[0]).evidence() == []


async def test_a_league_of_four_with_one_away_goes_on_with_that_one_and_not_against_its_votes(
    tmp_path: Path,
) -> None:
    async with league(tmp_path / "league", 4, SETTINGS) as made:
        riga, bruges = made[2], made[3]
        write_backup(riga.folder, tmp_path / "riga.backup", CLOCK)
        created = await restore_in_the_round(made, riga, tmp_path / "riga.backup", away=bruges)
        await wait_until(lambda: is_awaited(riga), "it is awaited", OBSERVE_TIMEOUT_S, made.members)
        assert "Start bruges" in (await validator(riga))["summary"]
        await riga.stop()
        with pytest.raises(Refused, match="bruges"):
            sign(riga.folder)
        await riga.start()
        await bruges.start()
        await made.wait_until_visible(f"{OFFERINGS}/{created}", OBSERVE_TIMEOUT_S)
        assert (await validator(riga))["is_observing"]
        assert await Engine(made[0]).evidence() == []
