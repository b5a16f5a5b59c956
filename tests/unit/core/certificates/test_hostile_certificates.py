"""Certificates of strangers: whatever the bytes, the outcome is a refusal with one code, and soon."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.certificates import CERTIFICATE_SIZE_MAX_BYTES, Certificate, read_certificate
from hansa.core.certificates.der import DerReader, encoded
from hansa.core.errors import Refused
from tests.support.certificates import Usages, authority, issue, name, new_key, seal

ROOT = authority()
ROOT_KEY = read_certificate(ROOT.der).key
LEAF = seal(ROOT).der
SUBJECT_KEY = new_key()


def refused(raw: bytes) -> str:
    with pytest.raises(Refused) as caught:
        read_certificate(raw)
    assert caught.value.code == "certificate-invalid"
    return caught.value.message


def parts(raw: bytes) -> tuple[list[bytes], list[bytes]]:
    """The values inside a certificate, and those inside what is signed."""
    return inside(raw), inside(inside(raw)[0])


def inside(raw: bytes) -> list[bytes]:
    reader = DerReader(raw).inside(raw[0])
    values = []
    while not reader.is_at_end:
        values.append(reader.whole(reader.tag()))
    return values


def with_field(number: int, value: bytes) -> bytes:
    """A certificate in which one field of what is signed is another one."""
    outer, fields = parts(LEAF)
    fields[number] = value
    return encoded(0x30, encoded(0x30, *fields), *outer[1:])


VERSION, SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = range(8)


def test_the_certificate_that_is_changed_here_can_be_read() -> None:
    outer, fields = parts(LEAF)
    assert len(outer) == 3
    assert len(fields) == 8
    assert read_certificate(with_field(SERIAL, fields[SERIAL])).raw == LEAF


@given(st.binary(max_size=2 * CERTIFICATE_SIZE_MAX_BYTES))
def test_any_bytes_are_refused(raw: bytes) -> None:
    refused(raw)


@given(st.data())
def test_a_changed_certificate_is_another_one_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(LEAF) - 1))
    changed = LEAF[:at] + bytes((LEAF[at] ^ data.draw(st.integers(1, 255)),)) + LEAF[at + 1 :]
    try:
        certificate = read_certificate(changed)
    except Refused:
        return
    assert certificate.raw == changed
    assert not certificate.is_signed_by(ROOT_KEY)


@given(st.integers(0, len(LEAF) - 1))
def test_a_part_of_a_certificate_is_refused(size: int) -> None:
    refused(LEAF[:size])


@pytest.mark.parametrize(
    "raw",
    [
        b"\x30\x80" * 4000,
        b"\x30\x82\x1f\xf0" * 2000,
        b"\x30\x80" + LEAF[4:] + b"\x00\x00",
        b"\x30\x84\x00\x00" + LEAF[2:],
        b"\x30\x83\x00" + LEAF[2:],
        b"\x30\xff" + b"\xff" * 127,
        b"\x3f" * 8192,
        LEAF + b"\x00",
        LEAF + LEAF,
        b"",
        b"\x30",
        bytes(CERTIFICATE_SIZE_MAX_BYTES + 1),
    ],
    ids=list(range(12)),
)
def test_nesting_indefinite_and_long_lengths_are_refused_at_once(raw: bytes) -> None:
    begin = time.process_time()
    refused(raw)
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    ("number", "value", "reason"),
    [
        (SERIAL, b"\x02\x01\x80", "negative"),
        (SERIAL, b"\x02\x01\x00", "serial number is 0"),
        (SERIAL, b"\x02\x02\x00\x01", "shortest form"),
        (SERIAL, b"\x02\x15" + b"\x01" * 21, "too large"),
        (SERIAL, b"\x02\x00", "missing"),
        (VERSION, b"\xa0\x03\x02\x01\x01", "version 3"),
        (VERSION, b"\xa0\x06\x02\x01\x02\x02\x01\x02", "follows"),
        (ALGORITHM, bytes.fromhex("300d06092a864886f70d0101050500"), "two algorithms"),
        (VALIDITY, encoded(0x30, encoded(0x17, b"260229000000Z"), encoded(0x17, b"270101000000Z")), "day"),
        (VALIDITY, encoded(0x30, encoded(0x17, b"260101240000Z"), encoded(0x17, b"270101000000Z")), "hour"),
        (VALIDITY, encoded(0x30, encoded(0x17, b"2601010000Z"), encoded(0x17, b"270101000000Z")), "one form"),
        (
            VALIDITY,
            encoded(0x30, encoded(0x17, b"260101000000+0100"), encoded(0x17, b"270101000000Z")),
            "one form",
        ),
        (
            VALIDITY,
            encoded(0x30, encoded(0x18, b"20260101000000Z"), encoded(0x17, b"270101000000Z")),
            "before 2050",
        ),
        (
            VALIDITY,
            encoded(0x30, encoded(0x17, "26010१000000Z".encode()), encoded(0x17, b"270101000000Z")),
            "one form",
        ),
        (
            SUBJECT,
            encoded(0x30, *[encoded(0x31, encoded(0x30, b"\x06\x03\x55\x04\x03", encoded(12, b"x")))] * 17),
            "parts",
        ),
        (SUBJECT, encoded(0x30, encoded(0x31)), "empty"),
        (
            SUBJECT,
            encoded(
                0x30, *[encoded(0x31, encoded(0x30, b"\x06\x03\x55\x04\x61", encoded(12, b"VATES-1")))] * 2
            ),
            "two organization identifiers",
        ),
        (
            SUBJECT,
            encoded(
                0x30,
                encoded(0x31, encoded(0x30, b"\x06\x03\x55\x04\x61", encoded(12, "VATES-\uff11".encode()))),
            ),
            "ASCII",
        ),
        (
            SUBJECT,
            encoded(0x30, encoded(0x31, encoded(0x30, b"\x06\x03\x55\x04\x03", encoded(12, b"\xff")))),
            "UTF-8",
        ),
        (
            SUBJECT,
            encoded(0x30, encoded(0x31, encoded(0x30, b"\x06\x03\x55\x04\x03", encoded(19, b"a@b")))),
            "PrintableString",
        ),
        (EXTENSIONS, encoded(0xA3, encoded(0x30)), "empty"),
        (EXTENSIONS, encoded(0xA1, b"\x03\x02\x00\x01"), "tag"),
    ],
)
def test_a_field_that_is_not_in_its_one_form_is_refused(number: int, value: bytes, reason: str) -> None:
    assert reason in refused(with_field(number, value))


def extension(oid: str, value: bytes, critical: bytes = b"") -> bytes:
    return encoded(0x30, encoded(6, bytes.fromhex(oid)), critical, encoded(4, value))


USAGE = extension("551d0f", bytes.fromhex("03020640"), b"\x01\x01\xff")


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        ([USAGE, USAGE], "twice"),
        ([extension("551d0f", bytes.fromhex("03020640"), b"\x01\x01\x00")], "truth value"),
        ([extension("551d0f", bytes.fromhex("03020640"), b"\x01\x01\x01")], "truth value"),
        ([extension("551d0f", bytes.fromhex("03020641"))], "shortest form"),
        ([extension("551d0f", bytes.fromhex("0303004000"))], "shortest form"),
        ([extension("551d0f", bytes.fromhex("030100"))], "empty"),
        ([extension("551d0f", bytes.fromhex("0304000000" + "01"))], "too long"),
        ([extension("551d0f", bytes.fromhex("0303060040"))], "no name"),
        ([extension("551d0f", bytes.fromhex("0302064000"))], "follows"),
        ([extension("551d13", bytes.fromhex("3003010100"))], "truth value"),
        ([extension("551d13", bytes.fromhex("3003020100"))], "tag"),
        ([extension("551d13", bytes.fromhex("30060101ff020121"))], "path length"),
        ([extension("551d13", bytes.fromhex("30060101ff0201ff"))], "negative"),
        ([extension("551d25", bytes.fromhex("3000"))], "empty"),
        ([extension("551d20", bytes.fromhex("3000"), b"\x01\x01\xff")], "2.5.29.32"),
        ([extension("551d24", bytes.fromhex("3000"))], "2.5.29.36"),
        ([extension("2a0304", b"", b"\x01\x01\xff")], "1.2.3.4"),
        ([extension(f"2a03{number:02x}", b"") for number in range(33)], "more than 32"),
        ([extension("2a0380", b"")], "not whole"),
        ([extension("2a80" + "0304", b"")], "shortest form"),
        ([extension("2a" + "03" * 40, b"")], "too long"),
        (
            [extension("2b06010505070103", encoded(0x30, *[encoded(0x30, b"\x06\x01\x2a")] * 33))],
            "statements",
        ),
    ],
)
def test_extensions_that_are_not_in_their_one_form_are_refused(extensions: list[bytes], reason: str) -> None:
    assert reason in refused(with_field(EXTENSIONS, encoded(0xA3, encoded(0x30, *extensions))))


def rsa_key(modulus: int, exponent: int) -> bytes:
    def number(value: int) -> bytes:
        return encoded(2, value.to_bytes(value.bit_length() // 8 + 1))

    return encoded(
        0x30,
        bytes.fromhex("300d06092a864886f70d0101010500"),
        encoded(3, b"\x00" + encoded(0x30, number(modulus), number(exponent))),
    )


MODULUS = (1 << 2047) + 1


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa_key(MODULUS, 3), "exponent"),
        (rsa_key(MODULUS, 1), "exponent"),
        (rsa_key(MODULUS, 0), "exponent"),
        (rsa_key(MODULUS, (1 << 2047) + 3), "too large"),
        (rsa_key(1 << 2047, 65537), "even modulus"),
        (rsa_key((1 << 1023) + 1, 65537), "1024 bits"),
        (rsa_key((1 << 4096) + 1, 65537), "too large"),
        (rsa_key((1 << 16000) + 1, 65537), "too large"),
        (bytes.fromhex("302a300506032b6570032100" + "00" * 32), "no valid key"),
        (bytes.fromhex("302a300506032b6570032100" + "01" + "00" * 31), "no valid key"),
        (
            bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04" + "11" * 64),
            "no uncompressed",
        ),
        (bytes.fromhex("3059301306072a8648ce3d020106052b8104000a034200" + "04" + "11" * 64), "tag"),
    ],
)
def test_a_key_outside_the_profile_is_refused(key: bytes, reason: str) -> None:
    assert reason in refused(with_field(KEY, key))


def test_a_curve_point_in_compressed_form_and_explicit_parameters_are_refused() -> None:
    _, fields = parts(LEAF)
    outer, point = inside(fields[KEY])
    compressed = encoded(3, b"\x00\x02" + point[4:36])
    assert "no uncompressed" in refused(with_field(KEY, encoded(0x30, outer, compressed)))
    explicit = encoded(0x30, inside(outer)[0], encoded(0x30, b"\x02\x01\x01"))
    assert "no valid key" in refused(with_field(KEY, encoded(0x30, explicit, point)))


@pytest.mark.parametrize(
    "identifier",
    [
        "300d06092a864886f70d0101050500",  # SHA-1 with RSA
        "300d06092a864886f70d0101040500",  # MD5 with RSA
        "300b06092a864886f70d01010b",  # without the NULL
        "300c06082a8648ce3d0403020500",  # with a NULL where none may be
        "300d06092a864886f70d01010a3000",  # PSS with SHA-1 by default
        "300906072a8648ce3d0401",  # SHA-1 with ECDSA
    ],
)
def test_an_algorithm_outside_the_list_is_refused(identifier: str) -> None:
    outer, fields = parts(LEAF)
    algorithm = bytes.fromhex(identifier)
    fields[ALGORITHM] = algorithm
    message = refused(encoded(0x30, encoded(0x30, *fields), algorithm, outer[2]))
    assert "algorithm" in message or "expected" in message


def signed_again(change: Callable[[bytes], bytes]) -> Certificate:
    outer, _ = parts(LEAF)
    return read_certificate(encoded(0x30, outer[0], outer[1], encoded(3, b"\x00" + change(outer[2][3:]))))


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes.fromhex("3006020100020100"),
        bytes.fromhex("3006020101020100"),
        encoded(0x30, b"\x02\x21\x00" + b"\xff" * 32, b"\x02\x01\x01"),
        encoded(0x30, b"\x02\x01\xff", b"\x02\x01\x01"),
        encoded(0x30, b"\x02\x02\x00\x01", b"\x02\x01\x01"),
        encoded(0x30, b"\x02\x01\x01", b"\x02\x01\x01", b"\x02\x01\x01"),
        encoded(0x30, b"\x02\x01\x01", b"\x02\x01\x01") + b"\x00",
    ],
    ids=lambda one: one.hex()[:12],
)
def test_a_signature_in_another_form_is_none(signature: bytes) -> None:
    assert not signed_again(lambda _: signature).is_signed_by(ROOT_KEY)


@pytest.mark.parametrize("kind", ["2048", "Ed25519"])
def test_signatures_of_other_lengths_and_beyond_the_group_are_none(kind: str) -> None:
    root = authority(key=new_key(kind))
    key = read_certificate(root.der).key
    leaf = read_certificate(seal(root).der)
    assert leaf.is_signed_by(key)
    size = len(leaf.signature)
    for signature in (
        b"",
        leaf.signature[:-1],
        leaf.signature + b"\0",
        b"\0" + leaf.signature,
        b"\xff" * size,
    ):
        assert not msgspec.structs.replace(leaf, signature=signature).is_signed_by(key)


def test_a_signature_of_a_key_of_another_kind_is_none() -> None:
    leaf = read_certificate(LEAF)
    for kind in ("2048", "Ed25519", "P-384"):
        assert not leaf.is_signed_by(read_certificate(authority(key=new_key(kind)).der).key)


@given(
    common_name=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=64
    ).filter(lambda text: len(text.encode()) <= 64),
    serial=st.integers(1, 2**158),
)
def test_what_another_implementation_writes_is_read_as_it_was_meant(common_name: str, serial: int) -> None:
    issued = issue(
        name(common_name, "LEIXG-5493001KJTIIGC8Y1R12"),
        SUBJECT_KEY,
        ROOT,
        serial=serial,
        extensions=[
            (Usages(digital_signature=True).extension(), True),
            (x509.SubjectKeyIdentifier(b"k"), False),
        ],
    )
    certificate = read_certificate(issued.der)
    assert certificate.serial == serial
    assert certificate.subject.organization_identifier == "LEIXG-5493001KJTIIGC8Y1R12"
    assert certificate.subject.common_name in common_name or not common_name.isprintable()
    assert certificate.signed == issued.certificate.tbs_certificate_bytes
    assert certificate.not_after_s == int(issued.certificate.not_valid_after_utc.timestamp())
