"""`hansa restore --from-league`: takes own entities that a marketplace has lost back from the other members.

The marketplace does the work (`hansa.replication.continuity.restoration`); the command waits until it has
read what the ledger has of it, asks for one part after the other, shows progress, and reports what nobody
has. As long as something comes back, or a request to somebody failed at first, it goes through what is
missing once more. Then it does the same for confidential entities, which their recipients have
(`hansa.replication.continuity.sealed_restoration`).
`hansa resync` ends with the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hansa.cli.catalogue.lost import lost_table
from hansa.cli.client import Client, PatientClient, post_part
from hansa.cli.output import Output
from hansa.cli.progress import ItemProgress
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.foreign_text import printable
from hansa.replication.continuity.restoration import RestorationSource, RestoredPart
from hansa.replication.continuity.sealed_restoration import ReturnedPart
from hansa.store.tables.publications import LostEntity

STATUS_PATH: Final = "/league/v1/status"
RESTORE_PATH: Final = "/league/v1/lost/restore"
RESTORE_CONFIDENTIAL_PATH: Final = "/league/v1/lost/restore-confidential"
WITHDRAW_CONFIDENTIAL_PATH: Final = "/league/v1/lost/withdraw-confidential"
WITHDRAW_PATH: Final = "/league/v1/lost/withdraw"
RETRY_S: Final = 1.0
PASSES_MAX: Final = 5
CONFIDENTIAL_PASSES_MAX: Final = 2
"""The second one when a request failed, and something is opened by nobody."""
MISSING_MAX: Final = 1000
"""So many are listed; all are counted."""
WITHDRAWN_AT_ONCE: Final = 1000
NOT_ON_THE_LEDGER: Final = (
    "Drafts, entities that were for nobody else, and private attributes of public ones are not among what other "
    "members have: those that were lost are in a backup, or nowhere."
)


class SourceTotals(msgspec.Struct):
    """What a member contributed."""

    did: str
    name: str
    received: int = 0
    wrong: int = 0
    """Versions for which it sent other bytes."""
    problem: str | None = None
    """Code of the last failure of a request to it."""
    is_requested: bool = False
    """Whether it was asked for anything."""


class ConfidentialTotals(msgspec.Struct):
    """What a restoration of confidential entities did; filled while it runs."""

    events: int = 0
    """Sealed events of this marketplace."""
    restored: int = 0
    present: int = 0
    """Those that are here already, and are announced anew."""
    withdrawn: int = 0
    """Those that came back, and had been withdrawn from everybody later."""
    unopened: int = 0
    """Events that no member opened."""
    unopened_to: int = 0
    """Position of the last of them; 0: there is none."""
    missing: int = 0
    """Entities of which nobody has the bytes."""


class RestoreReport(msgspec.Struct):
    """What a restoration did; filled while it runs."""

    url: str
    lost: int = 0
    """Own entities that were lost when it began."""
    restored: int = 0
    rewritten: int = 0
    """Those whose identifiers had been used again; these entities stay."""
    ended: int = 0
    """Those that the ledger has deleted."""
    withdrawn: int = 0
    missing: int = 0
    """Those that stay lost."""
    missing_entities: list[LostEntity] = []
    """The first of them."""
    sources: list[SourceTotals] = []
    confidential: ConfidentialTotals = msgspec.field(default_factory=ConfidentialTotals)
    is_complete: bool = False


def run_restore(url: str, token: str | None, output: Output, clock: Clock, *, withdraws_missing: bool) -> int:
    """Restore, and show the result. Returns 1 when something stays lost.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses; what came back until then stays.
    """
    report = RestoreReport(url)

    async def run() -> None:
        async with PatientClient(url, token) as client:
            await wait_until_followed(client, output, clock)
            await restore_lost(client, report, output, clock)
            if withdraws_missing and report.missing:
                away = _away(report)
                if away:
                    output.message(
                        f"Nothing is withdrawn: {', '.join(away)} may have it, and did not answer."
                    )
                else:
                    await _withdraw(client, report, clock)
            await restore_confidential(client, report, output, clock)
            if withdraws_missing and report.confidential.missing and not _away(report):
                answer = await post_part(client, WITHDRAW_CONFIDENTIAL_PATH, {}, dict[str, int], clock)
                report.confidential.missing -= answer["withdrawn"]
                report.withdrawn += answer["withdrawn"]
            report.is_complete = True

    try:
        asyncio.run(run())
    except BaseException:
        if restored := report.restored + report.confidential.restored:
            output.message(
                f"Not finished: {restored:,} are restored. Run the same command again to continue."
            )
        raise
    show(report, output)
    return 1 if report.missing else 0


async def wait_until_followed(client: Client, output: Output, clock: Clock) -> None:
    """Wait until the marketplace has read what the ledger has now; before that, it lists too little."""
    status = await _status(client)
    end, start = status["position"], status["followed_to"]
    with ItemProgress("follow the ledger", None if end is None else max(0, end - start), output) as progress:
        while end is None or status["catching_up"] or status["followed_to"] < end:
            await clock.sleep(RETRY_S)
            before, status = status["followed_to"], await _status(client)
            progress.advance(status["followed_to"] - before)
            end = status["position"] if end is None or status["catching_up"] else end


async def restore_lost(client: Client, report: RestoreReport, output: Output, clock: Clock) -> None:
    """Take back everything that anybody has.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """
    totals = await _totals(client)
    report.lost = int((await _status(client))["lost"])
    with ItemProgress("restore", report.lost, output) as progress:
        for number in range(PASSES_MAX):
            before, has_failed = report.restored, False
            report.missing, report.missing_entities = 0, []
            after: int | None = 0
            while after is not None:
                part = await post_part(client, RESTORE_PATH, {"after": after}, RestoredPart, clock)
                _add(report, part)
                progress.advance(part.restored + part.rewritten + part.ended)
                has_failed |= _add_sources(totals, part.sources)
                after = part.next_after
            is_worth_another = report.restored > before or (has_failed and number == 0)
            if not report.missing or not is_worth_another:
                break
            await clock.sleep(RETRY_S)
    report.sources = _requested(totals)


async def restore_confidential(client: Client, report: RestoreReport, output: Output, clock: Clock) -> None:
    """Take back what was for some members alone, of those that have it.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """
    totals = await _totals(client) | {one.did: one for one in report.sources}
    with ItemProgress("open sealed events", None, output) as progress:
        for number in range(CONFIDENTIAL_PASSES_MAX):
            if number > 0:
                await clock.sleep(RETRY_S)
            has_failed = False
            done = report.confidential
            done.events = done.unopened = done.unopened_to = 0
            after: int | None = 0
            while after is not None:
                part = await post_part(
                    client, RESTORE_CONFIDENTIAL_PATH, {"after": after}, ReturnedPart, clock
                )
                for name in ("events", "restored", "present", "withdrawn", "unopened"):
                    setattr(done, name, getattr(done, name) + getattr(part, name))
                done.unopened_to = max(done.unopened_to, part.unopened_to)
                done.missing = part.missing
                progress.advance(part.events)
                has_failed |= _add_sources(totals, part.sources)
                after = part.next_after
            if not has_failed or not done.unopened:
                break
    report.sources = _requested(totals)


def _away(report: RestoreReport) -> list[str]:
    """Members that did not answer, by name."""
    return [printable(one.name) for one in report.sources if one.problem is not None]


async def _totals(client: Client) -> dict[str, SourceTotals]:
    """For each member of the league, that it has contributed nothing yet."""
    members = await client.get("/league/v1/members")
    return {str(one["did"]): SourceTotals(str(one["did"]), str(one["name"])) for one in members}


def _add_sources(totals: dict[str, SourceTotals], sources: Sequence[RestorationSource]) -> bool:
    """Add what members contributed to a part; whether a request to one failed."""
    for one in sources:
        total = totals.setdefault(one.did, SourceTotals(one.did, one.did))
        total.is_requested = True
        total.received += one.received
        total.wrong += one.wrong
        total.problem = one.problem
    return any(one.problem is not None for one in sources)


def _requested(totals: dict[str, SourceTotals]) -> list[SourceTotals]:
    return sorted([one for one in totals.values() if one.is_requested], key=lambda one: one.name)


def _add(report: RestoreReport, part: RestoredPart) -> None:
    report.restored += part.restored
    report.rewritten += part.rewritten
    report.ended += part.ended
    report.missing += len(part.missing)
    report.missing_entities += part.missing[: MISSING_MAX - len(report.missing_entities)]


async def _withdraw(client: Client, report: RestoreReport, clock: Clock) -> None:
    """Withdraw what is missing; of very much the first part, and the rest when the command is repeated."""
    keys = [one.key for one in report.missing_entities]
    for start in range(0, len(keys), WITHDRAWN_AT_ONCE):
        some = keys[start : start + WITHDRAWN_AT_ONCE]
        answer = await post_part(client, WITHDRAW_PATH, {"keys": some}, dict[str, int], clock)
        report.withdrawn += answer["withdrawn"]
    report.missing -= report.withdrawn


async def _status(client: Client) -> dict[str, Any]:
    status = await client.get(STATUS_PATH)
    if not isinstance(status, dict) or "lost" not in status:
        raise Refused(
            Code.FORBIDDEN, f"{client.url} shows what it has lost to its operator alone: give a token of one."
        )
    return status


def show(report: RestoreReport, output: Output) -> None:
    """Write what came back, from whom, and what did not."""
    if output.as_json:
        output.document(report)
        return
    if report.sources:
        output.table(
            ("member", "sent", "other bytes", "failure"),
            [
                [printable(one.name), f"{one.received:,}", f"{one.wrong:,}", one.problem or ""]
                for one in report.sources
            ],
            "From whom",
        )
    if report.missing_entities:
        lost_table(
            report.missing_entities,
            output,
            "Withdrawn: no member has them" if report.withdrawn else "Still lost: no member has them",
        )
    rewritten = f", {report.rewritten:,} written again here meanwhile" if report.rewritten else ""
    ended = f", {report.ended:,} deleted on the ledger" if report.ended else ""
    withdrawn = f", {report.withdrawn:,} withdrawn" if report.withdrawn else ""
    output.data(
        f"{report.lost:,} own entities were lost: {report.restored:,} restored from other members"
        f"{rewritten}{ended}{withdrawn}, {report.missing:,} stay lost."
    )
    if report.confidential.events:
        output.data(_of_confidential(report.confidential))
    output.message(NOT_ON_THE_LEDGER)


def _of_confidential(report: ConfidentialTotals) -> str:
    """What became of confidential entities, as a sentence or two."""
    present = f", {report.present:,} are here already and are sealed anew" if report.present else ""
    withdrawn = f", {report.withdrawn:,} had been withdrawn since" if report.withdrawn else ""
    text = (
        f"{report.events:,} sealed events: {report.restored:,} confidential entities restored from their recipients"
        f"{present}{withdrawn}."
    )
    if report.missing:
        text += (
            f" {report.missing:,} had reached nobody yet, and are lost: with --withdraw-missing their recipients cease to "
            "request them."
        )
    if report.unopened:
        text += (
            f" {report.unopened:,} events were opened by nobody, the last of them at position "
            f"{report.unopened_to:,}: what they announced was for members that do not answer, are gone or have other "
            "keys now, and may be newer than what came back."
        )
    return text
