"""`hansa keys show` and `hansa keys rotate`: the keys of a marketplace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import AsJson, Folder

if TYPE_CHECKING:
    from hansa.cli.output import Output

SealAlgorithm = Literal["PS256", "RS256"]
SEAL_ALGORITHM_OPTION = typer.Option("--seal-algorithm", help="By which the seal signs (RFC 7518).")
Power = Annotated[
    int | None,
    typer.Option(
        "--power",
        metavar="N",
        help="Voting power of the validator's new key. [default: that of the key before]",
    ),
]
Note = Annotated[
    str, typer.Option("--note", help="Why the validator gets another key, for the other members.")
]
Expires = Annotated[
    str, typer.Option("--expires", metavar="DURATION", help="How long the validator's key can be voted on.")
]
IsNext = Annotated[
    bool, typer.Option("--next", help="For the key that is to take the place of the present one.")
]
KeyName = Literal["token", "provider", "member", "agreement", "node", "validator"]
RotatedKey = Annotated[
    KeyName,
    typer.Option(
        "--key",
        help="token, the key that signs the API's tokens, of a stopped marketplace; of one that runs: provider, the keys "
        "of the OpenID Provider; member, the "
        "key that signs events and requests; agreement, for which the others seal what is confidential; node, that of its engine on the network; validator, that signs blocks.",
    ),
]


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
    key: RotatedKey = "token",
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            metavar="DURATION",
            help="How long the member's key before stays valid; 0s when it leaked.",
        ),
    ] = "1h",
    power: Power = None,
    note: Note = "",
    expires: Expires = "7d",
    as_json: AsJson = False,
) -> None:
    """Replace a key.

    token: the marketplace is stopped. All tokens issued so far end; the operator's token in the folder is
    issued again.

    provider: the keys with which the OpenID Provider signs. The new ones are published at once and sign ten
    minutes later, when clients have met them; the ones before are published for another day. Running or not.

    member: the marketplace runs. It states its new key on the ledger, with proof that it has it, and signs
    with it without a restart. The key before stays valid for the overlap; what it signed stays verifiable.

    agreement: the marketplace runs. It states the key for which the others seal confidential events from now
    on; the marketplace reads what was sealed for the key before, too. A folder without one gets its first.

    node: the marketplace runs. It registers a second key of its engine, its engine is started with that, and
    the key before is registered no more. The engine is away for some seconds.

    validator: the marketplace runs. It proposes that its voting power belong to another key, and prints the
    hash of the proposal. When the league agrees, the key before loses its power for ever, and the engine is
    started with the new one: two keys never sign. Also for a validator that lost its power (--power).

    Interrupted, each goes on with the same new key when the command is run again.
    """
    from hansa.cli.output import Output
    from hansa.node.settings.loading import load_settings

    output = Output(as_json=as_json)
    load_settings(folder, {})
    if key == "member":
        from hansa.cli.keys.rotating import rotate_member_key

        rotate_member_key(folder, overlap, output)
    elif key == "agreement":
        from hansa.cli.keys.rotating import rotate_agreement_key

        rotate_agreement_key(folder, output)
    elif key == "token":
        _rotate_token_key(folder, output)
    elif key == "provider":
        _rotate_provider_keys(folder, output)
    elif key == "node":
        from hansa.cli.keys.engine_keys import rotate_node_key

        rotate_node_key(folder, output)
    else:
        from hansa.cli.keys.engine_keys import rotate_validator_key

        rotate_validator_key(folder, power, expires, note, output)


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


def _rotate_provider_keys(folder: Path, output: Output) -> None:
    from hansa.cli.local import CLOCK
    from hansa.core.clock import epoch_s
    from hansa.identity.provider.tokens.signing_keys import PUBLISHED_BEFORE_S, rotate_signing_keys
    from hansa.node.folder import PROVIDER_KEYS

    names = rotate_signing_keys(folder / PROVIDER_KEYS, epoch_s(CLOCK))
    if output.as_json:
        output.document({"key": "provider", "kids": names, "signs_in_s": PUBLISHED_BEFORE_S})
        return
    output.facts({"key": str(folder / PROVIDER_KEYS), "kids": " ".join(names)})
    output.message("They are published, and sign ten minutes after they were made. Nobody is logged out.")


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
    is_next: IsNext = False,
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


@command(
    "Write what a seal with an RSA key signs for a member's key.", "hansa keys seal market -o market.tosign"
)
def seal(
    folder: Folder,
    into: Annotated[
        Path, typer.Option("-o", "--into", metavar="FILE", help="Write the bytes to sign into this file.")
    ],
    algorithm: Annotated[SealAlgorithm, SEAL_ALGORITHM_OPTION] = "RS256",
    is_next: IsNext = False,
    as_json: AsJson = False,
) -> None:
    """Write what the seal of a legal person signs, once, to say that a marketplace's key is its own.

    Seals mostly have RSA keys, in modules of their providers: they sign nothing on the ledger. Have the
    provider sign the file: RS256 is RSASSA-PKCS1-v1_5 with SHA-256, PS256 is RSASSA-PSS with SHA-256 and a
    salt of 32 bytes. Then: hansa keys certify D CHAIN --seal SIGNATURE.
    """
    from hansa.cli.output import Output
    from hansa.core.files import is_missing, write_file
    from hansa.node.folder import LEDGER_STATE

    output = Output(as_json=as_json)
    if is_missing(folder / LEDGER_STATE):
        from hansa.node.joining.certificates import candidacy_seal_input

        content = candidacy_seal_input(folder, algorithm)
    else:
        from hansa.cli.keys.certifying import seal_input_of_member

        content = seal_input_of_member(folder, algorithm, is_next=is_next)
    write_file(into, content)
    if as_json:
        output.document({"file": str(into), "algorithm": algorithm, "size_bytes": len(content)})
    else:
        output.message(
            f"{into}: have the seal sign these {len(content)} bytes ({algorithm}). With a key in a file: "
            f"openssl dgst -sha256 -sign seal.key -out {into}.sig {into}"
        )


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
    seal_signature: Annotated[
        Path | None,
        typer.Option(
            "--seal",
            metavar="FILE",
            help="Signature of a seal with an RSA key over what `hansa keys seal` wrote.",
        ),
    ] = None,
    algorithm: Annotated[SealAlgorithm, SEAL_ALGORITHM_OPTION] = "RS256",
    as_json: AsJson = False,
) -> None:
    """Put the certificate of a newcomer's key into its candidacy, or register that of a member's key.

    The marketplace of a member runs. A certificate for its present key takes the place of the one before; one
    for the next key (`hansa keys request --next`) replaces the key.

    The file has the certificate of the key first, then those of the authorities above it; the trust anchor of
    the league is not among them. With --seal, the first certificate is that of a seal with an RSA key, which
    signed that the key is its owner's.
    """
    from hansa.cli.input_files import read_input
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.core.clock import epoch_s
    from hansa.core.files import is_missing
    from hansa.core.trust.certificates import certificates_of_pem
    from hansa.node.folder import LEDGER_STATE
    from hansa.node.joining.certificates import certify_candidacy

    output = Output(as_json=as_json)
    certificates = read_input(chain, certificates_of_pem)
    signature = None if seal_signature is None else read_input(seal_signature, bytes)
    if not is_missing(folder / LEDGER_STATE):
        from hansa.cli.keys.certifying import certify_member_key

        certify_member_key(folder, certificates, overlap, output, signature, algorithm)
        return
    signed_at_s = epoch_s(CLOCK)
    path = certify_candidacy(folder, certificates, signed_at_s, signature, algorithm)
    if as_json:
        output.document({"candidacy": str(path)})
    else:
        output.message(f"{path} has the certificate. Send it to a member, who proposes it.")


KEYS = CommandGroup("keys", "The keys of a marketplace.", (show, rotate, request, seal, certify))
