"""`hansa league propose`, `vote`, `endpoint`, `nodes` and `leave`: what a marketplace says to its league."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from hansa.cli.durations import seconds_of
from hansa.cli.league.changes import ProposalOptions, change_of
from hansa.cli.league.own_league import OwnLeague, own_league
from hansa.cli.league.showing import show_report
from hansa.cli.local import CLOCK, ENTROPY
from hansa.cli.options import confirm
from hansa.cli.output import Output
from hansa.core.clock import epoch_s
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.foreign_text import printable
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.possession import prove_possession
from hansa.core.governance.proposals import NOTE_LENGTH_MAX_CHARS, proposal_hash
from hansa.core.governance.statements import EndpointSet, Leave, NodesSet
from hansa.core.members import normal_endpoint
from hansa.node.folder import NODE_KEY, set_endpoint
from hansa.node.joining.candidacy import engine_signing_key
from hansa.pubsub.engine import EngineKey, read_key
from hansa.pubsub.league.reports import ProposalReport, proposal_named
from hansa.pubsub.league.texts import describe
from hansa.pubsub.league.writing import base_of, expiry

KNOWN_WITHIN_S: Final = 3.0
KNOWN_POLL_S: Final = 0.2

LEAVE_RISK: Final = """\
The validator gives up its voting power, and then this marketplace its membership. The others retrieve nothing
new from it, and it publishes nothing more to them. What it published stays provable. Its DID is never
admitted again: to come back, it needs a new folder with new keys, and a vote.
"""


def run_propose(
    folder: Path,
    kind: str,
    arguments: Sequence[str],
    options: ProposalOptions,
    output: Output,
    *,
    note: str,
    expires: str,
    is_dry: bool,
) -> None:
    """Propose a change; prints the hash of the proposal.

    Raises:
        HansaError: when it cannot be proposed; the code says why.
    """
    lifetime_s = checked_lifetime_s(expires, note)

    async def run() -> None:
        async with own_league(folder) as mine:
            change = change_of(kind, arguments, options, mine.state, mine.league_id)
            text = describe(change, mine.state)
            if is_dry:
                _show_dry(text, output)
                return
            report = await proposed(mine, change, lifetime_s, note)
            if output.as_json:
                output.document(report)
                return
            output.data(report.hash)
            output.message(f"{printable(text.text, 1000)} {what_it_needs(mine, report)}")

    asyncio.run(run())


def checked_lifetime_s(expires: str, note: str) -> int:
    """For how many seconds a proposal can be voted on, after a check of what its proposer says.

    Raises:
        Refused: `Code.INVALID`.
    """
    if len(note) > NOTE_LENGTH_MAX_CHARS or not note.isprintable():
        raise Refused(Code.INVALID, f"A note is one line of at most {NOTE_LENGTH_MAX_CHARS} characters.")
    return int(seconds_of(expires))


async def proposed(mine: OwnLeague, change: LeagueChange, lifetime_s: int, note: str = "") -> ProposalReport:
    """Propose a change, and what the ledger has of it then.

    Raises:
        HansaError: when it cannot be proposed; the code says why.
    """
    state, signer = mine.state, mine.signer
    _check_active(mine)
    base, expires_at = base_of([change], state), expiry(state, lifetime_s, CLOCK)
    governed = await mine.govern(
        "propose",
        lambda seq: signer.propose(
            [change],
            base,
            seq=seq,
            expires_height=expires_at.height,
            expires_time_ms=expires_at.time_ms,
            entropy=ENTROPY,
            note=note,
        ),
    )
    return await mine.bus.proposal(proposal_hash(governed.jws))


def what_it_needs(mine: OwnLeague, report: ProposalReport) -> str:
    """What a proposal needs to pass, and how to vote on it."""
    return (
        f"It needs voting power {report.needed_power} of {report.total_power}. Vote: "
        f"hansa league vote {mine.folder} {report.hash[:12]} yes"
    )


def run_vote(folder: Path, name: str, choice: Literal["no", "yes"], output: Output, *, is_dry: bool) -> None:
    """Vote on a proposal.

    Raises:
        HansaError: when the vote does not count; the code says why.
    """

    async def run() -> None:
        async with own_league(folder) as mine:
            report, signer = await _known_soon(mine, name), mine.signer
            _check_open(report)
            if is_dry:
                show_report(report, output)
                return
            try:
                governed = await mine.govern("vote", lambda seq: signer.vote(report.hash, choice, seq=seq))
            except Unavailable:
                _check_open(await mine.bus.proposal(report.hash))  # the others may have decided it meanwhile
                raise
            after = await mine.bus.proposal(report.hash)
            if output.as_json:
                output.document(after)
                return
            output.data(f"{choice} on {report.hash[:12]}, in block {governed.height:,}: {after.outcome}")
            if after.outcome == "open":
                output.message(
                    f"Voting power {after.yes_power} of {after.needed_power} that it needs is for it; not voted: "
                    f"{printable(', '.join(after.missing)) or 'nobody'}."
                )

    asyncio.run(run())


def _check_open(report: ProposalReport) -> None:
    if report.outcome != "open":
        shown = f"{report.outcome}{f' ({report.reason})' if report.reason else ''}"
        raise Refused(Code.CONFLICT, f"Proposal {report.hash[:12]} is closed: {printable(shown)}.")


async def _known_soon(mine: OwnLeague, name: str) -> ProposalReport:
    """The proposal of a name; what another member has just proposed is in a block that is about to come here.

    Raises:
        Refused: `Code.NOT_FOUND`, when none comes; `Code.CONFLICT`, when the name is that of several.
    """
    state, deadline_s = mine.state, CLOCK.monotonic() + KNOWN_WITHIN_S
    while True:
        try:
            return proposal_named(state, name)
        except Refused as error:
            if error.code is not Code.NOT_FOUND or CLOCK.monotonic() >= deadline_s:
                raise
        await CLOCK.sleep(KNOWN_POLL_S)
        state = await mine.bus.league()


def run_endpoint(folder: Path, address: str, output: Output, *, is_dry: bool) -> None:
    """State where a marketplace is reached from now on, and set it in its folder.

    Raises:
        HansaError: when the ledger does not take it; the code says why.
    """
    endpoint = normal_endpoint(address)

    async def run() -> None:
        async with own_league(folder) as mine:
            before, signer = mine.me.endpoint, mine.signer
            if is_dry:
                output.facts({"endpoint now": before, "endpoint then": endpoint})
                return
            if before != endpoint:
                await mine.govern("member", lambda seq: signer.state(EndpointSet(endpoint), seq=seq))
            me = (await mine.bus.league()).member(mine.did) or mine.me
            set_endpoint(folder, me)
            if output.as_json:
                output.document({"did": mine.did, "before": before, "endpoint": me.endpoint})
                return
            output.facts({"endpoint": me.endpoint, "before": before})
            output.message(
                "The others retrieve from there at once, also what was published before. Links in this marketplace's own "
                "responses follow at its next start; requests to the address before are answered until you end it."
            )

    asyncio.run(run())


def run_nodes(folder: Path, files: Sequence[Path], output: Output, *, is_dry: bool) -> None:
    """State which engines are a marketplace's: that of its folder, and those with the keys in some files.

    Raises:
        HansaError: when a file holds no key, or the ledger does not take it; the code says why.
    """
    keys = [read_key(path) for path in (folder / NODE_KEY, *files)]
    if any(key.key_type != "ed25519" for key in keys):
        raise Refused(Code.INVALID, "The key of an engine on the network is an Ed25519 key: node_key.json.")

    async def run() -> None:
        async with own_league(folder) as mine:
            before, then = mine.me.node_ids, tuple(dict.fromkeys(key.node_id for key in keys))
            if is_dry:
                output.facts({"engines now": ", ".join(before), "engines then": ", ".join(then)})
                return
            if before != then:
                await state_nodes(mine, keys)
            if output.as_json:
                output.document({"did": mine.did, "before": before, "node_ids": then})
                return
            output.facts({"engines": ", ".join(then), "before": ", ".join(before)})
            output.message(
                "The engines of the others accept these as this marketplace's. One that is not named any more loses its "
                "place among them within minutes."
            )

    asyncio.run(run())


async def state_nodes(mine: OwnLeague, keys: Sequence[EngineKey]) -> None:
    """State that a marketplace runs the engines with these keys and no others.

    Raises:
        HansaError: when the ledger does not take it.
    """
    signed_at_s, signer = epoch_s(CLOCK), mine.signer
    unique = {key.node_id: key for key in keys}.values()
    action = NodesSet(
        tuple(
            prove_possession(engine_signing_key(key), mine.did, mine.league_id, "node", signed_at_s)
            for key in unique
        )
    )
    await mine.govern("member", lambda seq: signer.state(action, seq=seq))


def run_leave(folder: Path, output: Output, *, is_confirmed: bool, is_dry: bool) -> None:
    """Leave the league.

    Raises:
        HansaError: when it is not confirmed, or the ledger does not take it.
    """

    async def run() -> None:
        async with own_league(folder) as mine:
            me, signer = mine.me, mine.signer
            if is_dry:
                output.facts({"member": me.name, "voting power now": str(me.power), "then": "no member"})
                return
            confirm(LEAVE_RISK, is_confirmed=is_confirmed)
            governed = await mine.govern("member", lambda seq: signer.state(Leave(), seq=seq))
            if output.as_json:
                output.document({"did": mine.did, "height": governed.height})
                return
            output.data(f"{me.name} leaves the league, from block {governed.height:,} on")
            output.message("Let it run until `hansa league members` does not list it as active any more.")

    asyncio.run(run())


def _check_active(mine: OwnLeague) -> None:
    """Say at once what the ledger would refuse."""
    if mine.me.key(mine.key.kid) is None:
        raise Refused(
            Code.FORBIDDEN,
            f"The league does not know the key in {mine.folder} for this marketplace; restore it.",
        )


def _show_dry(text: msgspec.Struct, output: Output) -> None:
    if output.as_json:
        output.document(text)
    else:
        output.facts(
            {name: printable(str(value), 1000) for name, value in msgspec.structs.asdict(text).items()}
        )
        output.message("Nothing was proposed.")
