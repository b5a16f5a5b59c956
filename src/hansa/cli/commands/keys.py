"""`hansa keys show` and `hansa keys rotate`: the keys of a marketplace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import AsJson, Folder
from hansa.core.errors import Code, Refused

if TYPE_CHECKING:
    from hansa.cli.output import Output

KeyName = Literal["token", "member", "node", "validator"]
BOUND_BY_LEAGUE = {
    "node": "Its id is registered on the ledger; with another key the other members' engines refuse this one.",
    "validator": "The league's set of validators names it; with another key this validator's votes count for "
    "nothing.",
}


@command("Show a marketplace's keys, without secrets.", "hansa keys show market")
def show(folder: Folder, as_json: AsJson = False) -> None:
    """Show the keys of a marketplace: names, algorithms, thumbprints, node id, validator address; no secrets.

    Changes nothing; can be run while the marketplace runs.
    """
    from hansa.cli.keys.public import facts_of_keys, public_keys
    from hansa.cli.output import Output

    output = Output(as_json=as_json)
    keys = public_keys(folder)
    output.document(keys) if as_json else output.facts(facts_of_keys(keys))


@command("Replace a key.", "hansa keys rotate market --key member --overlap 1h")
def rotate(
    folder: Folder,
    key: Annotated[
        KeyName,
        typer.Option(
            "--key",
            help="token, the key that signs the API's tokens, of a stopped marketplace; member, the key that signs events "
            "and requests, of one that runs; the others are refused.",
        ),
    ] = "token",
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            metavar="DURATION",
            help="How long the member's key before stays valid; 0s when it leaked.",
        ),
    ] = "1h",
    as_json: AsJson = False,
) -> None:
    """Replace a key.

    token: the marketplace is stopped. All tokens issued so far end; the operator's token in the folder is
    issued again.

    member: the marketplace runs. It states its new key on the ledger, with proof that it has it, and signs
    with it without a restart. The key before stays valid for the overlap; what it signed stays verifiable.

    Those of node and validator take a vote of the league (`hansa league propose`): exit status 1, and
    nothing is changed.
    """
    from hansa.cli.output import Output
    from hansa.node.settings.loading import load_settings

    output = Output(as_json=as_json)
    load_settings(folder, {})
    if key == "member":
        from hansa.cli.keys.rotating import rotate_member_key

        rotate_member_key(folder, overlap, output)
    elif key == "token":
        _rotate_token_key(folder, output)
    else:
        raise Refused(
            Code.NOT_IMPLEMENTED,
            f"The key of the {key} cannot be replaced by this marketplace alone. {BOUND_BY_LEAGUE[key]} If it leaked: "
            "SECURITY.md says what to do.",
        )


def _rotate_token_key(folder: Path, output: Output) -> None:
    from hansa.node.folder import TOKEN, TOKEN_KEY, rotate_token_key

    made = rotate_token_key(folder)
    if output.as_json:
        output.document({"key": "token", "kid": made.kid, "algorithm": made.public.algorithm})
        return
    output.facts({"key": str(folder / TOKEN_KEY), "kid": made.kid, "algorithm": made.public.algorithm})
    output.message(
        f"All tokens issued so far have ended; the operator's in {folder / TOKEN} was issued again, if there "
        "was a valid one. Issue the others again with `hansa token`."
    )


@command(
    "Request a certificate for a member's key.",
    'hansa keys request market --organization "GoodAir S.L." --country ES -o market.csr',
)
def request(
    folder: Folder,
    organization: Annotated[str, typer.Option("--organization", help="Registered name of the organization.")],
    country: Annotated[str, typer.Option("--country", help="Its country: two letters.")],
    into: Annotated[
        Path | None, typer.Option("-o", "--into", metavar="FILE", help="Write the request into this file.")
    ] = None,
    is_next: Annotated[
        bool,
        typer.Option("--next", help="For the key that is to take the place of the present one."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Request a certificate for seals for a member's key from an authority (PKCS #10, PEM).

    For a marketplace whose DID is a did:elsi; the request names its organization identifier. The key stays in
    the folder.
    """
    from hansa.cli.output import Output
    from hansa.node.joining.certificates import certificate_request

    output = Output(as_json=as_json)
    pem = certificate_request(folder, organization, country, is_next=is_next)
    if into is not None:
        into.write_bytes(pem)
    if as_json:
        output.document({"request": pem.decode("ascii")})
    elif into is None:
        output.data(pem.decode("ascii").rstrip())


@command("Register the certificate of a member's key.", "hansa keys certify market chain.pem")
def certify(
    folder: Folder,
    chain: Annotated[
        Path, typer.Argument(metavar="CHAIN", help="Certificate of the key and those above it, PEM.")
    ],
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            metavar="DURATION",
            help="How long the key before stays valid, when the certificate is for the next one.",
        ),
    ] = "1h",
    as_json: AsJson = False,
) -> None:
    """Put the certificate of a newcomer's key into its candidacy, or register that of a member's key.

    The marketplace of a member runs. A certificate for its present key takes the place of the one before; one
    for the next key (`hansa keys request --next`) replaces the key.

    The file has the certificate of the key first, then those of the authorities above it; the trust anchor of
    the league is not among them.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.core.files import is_missing, read_file
    from hansa.core.trust.certificates import certificates_of_pem
    from hansa.node.folder import LEDGER_STATE
    from hansa.node.joining.certificates import certify_candidacy

    output = Output(as_json=as_json)
    certificates = certificates_of_pem(read_file(chain, "Name an existing file."))
    if not is_missing(folder / LEDGER_STATE):
        from hansa.cli.keys.certifying import certify_member_key

        certify_member_key(folder, certificates, overlap, output)
        return
    path = certify_candidacy(folder, certificates, int(CLOCK.now().timestamp()))
    if as_json:
        output.document({"candidacy": str(path)})
    else:
        output.message(f"{path} has the certificate. Send it to a member, who proposes it.")


KEYS = CommandGroup("keys", "The keys of a marketplace.", (show, rotate, request, certify))
