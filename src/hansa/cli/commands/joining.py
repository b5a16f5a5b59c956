"""`hansa join`: a new marketplace of a league that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hansa.cli.commands import command
from hansa.cli.options import AsJson, Country, Folder, ListenHost, ListenPort, P2pHost, P2pPort

if TYPE_CHECKING:
    from hansa.cli.output import Output
    from hansa.node.joining.inquiry import LeagueReport
    from hansa.node.joining.joining import Newcomer


@command(
    "Create the folder of a marketplace that joins a running league.",
    "hansa join market --from https://lubeck.example --name visby --endpoint https://visby.example",
)
def join(
    folder: Folder,
    from_: Annotated[
        list[str], typer.Option("--from", metavar="URL", help="A member of the league; may be repeated.")
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the marketplace.")],
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="Address at which others reach it.")
    ],
    observer: Annotated[
        bool, typer.Option("--observer", help="Run no validator: follow the ledger without a vote.")
    ] = False,
    light: Annotated[
        bool,
        typer.Option("--light", help="Run no engine at all: follow members, and verify what they give."),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the members have admitted it.")] = False,
    did: Annotated[
        str | None, typer.Option("--did", help="Its DID. [default: the did:key of its new key]")
    ] = None,
    country: Country = "",
    p2p_host: P2pHost = "127.0.0.1",
    p2p_port: P2pPort = None,
    listen_host: ListenHost = None,
    listen_port: ListenPort = None,
    as_json: AsJson = False,
) -> None:
    """Create the folder of a marketplace that joins a running league, and its candidacy.

    Asks the members at --from, and those that they name, for the genesis and a recent block. Compare the
    fingerprints with those that an operator of the league tells you by other means. Send the candidacy to a
    member, who proposes it: hansa league propose D admit FILE. Once the members have decided, `hansa serve`
    fetches the ledger and begins.
    """
    import asyncio

    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.node.joining.command import join_running_league, wait_until_admitted

    output = Output(as_json=as_json)
    report, newcomer, is_private = asyncio.run(
        join_running_league(
            *(folder, from_, name, endpoint, CLOCK),
            is_observer=observer,
            is_light=light,
            did=did,
            country=country,
            p2p_host=p2p_host,
            p2p_port=p2p_port,
            listen_host=listen_host,
            listen_port=listen_port,
        )
    )
    if as_json and not wait:
        output.document(_summary(folder, report, newcomer))
    elif not as_json:
        _show(folder, report, newcomer, output, is_private=is_private)
    if not wait:
        return
    member = asyncio.run(wait_until_admitted(folder, CLOCK))
    if as_json:
        output.document({**_summary(folder, report, newcomer), "power": member.power})
    else:
        output.message(f"Admitted, with voting power {member.power}. Start it: hansa serve {folder}")


def _summary(folder: Path, report: LeagueReport, newcomer: Newcomer) -> dict[str, object]:
    return {
        "folder": str(folder),
        "did": newcomer.card.member.did,
        "candidacy": str(newcomer.candidacy),
        "chain_id": report.document.chain_id,
        "genesis": report.fingerprint,
        "trusted_height": report.trusted_height,
        "trusted_hash": report.trusted_hash,
        "confirmed_by": report.confirmed_by,
        "contradicted_by": report.contradicted_by,
    }


def _show(
    folder: Path, report: LeagueReport, newcomer: Newcomer, output: Output, *, is_private: bool
) -> None:
    fingerprint = report.fingerprint
    output.facts(
        {
            "league": report.document.chain_id,
            "members": ", ".join(member.name for member in report.members if member.is_current),
            "genesis": " ".join(fingerprint[at : at + 8] for at in range(0, len(fingerprint), 8)),
            "block": f"{report.trusted_height}, {report.trusted_hash}",
            "same at": ", ".join(report.confirmed_by),
            "DID": newcomer.card.member.did,
            "engine": newcomer.card.p2p_address if newcomer.card.member.node_ids else "none (a light member)",
            "candidacy": str(newcomer.candidacy),
        }
    )
    if report.contradicted_by:
        output.message(
            f"ANOTHER BLOCK at that height has: {', '.join(report.contradicted_by)}. Do not go on before you know why."
        )
    if is_private:
        output.message(
            f"The league is on a private network; {folder} is set up for that (allow_private_networks)."
        )
    output.message(
        "Compare genesis and block with what an operator of the league tells you by other means. Then send "
        f"{newcomer.candidacy} to a member, who runs: hansa league propose D admit {newcomer.candidacy.name}"
    )
