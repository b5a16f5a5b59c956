"""`hansa organizations`: who registered with a marketplace, and what its operator decides."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import AsJson, Folder

_Organization = Annotated[
    str, typer.Argument(metavar="ID", help="Identifier of the organisation, as VATES-12345678.")
]
_State = Annotated[
    Literal["waiting", "approved", "removed"] | None, typer.Option("--state", help="Only those.")
]


@command(
    "List the organisations that registered.", "hansa organizations list market --state waiting", name="list"
)
def list_organizations(folder: Folder, state: _State = None, as_json: AsJson = False) -> None:
    """List the organisations that registered with a marketplace that runs, the oldest first."""
    from hansa.cli.output import Output
    from hansa.cli.registrations import show_organizations

    show_organizations(folder, state, Output(as_json=as_json))


@command("Approve an organisation.", "hansa organizations approve market VATES-12345678")
def approve(folder: Folder, organization: _Organization, as_json: AsJson = False) -> None:
    """Approve an organisation: it becomes an entity (TMF632) with its roles (TMF669).

    One that was removed is let in again.
    """
    from hansa.cli.output import Output
    from hansa.cli.registrations import decide

    decide(folder, organization, "approve", Output(as_json=as_json))


@command("Remove an organisation.", "hansa organizations remove market VATES-12345678")
def remove(folder: Folder, organization: _Organization, as_json: AsJson = False) -> None:
    """Remove an organisation: its sessions and tokens end at once, and nobody of it logs in any more.

    What it published stays.
    """
    from hansa.cli.output import Output
    from hansa.cli.registrations import decide

    decide(folder, organization, "remove", Output(as_json=as_json))


ORGANIZATIONS: Final = CommandGroup(
    "organizations", "Organisations that registered.", (list_organizations, approve, remove)
)
