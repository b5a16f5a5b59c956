"""Extensions of certificates (RFC 5280, section 4.2) that decide about what a key may be used for.

Those that are read here are key usage, basic constraints, extended key usage and, of the qualified
certificate statements (ETSI EN 319 412-5), what a certificate is for. Others that are critical are refused,
and so are name and policy constraints even where they are not critical: to ignore a constraint would be to
trust more than its author did.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.certificates.der import BOOLEAN, INTEGER, OCTET_STRING, SEQUENCE, DerReader, malformed

EXTENSIONS_MAX: Final = 32
PURPOSES_MAX: Final = 32
PATH_LENGTH_MAX: Final = 32
STATEMENTS_MAX: Final = 32

DIGITAL_SIGNATURE: Final = 0
NON_REPUDIATION: Final = 1
KEY_CERT_SIGN: Final = 5
_USAGES: Final = 9

_KEY_USAGE: Final = bytes.fromhex("551d0f")
_BASIC_CONSTRAINTS: Final = bytes.fromhex("551d13")
_EXTENDED_KEY_USAGE: Final = bytes.fromhex("551d25")
_QC_STATEMENTS: Final = bytes.fromhex("2b06010505070103")
_CONSTRAINTS: Final = frozenset(map(bytes.fromhex, ("551d1e", "551d24", "551d36")))
"""Name constraints, policy constraints, inhibit any policy."""
_QC_COMPLIANCE: Final = bytes.fromhex("04008e460101")
_QC_TYPE: Final = bytes.fromhex("04008e460106")
_QC_SEAL: Final = bytes.fromhex("04008e46010602")

_ANY_PURPOSE: Final = bytes.fromhex("551d2500")
SEAL_PURPOSES: Final = frozenset(
    {
        _ANY_PURPOSE,
        bytes.fromhex("2b06010505070302"),  # client authentication
        bytes.fromhex("2b06010505070304"),  # e-mail protection
        bytes.fromhex("2b06010505070324"),  # document signing (RFC 9336)
        bytes.fromhex("2b0601040182370a030c"),  # Microsoft's document signing
        bytes.fromhex("2a864886f72f010105"),  # Adobe's authentic documents
    }
)
"""Extended key usages, of which a certificate that names any has one, to be one for seals."""
MDOC_PURPOSES: Final = SEAL_PURPOSES | {bytes.fromhex("28818c5d050102")}
"""Those of a signer of mdocs: the one of mobile driving licences beside (ISO/IEC 18013-5, annex B.1.4)."""
FOREIGN_PURPOSES: Final = frozenset(
    bytes.fromhex("2b060105050703") + bytes((number,)) for number in (1, 3, 8, 9)
)
"""Servers, code, time stamps, certificate status: a key for these is none for seals."""


class CertificateExtensions(msgspec.Struct, frozen=True):
    """What extensions say about a key."""

    usages: frozenset[int] = frozenset()
    """Numbers of the key usages; empty when none are named."""
    is_authority: bool = False
    path_length: int | None = None
    """How many authorities may follow; None: any number."""
    is_constraint_critical: bool = False
    """Whether the basic constraints are critical, as those of an authority are."""
    purposes: frozenset[bytes] = frozenset()
    """Extended key usages, as object identifiers; empty when none are named."""
    is_qualified: bool = False
    """Whether it says that it is an EU qualified certificate."""
    is_for_seals: bool = True
    """False when it says that it is for electronic signatures or web sites, and not for seals."""


def read_extensions(reader: DerReader) -> CertificateExtensions:
    """What the extensions in a sequence say.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`; also for one that is there twice, and an unknown critical one.
    """
    fields: dict[str, object] = {}
    known: set[bytes] = set()
    while not reader.is_at_end:
        if len(known) == EXTENSIONS_MAX:
            raise malformed(f"it has more than {EXTENSIONS_MAX} extensions")
        oid, is_critical, value = _extension(reader.inside(SEQUENCE))
        if oid in known:
            raise malformed("an extension is twice there")
        known.add(oid)
        if oid == _KEY_USAGE:
            fields["usages"] = value.named_bits(_USAGES)
        elif oid == _BASIC_CONSTRAINTS:
            fields |= _basic_constraints(value.inside(SEQUENCE)) | {"is_constraint_critical": is_critical}
        elif oid == _EXTENDED_KEY_USAGE:
            fields["purposes"] = _purposes(value.inside(SEQUENCE))
        elif oid == _QC_STATEMENTS and not is_critical:
            fields |= _statements(value.inside(SEQUENCE))
        elif is_critical or oid in _CONSTRAINTS:
            raise malformed(f"its extension {dotted(oid)} is critical or a constraint, and not supported")
        else:
            continue
        value.end()
    if not known:
        raise malformed("its list of extensions is empty")
    return CertificateExtensions(**fields)  # type: ignore[arg-type]


def _extension(reader: DerReader) -> tuple[bytes, bool, DerReader]:
    """Name, whether it is critical, and value of an extension."""
    oid = reader.object_identifier()
    is_critical = reader.is_next(BOOLEAN)
    if is_critical:
        reader.true()
    value = reader.inside(OCTET_STRING)
    reader.end()
    return oid, is_critical, value


def _basic_constraints(reader: DerReader) -> dict[str, object]:
    if reader.is_at_end:
        return {}
    reader.true()
    path_length = reader.natural(1) if reader.is_next(INTEGER) else None
    reader.end()
    if path_length is not None and path_length > PATH_LENGTH_MAX:
        raise malformed(f"its path length is greater than {PATH_LENGTH_MAX}")
    return {"is_authority": True, "path_length": path_length}


def _purposes(reader: DerReader) -> frozenset[bytes]:
    purposes: list[bytes] = []
    while not reader.is_at_end and len(purposes) < PURPOSES_MAX:
        purposes.append(reader.object_identifier())
    reader.end()
    if not purposes:
        raise malformed("its list of extended key usages is empty")
    return frozenset(purposes)


def _statements(reader: DerReader) -> dict[str, object]:
    """What the qualified certificate statements say about what the certificate is for."""
    fields: dict[str, object] = {}
    count = 0
    while not reader.is_at_end:
        count += 1
        if count > STATEMENTS_MAX:
            raise malformed(f"it has more than {STATEMENTS_MAX} statements of qualified certificates")
        statement = reader.inside(SEQUENCE)
        oid = statement.object_identifier()
        if oid == _QC_COMPLIANCE:
            statement.end()
            fields["is_qualified"] = True
        elif oid == _QC_TYPE:
            fields["is_for_seals"] = _QC_SEAL in _purposes(statement.inside(SEQUENCE))
            statement.end()
    return fields


def dotted(oid: bytes) -> str:
    """An object identifier as people write it, from the content of its DER."""
    numbers: list[int] = []
    number = 0
    for byte in oid:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
