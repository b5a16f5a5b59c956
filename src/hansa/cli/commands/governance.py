"""`hansa league …`: what a league has decided and decides now; proposals, votes, statements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import DEFAULT_URL, AsJson, Folder, Url, Yes

Proposal = Annotated[
    str, typer.Argument(metavar="PROPOSAL", help="Its hash, four signs or more of its beginning, or its id.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and do nothing.")]


@command("Show a league in short.", "hansa league show http://localhost:8101")
def show(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show a league in short: rules, height, members, validators, and proposals that wait for votes."""
    from hansa.cli.league.showing import show_league
    from hansa.cli.output import Output

    show_league(url, Output(as_json=as_json))


@command("Show the members of a league.", "hansa league members http://localhost:8101")
def members(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show who is a member, where it is, with which keys and status, and since when."""
    from hansa.cli.league.showing import show_members
    from hansa.cli.output import Output

    show_members(url, Output(as_json=as_json))


@command("Show who votes on blocks and proposals.", "hansa league validators http://localhost:8101")
def validators(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the validators, their voting power, and what a block and a proposal need."""
    from hansa.cli.league.showing import show_validators
    from hansa.cli.output import Output

    show_validators(url, Output(as_json=as_json))


@command("Show the limits of a league.", "hansa league parameters http://localhost:8101")
def parameters(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Show the limits by which a league judges. A vote changes each: `hansa league propose D param`."""
    from hansa.cli.league.showing import show_parameters
    from hansa.cli.output import Output

    show_parameters(url, Output(as_json=as_json))


@command("Show the hash of a block, to compare it by other means.", "hansa league block 250000")
def block(
    height: Annotated[int, typer.Argument(metavar="HEIGHT", min=1, help="Of the block.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show a block as the marketplace has it, for whoever joins the league, or trusts a block.

    The hash is computed here, from the header. Ask your own marketplace: what another one shows proves
    nothing.
    """
    from hansa.cli.league.showing import show_block
    from hansa.cli.output import Output

    show_block(url, height, Output(as_json=as_json))


@command(
    "Trust a block that was compared by other means.",
    "hansa league trust market 250000 5F2B…",
)
def trust(
    folder: Folder,
    height: Annotated[int, typer.Argument(metavar="HEIGHT", help="Of the block.")],
    hash_: Annotated[str, typer.Argument(metavar="HASH", help="Of its header, 64 hexadecimal digits.")],
    as_json: AsJson = False,
) -> None:
    """State a recent block that operators of several members have told you by other means.

    For a light member whose trusted block is older than the trust period, or whose league has forked and
    decided which history goes on. The marketplace verifies everything after that block from it, once it is
    started again.
    """
    from hansa.cli.output import Output
    from hansa.node.joining.mark import trust_block

    trust_block(folder, height, hash_)
    output = Output(as_json=as_json)
    if as_json:
        output.document({"folder": str(folder), "height": height, "hash": hash_.upper()})
    else:
        output.message(f"{folder} trusts block {height:,}. Start it again: hansa serve {folder}")


@command("Show proposals.", "hansa league proposals http://localhost:8101 --all")
def proposals(
    url: Url = DEFAULT_URL,
    with_closed: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the proposals that are open, with what they would change, need and have."""
    from hansa.cli.league.showing import show_proposals
    from hansa.cli.output import Output

    show_proposals(url, Output(as_json=as_json), with_closed=with_closed)


@command("Explain a proposal.", "hansa league explain 3f9a1c http://localhost:8101")
def explain(proposal: Proposal, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Explain a proposal: what would change, what it needs, who has voted how, and when it expires."""
    from hansa.cli.league.showing import explain_proposal
    from hansa.cli.output import Output

    explain_proposal(url, proposal, Output(as_json=as_json))


@command("Propose a change.", "hansa league propose market param issuer_events_per_s 500 --note 'more room'")
def propose(
    folder: Folder,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="admit FILE, suspend DID, activate DID, remove DID, power DID N, param NAME VALUE, issuer FILE, anchor "
            "FILE, policy FILE or upgrade FILE.",
        ),
    ],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="…", help="What it is about.")] = None,
    note: Annotated[str, typer.Option("--note", help="Why, in words, for the other members.")] = "",
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="How long it can be voted on.")
    ] = "7d",
    power: Annotated[int, typer.Option("--power", help="Voting power of a member that is admitted.")] = 0,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--prefix", help="Beginning of identifiers of a member that is admitted. May be repeated."
        ),
    ] = None,
    lasts: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="DURATION",
            help="Emergency: a suspension that ends by itself, and needs fewer votes.",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Propose a change to the league, signed with the key of a marketplace that runs; prints its hash.

    Members are named by their DID, its last eight signs or more, or their name. It takes effect in the block
    in which enough voting power is for it; your own vote counts when you vote: `hansa league vote`.
    """
    from hansa.cli.league.changes import ProposalOptions
    from hansa.cli.league.governing import run_propose
    from hansa.cli.output import Output

    options = ProposalOptions(power, tuple(prefix or ()), lasts)
    run_propose(
        folder,
        kind,
        arguments or [],
        options,
        Output(as_json=as_json),
        note=note,
        expires=expires,
        is_dry=dry_run,
    )


@command("Vote on a proposal.", "hansa league vote market 3f9a1c yes")
def vote(
    folder: Folder,
    proposal: Proposal,
    choice: Annotated[Literal["yes", "no"], typer.Argument(metavar="yes|no", help="The vote.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Vote on a proposal, signed with the key of a marketplace that runs.

    The last vote of a member counts.
    """
    from hansa.cli.league.governing import run_vote
    from hansa.cli.output import Output

    run_vote(folder, proposal, choice, Output(as_json=as_json), is_dry=dry_run)


@command("Move a marketplace to another address.", "hansa league endpoint market https://new.market.example")
def endpoint(
    folder: Folder,
    address: Annotated[str, typer.Argument(metavar="URL", help="Where the others reach it from now on.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """State on the ledger where a marketplace is reached from now on, and set it in hansa.toml.

    Make the new address lead to the marketplace first. Everything that was published stays where the others
    find it: they request it at the new address.
    """
    from hansa.cli.league.governing import run_endpoint
    from hansa.cli.output import Output

    run_endpoint(folder, address, Output(as_json=as_json), is_dry=dry_run)


@command("State which engines are a marketplace's.", "hansa league nodes market sentry/config/node_key.json")
def nodes(
    folder: Folder,
    keys: Annotated[
        list[Path] | None,
        typer.Argument(metavar="KEY…", help="`node_key.json` of each further engine of this marketplace."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """State on the ledger which engines are a marketplace's: that of its folder, and those that are named.

    The others' engines accept no others as peers. Each is named by its key, because the statement proves
    that the marketplace has it. Without KEY, it is the engine of the folder alone.
    """
    from hansa.cli.league.governing import run_nodes
    from hansa.cli.output import Output

    run_nodes(folder, keys or [], Output(as_json=as_json), is_dry=dry_run)


@command("Leave the league.", "hansa league leave market --yes")
def leave(folder: Folder, yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Leave the league: the validator gives up its power first, then the marketplace its membership.

    What it published stays provable. It can come back with a new DID alone, by a vote.
    """
    from hansa.cli.league.governing import run_leave
    from hansa.cli.output import Output

    run_leave(folder, Output(as_json=as_json), is_confirmed=yes, is_dry=dry_run)


LEAGUE = CommandGroup(
    "league",
    "The league: members, limits, proposals and votes.",
    (
        *(show, members, validators, parameters, proposals, explain, propose, vote, endpoint),
        *(nodes, block, trust, leave),
    ),
)
