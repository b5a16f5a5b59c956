"""`hansa resync`: compares a marketplace's store with the ledger, part by part, and repairs it.

The marketplace compares (`hansa.replication.continuity.resync`); the command asks for one part after the
other, shows progress, and has own entities that the store has lost taken from the other members
(`hansa.cli.catalogue.restoring`). A place is where a comparison continues: the walk and after what, as
`ledger:4711`.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from hansa.cli.catalogue.restoring import RestoreReport, restore_lost
from hansa.cli.client import Client, PatientClient, post_part
from hansa.cli.output import Output
from hansa.cli.progress import ItemProgress
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.foreign_text import printable
from hansa.pubsub.ledger.commitments.claims import BUCKETS
from hansa.replication.continuity.resync import WALKS, ComparedPart, StoreDifference, Walk

PATH: Final = "/league/v1/resync"
DIFFERENCES_MAX: Final = 1000
"""So many differences are listed; all are counted."""
HEADINGS: Final = ("difference", "entity", "issuer", "repaired")
KEY_SHOWN_CHARS: Final = 16


class ResyncReport(msgspec.Struct):
    """What a comparison did; filled while it runs."""

    url: str
    is_repair: bool
    place: str = "ledger:"
    """Where it continues."""
    compared: int = 0
    """Keys of the ledger, and entities of the store."""
    counts: dict[str, int] = {}
    """Differences by kind."""
    repaired: int = 0
    restored: int = 0
    """Own entities that were lost, and are here again."""
    differences: list[StoreDifference] = []
    """The first of them."""
    is_complete: bool = False

    @property
    def left(self) -> int:
        """Differences that were not repaired."""
        return max(0, sum(self.counts.values()) - self.repaired - self.restored)


def run_resync(
    url: str, token: str | None, place: str | None, output: Output, clock: Clock, *, is_repair: bool
) -> int:
    """Compare, and show the result. Returns 1 when something differs that was not repaired.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses; the place to continue is shown before.
    """
    report = ResyncReport(url, is_repair)
    walk, after = _place(place)

    async def run() -> None:
        async with PatientClient(url, token) as client:
            with ItemProgress(f"compare {url}", BUCKETS, output) as progress:
                for one in WALKS[WALKS.index(walk) :]:
                    await _walk(client, one, after if one == walk else "", report, progress, clock)
            if is_repair and report.counts.get("lost"):
                restored = RestoreReport(url)
                await restore_lost(client, restored, output, clock)
                report.restored = restored.restored + restored.rewritten + restored.ended
                if restored.missing:
                    output.message(
                        f"No member has {restored.missing} of the lost entities in their last version."
                    )
            report.is_complete = True

    try:
        asyncio.run(run())
    except (HansaError, KeyboardInterrupt):
        if report.compared:
            output.message(f"Not finished. It continues with --from {report.place}")
        raise
    _show(report, output)
    return 1 if report.left else 0


def _place(place: str | None) -> tuple[Walk, str]:
    if place is None:
        return WALKS[0], ""
    name, _, after = place.partition(":")
    walk = next((one for one in WALKS if one == name), None)
    if walk is None or (walk == "ledger" and after and not after.isdecimal()):
        raise Refused(
            Code.INVALID, f"--from {place[:80]!r} is no place; an interrupted comparison shows one."
        )
    return walk, after


async def _walk(
    client: Client, walk: Walk, after: str, report: ResyncReport, progress: ItemProgress, clock: Clock
) -> None:
    next_after: str | None = after
    done = int(after or 0) if walk == "ledger" else 0
    while next_after is not None:
        report.place = f"{walk}:{next_after}"
        content = {"walk": walk, "after": next_after, "is_repair": report.is_repair}
        part = await post_part(client, PATH, content, ComparedPart, clock)
        report.compared += part.compared
        for one in part.differences:
            report.counts[one.kind] = report.counts.get(one.kind, 0) + 1
            report.repaired += one.is_repaired
            if len(report.differences) < DIFFERENCES_MAX:
                report.differences.append(one)
        next_after = part.next_after
        if walk == "ledger":
            bucket = int(next_after or BUCKETS)
            progress.advance(max(0, bucket - done))
            done = bucket


def _show(report: ResyncReport, output: Output) -> None:
    if output.as_json:
        output.document({**msgspec.to_builtins(report), "left": report.left})
        return
    if report.differences:
        rows = [
            [
                one.kind,
                printable(one.entity_id or f"{one.key[:KEY_SHOWN_CHARS]}…"),
                printable(one.issuer),
                "yes" if one.is_repaired else "no",
            ]
            for one in report.differences
        ]
        output.table(HEADINGS, rows)
    total = sum(report.counts.values())
    if not total:
        output.data(f"The store is as the ledger says: {report.compared:,} keys and entities compared.")
        return
    restored = f", {report.restored:,} restored from other members" if report.restored else ""
    output.data(
        f"{total:,} differences among {report.compared:,} keys and entities: {report.repaired:,} repaired{restored}, "
        f"{report.left:,} left."
    )
