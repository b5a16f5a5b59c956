"""The commands and their options. What a command does is in the module that it imports when it is called.

So `hansa --help` and a wrong command line answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from hansa.cli.options import DEFAULT_URL, AsJson, Folder, Token, Types, Url
from hansa.cli.reporting import reporting

app: Final = typer.Typer(
    name="hansa",
    help="A league of independent marketplaces with one shared, verified catalogue.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from hansa import __version__

        typer.echo(f"hansa {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end."),
    ] = False,
) -> None:
    """A league of independent marketplaces with one shared, verified catalogue."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


# -- a league on this machine -----------------------------------------------------------------------------------


@app.command(
    short_help="Run a league on this machine, with sample data.",
    epilog="Example: hansa demo --members 4 --dir league",
)
@reporting
def demo(
    members: Annotated[int, typer.Option("--members", metavar="N", help="How many marketplaces.")] = 4,
    base_port: Annotated[
        int, typer.Option("--base-port", metavar="P", help="Member k serves on port P + k.")
    ] = 8100,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="D", help="Folder of the league; made when it is not there.")
    ] = Path("league"),
    empty: Annotated[bool, typer.Option("--empty", help="Without sample data.")] = False,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Show nothing after `league ready`; run on until stopped.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a league of marketplaces on this machine, with sample data.

    Creates the league in D, or resumes it. Prints `league ready` with the addresses and a token for each member when
    all are ready, then shows how they are: live on a terminal, else a line whenever something changes. Ctrl-C or
    SIGTERM stops all of it. A member that dies stays down until you start it.
    """
    from hansa.cli.demo.league import DemoOptions, run_demo
    from hansa.cli.local import CLOCK, ENTROPY
    from hansa.cli.output import Output

    options = DemoOptions(directory, members, base_port, empty, not no_follow)
    run_demo(options, Output(as_json=as_json), CLOCK, ENTROPY)


# -- one marketplace ----------------------------------------------------------------------------------------------


@app.command(
    short_help="Make the folder of a new marketplace.",
    epilog="Example: hansa init market --name lubeck --endpoint https://market.example",
)
@reporting
def init(
    folder: Folder,
    name: Annotated[str, typer.Option("--name", help="What the marketplace is called.")],
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="URL", help="Where others reach it.")],
    did: Annotated[
        str | None,
        typer.Option("--did", help="Who it is on the ledger; the did:key of its new key unless given."),
    ] = None,
    p2p_host: Annotated[
        str, typer.Option("--p2p-host", help="Address of this machine for other members' engines.")
    ] = "127.0.0.1",
    p2p_port: Annotated[
        int | None,
        typer.Option("--p2p-port", help="Port for other members' engines; a free one unless given."),
    ] = None,
    listen_host: Annotated[
        str | None, typer.Option("--listen-host", help="Address of this machine that HTTP is served on.")
    ] = None,
    listen_port: Annotated[
        int | None,
        typer.Option("--listen-port", help="Port that HTTP is served on; the endpoint's unless given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the folder of a new marketplace: keys, settings, and the card for the other members.

    Until a league is founded it is a league of one, and can be served at once.
    """
    from hansa.cli.folders import InitOptions, run_init
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output

    options = InitOptions(name, endpoint, did, p2p_host, p2p_port, listen_host, listen_port)
    run_init(folder, options, Output(as_json=as_json), CLOCK)


@app.command(
    short_help="Found a league from its members' cards.",
    epilog="Example: hansa found lubeck.json bergen.json riga.json bruges.json --into market",
)
@reporting
def found(
    cards: Annotated[
        list[Path], typer.Argument(metavar="CARD…", help="`member.json` of every member, this one's too.")
    ],
    into: Annotated[
        list[Path] | None,
        typer.Option(
            "--into", metavar="D", help="Put the genesis into this marketplace's folder; may be repeated."
        ),
    ] = None,
    genesis: Annotated[
        Path | None,
        typer.Option("--genesis", metavar="FILE", help="Take this genesis, made by another member."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Found a league from its members' cards.

    One member runs this, with --into or with its output in a file, and sends the genesis to the others; each of them
    puts the same genesis into its folder, with --genesis FILE --into D, before its first start.
    """
    from hansa.cli.folders import run_found
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output

    run_found(cards, into or [], genesis, Output(as_json=as_json), CLOCK)


@app.command(
    short_help="Run one marketplace.",
    epilog="Example: hansa serve market",
)
@reporting
def serve(folder: Folder, as_json: AsJson = False) -> None:
    """Run one marketplace, with its ledger application and its CometBFT node, until SIGTERM or Ctrl-C.

    Logs go to stderr; --json writes them as JSON lines on a terminal too.
    """
    from hansa.cli.folders import run_serve
    from hansa.cli.local import ENVIRONMENT

    run_serve(folder, ENVIRONMENT, as_json=as_json)


@app.command(
    short_help="Make a bearer token for the API.",
    epilog="Example: hansa token market --subject anna@market.example --role provider --expires 12h",
)
@reporting
def token(
    folder: Folder,
    subject: Annotated[str, typer.Option("--subject", help="Who uses it, for the records.")],
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="operator, provider or reader; may be repeated. [default: provider]"),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="How long it is good: 15m, 12h, 30d.")
    ] = "30d",
    as_json: AsJson = False,
) -> None:
    """Make a bearer token for a marketplace's API, for scripts and tests."""
    from hansa.cli.folders import run_token
    from hansa.cli.local import CLOCK, ENTROPY
    from hansa.cli.output import Output

    run_token(folder, subject, role or ["provider"], expires, Output(as_json=as_json), CLOCK, ENTROPY)


@app.command(
    short_help="Check a machine and a marketplace; say what to do.",
    epilog="Example: hansa doctor market",
)
@reporting
def doctor(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[D]", help="A marketplace's folder; the machine alone without it."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check keys, ports, clock, disk, versions, engine, peers and certificates, and say what to do.

    Changes nothing; can be run while the marketplace runs. Exit status 1 when something is wrong.
    """
    from hansa.cli.doctor.checks import run_doctor
    from hansa.cli.local import CLOCK, ENVIRONMENT
    from hansa.cli.output import Output

    return run_doctor(folder, ENVIRONMENT, Output(as_json=as_json), CLOCK)


# -- a marketplace, over HTTP ---------------------------------------------------------------------------------------


@app.command(
    short_help="Show a marketplace and its view of the league.",
    epilog="Example: hansa status http://localhost:8101",
)
@reporting
def status(url: Url = DEFAULT_URL, token: Token = None, as_json: AsJson = False) -> None:
    """Show a marketplace and its view of the league: height, position, lag, pending and failed retrievals."""
    from hansa.cli.output import Output
    from hansa.cli.remote import run_status

    run_status(url, token, Output(as_json=as_json))


@app.command(
    "import",
    short_help="Bring entities in, from JSON Lines.",
    epilog="Example: hansa import catalogue.jsonl --to http://localhost:8101 --token $(cat market/token)",
)
@reporting
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="JSON Lines; - for standard input.")],
    to: Annotated[str, typer.Option("--to", metavar="URL", help="Address of the marketplace.")] = DEFAULT_URL,
    token: Token = None,
    patience: Annotated[
        str,
        typer.Option(
            "--patience", metavar="DURATION", help="How long to wait for a marketplace that is away."
        ),
    ] = "30s",
    as_json: AsJson = False,
) -> int:
    """Bring entities into a marketplace, one a line with its `@type`.

    Can be interrupted and repeated: what is there already in the same form is left alone. Bad lines are reported with
    file, line and reason, and the others are imported; exit status 1 when there was one.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.cli.remote import run_import

    return run_import(files, to, token, patience, Output(as_json=as_json), CLOCK)


@app.command(
    short_help="Write the catalogue as JSON Lines.",
    epilog="Example: hansa export http://localhost:8101 --type ProductOffering > offerings.jsonl",
)
@reporting
def export(
    url: Url = DEFAULT_URL,
    type_: Types = None,
    own: Annotated[bool, typer.Option("--own", help="Only what this marketplace is the origin of.")] = False,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Write a marketplace's catalogue as JSON Lines, an entity a line, ready for `hansa import`.

    Private entities are there only with a token. JSON Lines is the only form; --json changes messages alone.
    """
    from hansa.cli.output import Output
    from hansa.cli.remote import run_export

    run_export(url, token, type_ or [], own, Output(as_json=as_json))


@app.command(
    short_help="Compare the catalogues of members.",
    epilog="Example: hansa diff http://localhost:8101 http://localhost:8102 --wait 30s",
)
@reporting
def diff(
    urls: Annotated[list[str], typer.Argument(metavar="URL URL…", help="Addresses of the marketplaces.")],
    type_: Types = None,
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="Look again for so long while they differ.")
    ] = "0s",
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Differences to show.")] = 20,
    as_json: AsJson = False,
) -> int:
    """Compare the public catalogues of members: identifiers, hashes and origins.

    Exit status 1 when they differ.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.cli.remote import run_diff

    return run_diff(urls, type_ or [], wait, limit, Output(as_json=as_json), CLOCK)


@app.command(
    short_help="Show committed events, or follow them.",
    epilog="Example: hansa events http://localhost:8101 --follow --type productOfferingCreateEvent",
)
@reporting
def events(
    url: Url = DEFAULT_URL,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new events until Ctrl-C.")
    ] = False,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="EVENT", help="Only events of this name; may be repeated."),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="From then on: RFC 3339, or how long ago, as 2h."),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Until then, not including it.")
    ] = None,
    issuer: Annotated[
        list[str] | None,
        typer.Option("--issuer", help="Only of this member, by name or DID; may be repeated."),
    ] = None,
    entity: Annotated[
        list[str] | None, typer.Option("--entity", metavar="ID", help="Only of this entity; may be repeated.")
    ] = None,
    after: Annotated[
        int | None, typer.Option("--after", metavar="POSITION", help="Only later ones; 0 for all.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="At most so many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show committed events in ledger order: position, time, name, issuer, version, status, entity key.

    With --follow, new events alone unless --after or --from says otherwise; a broken connection is taken up again.
    """
    from hansa.cli.events import EventSelection
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.cli.remote import run_events

    wanted = EventSelection(
        after=after,
        types=tuple(type_ or ()),
        issuers=tuple(issuer or ()),
        entities=tuple(entity or ()),
        from_time=from_,
        to_time=to,
        limit=limit,
    )
    run_events(url, wanted, follow, Output(as_json=as_json), CLOCK)


@app.command(
    short_help="Show versions.",
    epilog="Example: hansa version --json",
)
@reporting
def version(as_json: AsJson = False) -> None:
    """Show the versions of Hansa, of its engine, of Python and of SQLite."""
    from hansa.cli.output import Output
    from hansa.cli.versions import versions

    output = Output(as_json=as_json)
    output.document(versions()) if as_json else output.facts(versions())
