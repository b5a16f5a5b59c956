"""`hansa clients`: which applications may log people in with this marketplace, or act by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import AsJson, Folder

ClientId = Annotated[str, typer.Argument(metavar="CLIENT", help="The client_id.")]


Name = Annotated[str, typer.Option("--name", help="What it is called, for people.")]
RedirectUris = Annotated[
    list[str] | None,
    typer.Option(
        "--redirect-uri",
        metavar="URI",
        help="Where browsers return after a login, compared as a text: https, or http on this machine; may be "
        "repeated.",
    ),
]
PostLogoutRedirectUris = Annotated[
    list[str] | None,
    typer.Option(
        "--post-logout-redirect-uri",
        metavar="URI",
        help="Where browsers return after a logout; may be repeated.",
    ),
]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        help="What it may request: openid, profile, email, read, write, learcredential, operate, offline_access; "
        "may be repeated. [default: openid, profile, email, read, offline_access]",
    ),
]
Grants = Annotated[
    list[str] | None,
    typer.Option(
        "--grant",
        help="authorization_code, refresh_token, client_credentials or token-exchange; may be repeated. "
        "[default: the first two]",
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option("--jwks", metavar="FILE", help="Its public keys (a JSON Web Key Set): it is confidential."),
]
KeysAddress = Annotated[
    str, typer.Option("--jwks-uri", metavar="URL", help="Where it has its public keys: https.")
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        help="What it may do in its own name, without a credential: reader, provider or operator; may be repeated.",
    ),
]
SigningAlgorithm = Annotated[
    str, typer.Option("--id-token-alg", help="With which its ID tokens are signed: RS256 or ES256.")
]
HasToPush = Annotated[bool, typer.Option("--par", help="Take pushed requests of it alone (RFC 9126).")]
SecretMethod = Annotated[
    str,
    typer.Option(
        "--secret",
        metavar="METHOD",
        help="Draw a secret for it, for software that cannot sign; how it shows that: client_secret_basic or "
        "client_secret_post.",
    ),
]
DoesWithoutPkce = Annotated[
    bool,
    typer.Option("--without-pkce", help="Take requests of it, a confidential client, without PKCE too."),
]
Overlap = Annotated[
    str,
    typer.Option(
        "--overlap",
        metavar="DURATION",
        help="How long the present secret stays good, as 1h or 7d; 0s when it leaked.",
    ),
]
IsBound = Annotated[
    bool, typer.Option("--dpop", help="Issue tokens to it that are bound to its key alone (RFC 9449).")
]


@command(
    "Register an OpenID client.",
    "hansa clients add market shop --redirect-uri https://shop.example/callback --jwks shop-keys.json",
)
def add(
    folder: Folder,
    client_id: ClientId,
    name: Name = "",
    redirect_uri: RedirectUris = None,
    post_logout_redirect_uri: PostLogoutRedirectUris = None,
    scope: Scopes = None,
    grant: Grants = None,
    jwks: Keys = None,
    jwks_uri: KeysAddress = "",
    role: Roles = None,
    signing_algorithm: SigningAlgorithm = "RS256",
    par: HasToPush = False,
    dpop: IsBound = False,
    secret: SecretMethod = "",
    without_pkce: DoesWithoutPkce = False,
    as_json: AsJson = False,
) -> None:
    """Register an OpenID client, or register it anew with what is said here.

    Without keys it is public, as an application in a browser or on a telephone. With keys it is confidential
    and signs whatever it asks for (private_key_jwt): prefer that. A secret is for software that cannot sign:
    it is shown once, and a client that is registered anew keeps it. A marketplace that runs notices a change
    within seconds.
    """
    from hansa.cli.identity.clients import ClientOptions, add_client
    from hansa.cli.output import Output

    options = ClientOptions(
        client_id=client_id,
        name=name,
        redirect_uris=tuple(redirect_uri or ()),
        post_logout_redirect_uris=tuple(post_logout_redirect_uri or ()),
        scopes=tuple(scope or ()),
        grants=tuple(grant or ()),
        jwks=jwks,
        jwks_uri=jwks_uri,
        roles=tuple(role or ()),
        signing_algorithm=signing_algorithm,
        has_to_push=par,
        is_bound=dpop,
        secret_method=secret,
        needs_pkce=not without_pkce,
    )
    add_client(folder, options, Output(as_json=as_json))


@command("List the OpenID clients.", "hansa clients list market", name="list")
def list_(folder: Folder, as_json: AsJson = False) -> None:
    """List the OpenID clients of a marketplace."""
    from hansa.cli.identity.clients import list_clients
    from hansa.cli.output import Output

    list_clients(folder, Output(as_json=as_json))


@command("Remove an OpenID client.", "hansa clients remove market shop")
def remove(folder: Folder, client_id: ClientId, as_json: AsJson = False) -> None:
    """Remove an OpenID client: its tokens are of no use from then on.

    A marketplace that runs notices it within seconds.
    """
    from hansa.cli.identity.clients import remove_client
    from hansa.cli.output import Output

    remove_client(folder, client_id, Output(as_json=as_json))


@command("Rotate the secret of an OpenID client.", "hansa clients rotate market shop --overlap 7d")
def rotate(folder: Folder, client_id: ClientId, overlap: Overlap = "1d", as_json: AsJson = False) -> None:
    """Draw a further secret for an OpenID client that has one, and show it once.

    The present one stays good for the overlap, so that the client can be changed meanwhile; one before that
    is good no more. A marketplace that runs notices it within seconds.
    """
    from hansa.cli.durations import seconds_of
    from hansa.cli.identity.clients import rotate_secret
    from hansa.cli.output import Output
    from hansa.core.clock import SystemClock

    rotate_secret(folder, client_id, seconds_of(overlap), Output(as_json=as_json), SystemClock())


CLIENTS = CommandGroup(
    "clients", "Applications that log people in with this marketplace.", (add, list_, rotate, remove)
)
