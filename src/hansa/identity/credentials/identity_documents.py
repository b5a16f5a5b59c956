"""Identity documents: who somebody is, as public authorities say it, for nobody but themselves.

A person identification data (PID) of a European wallet, or a mobile driving licence, gives no mandate. Three
claims are asked for and read, which every one of them has, and nothing else: names and date of birth. A
national number would tell people apart better; not every document has one, and laws bind what it may be used
for.

    dc+sd-jwt    family_name, given_name, birthdate    EUDI PID rulebook, section 4.1
    mso_mdoc     family_name, given_name, birth_date   EUDI PID rulebook, section 3.1; ISO/IEC 18013-5, 7.2.1

The elements of an mdoc are in the namespace that is called as its type, but for a driving licence.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.errors import Code, Refused
from hansa.identity.credentials.formats.mdoc import MDOC_FORMAT
from hansa.identity.credentials.formats.sd_jwt import SD_JWT_FORMAT

IDENTITY_FORMATS: Final = (SD_JWT_FORMAT, MDOC_FORMAT)
"""In which there are identity documents."""
SUBJECT_PURPOSE: Final = b"hansa identified people 1"
NAME_MAX_CHARS: Final = 256

ClaimPath = tuple[str, ...]
_LAST_NAME: Final = "family_name"
_FIRST_NAME: Final = "given_name"
_BIRTH_DATES: Final = {SD_JWT_FORMAT: "birthdate", MDOC_FORMAT: "birth_date"}
_NAMESPACES: Final = {"org.iso.18013.5.1.mDL": "org.iso.18013.5.1"}
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class IdentifiedPerson(msgspec.Struct, frozen=True):
    """Whom an identity document names."""

    last_name: str
    first_name: str
    birth_date: str
    """RFC 3339, as `1980-05-23`."""

    @property
    def name(self) -> str:
        """For display."""
        return f"{self.first_name} {self.last_name}"

    def subject(self, key: bytes) -> str:
        """The same for the same person at each login, and of no use to whoever has not the key.

        How a document writes names in capital letters, and composes their accents, does not matter. Two
        people who have the same names and were born on the same day are one here.

        Args:
            key: A secret of the marketplace, so that no other one's subjects can be compared with it.
        """
        parts = [_plain(self.last_name), _plain(self.first_name), self.birth_date]
        digest = hmac.digest(key, msgspec.json.encode(parts), hashlib.sha256)
        return f"urn:hansa:subject:{to_base64url(digest)}"


def identity_claims(format_name: str, type_name: str) -> tuple[ClaimPath, ClaimPath, ClaimPath]:
    """Where an identity document of a type has family name, given name and date of birth."""
    birth_date = _BIRTH_DATES[format_name]
    if format_name == SD_JWT_FORMAT:
        return (_LAST_NAME,), (_FIRST_NAME,), (birth_date,)
    namespace = _NAMESPACES.get(type_name, type_name)
    return (namespace, _LAST_NAME), (namespace, _FIRST_NAME), (namespace, birth_date)


def read_identified_person(format_name: str, type_name: str, claims: Mapping[str, Any]) -> IdentifiedPerson:
    """Whom an identity document names.

    Raises:
        Refused: `Code.CREDENTIAL_NOT_REQUESTED`, when it does not disclose what was asked for.
    """
    last_name, first_name, birth_date = (
        _text(claims, path) for path in identity_claims(format_name, type_name)
    )
    if _DATE.fullmatch(birth_date) is None:
        raise _lacking("its date of birth is no date")
    return IdentifiedPerson(last_name, first_name, birth_date)


def _text(claims: Mapping[str, Any], path: ClaimPath) -> str:
    value: Any = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= NAME_MAX_CHARS:
        raise _lacking(f"it does not disclose a text of 1 to {NAME_MAX_CHARS} characters as {path[-1]}")
    if not value.isprintable():
        raise _lacking(f"{path[-1]} has something that cannot be printed")
    return value.strip()


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _lacking(what: str) -> Refused:
    return Refused(Code.CREDENTIAL_NOT_REQUESTED, what)
