"""`hansa status`, `import`, `export`, `diff` and `events`: a marketplace, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hansa.cli.commands import command
from hansa.cli.options import DEFAULT_URL, AsJson, Token, Types, Url, Where


@command("Show a marketplace and its view of the league.", "hansa status http://localhost:8101")
def status(url: Url = DEFAULT_URL, token: Token = None, as_json: AsJson = False) -> None:
    """Show a marketplace and its view of the league: height, position, lag, pending and failed retrievals."""
    from hansa.cli.output import Output
    from hansa.cli.status import run_status

    run_status(url, token, Output(as_json=as_json))


@command(
    "Import entities from JSON Lines.",
    "hansa import catalogue.jsonl --to http://localhost:8101 --token $(cat market/token)",
    name="import",
)
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="JSON Lines; - for standard input.")],
    to: Annotated[str, typer.Option("--to", metavar="URL", help="Address of the marketplace.")] = DEFAULT_URL,
    token: Token = None,
    patience: Annotated[
        str,
        typer.Option("--patience", metavar="DURATION", help="How long to repeat failing requests."),
    ] = "30s",
    as_json: AsJson = False,
) -> int:
    """Import entities into a marketplace, one a line with its `@type`.

    Can be interrupted and repeated: existing entities that are equal are left unchanged. Bad lines are
    reported with file, line and reason, and the others are imported; exit status 1 when there was one.
    """
    from hansa.cli.imports.run import run_import
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output

    return run_import(files, to, token, patience, Output(as_json=as_json), CLOCK)


@command(
    "Write the catalogue as JSON Lines.",
    "hansa export http://localhost:8101 --type ProductOffering > offerings.jsonl",
)
def export(
    url: Url = DEFAULT_URL,
    type_: Types = None,
    own: Annotated[
        bool, typer.Option("--own", help="Only entities whose origin is this marketplace.")
    ] = False,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Write a marketplace's catalogue as JSON Lines, an entity a line, ready for `hansa import`.

    Private entities are there only with a token. JSON Lines is the only form; --json changes messages alone.
    """
    from hansa.cli.catalogue.export import run_export
    from hansa.cli.output import Output

    run_export(url, token, type_ or [], own, Output(as_json=as_json))


@command(
    "Compare the catalogues of members.", "hansa diff http://localhost:8101 http://localhost:8102 --wait 30s"
)
def diff(
    urls: Annotated[list[str], typer.Argument(metavar="URL URL…", help="Addresses of the marketplaces.")],
    type_: Types = None,
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="Repeat for this long while they differ.")
    ] = "0s",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="Maximum number of differences to show.")
    ] = 20,
    as_json: AsJson = False,
) -> int:
    """Compare the public catalogues of members: identifiers, hashes and origins.

    Exit status 1 when they differ.
    """
    from hansa.cli.catalogue.comparison import run_diff
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output

    return run_diff(urls, type_ or [], wait, limit, Output(as_json=as_json), CLOCK)


@command(
    "Show committed events, or follow them.",
    "hansa events http://localhost:8101 --follow --type productOfferingCreateEvent",
)
def events(
    url: Url = DEFAULT_URL,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow new events until Ctrl-C.")] = False,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="EVENT", help="Only events of this name; may be repeated."),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="Events from this time: RFC 3339, or how long ago, as 2h."
        ),
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Events before this time.")] = None,
    issuer: Annotated[
        list[str] | None,
        typer.Option("--issuer", help="Only events of this member, by name or DID; may be repeated."),
    ] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option("--entity", metavar="ID", help="Only events of this entity; may be repeated."),
    ] = None,
    where: Where = None,
    after: Annotated[
        int | None,
        typer.Option("--after", metavar="POSITION", help="Only events after this position; 0 for all."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="Maximum number of events.")
    ] = None,
    genesis: Annotated[
        Path | None,
        typer.Option(
            "--genesis", metavar="FILE", help="Verify each event, knowing nothing but this genesis."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show committed events in ledger order, with a heading; each in a line that fits the terminal.

    Where the output is no terminal, a line has everything, whole keys too, and the heading goes to stderr.
    --from and --to go by the time of the event; that of its block may be up to a heartbeat earlier. With
    --follow, new events alone unless --after or --from says otherwise; a broken connection is opened again.
    With --genesis, an event ends the command with an error that its issuer did not sign with a key that was
    its own at the event's position. The marketplace proves which were, as far as the genesis does not say.
    """
    from hansa.cli.events import EventSelection, entity_conditions, run_events
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output

    selection = EventSelection(
        after=after,
        types=tuple(type_ or ()),
        issuers=tuple(issuer or ()),
        entities=tuple(entity or ()),
        **entity_conditions(where or ()),
        from_time=from_,
        to_time=to,
        limit=limit,
    )
    trusted = None
    if genesis is not None:
        from hansa.cli.input_files import read_input

        trusted = read_input(genesis, bytes)
    run_events(url, selection, follow, Output(as_json=as_json), CLOCK, trusted)
