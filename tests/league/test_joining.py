"""A member that begins long after the others: with their snapshot, or with their blocks."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hansa.core.clock import rfc3339
from hansa.node.backup import restore_backup, write_backup
from hansa.node.joining.beginning import SERVERS_MIN
from hansa.node.joining.inquiry import LeagueReport, inquire
from hansa.node.joining.mark import Joining, write_joining
from hansa.node.outbound import OutboundClient
from tests.league.harness import CLOCK, OFFERINGS, SERVE, League, RunningMember, league, wait_until

pytestmark = pytest.mark.league

SYNC_TIMEOUT_S = 90.0
FREQUENT = (sys.executable, "-m", "tests.league.frequent_snapshots", "serve")


async def report_of(*members: RunningMember) -> LeagueReport:
    async def is_any(_: str) -> bool:
        return True

    http = OutboundClient(is_any, allow_private_networks=True)
    try:
        return await inquire(http, [member.url for member in members], CLOCK)
    finally:
        await http.close()


async def mark(newcomer: RunningMember, *members: RunningMember) -> LeagueReport:
    report = await report_of(*members)
    endpoints = tuple(member.url for member in members)
    joining = Joining(rfc3339(CLOCK.now()), endpoints, report.trusted_height, report.trusted_hash)
    write_joining(newcomer.folder, joining)
    return report


async def begun(made: League, command: Sequence[str]) -> tuple[League, RunningMember, list[str]]:
    """Three of four that have some blocks, the one that is to begin late, and what was offered meanwhile."""
    early, late = League(made.members[:3]), made[3]
    for member in early.members:
        await member.start(command=command)
    for member in early.members:
        await member.wait_until_ready()
    offerings: list[str] = []

    async def has_some_blocks() -> bool:
        offerings.append(await made[0].create_offering())
        await early.wait_until_visible(f"{OFFERINGS}/{offerings[-1]}")
        return int((await made[0].status())["height"] or 0) >= 8

    await wait_until(has_some_blocks, "there are some blocks", SYNC_TIMEOUT_S, early.members)
    if command == FREQUENT:
        await wait_until(
            lambda: offer_snapshots(early), "two offer a snapshot", SYNC_TIMEOUT_S, early.members
        )
    await mark(late, *early.members)
    return early, late, offerings


async def offer_snapshots(members: League) -> bool:
    """Whether two members have a snapshot, which is taken beside the blocks: with fewer nobody begins."""
    offers = [
        (await member.get("/league/v1/bootstrap")).json().get("snapshots") for member in members.members
    ]
    return sum(map(bool, offers)) >= SERVERS_MIN


async def test_members_report_the_same_league(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 3) as made:
        report = await report_of(made[0])
        genesis = (made[1].folder / "genesis.json").read_bytes()
        assert report.genesis == genesis
        assert report.fingerprint == hashlib.sha256(genesis).hexdigest()
        assert len(report.confirmed_by) == 3
        assert not report.contradicted_by
        assert len(report.peers) == 3


@pytest.mark.parametrize("begins_with", ["blocks", "a snapshot"])
async def test_a_member_that_begins_late_follows_everything_and_votes(
    tmp_path: Path, begins_with: str
) -> None:
    command = FREQUENT if begins_with == "a snapshot" else SERVE
    async with league(tmp_path / "league", 4, is_started=False) as made:
        early, late, offerings = await begun(made, command)
        await late.start(command=command)
        await late.wait_until_ready()
        await made.wait_until_visible(f"{OFFERINGS}/{offerings[0]}", SYNC_TIMEOUT_S)
        await made.wait_until_visible(f"{OFFERINGS}/{offerings[-1]}", SYNC_TIMEOUT_S)
        log = late.log.read_text()
        assert ("snapshot_restored" in log) is (begins_with == "a snapshot")
        await early[2].stop()  # three of four are needed: the newcomer has to vote
        last = await early[0].create_offering()
        await wait_until(
            lambda: late.has(f"{OFFERINGS}/{last}"), "the newcomer votes", SYNC_TIMEOUT_S, made.members
        )
        await early[2].start(command=command)
        await early[2].wait_until_ready()
        if begins_with == "a snapshot":
            await restore_with_a_snapshot(made, late, tmp_path / "late.backup")


async def restore_with_a_snapshot(made: League, member: RunningMember, backup: Path) -> None:
    """A backup has no ledger: what is made of it begins as a newcomer does."""
    before = await made[0].create_offering()
    await made.wait_until_visible(f"{OFFERINGS}/{before}")
    write_backup(member.folder, backup, CLOCK)
    begun = member.log.read_text().count("snapshot_restored")
    assert await member.stop() == 0
    shutil.rmtree(member.folder)
    restore_backup(backup, member.folder, CLOCK)
    last = await made[0].create_offering()
    await member.start(command=FREQUENT)
    await member.wait_until_ready()
    await made.wait_until_visible(f"{OFFERINGS}/{last}", SYNC_TIMEOUT_S)
    assert member.log.read_text().count("snapshot_restored") == begun + 1


@pytest.mark.slow
async def test_a_newcomer_that_is_killed_while_it_begins_goes_on(tmp_path: Path) -> None:
    """Killed when the state is restored, before the engine knows of it, and once more with the history."""
    async with league(tmp_path / "league", 4, is_started=False) as made:
        early, late, offerings = await begun(made, FREQUENT)
        for said in ("snapshot_restored", "Starting Node service"):
            before = late.log.read_text().count(said) if late.log.exists() else 0
            await late.start(command=FREQUENT)

            async def has_said(said: str = said, before: int = before) -> bool:
                return late.log.read_text().count(said) > before

            await wait_until(has_said, said, SYNC_TIMEOUT_S, made.members)
            assert late.process is not None
            late.process.kill()
            await late.process.wait()
        await late.start(command=FREQUENT)
        await late.wait_until_ready()
        await made.wait_until_visible(f"{OFFERINGS}/{offerings[0]}", SYNC_TIMEOUT_S)
        await early[2].stop()
        last = await early[0].create_offering()
        await wait_until(
            lambda: late.has(f"{OFFERINGS}/{last}"), "the newcomer votes", SYNC_TIMEOUT_S, made.members
        )
