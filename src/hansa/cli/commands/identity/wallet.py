"""`hansa wallet`: the wallet for development."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import AsJson, Yes

_Wallet = Annotated[
    Path,
    typer.Option(
        "--folder", metavar="FOLDER", help="Of the wallet; readable by its owner alone.", readable=False
    ),
]
_Anchors = Annotated[
    list[Path] | None,
    typer.Option(
        "--anchors",
        metavar="PATH",
        help="Certificates of authorities for verifiers: a folder, or a file; may be repeated. Without them any "
        "verifier is answered, and nobody vouches for it.",
    ),
]


@command(
    "Accept an offer of credentials.",
    "hansa wallet accept 'openid-credential-offer://…' --tx-code 123456 --folder wallet/ana",
)
def accept(
    offer: Annotated[
        str, typer.Argument(metavar="OFFER", help="Link of the offer, as `hansa issue` prints it.")
    ],
    folder: _Wallet,
    tx_code: Annotated[
        str, typer.Option("--tx-code", metavar="CODE", help="Transaction code that came with the offer.")
    ] = "",
    browser: Annotated[
        bool,
        typer.Option(
            "--browser",
            help="Have the offer approved in a browser, by the person that it is for or by an operator, in place of the code.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Accept an offer of credentials (OpenID4VCI 1.0), each with a new key. For development.

    With `--browser` it prints an address that is to be opened, and asks for the one where the browser ends.
    """
    from hansa.cli.output import Output
    from hansa.cli.wallet import accept_in_browser, accept_offer

    if browser:
        accept_in_browser(folder, offer, Output(as_json=as_json))
        return
    accept_offer(folder, offer, tx_code, Output(as_json=as_json))


@command("List the credentials of a wallet.", "hansa wallet list --folder wallet/ana", name="list")
def list_credentials(folder: _Wallet, as_json: AsJson = False) -> None:
    """List the credentials in the folder: whose, for which organisation, for what. For development."""
    from hansa.cli.output import Output
    from hansa.cli.wallet import show_credentials

    show_credentials(folder, Output(as_json=as_json))


@command("Present a credential to whoever asks.", "hansa wallet present 'openid4vp://…' --folder wallet/ana")
def present(
    request: Annotated[
        str, typer.Argument(metavar="REQUEST", help="Link of the request, as a login page has it.")
    ],
    folder: _Wallet,
    anchors: _Anchors = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Answer a verifier's request (OpenID4VP 1.0) with a credential of the folder. For development.

    The request is verified first, and shown: who asks, and what is disclosed. Then it asks whether to go on.
    Prints where the browser goes on.
    """
    from hansa.cli.output import Output
    from hansa.cli.wallet import present_credential

    present_credential(folder, request, anchors or (), Output(as_json=as_json), is_confirmed=yes)


@command("Remove a credential.", "hansa wallet remove 3f9a1c0d2b4e5f60 --folder wallet/ana")
def remove(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `hansa wallet list` shows it.")],
    folder: _Wallet,
    as_json: AsJson = False,
) -> None:
    """Remove a credential with its key from the folder. For development."""
    from hansa.cli.output import Output
    from hansa.cli.wallet import remove_credential

    remove_credential(folder, id, Output(as_json=as_json))


WALLET: Final = CommandGroup(
    "wallet", "A wallet for development.", (accept, list_credentials, present, remove)
)
