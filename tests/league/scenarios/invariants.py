"""What has to hold after a scenario, whatever was done in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tests.league.harness import CLOCK, UNANSWERED, RunningMember, engine_rpc
from tests.league.scenarios.load import Load, offerings_of

METAS_MAX: Final = 20
"""Headers that an engine gives in one answer."""
POLL_S: Final = 0.5
FAULTS: Final = ("Traceback", "store-damaged", "transaction_fault")
"""What no log of an honest member has."""


async def violations(
    honest: Sequence[RunningMember],
    load: Load,
    convicted: frozenset[str],
    leaving: frozenset[str],
    timeout_s: float,
) -> list[str]:
    """Everything that does not hold; waits for what takes time to be everywhere."""
    failures = await _lost_or_foreign(honest, load, timeout_s)
    failures += await _forks(honest)
    for member in honest:
        failures += await _judgements(member, convicted, leaving, timeout_s)
        log = member.log.read_text(errors="replace")
        failures += [f"{member.name}: its log has {fault}" for fault in FAULTS if fault in log]
    return failures


async def _lost_or_foreign(honest: Sequence[RunningMember], load: Load, timeout_s: float) -> list[str]:
    """Acknowledged offerings that a member does not show, and shown ones that nobody created."""
    deadline_s = CLOCK.monotonic() + timeout_s
    while True:
        failures = []
        for member in honest:
            try:
                shown = await offerings_of(member)
            except UNANSWERED as error:
                failures.append(f"{member.name} does not respond: {error!r}")
                continue
            lost = [name for key, name in load.acknowledged.items() if shown.get(key) != name]
            foreign = set(shown.values()) - load.attempted
            if lost:
                failures.append(
                    f"{member.name} lacks {len(lost)} acknowledged offerings: {', '.join(lost[:5])} …"
                )
            if foreign:
                failures.append(f"{member.name} shows what no honest member created: {sorted(foreign)[:5]}")
        if not failures or CLOCK.monotonic() > deadline_s:
            return failures
        await CLOCK.sleep(POLL_S)


async def _forks(honest: Sequence[RunningMember]) -> list[str]:
    """Heights at which members have different blocks or application hashes."""
    chains = {member.name: await headers_of(member) for member in honest}
    first, *others = chains
    failures = []
    for other in others:
        common = chains[first].keys() & chains[other].keys()
        differing = sorted(height for height in common if chains[first][height] != chains[other][height])
        if not common:
            failures.append(f"{first} and {other} have no height in common")
        if differing:
            failures.append(f"{first} and {other} differ at the heights {differing[:5]}")
    return failures


async def headers_of(member: RunningMember) -> dict[int, tuple[str, str]]:
    """Hash of the block, and the application hash that it names, by height."""
    headers: dict[int, tuple[str, str]] = {}
    heights = (await engine_rpc(member, "status"))["sync_info"]
    first, last = int(heights["earliest_block_height"]), int(heights["latest_block_height"])
    while first <= last:
        to = min(first + METAS_MAX - 1, last)
        page: Any = await engine_rpc(member, "blockchain", minHeight=str(first), maxHeight=str(to))
        for meta in page["block_metas"]:
            headers[int(meta["header"]["height"])] = (meta["block_id"]["hash"], meta["header"]["app_hash"])
        first = to + 1
    return headers


async def _judgements(
    member: RunningMember, convicted: frozenset[str], leaving: frozenset[str], timeout_s: float
) -> list[str]:
    """Whether exactly the guilty have lost their power, and nobody else."""
    deadline_s = CLOCK.monotonic() + timeout_s
    while True:
        try:
            status = await member.status()
        except UNANSWERED as error:
            failures = [f"{member.name} does not respond: {error!r}"]
        else:
            actual = {one["name"] for one in status["misbehavior"]}
            powerless = {one["name"] for one in status["powers"] if not one["power"]}
            is_right = actual == convicted and powerless - leaving == convicted
            lost = sorted(actual | powerless)
            failures = [] if is_right else [f"{member.name}: {lost} lost power, and not {sorted(convicted)}"]
        if not failures or CLOCK.monotonic() > deadline_s:
            return failures
        await CLOCK.sleep(POLL_S)
