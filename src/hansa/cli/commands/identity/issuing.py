"""`hansa issue`: credentials of employees and machines, for development."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hansa.cli.commands import command
from hansa.cli.options import AsJson, Folder

if TYPE_CHECKING:
    from hansa.cli.issuing import IssuingOrders
    from hansa.cli.output import Output

IssueAction = Literal[
    "employee", "machine", "offers", "withdraw", "list", "revoke", "suspend", "resume", "anchor"
]

_Action = Annotated[
    IssueAction,
    typer.Argument(
        metavar="ACTION",
        help="employee, machine: offer a credential; offers: those that wait; withdraw ID: end one; list: what was "
        "issued; revoke, suspend, resume ID: the status of a credential; anchor: the file that makes others believe "
        "what is issued here.",
    ),
]
_Id = Annotated[str | None, typer.Argument(metavar="[ID]", help="Of an offer, or of a credential.")]
_Organization = Annotated[
    str, typer.Option("--organization", metavar="ID", help="Who gives the mandate, as VATES-12345678.")
]
_OrganizationName = Annotated[
    str, typer.Option("--organization-name", metavar="NAME", help="Its name. [default: its identifier]")
]
_Country = Annotated[
    str,
    typer.Option("--country", metavar="CODE", help="Where it is. [default: the country in its identifier]"),
]
_Name = Annotated[str, typer.Option("--name", help="Of the person, the last name last; or of the service.")]
_Email = Annotated[str, typer.Option("--email", help="Of the person.")]
_Domain = Annotated[str, typer.Option("--domain", metavar="HOST", help="Of the machine.")]
_Power = Annotated[
    list[str] | None,
    typer.Option(
        "--power",
        metavar="FUNCTION:ACTION,…",
        help="What the mandate is for, as ProductOffering:Create,Update; may be repeated.",
    ),
]
_Format = Annotated[
    list[str] | None,
    typer.Option("--format", help="dc+sd-jwt or jwt_vc_json; may be repeated. [default: both]"),
]
_Life = Annotated[str, typer.Option("--valid", metavar="DURATION", help="How long the credential is valid.")]
_Expires = Annotated[str, typer.Option("--expires", metavar="DURATION", help="How long the offer waits.")]


@command(
    "Issue credentials, for development.",
    "hansa issue market employee --organization VATES-12345678 --organization-name GoodAir "
    "--name 'Ana Prueba' --email ana@goodair.example --power ProductOffering:Create,Update",
)
def issue(
    folder: Folder,
    action: _Action,
    id: _Id = None,
    organization: _Organization = "",
    organization_name: _OrganizationName = "",
    country: _Country = "",
    name: _Name = "",
    email: _Email = "",
    domain: _Domain = "",
    power: _Power = None,
    format: _Format = None,
    valid: _Life = "365d",
    expires: _Expires = "24h",
    as_json: AsJson = False,
) -> None:
    """Issue credentials of employees and machines, and revoke them, at a marketplace that has `issuing`.

    An offer is printed as an address for a wallet, and a transaction code that reaches the person on another
    way. Revoking is final; suspending ends with resume. Others take at most a minute to notice.
    """
    from hansa.cli.issuing import IssuingOrders, ordered
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output

    output = Output(as_json=as_json)
    orders = IssuingOrders(folder, CLOCK)
    if action in {"employee", "machine"}:
        order = ordered(
            *(action, organization, organization_name, country, name, email, domain),
            *(power or (), format or (), valid),
        )
        orders.offer(order, expires, output)
    else:
        _on_what_is_there(orders, action, id, output)


def _on_what_is_there(orders: IssuingOrders, action: IssueAction, id: str | None, output: Output) -> None:
    """What is done with offers and credentials that are there."""
    if action == "offers":
        orders.list_offers(output)
    elif action == "list":
        orders.list_credentials(output)
    elif action == "anchor":
        orders.show_anchor(output)
    elif action == "withdraw":
        orders.withdraw(id, output)
    else:
        orders.set_status(id, action, output)
