"""Registers, lists and removes clients of the OpenID Provider, in the file of a marketplace's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.cli.input_files import read_input
from hansa.cli.output import Output
from hansa.core.bounded_json import read_object
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.identity.provider.clients.records import TOKEN_EXCHANGE, ClientRecord, check_client
from hansa.identity.provider.clients.registry import read_clients, write_clients
from hansa.node.folder import CLIENTS
from hansa.node.settings.loading import load_settings

GRANTS: Final = {"token-exchange": TOKEN_EXCHANGE}
"""Short names of grant types."""


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


def add_client(folder: Path, options: ClientOptions, output: Output) -> None:
    """Register a client, or register it anew.

    Raises:
        Refused: `Code.INVALID`, when it cannot be registered.
        Fatal: A file cannot be read or written.
    """
    load_settings(folder, {})
    client = _record(options)
    check_client(client)
    path = folder / CLIENTS
    others = [one for one in read_clients(path) if one.client_id != client.client_id]
    write_clients(path, [*others, client])
    if output.as_json:
        output.document(client)
        return
    kind = "confidential: it signs what it asks for" if client.is_confidential else "public: it uses PKCE"
    output.message(f"{client.client_id} is registered in {path}; {kind}.")


def list_clients(folder: Path, output: Output) -> None:
    """Show the clients of a marketplace.

    Raises:
        Fatal: The file cannot be read.
    """
    load_settings(folder, {})
    clients = read_clients(folder / CLIENTS)
    if output.as_json:
        output.document({"clients": clients})
        return
    rows = [
        (
            one.client_id,
            one.client_name,
            "confidential" if one.is_confidential else "public",
            " ".join(one.scopes),
            "\n".join(one.redirect_uris),
        )
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
    others = [one for one in clients if one.client_id != client_id]
    if len(others) == len(clients):
        raise Refused(Code.NOT_FOUND, f"{path} has no client {client_id!r}: see `hansa clients list`.")
    write_clients(path, others)
    if output.as_json:
        output.document({"removed": client_id})
    else:
        output.message(f"{client_id} is no client any more; its tokens are of no use.")


def _record(options: ClientOptions) -> ClientRecord:
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
    }
    if options.scopes:
        fields["scopes"] = options.scopes
    if options.grants:
        fields["grant_types"] = tuple(GRANTS.get(one, one) for one in options.grants)
    if options.jwks is not None:
        fields["jwks"] = read_input(options.jwks, lambda content: read_object(content, Limits()))
    try:
        return msgspec.convert(fields, ClientRecord)
    except msgspec.ValidationError as error:
        raise Refused(Code.INVALID, f"This client cannot be registered: {error}.") from error
