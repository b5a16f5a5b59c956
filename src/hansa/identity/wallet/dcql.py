"""Which credentials answer a query, and what of them is disclosed (DCQL; OpenID4VP 1.0, section 6).

A query asks for credentials of a format and a type, perhaps with claims; sets of queries say which of them
together will do. The first option that can be answered is taken, with the newest credential that fits.
A claim that names an object is answered with everything in it. Without claims nothing is disclosed that may
be withheld.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from cryptography import x509

from hansa.core.base64url import from_base64url, to_base64url
from hansa.identity.credentials.formats.disclosures import hash_of
from hansa.identity.credentials.formats.document import read_claims, read_jws
from hansa.identity.credentials.formats.sd_jwt import SD_JWT_FORMAT
from hansa.identity.wallet.folder import HeldCredential
from hansa.identity.wallet.protocol import refused

QUERIES_MAX: Final = 32
CLAIMS_MAX: Final = 128
PATH_LENGTH_MAX: Final = 16

Path = tuple[str | int | None, ...]


class MatchingCredential(msgspec.Struct, frozen=True):
    """A credential that answers a query."""

    query_id: str
    held: HeldCredential
    disclosures: tuple[str, ...]
    """Those that are shown, of `dc+sd-jwt`."""
    disclosed: tuple[str, ...]
    """Names of the claims that are shown and could be withheld, for the holder."""


class _Disclosure(msgspec.Struct, frozen=True):
    text: str
    path: Path


def matches(dcql: Any, credentials: Sequence[HeldCredential]) -> tuple[MatchingCredential, ...]:
    """The credentials with which a request is answered; none, when it cannot be.

    Args:
        dcql: `dcql_query` of a request, as it is written.
        credentials: Of the wallet, oldest first.

    Raises:
        Refused: `Code.INVALID`, when the query cannot be read.
    """
    queries = _list(dcql, "credentials", QUERIES_MAX)
    by_id: dict[str, MatchingCredential | None] = {}
    for query in queries:
        id = query.get("id")
        if not isinstance(id, str) or not id or id in by_id:
            raise refused("The request has a query without a name, or two of one name.")
        by_id[id] = _match(id, query, credentials)
    if not isinstance(dcql, dict) or "credential_sets" not in dcql:
        results = list(by_id.values())
        return () if None in results else tuple(one for one in results if one is not None)
    chosen: dict[str, MatchingCredential] = {}
    for one in _list(dcql, "credential_sets", QUERIES_MAX):
        option = _option(one, by_id)
        if option is None and one.get("required", True):
            return ()
        chosen |= {match.query_id: match for match in option or ()}
    return tuple(chosen.values())


def _option(
    one: Mapping[str, Any], by_id: Mapping[str, MatchingCredential | None]
) -> list[MatchingCredential] | None:
    """The first option of a set that can be answered."""
    options = one.get("options")
    if not isinstance(options, list) or not 1 <= len(options) <= QUERIES_MAX:
        raise refused("The request has a set of queries without options.")
    for option in options:
        if not isinstance(option, list) or not option or not all(isinstance(id, str) for id in option):
            raise refused("The request has an option that is no list of queries.")
        results = [by_id.get(id) for id in option]
        if None not in results:
            return [match for match in results if match is not None]
    return None


def _match(
    id: str, query: Mapping[str, Any], credentials: Sequence[HeldCredential]
) -> MatchingCredential | None:
    for held in reversed(credentials):
        if held.format != query.get("format") or not _is_of_type(held, query.get("meta")):
            continue
        if not _is_of_authority(held, query):
            continue
        paths = _answered(held, query)
        if paths is None:
            continue
        shown = _shown(held, paths) if held.format == SD_JWT_FORMAT else []
        names = tuple(sorted({str(one.path[-1]) for one in shown}))
        return MatchingCredential(id, held, tuple(one.text for one in shown), names)
    return None


def _is_of_type(held: HeldCredential, meta: Any) -> bool:
    meta = meta if isinstance(meta, dict) else {}
    types = held.document().types
    if held.format == SD_JWT_FORMAT:
        values = meta.get("vct_values")
        return isinstance(values, list) and types[0] in values
    values = meta.get("type_values")
    own = {"VerifiableCredential", "VerifiableAttestation", *types}
    return isinstance(values, list) and any(
        isinstance(one, list) and own.issuperset(_texts(one)) for one in values
    )


def _texts(values: list[Any]) -> list[str]:
    return [one if isinstance(one, str) else "" for one in values]


def _is_of_authority(held: HeldCredential, query: Mapping[str, Any]) -> bool:
    """Whether one of `trusted_authorities` is that of the credential, by its key identifier (`aki`)."""
    if "trusted_authorities" not in query:
        return True
    entries = _list(query, "trusted_authorities", QUERIES_MAX)
    values = [value for one in entries if one.get("type") == "aki" for value in one.get("values", [])]
    chain = held.document().jws.header.get("x5c")
    for text in chain if isinstance(chain, list) else []:
        try:
            certificate = x509.load_der_x509_certificate(base64.b64decode(text))
            extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        except (ValueError, TypeError, x509.ExtensionNotFound):
            continue
        if to_base64url(extension.value.key_identifier or b"") in values:
            return True
    return False


def _answered(held: HeldCredential, query: Mapping[str, Any]) -> list[Path] | None:
    """The paths of the claims that are requested and there; None when they are not."""
    if "claims" not in query:
        return []
    claims = _list(query, "claims", CLAIMS_MAX)
    content = held.document().claims
    holds = [_holds(content, claim) for claim in claims]
    if "claim_sets" not in query:
        return [_path(claim) for claim in claims] if all(holds) else None
    sets = query["claim_sets"]
    if not isinstance(sets, list) or not 1 <= len(sets) <= CLAIMS_MAX:
        raise refused("The request has no list of sets of claims.")
    by_id = {claim.get("id"): number for number, claim in enumerate(claims)}
    for one in sets:
        numbers = [by_id.get(id) for id in one] if isinstance(one, list) else [None]
        if all(number is not None and holds[number] for number in numbers):
            return [_path(claims[number]) for number in numbers if number is not None]
    return None


def _path(claim: Mapping[str, Any]) -> Path:
    path = claim.get("path")
    if not isinstance(path, list) or not 1 <= len(path) <= PATH_LENGTH_MAX:
        raise refused("The request has a claim without a path.")
    for part in path:
        is_index = isinstance(part, int) and not isinstance(part, bool) and part >= 0
        if not (part is None or isinstance(part, str) or is_index):
            raise refused("The request has a path that cannot be read.")
    return tuple(path)


def _holds(content: Any, claim: Mapping[str, Any]) -> bool:
    """Whether a claim is there, with one of the values that are requested."""
    results = list(_values(content, _path(claim)))
    values = claim.get("values")
    if values is None:
        return bool(results)
    return isinstance(values, list) and any(
        type(one) is type(value) and one == value for one in results for value in values
    )


def _values(content: Any, path: Path) -> Iterator[Any]:
    if not path:
        yield content
        return
    first, rest = path[0], path[1:]
    if isinstance(first, str) and isinstance(content, dict) and first in content:
        yield from _values(content[first], rest)
    elif isinstance(content, list):
        if first is None:
            for one in content:
                yield from _values(one, rest)
        elif isinstance(first, int) and first < len(content):
            yield from _values(content[first], rest)


def _shown(held: HeldCredential, paths: Sequence[Path]) -> list[_Disclosure]:
    """The disclosures that are needed for paths, or stand below one of them."""
    return [one for one in _disclosures(held.text) if any(_meets(one.path, path) for path in paths)]


def _meets(path: Path, requested: Path) -> bool:
    """Whether one of two paths leads to the other."""
    return all(a == b or None in (a, b) for a, b in zip(path, requested, strict=False))


def _disclosures(text: str) -> list[_Disclosure]:
    """All disclosures of an SD-JWT with the paths of what they disclose."""
    first, *texts, _ = text.split("~")
    claims = read_claims(read_jws(first).payload)
    digest_of = hash_of(claims)
    by_digest = {digest_of(one): one for one in texts}
    return list(_within(claims, (), by_digest))


def _within(value: Any, path: Path, by_digest: Mapping[str, str]) -> Iterator[_Disclosure]:
    if isinstance(value, dict):
        for digest in value.get("_sd", []):
            if digest in by_digest:
                name, content = _parts(by_digest[digest])[1:]
                yield _Disclosure(by_digest[digest], (*path, name))
                yield from _within(content, (*path, name), by_digest)
        for name, item in value.items():
            if name != "_sd":
                yield from _within(item, (*path, name), by_digest)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            place = (*path, index)
            if isinstance(item, dict) and item.get("...") in by_digest:
                shown = by_digest[item["..."]]
                yield _Disclosure(shown, place)
                yield from _within(_parts(shown)[1], place, by_digest)
            else:
                yield from _within(item, place, by_digest)


def _parts(text: str) -> list[Any]:
    """Of a disclosure that was read before: it was put into the wallet."""
    parts: list[Any] = msgspec.json.decode(from_base64url(text))
    return parts


def _list(value: Any, name: str, count_max: int) -> list[dict[str, Any]]:
    entries = value.get(name) if isinstance(value, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= count_max:
        raise refused(f"The request has no list of 1 to {count_max} under `{name}`.")
    if not all(isinstance(one, dict) for one in entries):
        raise refused(f"The request has something under `{name}` that is no object.")
    return entries
