"""`hansa status`: shows `/league/v1/status`, the state of a marketplace and its view of the league."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hansa.cli.catalogue.member_names import name_with_status
from hansa.cli.client import Client
from hansa.cli.durations import duration_text
from hansa.cli.output import Output
from hansa.core.foreign_text import printable

PATH: Final = "/league/v1/status"
NONE: Final = "-"
VALIDATOR_MAX_CHARS: Final = 500
REASON_MAX_CHARS: Final = 500

Report = Mapping[str, Any]


def run_status(url: str, token: str | None, output: Output) -> None:
    """Show the status of a marketplace.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """

    async def run() -> Report:
        async with Client(url, token) as client:
            return await fetch_status(client)

    report = asyncio.run(run())
    if output.as_json:
        output.document(report)
    else:
        show_status(report, output)


async def fetch_status(client: Client) -> Report:
    """The status report of a marketplace.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """
    report = await client.get(PATH)
    if not isinstance(report, dict):
        raise client.not_a_marketplace()
    return report


def show_status(report: Report, output: Output) -> None:
    """Write a status report for a person."""
    output.facts(facts_of(report))
    origins = rows_of_origins(report)
    if origins:
        output.table(
            ("other member", "lag", "stored", "pending", "failed", "deferred", "rejected", "last problem"),
            origins,
            "Entities of other members",
        )
    followed = rows_of_followed(report)
    if followed:
        output.table(
            ("followed member", "how it does", "height", "lies", "withheld", "why"),
            followed,
            "Followed members",
        )
    misbehavior = rows_of_misbehavior(report)
    if misbehavior:
        output.table(
            ("member", "misbehavior", "at height", "recorded at", "power now"),
            misbehavior,
            "Evidence against validators",
        )
    evidence = rows_of_evidence(report)
    if evidence:
        output.table(
            ("member", "code", "reason", "times"), evidence, "Invalid data received from other members"
        )
    refusals = rows_of_refusals(report)
    if refusals:
        output.table(("entity", "code", "what to do"), refusals, "Own entities that the league does not take")
    entities = rows_of_entities(report)
    if entities:
        output.table(("type", "own, public", "own, private", "replicas"), entities, "Entities")


def facts_of(report: Report) -> dict[str, str]:
    """The single values; of what everybody may read, fewer than of what an operator's token shows."""
    if "reasons" not in report:
        return _public_facts(report)
    reasons = "; ".join(printable(str(reason), REASON_MAX_CHARS) for reason in _list(report, "reasons"))
    facts = {
        text_of(report.get("name")): f"{text_of(report.get('endpoint'))}  "
        + state_in(report)
        + (f": {reasons}" if reasons else ""),
        "DID": text_of(report.get("did")),
        "version": f"{text_of(report.get('version'))}, up {duration_text(float(report.get('uptime_s') or 0))}",
        "ledger": _ledger(report),
        "rules": _rules(report),
        "here": f"followed to {number(report, 'followed_to')}, lag {number(report, 'lag')}, "
        f"{number(report, 'unpublished')} changes to publish"
        + (
            f" (last problem: {text_of(report['publication_problem'])})"
            if report.get("publication_problem")
            else ""
        ),
        "publication": f"{number(report, 'refused')} entities refused, "
        f"{number(report, 'conflicts')} identifiers that others have claimed",
        "retrieval": f"{number(report, 'pending')} pending, {number(report, 'failed')} failed, "
        f"{number(report, 'evidence')} records of evidence",
        "validator": _validator(report),
        "search": _search(report),
        "disk": f"{number(report, 'disk_free_bytes')} bytes free",
    }
    filling = report.get("filling")
    if isinstance(filling, dict):
        left_s = filling.get("left_s")
        left = (
            f"about {duration_text(left_s)} left" if isinstance(left_s, int | float) else "nothing comes now"
        )
        facts["filling"] = (
            f"{number(filling, 'pending')} entities to retrieve, {filling.get('rate_per_s') or 0:,.0f}/s, {left}"
        )
    trusted = _trusted(report)
    if trusted:
        facts["trusts"] = trusted
    problems = [
        f"{text_of(task.get('name'))} ({text_of(task.get('problem') or 'starting')})"
        for task in _list(report, "tasks")
        if not task.get("is_running")
    ] + [
        f"{text_of(child.get('name'))} is {text_of(child.get('state'))}"
        for child in _list(report, "children")
        if child.get("state") != "running"
    ]
    if problems:
        facts["problems"] = "; ".join(problems)
    return facts


def _search(report: Report) -> str:
    """How far the index of the search is."""
    progress = report.get("search")
    if not isinstance(progress, dict):
        return NONE
    behind = f"{number(progress, 'behind')} changes behind"
    return f"being built, {behind}" if progress.get("is_building") else behind


def _rules(report: Report) -> str:
    """By which rules the league judges, and by which it will."""
    current = f"{text_of(report.get('ruleset'))} ({text_of(report.get('rules_digest'))[:16]})"
    plan = report.get("upgrade")
    if not isinstance(plan, dict):
        return current
    engine = f" with engine {text_of(plan['engine'])}" if plan.get("engine") else ""
    ready = len(_list(plan, "ready"))
    return (
        f"{current}; {text_of(plan.get('ruleset'))}{engine} from block {number(plan, 'height')} on, "
        f"{ready} members ready"
    )


def _public_facts(report: Report) -> dict[str, str]:
    conditions = _list(report, "conditions")
    return {
        text_of(report.get("name")): f"{text_of(report.get('endpoint'))}  {text_of(report.get('status'))}"
        + (f": {', '.join(map(text_of, conditions))}" if conditions else ""),
        "DID": text_of(report.get("did")),
        "ledger": f"height {number(report, 'height')}, position {number(report, 'position')}",
        "rules": _rules(report),
        "more": "an operator's token shows the rest (--token)",
    }


def rows_of_origins(report: Report) -> list[list[str]]:
    """A row for each other member."""
    return [
        [
            name_with_status(text_of(origin.get("name") or origin.get("did")), origin.get("status")),
            *(
                number(origin, name)
                for name in ("lag", "stored", "pending", "failed", "deferred", "rejected")
            ),
            _problem_of(origin),
        ]
        for origin in _list(report, "origins")
    ]


def _problem_of(origin: Report) -> str:
    """Why nothing of a member comes, if that is so."""
    paused_since = origin.get("paused_since")
    return f"paused since {text_of(paused_since)}" if paused_since else text_of(origin.get("problem") or "")


def rows_of_followed(report: Report) -> list[list[str]]:
    """A row for each member that a light member follows."""
    return [
        [
            text_of(one.get("endpoint")),
            text_of(one.get("behavior")),
            *(number(one, name) for name in ("height", "lies", "withheld")),
            printable(str(one.get("reason") or ""), REASON_MAX_CHARS),
        ]
        for one in _list(_following(report), "sources")
    ]


def rows_of_misbehavior(report: Report) -> list[list[str]]:
    """A row for all evidence against validators."""
    powers = {member.get("did"): member for member in _list(report, "powers")}
    return [
        [
            text_of(one.get("name") or one.get("address")),
            text_of(one.get("kind")),
            number(one, "height"),
            number(one, "recorded_height"),
            number(powers.get(one.get("did"), {}), "power"),
        ]
        for one in _list(report, "misbehavior")
    ]


def rows_of_evidence(report: Report) -> list[list[str]]:
    """A row for each of the newest records of invalid data that other members sent."""
    names = {origin.get("did"): origin.get("name") for origin in _list(report, "origins")}
    return [
        [
            text_of(names.get(record.get("issuer")) or record.get("issuer")),
            text_of(record.get("code")),
            text_of(record.get("reason")),
            number(record, "count"),
        ]
        for record in _list(report, "evidence_newest")
    ]


def rows_of_refusals(report: Report) -> list[list[str]]:
    """A row for each entity of the marketplace that was refused; reported to callers with a token alone."""
    return [
        [text_of(one.get("id")), text_of(one.get("code")), text_of(one.get("message"))]
        for one in _list(report, "refusals")
    ]


def rows_of_entities(report: Report) -> list[list[str]]:
    """A row for each type."""
    counts: dict[str, list[int]] = {}
    for entity in _list(report, "entities"):
        row = counts.setdefault(text_of(entity.get("type")), [0, 0, 0])
        column = (0 if entity.get("public") else 1) if entity.get("own") else 2
        row[column] += int(entity.get("count") or 0)
    return [[name, *(f"{count:,}" for count in row)] for name, row in sorted(counts.items())]


def state_in(report: Report) -> str:
    """`ready`, `degraded` (it serves, and something is wrong) or `not ready`."""
    if not report.get("is_ready"):
        return "not ready"
    return "degraded" if _list(report, "conditions") else "ready"


def entities_in(report: Report) -> int:
    """All entities, public and private, own and replicas."""
    return sum(int(entity.get("count") or 0) for entity in _list(report, "entities"))


def number(content: Report, name: str) -> str:
    """A number with separated thousands, or a mark for an unknown one."""
    value = content.get(name)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else NONE


def text_of(value: object) -> str:
    """A value from the marketplace, as printable text."""
    return printable(value) if isinstance(value, str) else NONE if value is None else printable(str(value))


def _ledger(report: Report) -> str:
    if report.get("height") is None:
        return "does not answer"
    age_s = report.get("since_block_s")
    block = f"last block {duration_text(age_s)} ago, " if isinstance(age_s, int | float) else ""
    catching_up = ", catching up" if report.get("catching_up") else ""
    return (
        f"height {number(report, 'height')}, {number(report, 'position')} events, "
        f"{number(report, 'peers')} peers{catching_up}, {block}application hash {text_of(report.get('app_hash'))[:16]}"
    )


def _validator(report: Report) -> str:
    """What the validator does; of a member without voting power, that it has none."""
    validator = report.get("validator")
    if not isinstance(validator, dict):
        return NONE
    voting = {one.get("did") for one in _list(report, "powers")}
    is_running = validator.get("address") and not validator.get("is_observing")
    if voting and report.get("did") not in voting and is_running:
        return "has no voting power: the engine follows"
    return printable(str(validator.get("summary") or NONE), VALIDATOR_MAX_CHARS)


def _following(report: Report) -> Report:
    following = report.get("following")
    return following if isinstance(following, dict) else {}


def _trusted(report: Report) -> str:
    """From which block a light member verifies later ones; empty for others."""
    trusted = _following(report).get("trusted")
    if not isinstance(trusted, dict):
        return ""
    age_s, left_s = trusted.get("age_s"), trusted.get("expires_in_s")
    age = f", {duration_text(age_s)} old" if isinstance(age_s, int | float) and age_s >= 0 else ""
    left = (
        f"; for {duration_text(left_s)} more"
        if isinstance(left_s, int | float) and left_s >= 0
        else "; EXPIRED"
    )
    return f"block {number(trusted, 'height')} of {text_of(trusted.get('time'))}{age}{left}"


def _list(report: Report, name: str) -> Sequence[Any]:
    value = report.get(name)
    return value if isinstance(value, list) else ()
