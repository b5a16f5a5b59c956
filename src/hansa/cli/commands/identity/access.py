"""`hansa access`: who is kept out of a marketplace."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import DEFAULT_URL, AsJson, Token, Url

Kind = Annotated[
    Literal["subject", "organization", "credential"],
    typer.Argument(metavar="KIND", help="subject, organization or credential."),
]
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A subject of tokens, VATES-12345678, or the id of a credential."),
]


@command(
    "Keep somebody out.",
    "hansa access remove organization VATES-12345678 --url http://localhost:8101 --token $(cat market/token)",
)
def remove(
    kind: Kind,
    name: Name,
    url: Annotated[str, typer.Option("--url", help="Address of the marketplace.")] = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Keep a subject, an organisation or a credential out, at once: sessions, codes and tokens are of no use.

    Needs the operator's token.
    """
    from hansa.cli.identity.removals import change_removed
    from hansa.cli.output import Output

    change_removed(url, token, kind, name, Output(as_json=as_json), readmit=False)


@command(
    "Let somebody in again.",
    "hansa access readmit organization VATES-12345678 --url http://localhost:8101 --token $(cat market/token)",
)
def readmit(
    kind: Kind,
    name: Name,
    url: Annotated[str, typer.Option("--url", help="Address of the marketplace.")] = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Let a subject, an organisation or a credential in again. Needs the operator's token."""
    from hansa.cli.identity.removals import change_removed
    from hansa.cli.output import Output

    change_removed(url, token, kind, name, Output(as_json=as_json), readmit=True)


@command(
    "List who is kept out.",
    "hansa access list http://localhost:8101 --token $(cat market/token)",
    name="list",
)
def list_(url: Url = DEFAULT_URL, token: Token = None, as_json: AsJson = False) -> None:
    """List who is kept out of a marketplace. Needs the operator's token."""
    from hansa.cli.identity.removals import list_removed
    from hansa.cli.output import Output

    list_removed(url, token, Output(as_json=as_json))


ACCESS = CommandGroup("access", "Who is kept out of a marketplace.", (list_, remove, readmit))
