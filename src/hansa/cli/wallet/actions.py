"""Accepting, listing, presenting and removing credentials of a wallet's folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import typer

from hansa.cli.local import CLOCK, ENTROPY
from hansa.cli.options import confirm
from hansa.cli.output import Output, plain
from hansa.core.clock import rfc3339_at
from hansa.core.errors import Code, Refused
from hansa.core.http import HttpClient
from hansa.identity.credentials import DidKeys, read_anchors
from hansa.identity.wallet import (
    CredentialSummary,
    MatchingCredential,
    OfferAcceptance,
    RequestAnswers,
    VerifierRequest,
    VerifierRequests,
    WalletFolder,
    matches,
    read_offer,
    summary_of,
)
from hansa.node.outbound import OutboundClient

RETURN_ADDRESS: Final = "http://127.0.0.1/hansa-wallet"
"""Where the browser ends that brings a code; nobody listens there."""
HEADINGS = ("id", "holder", "organization", "type", "powers", "ends")


def accept_offer(folder: Path, link: str, tx_code: str, output: Output) -> None:
    """Accept an offer, and show what was added."""
    wallet = WalletFolder(folder)

    async def accepted() -> list[CredentialSummary]:
        async with _client() as http:
            offer = await read_offer(link, http)
            added = await OfferAcceptance(wallet, http, CLOCK, ENTROPY).accept(offer, tx_code)
            return [summary_of(one) for one in added]

    _show(asyncio.run(accepted()), output)


def accept_in_browser(folder: Path, link: str, output: Output) -> None:
    """Accept an offer that somebody approves in a browser, and show what was added.

    The browser is sent to an address of this machine, where nobody listens: its user reads the code there.
    """
    wallet = WalletFolder(folder)

    async def accepted() -> list[CredentialSummary]:
        async with _client() as http:
            acceptance = OfferAcceptance(wallet, http, CLOCK, ENTROPY)
            pending = await acceptance.begin(await read_offer(link, http), RETURN_ADDRESS)
            output.message("Open this in a browser, log in and approve it:")
            typer.echo(plain(pending.address), err=True)  # in one piece, whatever the terminal's width
            returned = await asyncio.to_thread(typer.prompt, "The address where the browser ended", err=True)
            added = await acceptance.finish(pending, str(returned).strip())
            return [summary_of(one) for one in added]

    _show(asyncio.run(accepted()), output)


def show_credentials(folder: Path, output: Output) -> None:
    """Show the credentials of a wallet."""
    _show([summary_of(one) for one in WalletFolder(folder).credentials()], output)


def remove_credential(folder: Path, id: str, output: Output) -> None:
    """Remove a credential with its key."""
    WalletFolder(folder).remove(id)
    output.document({"removed": id}) if output.as_json else output.message("The credential is removed.")


def present_credential(
    folder: Path, link: str, anchors: Iterable[Path], output: Output, *, is_confirmed: bool
) -> None:
    """Answer a request, once its user has seen who asks for what."""
    trusted = tuple(anchor for path in anchors for anchor in read_anchors(path))

    async def presented() -> str:
        async with _client() as http:
            verifiers = VerifierRequests(http, DidKeys(http), trusted, CLOCK, ENTROPY)
            request = await verifiers.read(link)
            chosen = matches(request.dcql, WalletFolder(folder).credentials())
            if not chosen:
                raise Refused(
                    Code.NOT_FOUND, f"No credential in {folder} is one that {request.host} asks for."
                )
            confirm(_question(request, chosen), is_confirmed=is_confirmed)
            return await RequestAnswers(http, CLOCK).present(request, chosen)

    address = asyncio.run(presented())
    if output.as_json:
        output.document({"redirect_uri": address or None})
        return
    output.message("The credential was presented." + (" Go on in the browser that began:" if address else ""))
    if address:
        output.data(address)


def _question(request: VerifierRequest, chosen: Iterable[MatchingCredential]) -> str:
    """Who asks for what, for the person who decides."""
    who = f"{request.name} at {request.host}" if request.name else f"{request.host}, for whom nobody vouches,"
    shown = []
    for match in chosen:
        summary = summary_of(match.held)
        names = f" with {', '.join(match.disclosed)}" if match.disclosed else ""
        shown.append(f"the credential of {summary.holder or 'its holder'} for {summary.organization}{names}")
    return f"{who} asks for {' and '.join(shown)}. It is presented."


def _show(summaries: list[CredentialSummary], output: Output) -> None:
    if output.as_json:
        output.document([msgspec.to_builtins(one) for one in summaries])
        return
    rows = [
        [
            *(one.id, one.holder, one.organization, one.type, "; ".join(one.powers)),
            rfc3339_at(one.end_s) if one.end_s is not None else "",
        ]
        for one in summaries
    ]
    output.table(HEADINGS, rows)


@asynccontextmanager
async def _client() -> AsyncIterator[HttpClient]:
    """The network of the user, who names the addresses: private ones too."""

    async def is_any(_: str) -> bool:
        return True

    client = OutboundClient(is_any, allow_private_networks=True)
    try:
        yield client
    finally:
        await client.close()
