"""Lists of trusted entities in JSON (ETSI TS 119 602): a compact JAdES signature with the list inside.

The certificate of whoever signed is the first of `x5c`, and one of those that the operator named. Of the
list, what decides is read: number, times, and of each service its type, its status and its certificates. The
rest is for people. An extension that says that it is critical refuses the list.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from hansa.core.bounded_json import read_object
from hansa.core.certificates import Certificate
from hansa.core.limits import Limits
from hansa.core.trust.certificates import certificate_bytes
from hansa.identity.credentials.trusted_lists.content import (
    LIST_SIZE_MAX_BYTES,
    ListedService,
    TrustedList,
    listed,
    signer_among,
    unusable,
)
from hansa.identity.foreign_jws import check_critical, is_signed_by, read_foreign_jws

_UNDERSTOOD: Final = frozenset({"iat", "sigT"})
_LIMITS: Final = Limits(
    body_depth_max=24,
    body_nodes_max=400_000,
    array_length_max_items=20_000,
    string_length_max_chars=65_536,
)


def read_json_list(
    text: str, signers: Sequence[Certificate], counted: Collection[str], now_s: int
) -> TrustedList:
    """A list, whose signature holds.

    Args:
        text: Compact JWS.
        signers: Certificates with which it may be signed.
        counted: Types of services whose certificates become anchors.
        now_s: Seconds since 1970.

    Raises:
        Refused: `Code.INVALID` or `Code.MALFORMED`, with the end of a sentence that begins with "it".
    """
    jws = read_foreign_jws(text, LIST_SIZE_MAX_BYTES)
    check_critical(jws.header, _UNDERSTOOD)
    chain = jws.header.get("x5c")
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        raise unusable("has no certificate of whoever signed it (`x5c`)")
    signer = signer_among(certificate_bytes(chain[0]), signers, now_s)
    if not is_signed_by(jws, signer.key):
        raise unusable("was altered after it was signed")
    content = _object(read_object(jws.payload, _LIMITS), "LoTE")
    scheme = _object(content, "ListAndSchemeInformation")
    _check_extensions(scheme.get("SchemeExtensions"))
    return listed(
        scheme.get("LoTESequenceNumber"),
        scheme.get("ListIssueDateTime"),
        scheme.get("NextUpdate"),
        list(_services(content)),
        counted,
        now_s,
    )


def _services(content: Mapping[str, Any]) -> Iterator[ListedService]:
    for entity in _objects(content.get("TrustedEntitiesList", []), "TrustedEntitiesList"):
        for service in _objects(entity.get("TrustedEntityServices", []), "TrustedEntityServices"):
            information = _object(service, "ServiceInformation")
            _check_extensions(information.get("ServiceInformationExtensions"))
            identity = _object(information, "ServiceDigitalIdentity")
            entries = _objects(identity.get("X509Certificates", []), "X509Certificates")
            yield ListedService(
                type=_text(information.get("ServiceTypeIdentifier", "")),
                status=_text(information.get("ServiceStatus", "")),
                certificates=tuple(_der(entry.get("val")) for entry in entries),
            )


def _der(value: Any) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except ValueError as error:
        raise unusable("has a certificate that is no base64") from error


def _check_extensions(value: Any) -> None:
    for one in [] if value is None else value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and True in (one.get("critical"), one.get("Critical")):
            raise unusable("has a critical extension that is not understood")


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    if not isinstance(inner, dict):
        raise unusable(f"has no object `{name}`")
    return inner


def _objects(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise unusable(f"has something under `{name}` that is no list of objects")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise unusable("has something that is no text where one belongs")
    return value
