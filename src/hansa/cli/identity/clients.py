"""Registers, lists and removes clients of the OpenID Provider, in the file of a marketplace's folder.

A secret is shown once, by the command that draws it; the file has a digest of it, and lists have neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.cli.durations import duration_text
from hansa.cli.input_files import read_input
from hansa.cli.local import ENTROPY
from hansa.cli.output import Output
from hansa.core.bounded_json import read_object
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.identity.provider.clients.records import TOKEN_EXCHANGE, ClientRecord, check_client
from hansa.identity.provider.clients.registry import read_clients, write_clients
from hansa.identity.provider.clients.secrets import new_client_secret, with_rotated_secret
from hansa.node.folder import CLIENTS
from hansa.node.settings.loading import load_settings

GRANTS: Final = {"token-exchange": TOKEN_EXCHANGE}
"""Short names of grant types."""
OVERLAP_MAX_S: Final = 2_592_000
"""How long a secret that was rotated stays good at most: 30 days."""


class ClientOptions(msgspec.Struct, frozen=True):
    """What a command line says of a client."""

    client_id: str
    name: str = ""
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    jwks: Path | None = None
    jwks_uri: str = ""
    roles: tuple[str, ...] = ()
    signing_algorithm: str = "RS256"
    has_to_push: bool = False
    is_bound: bool = False
    secret_method: str = ""
    """`client_secret_basic` or `client_secret_post`; empty: it has no secret."""
    needs_pkce: bool = True


def add_client(folder: Path, options: ClientOptions, output: Output) -> None:
    """Register a client, or register it anew; one that has a secret, and is to have one still, keeps it.

    Raises:
        Refused: `Code.INVALID`, when it cannot be registered.
        Fatal: A file cannot be read or written.
    """
    load_settings(folder, {})
    path = folder / CLIENTS
    clients = read_clients(path)
    before = next((one for one in clients if one.client_id == options.client_id), None)
    client, secret = _record(options, before)
    check_client(client)
    write_clients(path, [*(one for one in clients if one is not before), client])
    if output.as_json:
        output.document(_shown(client, secret))
        return
    output.message(f"{client.client_id} is registered in {path}; {_kind(client)}.")
    if secret:
        _show_secret(secret, output)


def rotate_secret(folder: Path, client_id: str, overlap_s: float, output: Output, clock: Clock) -> None:
    """Draw a further secret for a client, and let the one before it be good for a while longer.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is no such client; `Code.INVALID`, when it has no secret, or the
            overlap is too long.
        Fatal: The file cannot be read or written.
    """
    load_settings(folder, {})
    if not 0 <= overlap_s <= OVERLAP_MAX_S:
        raise Refused(Code.INVALID, "A secret that was rotated stays good for 30 days at most.")
    path = folder / CLIENTS
    clients = read_clients(path)
    client = _registered(clients, client_id, path)
    if not client.client_secrets:
        raise Refused(Code.INVALID, f"{client_id} has no secret: it signs, or is public.")
    secret, retained = new_client_secret(client_id, ENTROPY)
    rotated = with_rotated_secret(client, retained, epoch_s(clock), int(overlap_s))
    write_clients(path, [*(one for one in clients if one is not client), rotated])
    if output.as_json:
        output.document(_shown(rotated, secret))
        return
    until = f"good for another {duration_text(overlap_s)}" if overlap_s >= 1 else "good no more"
    output.message(f"{client_id} has a new secret; the one before it is {until}.")
    _show_secret(secret, output)


def list_clients(folder: Path, output: Output) -> None:
    """Show the clients of a marketplace.

    Raises:
        Fatal: The file cannot be read.
    """
    load_settings(folder, {})
    clients = read_clients(folder / CLIENTS)
    if output.as_json:
        output.document({"clients": [_shown(one) for one in clients]})
        return
    rows = [
        (one.client_id, one.client_name, _kind(one), " ".join(one.scopes), "\n".join(one.redirect_uris))
        for one in clients
    ]
    output.table(("client", "name", "kind", "scopes", "redirect URIs"), rows)


def remove_client(folder: Path, client_id: str, output: Output) -> None:
    """Remove a client.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is none.
        Fatal: The file cannot be read or written.
    """
    load_settings(folder, {})
    path = folder / CLIENTS
    clients = read_clients(path)
    client = _registered(clients, client_id, path)
    write_clients(path, [one for one in clients if one is not client])
    if output.as_json:
        output.document({"removed": client_id})
    else:
        output.message(f"{client_id} is no client any more; its tokens are of no use.")


def _registered(clients: tuple[ClientRecord, ...], client_id: str, path: Path) -> ClientRecord:
    client = next((one for one in clients if one.client_id == client_id), None)
    if client is None:
        raise Refused(Code.NOT_FOUND, f"{path} has no client {client_id!r}: see `hansa clients list`.")
    return client


def _kind(client: ClientRecord) -> str:
    """How a client proves who it is, for operators."""
    pkce = "" if client.require_pkce else ", may do without PKCE"
    if client.token_endpoint_auth_method is not None:
        return f"confidential, by a secret ({client.token_endpoint_auth_method}){pkce}"
    return f"confidential, by keys (private_key_jwt){pkce}" if client.has_keys else "public, with PKCE"


def _shown(client: ClientRecord, secret: str = "") -> dict[str, Any]:
    """A client as JSON: a secret that was drawn just now, and no digest of any."""
    document: dict[str, Any] = msgspec.to_builtins(client)
    document.pop("client_secrets", None)
    return document | {"client_secret": secret} if secret else document


def _show_secret(secret: str, output: Output) -> None:
    output.message(
        "This is its secret (client_secret). It is shown this once; keep it where secrets are kept:"
    )
    output.data(secret)


def _record(options: ClientOptions, before: ClientRecord | None) -> tuple[ClientRecord, str]:
    """What is registered, and the secret that was drawn for it; empty: none was."""
    fields: dict[str, Any] = {
        "client_id": options.client_id,
        "client_name": options.name,
        "redirect_uris": options.redirect_uris,
        "post_logout_redirect_uris": options.post_logout_redirect_uris,
        "jwks_uri": options.jwks_uri,
        "roles": options.roles,
        "id_token_signed_response_alg": options.signing_algorithm,
        "require_pushed_authorization_requests": options.has_to_push,
        "dpop_bound_access_tokens": options.is_bound,
        "token_endpoint_auth_method": options.secret_method or None,
        "require_pkce": options.needs_pkce,
    }
    if options.scopes:
        fields["scopes"] = options.scopes
    if options.grants:
        fields["grant_types"] = tuple(GRANTS.get(one, one) for one in options.grants)
    if options.jwks is not None:
        fields["jwks"] = read_input(options.jwks, lambda content: read_object(content, Limits()))
    try:
        client = msgspec.convert(fields, ClientRecord)
    except msgspec.ValidationError as error:
        raise Refused(Code.INVALID, f"This client cannot be registered: {error}.") from error
    if client.token_endpoint_auth_method is None:
        return client, ""
    if before is not None and before.client_secrets:
        return msgspec.structs.replace(client, client_secrets=before.client_secrets), ""
    secret, retained = new_client_secret(client.client_id, ENTROPY)
    return msgspec.structs.replace(client, client_secrets=(retained,)), secret
