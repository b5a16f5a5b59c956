"""`hansa jades` and `hansa credentials`: verify what somebody outside of the league signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import AsJson
from hansa.core.errors import Code, Refused

if TYPE_CHECKING:
    from hansa.core.certificates import Certificate
    from hansa.identity.jades import JadesDocument

REFUSED: Final = 1
"""Exit status when a credential is refused."""

_Credential = Annotated[
    Path, typer.Argument(metavar="FILE", help="dc+sd-jwt, jwt_vc_json or mso_mdoc, as a wallet has it.")
]
_Anchors = Annotated[
    list[Path] | None,
    typer.Option(
        "--anchors",
        metavar="PATH",
        help="Certificates of authorities: a folder, or a file in PEM or DER; may be repeated.",
    ),
]
_Issuers = Annotated[
    Path | None,
    typer.Option(
        "--issuers",
        metavar="FILE",
        help="Trusted issuers and what they may issue, as in proposals of an issuer. Without it, a chain to an "
        "anchor is enough for any type.",
    ),
]
_AnchoredTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--anchored-type",
        metavar="TYPE",
        help="Type for which a chain to an anchor is enough beside --issuers; may be repeated.",
    ),
]
_Audience = Annotated[
    str | None,
    typer.Option("--audience", metavar="ID", help="Of a presentation: the verifier it must be made for."),
]
_Nonce = Annotated[str | None, typer.Option("--nonce", help="Of a presentation: the nonce of the request.")]
_ResponseUri = Annotated[
    str | None,
    typer.Option("--response-uri", metavar="URL", help="Of a presented mdoc: where its wallet posted it."),
]
_KeyThumbprint = Annotated[
    str | None,
    typer.Option(
        "--key-thumbprint",
        metavar="TEXT",
        help="Of a presented mdoc: SHA-256 thumbprint (RFC 7638) of the key that the answer was encrypted to. "
        "[default: it was not]",
    ),
]
_Power = Annotated[
    str | None,
    typer.Option(
        "--power", metavar="D/F/A", help="Refuse it without this power, as DOME/ProductOffering/Create."
    ),
]
_PrivateNetworks = Annotated[
    bool,
    typer.Option(
        "--allow-private-networks",
        help="Fetch status lists and DID documents from private addresses, and lists over plain http.",
    ),
]


@command("Verify a JAdES signature of others.", "hansa jades event.jws --anchor authority.pem -o event.json")
def jades(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JWS in compact form.")],
    anchor: Annotated[
        list[Path] | None,
        typer.Option(
            "--anchor", metavar="FILE", help="Certificate of an authority, PEM or DER; may be repeated."
        ),
    ] = None,
    league: Annotated[
        str | None,
        typer.Option("--league", metavar="URL", help="Trust the anchors of the league of this marketplace."),
    ] = None,
    did: Annotated[
        str | None, typer.Option("--did", help="Refuse it unless the signer has this DID, a did:elsi.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("-o", "--into", metavar="FILE", help="Write what was signed into this file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify who signed a document, and that nobody changed it: JAdES baseline B, in both of its forms.

    The signer's certificate has to lead to one of the anchors. Exit status 0 means that everything holds now.
    """
    import asyncio

    from hansa.cli.input_files import read_input
    from hansa.cli.output import Output
    from hansa.core.clock import SystemClock, epoch_s, rfc3339_at_ms
    from hansa.identity.jades import JADES_SIZE_MAX_BYTES, verify_jades

    anchors = [one for path in anchor or () for one in read_input(path, _authorities)]
    if league is not None:
        anchors += asyncio.run(_anchors_of(league))
    if not anchors:
        raise Refused(Code.INVALID, "No trust anchor: name one with --anchor, or a league that has some.")
    now_s = epoch_s(SystemClock())

    def verified(raw: bytes) -> JadesDocument:
        text = raw[: JADES_SIZE_MAX_BYTES + 1].decode("utf-8", "replace")
        return verify_jades(text, anchors, now_s)

    document = read_input(file, verified)
    if did is not None and document.did != did:
        raise Refused(
            Code.CERTIFICATE_INVALID, f"It was signed by {document.did or 'nobody with a DID'}, not {did}."
        )
    if into is not None:
        into.write_bytes(document.payload)
    facts = {
        "signed by": document.did or document.chain.leaf.subject.common_name,
        "certificate": document.chain.leaf.fingerprint,
        "trust anchor": document.chain.anchor.fingerprint,
        "signing time (claimed)": rfc3339_at_ms(1000 * document.signed_at_s),
        "algorithm": document.algorithm,
        "content type": document.content_type or "not named",
        "content": f"{len(document.payload):,} bytes",
    }
    output = Output(as_json=as_json)
    output.document(facts) if as_json else output.facts(facts)


def _authorities(content: bytes) -> list[Certificate]:
    """The authorities whose certificates a file holds."""
    from hansa.core.trust.certificates import certificates_of_pem

    return [_authority(raw) for raw in certificates_of_pem(content)]


def _authority(raw: bytes) -> Certificate:
    from hansa.core.certificates import read_anchor

    return read_anchor(raw)


async def _anchors_of(url: str) -> list[Certificate]:
    """The trust anchors of a league, as one of its members reports them."""
    from hansa.cli.client import PatientClient
    from hansa.core.trust.certificates import certificate_bytes

    async with PatientClient(url) as client:
        reports = await client.get("/league/v1/anchors")
    return [_authority(certificate_bytes(str(report["certificate"]))) for report in reports]


@command(
    "Verify a credential, or a presentation of one.",
    "hansa credentials verify credential.txt --anchors anchors/ --issuers issuers.json",
    name="verify",
)
def verify_credential(
    file: _Credential,
    anchors: _Anchors = None,
    issuers: _Issuers = None,
    anchored_type: _AnchoredTypes = None,
    audience: _Audience = None,
    nonce: _Nonce = None,
    response_uri: _ResponseUri = None,
    key_thumbprint: _KeyThumbprint = None,
    power: _Power = None,
    allow_private_networks: _PrivateNetworks = False,
    as_json: AsJson = False,
) -> int:
    """Verify a credential, or a presentation of one, and say step by step what was checked.

    Checked are its form, the signature and whether its issuer is trusted for it, its times, its status, and
    of a presentation that its holder made it for this verifier and this request. Exit status 1 means that it
    is refused.
    """
    from hansa.cli.credentials.report import document_of, facts_of
    from hansa.cli.credentials.verifying import read_session, read_trust_source, verified_file
    from hansa.cli.output import Output
    from hansa.identity.credentials import CredentialRefused

    output = Output(as_json=as_json)
    source = read_trust_source(anchors or (), issuers, anchored_type or (), allow_private_networks)
    try:
        credential = verified_file(
            file, source, audience, nonce, read_session(response_uri, key_thumbprint), power
        )
    except CredentialRefused as refusal:
        if as_json:
            reasons = {"code": str(refusal.code), "message": refusal.message, "steps": refusal.steps}
            output.document({"accepted": False, **reasons})
        else:
            output.facts({f"{number}": step for number, step in enumerate(refusal.steps, 1)})
            output.message(f"{file} is refused: {refusal.message}")
        return REFUSED
    output.document(document_of(credential)) if as_json else output.facts(facts_of(credential))
    return 0


CREDENTIALS: Final = CommandGroup("credentials", "Verify credentials.", (verify_credential,))
