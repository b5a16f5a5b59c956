"""What a login asks wallets for, in the Digital Credentials Query Language (OpenID4VP 1.0, section 6).

One credential query a format, of mdocs one a type, and one set that says that any will do: mandates first,
then the identity documents that are accepted, which have queries of their own as they have other claims. A
credential that a wallet presents has to be one that was asked for: of the format of its query, and of one of
the types in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography import x509

from hansa.core.base64url import to_base64url
from hansa.core.certificates import Certificate
from hansa.core.errors import Code, Refused
from hansa.identity.credentials.formats.jwt_vc import JWT_VC_FORMAT
from hansa.identity.credentials.formats.mdoc import MDOC_FORMAT
from hansa.identity.credentials.formats.sd_jwt import SD_JWT_FORMAT
from hansa.identity.credentials.identity_documents import identity_claims
from hansa.identity.credentials.refusals import CredentialRefused
from hansa.identity.credentials.verifier import CredentialFormat, VerifiedCredential

_FORMATS: Final[Mapping[str, CredentialFormat]] = {
    SD_JWT_FORMAT: "dc+sd-jwt",
    JWT_VC_FORMAT: "jwt_vc_json",
    MDOC_FORMAT: "mso_mdoc",
}
_QUERY_IDS: Final[Mapping[CredentialFormat, str]] = {
    "dc+sd-jwt": "sd_jwt",
    "jwt_vc_json": "jwt_vc",
    "mso_mdoc": "mdoc",
}
_IDENTITY: Final = "identity_"
"""Before the names of queries for identity documents."""
_MANDATE: Final = "mandate"
_W3C_TYPE: Final = "VerifiableCredential"
TYPES_MAX: Final = 32
AUTHORITIES_CACHED_MAX: Final = 1000
TYPE_LENGTH_MAX_CHARS: Final = 256


class AcceptedType(msgspec.Struct, frozen=True):
    """A type of credentials that may be presented."""

    format: CredentialFormat
    type: str
    """`vct` of an SD-JWT VC; a value of `type` of a W3C credential; the document type of an mdoc."""


class _Query(msgspec.Struct, frozen=True):
    """One credential query."""

    id: str
    format: CredentialFormat
    types: tuple[str, ...]
    is_identity: bool = False
    """Whether it is for identity documents; else for mandates."""


def read_accepted_type(text: str) -> AcceptedType:
    """The type that `dc+sd-jwt:eu.europa.ec.eudi.lce.1` or the like names.

    Raises:
        Refused: `Code.INVALID`.
    """
    format_name, _, type_name = text.partition(":")
    is_type = 0 < len(type_name) <= TYPE_LENGTH_MAX_CHARS and type_name.isprintable() and " " not in type_name
    if format_name not in _FORMATS or not is_type:
        raise Refused(
            Code.INVALID, f"{text[:80]!r} is no format with a type, as dc+sd-jwt:eu.europa.ec.eudi.lce.1"
        )
    return AcceptedType(_FORMATS[format_name], type_name)


class PresentationQuery:
    """Asks for one credential of one of several types.

    Args:
        accepted: Mandates, in the order in which they are named.
        authorities: Those of which one issued the certificate of whoever issued the credential, as they are
            now; none: wallets are not told.
        identities: Identity documents, in the formats that they have. One of either at least.
    """

    def __init__(
        self,
        accepted: Iterable[AcceptedType],
        authorities: Callable[[], Sequence[Certificate]] = tuple,
        identities: Iterable[AcceptedType] = (),
    ) -> None:
        queries: dict[str, _Query] = {}
        for is_identity, types in ((False, accepted), (True, identities)):
            for one in types:
                id = _query_id(one.format, queries, is_identity=is_identity)
                before = queries[id].types if id in queries else ()
                queries[id] = _Query(id, one.format, (*before, one.type), is_identity)
        assert queries, "something is asked for"
        self._queries: Final[Mapping[str, _Query]] = queries
        self._authorities = authorities

    def dcql(self, formats: Collection[str] = ()) -> Mapping[str, Any]:
        """As it stands in a request to a wallet that knows some formats; none: it does not say which."""
        names, requested = tuple(map(authority_key_id, self._authorities())), self.formats(formats)
        queries = [one for one in self._queries.values() if one.format in requested]
        return {
            "credentials": [_credential_query(one, names) for one in queries],
            "credential_sets": [{"options": [[one.id] for one in queries]}],
        }

    def formats(self, known: Collection[str] = ()) -> tuple[CredentialFormat, ...]:
        """Those that a wallet is asked for that knows some; all, where it knows none of them."""
        requested = tuple(dict.fromkeys(one.format for one in self._queries.values()))
        return tuple(one for one in requested if one in known) or requested

    def answer(self, vp_token: Any) -> tuple[CredentialFormat, str]:
        """The format of the one presentation in a `vp_token`, and the presentation.

        Raises:
            Refused: `Code.PRESENTATION_MALFORMED`, when it is not one presentation for one of the queries.
        """
        if not isinstance(vp_token, dict) or len(vp_token) != 1:
            raise malformed_response("`vp_token` does not answer exactly one of the credential queries")
        ((query_id, presentations),) = vp_token.items()
        query = self._queries.get(query_id)
        if query is None:
            raise malformed_response("`vp_token` answers a credential query that was not made")
        if not isinstance(presentations, list) or len(presentations) != 1:
            raise malformed_response("`vp_token` does not have a list of exactly one presentation")
        if not isinstance(presentations[0], str) or not presentations[0]:
            raise malformed_response("the presentation is no text")
        return query.format, presentations[0]

    def check(self, credential: VerifiedCredential) -> None:
        """Check that a verified credential is one that was asked for.

        Raises:
            CredentialRefused: `Code.CREDENTIAL_NOT_REQUESTED`.
        """
        requested = {
            type_name
            for query in self._queries.values()
            if query.format == credential.format
            for type_name in query.types
        }
        if requested.isdisjoint(credential.types):
            step = f"{Code.CREDENTIAL_NOT_REQUESTED}: a credential of {', '.join(credential.types)}"
            raise CredentialRefused(Code.CREDENTIAL_NOT_REQUESTED, (*credential.steps, step))


@lru_cache(AUTHORITIES_CACHED_MAX)
def authority_key_id(certificate: Certificate) -> str:
    """How certificates name the key of an authority that issued them (OpenID4VP 1.0, section 6.1.1.1)."""
    authority = x509.load_der_x509_certificate(certificate.raw)
    try:
        named = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except (x509.ExtensionNotFound, ValueError):
        named = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    return to_base64url(named.digest)


def _query_id(format_name: CredentialFormat, queries: Mapping[str, _Query], *, is_identity: bool) -> str:
    """The query to which a type of a format belongs: a query for mdocs has one type alone."""
    id = (_IDENTITY if is_identity else "") + _QUERY_IDS[format_name]
    if format_name != MDOC_FORMAT or id not in queries:
        return id
    alike = ((one.format, one.is_identity) for one in queries.values())
    return f"{id}_{sum(one == (MDOC_FORMAT, is_identity) for one in alike) + 1}"


def _credential_query(one: _Query, authorities: Sequence[str]) -> Mapping[str, Any]:
    format_name, types = one.format, one.types
    query: dict[str, Any] = {"id": one.id, "format": format_name}
    if authorities:
        query["trusted_authorities"] = [{"type": "aki", "values": list(authorities)}]
    if one.is_identity:
        claims = [{"path": list(path)} for path in identity_claims(format_name, types[0])]
        return query | {"meta": _type_meta(format_name, types), "claims": claims}
    if format_name == SD_JWT_FORMAT:
        # Without `claims`, wallets would disclose nothing that may be hidden.
        return query | {"meta": _type_meta(format_name, types), "claims": [{"path": [_MANDATE]}]}
    if format_name == MDOC_FORMAT:
        claims = [{"path": [types[0], _MANDATE]}]
        return query | {"meta": _type_meta(format_name, types), "claims": claims}
    return query | {"meta": _type_meta(format_name, types)}


def _type_meta(format_name: CredentialFormat, types: tuple[str, ...]) -> Mapping[str, Any]:
    if format_name == SD_JWT_FORMAT:
        return {"vct_values": list(types)}
    if format_name == MDOC_FORMAT:
        (doctype,) = types
        return {"doctype_value": doctype}
    return {"type_values": [[_W3C_TYPE, one] for one in types]}


def malformed_response(what: str) -> Refused:
    """The refusal of a wallet's answer that cannot be read; `what` is for the operator."""
    return Refused(Code.PRESENTATION_MALFORMED, what)
