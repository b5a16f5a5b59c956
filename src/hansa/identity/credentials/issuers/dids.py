"""Keys of decentralized identifiers (W3C DID Core): did:key, did:jwk and did:web.

    did:key:z…        the key itself, as multicodec in base58: P-256, P-384, Ed25519
    did:jwk:…         the key itself, as a JWK in base64url
    did:web:host…     https://host/.well-known/did.json, or https://host/path/did.json

A did:elsi has no document: its certificate, or the league's registry, shows its keys. The document of a
did:web comes from an address that somebody else named: it is fetched by the `HttpClient`, which refuses
private addresses, over https alone, and is bounded. It counts for a few minutes. One that cannot be fetched
is not asked for again for some seconds, so that nobody makes us knock on a door.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import based58
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa.core.bounded_json import read_object
from hansa.core.cache import Cache
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.curve_points import is_ed25519_point
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.identifiers import is_did
from hansa.core.limits import Limits
from hansa.identity.foreign_jws import decoded_part, key_of_jwk

DOCUMENT_SIZE_MAX_BYTES: Final = 65_536
DOCUMENT_LIFE_S: Final = 300
FAILURE_LIFE_S: Final = 15
FETCH_TIMEOUT_S: Final = 5.0
DOCUMENTS_CACHED_MAX: Final = 512
METHODS_MAX: Final = 64

Relationship = Literal["assertionMethod", "authentication"]
"""What a key is for: signing credentials, or proving who somebody is."""

_MULTICODECS: Final = {b"\x80\x24": "P-256", b"\x81\x24": "P-384", b"\xed\x01": "Ed25519"}
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
_KEY_TEXT: Final = re.compile("z[1-9A-HJ-NP-Za-km-z]{40,120}", re.ASCII)
_WEB: Final = re.compile(
    r"did:web:(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?P<port>%3A[1-9][0-9]{0,4})?"
    r"(?P<path>(?::[A-Za-z0-9._~-]+)*)",
    re.ASCII,
)
_LIMITS: Final = Limits(
    body_depth_max=12, body_nodes_max=2000, array_length_max_items=256, string_length_max_chars=8192
)


class _Method(msgspec.Struct, frozen=True):
    """A key of a document."""

    id: str
    key: CertifiedKey


class _Document(msgspec.Struct, frozen=True):
    """The keys of a did:web by what they are for, or why there are none."""

    until_s: int
    """When it has to be fetched again."""
    keys: Mapping[Relationship, tuple[_Method, ...]] = {}
    failure: str = ""


class DidKeys:
    """Resolves DIDs to keys."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self.cache: Final[Cache[str, _Document]] = Cache("did_documents", DOCUMENTS_CACHED_MAX)

    async def key(self, did: str, kid: str | None, relationship: Relationship, now_s: int) -> CertifiedKey:
        """The key of a DID that a header names.

        Args:
            did: Of whoever is said to have signed.
            kid: As the header has it: a DID URL, its fragment, or the DID itself; None: there is only one.
            relationship: What the key has to be for.
            now_s: Seconds since 1970.

        Raises:
            Refused: `Code.MALFORMED`, when there is no such key; `Code.HOST_NOT_ALLOWED`.
            Unavailable: When the document of a did:web cannot be fetched.
        """
        _, _, fragment = (kid or "").partition("#")
        if kid is not None and "#" in kid and kid.partition("#")[0] not in {did, ""}:
            raise _refused("the key that the header names (`kid`) belongs to another DID")
        if did.startswith("did:key:"):
            name = did.removeprefix("did:key:")
            if kid not in {None, did} and (fragment or kid) != name:
                raise _refused("the header names a key that the did:key does not have")
            return key_of_multibase(name)
        if did.startswith("did:jwk:"):
            if kid not in {None, did, "0"} and fragment != "0":
                raise _refused("the header names a key that the did:jwk does not have")
            return _key_of_did_jwk(did)
        if did.startswith("did:web:"):
            methods = (await self._document(did, now_s)).keys.get(relationship, ())
            named = [one.key for one in methods if kid in {None, did} or one.id == f"{did}#{fragment or kid}"]
            if len(named) != 1:
                raise _refused(f"{did} has not one key of the name {kid!r} for {relationship}")
            return named[0]
        raise _refused(f"keys of {did} cannot be found out: its method is none of did:key, did:jwk, did:web")

    async def _document(self, did: str, now_s: int) -> _Document:
        document = self.cache.get(did)
        if document is not None and document.until_s <= now_s:
            self.cache.reject(did)
            document = None
        if document is None:
            document = await self._fetched(did, now_s)
            self.cache.put(did, document)
        if document.failure:
            raise Unavailable(
                Code.RETRIEVAL_UNREACHABLE, f"the document of {did} is not there: {document.failure}"
            )
        return document

    async def _fetched(self, did: str, now_s: int) -> _Document:
        request = HttpRequest(
            "GET",
            web_address_of(did),
            {"accept": "application/did+json, application/json"},
            timeout_s=FETCH_TIMEOUT_S,
            answer_size_max_bytes=DOCUMENT_SIZE_MAX_BYTES,
        )
        try:
            response = await self._http.send(request)
            if response.status != 200:
                raise _refused(f"the answer has the status {response.status}")
            keys = _keys_of_document(did, read_object(response.body, _LIMITS))
        except HansaError as error:
            return _Document(now_s + FAILURE_LIFE_S, failure=error.message)
        return _Document(now_s + DOCUMENT_LIFE_S, keys)


def web_address_of(did: str) -> str:
    """Where the document of a did:web is.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    match = _WEB.fullmatch(did)
    segments = match["path"].split(":")[1:] if match else []
    if match is None or not is_did(did) or "." not in match["host"] or {".", ".."} & set(segments):
        raise _refused("it is no did:web with the name of a host, perhaps a port, and a path")
    port = (match["port"] or "").replace("%3A", ":")
    path = "/".join(segments) if segments else ".well-known"
    return f"https://{match['host']}{port}/{path}/did.json"


def key_of_multibase(text: str) -> CertifiedKey:
    """The key in a did:key, or in `publicKeyMultibase`: multicodec in base58btc.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    try:
        raw = based58.b58decode(text[1:].encode("ascii")) if _KEY_TEXT.fullmatch(text) else b""
    except ValueError:
        raw = b""
    if based58.b58encode(raw).decode("ascii") != text[1:]:
        raise _refused("a key is not in its one form in base58")
    kind, content = _MULTICODECS.get(raw[:2], ""), raw[2:]
    if kind == "Ed25519" and len(content) == 32 and is_ed25519_point(content):
        return CertifiedKey("Ed25519", content)
    size = 32 if kind == "P-256" else 48
    if kind in _CURVES and len(content) == 1 + size and content[0] in {2, 3}:
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[kind], content)
        except ValueError:
            raise _refused("a key is no point of its curve") from None
        coordinates = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        return CertifiedKey("P-256" if kind == "P-256" else "P-384", coordinates)
    raise _refused("a key is of a kind that is not allowed, or no valid key")


def _key_of_did_jwk(did: str) -> CertifiedKey:
    return key_of_jwk(read_object(decoded_part(did.removeprefix("did:jwk:")), _LIMITS))


def _keys_of_document(did: str, document: Mapping[str, Any]) -> dict[Relationship, tuple[_Method, ...]]:
    if document.get("id") != did:
        raise _refused("the document is that of another DID")
    methods: dict[str, _Method] = {}
    for entry in _entries(document, "verificationMethod"):
        method = _method(did, entry)
        if method is not None and method.id in methods:
            raise _refused("the document has two keys of one name")
        if method is not None:
            methods[method.id] = method
    return {
        "assertionMethod": _of_relationship(did, document, "assertionMethod", methods),
        "authentication": _of_relationship(did, document, "authentication", methods),
    }


def _of_relationship(
    did: str, document: Mapping[str, Any], name: Relationship, methods: Mapping[str, _Method]
) -> tuple[_Method, ...]:
    """The keys that a document names for something, or has there themselves."""
    results: dict[str, _Method] = {}
    for entry in _entries(document, name):
        method = methods.get(_absolute(did, entry)) if isinstance(entry, str) else _method(did, entry)
        if method is not None:
            results[method.id] = method
    return tuple(results.values())


def _entries(document: Mapping[str, Any], name: str) -> list[Any]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or len(entries) > METHODS_MAX:
        raise _refused(f"`{name}` of the document is no list of at most {METHODS_MAX}")
    return entries


def _method(did: str, entry: Any) -> _Method | None:
    """A key of the DID itself that we can use; None for others."""
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        raise _refused("the document has a key without a name")
    if entry.get("controller") != did:
        return None
    name = _absolute(did, entry["id"])
    if not name.startswith(f"{did}#"):
        raise _refused("the document has a key with the name of another DID")
    try:
        if "publicKeyJwk" in entry:
            return _Method(name, key_of_jwk(entry["publicKeyJwk"]))
        return _Method(name, key_of_multibase(str(entry.get("publicKeyMultibase"))))
    except Refused:
        return None  # of a kind that others may use


def _absolute(did: str, name: str) -> str:
    return f"{did}{name}" if name.startswith("#") else name


def _refused(what: str) -> Refused:
    return Refused(Code.MALFORMED, what)
