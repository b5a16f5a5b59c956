"""`hansa init`, `serve`, `token`, `doctor` and `version`: this machine, and a marketplace's folder on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hansa.cli.commands import command
from hansa.cli.options import AsJson, Country, Folder, ListenHost, ListenPort, P2pHost, P2pPort
from hansa.core.errors import Code, Refused
from hansa.core.interpreter import loading

if TYPE_CHECKING:
    from hansa.cli.output import Output
    from hansa.node.folder import MemberCard

ValidatorKeyType = Literal["ed25519", "ml-dsa-65"]


@command(
    "Create the folder of a new marketplace.",
    "hansa init market --name lubeck --endpoint https://market.example",
)
def init(
    folder: Folder,
    name: Annotated[str, typer.Option("--name", help="Name of the marketplace.")],
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="Address at which others reach it.")
    ],
    did: Annotated[
        str | None,
        typer.Option("--did", help="Its DID on the ledger. [default: the did:key of its new key]"),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--prefix", help="Beginning of identifiers that are its own, as urn:acme:. May be repeated."
        ),
    ] = None,
    country: Country = "",
    p2p_host: P2pHost = "127.0.0.1",
    p2p_port: P2pPort = None,
    listen_host: ListenHost = None,
    listen_port: ListenPort = None,
    validator_key_type: Annotated[
        ValidatorKeyType,
        typer.Option(
            "--validator-key-type", help="What its validator signs with; ml-dsa-65 is post-quantum."
        ),
    ] = "ed25519",
    as_json: AsJson = False,
) -> None:
    """Create the folder of a new marketplace: keys, settings, and the card for the other members.

    Until a league is founded it is a league of one, and can be served at once.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.node.folder import init_member

    for option, port in (("--p2p-port", p2p_port), ("--listen-port", listen_port)):
        if port is not None and not 0 < port < 65_536:
            raise Refused(Code.INVALID, f"{option} must be a port, 1 to 65535.")
    card = init_member(
        folder,
        name,
        endpoint,
        CLOCK,
        did=did,
        prefixes=prefix or (),
        country=country,
        p2p_host=p2p_host,
        p2p_port=p2p_port,
        listen_host=listen_host,
        listen_port=listen_port,
        validator_key_type=validator_key_type,
    )
    output = Output(as_json=as_json)
    output.document(card) if as_json else _show_card(folder, card, output)


def _show_card(folder: Path, card: MemberCard, output: Output) -> None:
    from hansa.node.folder import CARD

    output.facts(
        {
            "folder": str(folder),
            "name": card.member.name,
            "DID": card.member.did,
            "endpoint": card.member.endpoint,
            "engine": card.p2p_address,
            "card": str(folder / CARD),
        }
    )
    output.message(
        f"Send {folder / CARD} to the other members and found the league with `hansa found`, "
        f"or start a league of one: hansa serve {folder}"
    )


@command("Run one marketplace.", "hansa serve market")
def serve(folder: Folder, as_json: AsJson = False) -> None:
    """Run one marketplace, with its ledger application and its CometBFT node, until SIGTERM or Ctrl-C.

    Logs go to stderr; --json writes them as JSON lines on a terminal too.
    """
    from hansa.cli.local import ENVIRONMENT

    with loading():
        from hansa.node.serve import serve as serve_folder

    serve_folder(folder, {**ENVIRONMENT, "HANSA_LOG_FORMAT": "json"} if as_json else ENVIRONMENT)


@command(
    "Create a bearer token for the API.",
    "hansa token market --subject anna@market.example --role provider --expires 12h",
)
def token(
    folder: Folder,
    subject: Annotated[str, typer.Option("--subject", help="Who uses the token, for the records.")],
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="operator, provider or reader; may be repeated. [default: provider]"),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="How long it is valid: 15m, 12h, 30d.")
    ] = "30d",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help="For what of the role's rights: read, write, operate; may be repeated. [default: all of them]",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a bearer token for a marketplace's API, for scripts and tests."""
    from hansa.cli.durations import duration_text, seconds_of
    from hansa.cli.local import CLOCK, ENTROPY
    from hansa.cli.output import Output
    from hansa.node.folder import issue_folder_token

    output, roles, expires_in_s = Output(as_json=as_json), role or ["provider"], seconds_of(expires)
    issued = issue_folder_token(folder, subject, roles, expires_in_s, CLOCK, ENTROPY, scope or ())
    if as_json:
        output.document(
            {"token": issued, "subject": subject, "roles": sorted(set(roles)), "expires_in_s": expires_in_s}
        )
        return
    output.data(issued)
    if sys.stdout.isatty():
        output.message(f"Valid for {duration_text(expires_in_s)}. Keep it secret.")


@command("Check a machine and a marketplace; say what to do.", "hansa doctor market")
def doctor(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[D]",
            help="A marketplace's folder; without it, the machine alone is checked.",
            readable=False,
        ),
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


@command("Show versions.", "hansa version --json")
def version(as_json: AsJson = False) -> None:
    """Show the versions of Hansa, of its engine, of Python and of SQLite."""
    from hansa.cli.output import Output
    from hansa.cli.versions import versions

    output = Output(as_json=as_json)
    output.document(versions()) if as_json else output.facts(versions())
