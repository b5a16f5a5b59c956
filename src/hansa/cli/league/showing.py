"""What `hansa league show`, `members`, `validators`, `parameters`, `proposals` and `explain` show.

It comes from any marketplace of the league over HTTP; no token is needed. Tables fit 80 columns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from hansa.cli.client import Client, PatientClient
from hansa.cli.output import Output
from hansa.core.clock import rfc3339_at_ms
from hansa.core.errors import Code, Refused
from hansa.core.foreign_text import printable
from hansa.core.members import Member, country_of
from hansa.pubsub.league.reports import NAME_MIN_CHARS, ProposalReport, RegisteredMember
from hansa.pubsub.light.chain.rpc_form import read_commit

HASH_SHOWN_CHARS: Final = 12
DID_SHOWN_CHARS: Final = 8
VALUE_MAX_CHARS: Final = 60
TEXT_MAX_CHARS: Final = 1000
NONE: Final = "-"

T = TypeVar("T")


def show_league(url: str, output: Output) -> None:
    """A league in short."""
    ledger, members, proposals = _fetch(
        url,
        lambda client: _all(
            client, "/league/v1/ledger", "/league/v1/members", "/league/v1/proposals?state=all"
        ),
    )
    if output.as_json:
        output.document({"ledger": ledger, "members": members, "proposals": proposals})
        return
    reports = _reports(proposals)
    still_open = [one for one in reports if one.outcome == "open"]
    powers = [int(one["power"]) for one in ledger["validators"]]
    by_status = [one.get("status", "active") for one in members]
    shown = ", ".join(f"{by_status.count(each)} {each}" for each in sorted(set(by_status)))
    output.facts(
        {
            "rules": printable(str(ledger["ruleset"])),
            "block": f"{ledger['height']:,} at {printable(str(ledger['time']))}",
            "events": f"{ledger['position']:,}",
            "members": f"{len(members)} ({shown})",
            "validators": f"{len(powers)} with voting power {sum(powers)}; a block needs {2 * sum(powers) // 3 + 1}",
            "proposals": f"{len(still_open)} open, {len(reports) - len(still_open)} closed",
        }
    )
    for report in still_open:
        output.data("")
        _show_proposal(report, output)


def show_members(url: str, output: Output) -> None:
    """Who is a member."""
    content = _fetch(url, lambda client: client.get("/league/v1/members", [("history", "true")]))
    members = _decoded(content, tuple[RegisteredMember, ...])
    if output.as_json:
        output.document(content)
        return
    rows = [
        (
            printable(one.member.name, 24),
            printable(one.member.did[-DID_SHOWN_CHARS:]),
            one.member.status,
            str(one.member.power),
            str(len(one.member.keys)),
            printable(one.member.endpoint, 120),
        )
        for one in members
    ]
    output.table(("name", "DID ends", "status", "power", "keys", "endpoint"), rows)
    for one in members:
        if one.member.is_current:
            output.entry(f"{printable(one.member.name, 24)} ", _confidentiality(one.member))
        moved = [f"{entry.endpoint} from position {entry.since:,}" for entry in one.endpoints]
        if len(moved) > 1:
            output.entry(
                f"{printable(one.member.name, 24)} served ", printable("; ".join(moved), TEXT_MAX_CHARS)
            )
        for key in one.keys:
            if key.valid_until is not None and key.until is None:
                output.entry(
                    f"{printable(one.member.name, 24)}: ",
                    f"key {key.kid[:16]} is valid until {key.valid_until}",
                )


def _confidentiality(member: Member) -> str:
    """Where a member is, and with which key events are sealed for it."""
    country = country_of(member)
    place = f"is in {printable(country)}; " if country is not None else ""
    if not member.agreement_key:
        return f"{place}has no key for key agreement: nothing confidential can be sent to it"
    return f"{place}gets confidential events by its key {printable(member.agreement_key)}"


def show_validators(url: str, output: Output) -> None:
    """Who votes."""
    ledger = _fetch(url, lambda client: client.get("/league/v1/ledger"))
    if output.as_json:
        output.document(ledger["validators"])
        return
    total = sum(int(one["power"]) for one in ledger["validators"])
    rows = [
        (
            printable(str(one["name"]), 24),
            printable(str(one["did"])[-DID_SHOWN_CHARS:]),
            str(one["power"]),
            f"{100 * int(one['power']) / total:.1f} %",
        )
        for one in ledger["validators"]
    ]
    output.table(("name", "DID ends", "power", "share"), rows)
    output.entry("", f"A block needs more than 2/3 of {total}: {2 * total // 3 + 1}.")


def show_parameters(url: str, output: Output) -> None:
    """The limits."""
    ledger = _fetch(url, lambda client: client.get("/league/v1/ledger"))
    params = ledger.get("params", {})
    if output.as_json:
        output.document(params)
        return
    output.table(
        ("limit", "value"), [(printable(name), f"{value:,}") for name, value in sorted(params.items())]
    )


def show_block(url: str, height: int, output: Output) -> None:
    """A block, with the hash of its header."""

    async def get(client: Client) -> Any:
        parameters = [("height", str(height))]
        response = await client.request("GET", "/league/v1/light/commit", parameters=parameters)
        if response.status not in {200, 404}:  # the engine's form of an error comes with 404
            raise client.refusal(response)
        return response.json()

    shown = shown_block(_fetch(url, get), height)
    if output.as_json:
        output.document(shown)
    else:
        at = f"{shown['height']}, {shown['hash']}"
        output.facts({"league": printable(shown["chain_id"]), "block": at, "time": shown["time"]})


def shown_block(answer: Any, height: int) -> dict[str, Any]:
    """What a marketplace shows of the block at a height, with the hash of its header as computed here.

    Raises:
        Refused: `Code.NOT_FOUND`: it has none; `Code.PROOF_INVALID`: what it shows is not that block.
    """
    signed = answer.get("result") if isinstance(answer, dict) else None
    if signed is None:
        raise Refused(Code.NOT_FOUND, f"The marketplace has no block {height:,}: not yet, or not any more.")
    header, _, _ = read_commit(msgspec.json.encode(signed))
    if header.height != height:
        raise Refused(Code.PROOF_INVALID, f"The marketplace shows another block than {height:,}.")
    return {
        "chain_id": header.chain_id,
        "height": header.height,
        "hash": header.hash.hex().upper(),
        "time": rfc3339_at_ms(header.time_ns // 1_000_000),
    }


def show_proposals(url: str, output: Output, *, with_closed: bool) -> None:
    """Proposals in a table."""
    state = "all" if with_closed else "open"
    content = _fetch(
        url, lambda client: client.get("/league/v1/proposals", [("state", state), ("limit", "1000")])
    )
    if output.as_json:
        output.document(content)
        return
    reports = _reports(content)
    rows = [
        (
            one.hash[:HASH_SHOWN_CHARS],
            one.outcome,
            f"{one.yes_power}/{one.needed_power}",
            one.expires_time[:16].replace("T", " "),
            printable(" ".join(change.text for change in one.changes), VALUE_MAX_CHARS),
        )
        for one in reports
    ]
    if not rows:
        output.message("No proposal is open." if not with_closed else "There is no proposal.")
        return
    output.table(("proposal", "state", "yes/needs", "expires (UTC)", "change"), rows)
    output.message(f"hansa league explain {reports[0].hash[:HASH_SHOWN_CHARS]} {url} explains one.")


def explain_proposal(url: str, name: str, output: Output) -> None:
    """A proposal in plain words."""
    path = f"/league/v1/proposals/{_path_part(name)}"
    content = _fetch(url, lambda client: client.get(path))
    if output.as_json:
        output.document(content)
        return
    _show_proposal(_decoded(content, ProposalReport), output)


def _path_part(name: str) -> str:
    """A name in a path: hashes and UUIDs have nothing that has to be encoded, and nothing else is a name."""
    plain = "".join(
        sign for sign in name.strip().lower() if sign.isascii() and (sign.isalnum() or sign == "-")
    )
    return plain[:64] or "-" * NAME_MIN_CHARS


def show_report(report: ProposalReport, output: Output) -> None:
    """A proposal in plain words, or as JSON."""
    output.document(report) if output.as_json else _show_proposal(report, output)


def _show_proposal(report: ProposalReport, output: Output) -> None:
    proposer = printable(report.proposer_name or report.proposer, 80)
    facts = {
        "proposal": report.hash,
        "by": f"{proposer}, at {report.time} (block {report.height:,})",
        "state": _state_text(report),
    }
    if report.note:
        facts["note"] = f"“{printable(report.note, TEXT_MAX_CHARS)}”"
    for number, change in enumerate(report.changes, 1):
        label = "change" if len(report.changes) == 1 else f"change {number}"
        facts[label] = printable(change.text, TEXT_MAX_CHARS)
        if report.outcome == "open":
            facts[f"  now{' ' * number}"] = printable(change.old, TEXT_MAX_CHARS)
            facts[f"  then{' ' * number}"] = printable(change.new, TEXT_MAX_CHARS)
    facts["needs" if report.outcome == "open" else "needed"] = (
        f"voting power {report.needed_power} of {report.total_power}; {report.yes_power} for it, "
        f"{report.no_power} against it"
    )
    votes = [f"{printable(one.name or one.voter, 40)} {one.choice} ({one.power})" for one in report.votes]
    facts["votes"] = ", ".join(votes) or "none yet"
    if report.outcome == "open":
        facts["not voted"] = printable(", ".join(report.missing), TEXT_MAX_CHARS) or "nobody"
        facts["expires"] = f"{report.expires_time}, or after block {report.expires_height:,}"
    output.facts(facts)


_STATES: Final = {
    "open": "open: it takes effect in the block in which enough voting power is for it",
    "passed": "passed",
    "expired": "expired: not enough voting power was for it in time",
    "void": "void: what it was written against has changed",
    "failed": "failed: it had its votes, and could not take effect any more",
}


def _state_text(report: ProposalReport) -> str:
    text = _STATES[report.outcome]
    if report.reason:
        text += f" ({printable(report.reason, TEXT_MAX_CHARS)})"
    if report.decided_time is not None:
        text += f", at {report.decided_time} (block {report.decided_height:,})"
    return text


def _fetch(url: str, get: Callable[[Client], Awaitable[T]]) -> T:
    async def run() -> T:
        async with PatientClient(url) as client:
            return await get(client)

    return asyncio.run(run())


async def _all(client: Client, *paths: str) -> Sequence[Any]:
    return [await client.get(path) for path in paths]


def _reports(content: Any) -> tuple[ProposalReport, ...]:
    return _decoded(content, tuple[ProposalReport, ...])


def _decoded(content: Any, form: type[T]) -> T:
    """What a marketplace responded, in its form.

    Raises:
        Refused: `Code.INVALID`, when it is of another form.
    """
    try:
        return msgspec.convert(content, form)
    except msgspec.ValidationError as error:
        raise Refused(Code.INVALID, f"The marketplace responded in another form: {error}.") from error
