"""The keys with which the OpenID Provider signs, and their rotation.

    added ── after PUBLISHED_BEFORE_S ──▶ signs ── another one signs ──▶ verifies ── RETAINED_S ──▶ gone

There is one key for each algorithm that signs: ES256, and RS256, which every OpenID client knows. A new one
is published before it signs, so that clients that remember the key set meet it in time; one that signs no
more is published as long as something that it signed may be valid. The file has them all, is its owner's
alone, and is read again when it has changed: a rotation needs no restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, RSAPublicNumbers
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from hansa.core.base64url import from_base64url
from hansa.core.bounded_json import UNREADABLE
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import file_mark, is_missing, read_file, write_file
from hansa.identity.foreign_jws import ForeignJws, check_critical, is_signed_by, key_of_jwk, read_foreign_jws

SigningAlgorithm = Literal["ES256", "RS256"]
ALGORITHMS: Final[tuple[SigningAlgorithm, ...]] = ("ES256", "RS256")
RSA_KEY_SIZE_BITS: Final = 3072
PUBLISHED_BEFORE_S: Final = 600
RETAINED_S: Final = 86_400
"""Longer than anything that is signed is valid, with all that clocks may differ."""
KEYS_MAX: Final = 32
LOOK_EVERY_S: Final = 1.0

_NOTHING: Final[frozenset[str]] = frozenset()


class _KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key in the file."""

    kid: str
    alg: SigningAlgorithm
    signs_from_s: int
    """Seconds since 1970."""
    jwk: dict[str, str]
    """Private."""


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[_KeyRecord, ...]


class _Key:
    """A key in memory."""

    def __init__(self, record: _KeyRecord) -> None:
        self.record = record
        self.private = ECKey.import_key(dict(record.jwk)) if record.alg == "ES256" else _rsa_key(record.jwk)
        public = {name: str(value) for name, value in self.private.as_dict(private=False).items()}
        self.public = {**public, "kid": record.kid, "alg": record.alg, "use": "sig"}
        self.verifying: CertifiedKey = key_of_jwk(self.public)


class SigningKeys:
    """The keys of a file.

    Args:
        path: Of the file.
        clock: For when a key signs.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the file cannot be read or holds no keys.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._looked_at_s = clock.monotonic()
        self._mark = file_mark(path)
        self._keys = _read(path)

    def sign(self, claims: Mapping[str, Any], typ: str, algorithm: SigningAlgorithm = "ES256") -> str:
        """A JWT of these claims."""
        now_s = epoch_s(self._clock)
        usable = [
            one for one in self._current() if one.record.alg == algorithm and one.record.signs_from_s <= now_s
        ]
        key = max(usable, key=lambda one: one.record.signs_from_s)
        header = {"alg": algorithm, "kid": key.record.kid, "typ": typ}
        payload = msgspec.json.encode(claims)
        return jws.serialize_compact(header, payload, key.private, algorithms=[algorithm])

    def verified(self, compact: str, typ: str, size_max_bytes: int) -> bytes:
        """The payload of a JWT of that type that one of these keys signed.

        Raises:
            Refused: `Code.MALFORMED`, with the end of a sentence that begins with "it".
        """
        signed = read_foreign_jws(compact, size_max_bytes)
        check_critical(signed.header, _NOTHING)
        if signed.header.get("typ") != typ:
            raise Refused(Code.MALFORMED, f"it is not of the type {typ}")
        if not self._is_signed(signed):
            raise Refused(Code.MALFORMED, "it was not signed here")
        return signed.payload

    def is_named(self, compact: str, size_max_bytes: int) -> bool:
        """Whether a JWT names one of these keys, verified or not."""
        try:
            kid = read_foreign_jws(compact, size_max_bytes).kid
        except Refused:
            return False
        return any(one.record.kid == kid for one in self._current())

    def public(self) -> list[dict[str, str]]:
        """The key set that clients read (RFC 7517)."""
        now_s = epoch_s(self._clock)
        keys = self._current()
        records = [one.record for one in keys]
        return [one.public for one in keys if now_s < _retained_until_s(one.record, records)]

    def _is_signed(self, signed: ForeignJws) -> bool:
        """Whether one of the keys signed something: the one that it names, with the algorithm of that key."""
        now_s, keys = epoch_s(self._clock), self._current()
        records = [one.record for one in keys]
        return any(
            one.record.kid == signed.kid
            and one.record.alg == signed.algorithm
            and now_s < _retained_until_s(one.record, records)
            and is_signed_by(signed, one.verifying)
            for one in keys
        )

    def _current(self) -> tuple[_Key, ...]:
        """The keys of the file as it is now, or was a moment ago."""
        now_s = self._clock.monotonic()
        if now_s - self._looked_at_s >= LOOK_EVERY_S:
            self._looked_at_s = now_s
            mark = file_mark(self._path)
            if mark is not None and mark != self._mark:
                self._keys, self._mark = _read(self._path), mark
        return self._keys


def prepare_signing_keys(path: Path, now_s: int, rsa_size_bits: int = RSA_KEY_SIZE_BITS) -> None:
    """Make the file where there is none.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    if is_missing(path):
        _write(path, tuple(_new_record(algorithm, 0, rsa_size_bits) for algorithm in ALGORITHMS), now_s)


def rotate_signing_keys(path: Path, now_s: int) -> tuple[str, ...]:
    """Add a key for each algorithm, which signs from `PUBLISHED_BEFORE_S` later on; their names.

    A rotation that is repeated before its keys sign adds no others.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    prepare_signing_keys(path, now_s)
    records = tuple(one.record for one in _read(path))
    waiting = tuple(one for one in records if one.signs_from_s > now_s)
    if waiting:
        return tuple(one.kid for one in waiting)
    added = tuple(_new_record(algorithm, now_s + PUBLISHED_BEFORE_S) for algorithm in ALGORITHMS)
    _write(path, (*records, *added), now_s)
    return tuple(one.kid for one in added)


def _new_record(
    algorithm: SigningAlgorithm, signs_from_s: int, rsa_size_bits: int = RSA_KEY_SIZE_BITS
) -> _KeyRecord:
    key = ECKey.generate_key("P-256") if algorithm == "ES256" else RSAKey.generate_key(rsa_size_bits)
    jwk = {name: str(value) for name, value in key.as_dict(private=True).items() if name != "kid"}
    return _KeyRecord(key.thumbprint(), algorithm, signs_from_s, jwk)


def _retained_until_s(record: _KeyRecord, records: Sequence[_KeyRecord]) -> float:
    """Until when a key is published: for good, or until another one has signed for a while."""
    later = [
        one.signs_from_s
        for one in records
        if one.alg == record.alg and one.signs_from_s > record.signs_from_s
    ]
    return min(later) + RETAINED_S if later else float("inf")


def _read(path: Path) -> tuple[_Key, ...]:
    try:
        records = msgspec.json.decode(read_file(path), type=_KeyFile).keys
        keys = tuple(map(_Key, records))
    except (*UNREADABLE, JoseError, Refused, ValueError, TypeError, KeyError) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} does not hold the keys of an OpenID Provider.") from error
    if {one.record.alg for one in keys} != set(ALGORITHMS):
        raise Fatal(Code.SETTINGS_INVALID, f"{path} lacks a key for one of {', '.join(ALGORITHMS)}.")
    return keys


def _rsa_key(jwk: Mapping[str, str]) -> RSAKey:
    """The private key of a file of ours.

    That its numbers belong together is checked, that they are prime is not: whoever made the key chose them
    so, and to see it again is a tenth of a second of each start.

    Raises:
        ValueError: They do not belong together, or are no numbers.
        KeyError: One is missing.
    """
    n, e, d, p, q, dp, dq, qi = (
        int.from_bytes(from_base64url(jwk[name])) for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi")
    )
    whole = p * q == n and min(p, q) > 1 and 1 < e < n
    if not (whole and dp == d % (p - 1) and dq == d % (q - 1)):
        raise ValueError("the numbers of an RSA key do not belong together")
    if not e * dp % (p - 1) == e * dq % (q - 1) == qi * q % p == 1:
        raise ValueError("the exponents of an RSA key do not belong together")
    numbers = RSAPrivateNumbers(p, q, d, dp, dq, qi, RSAPublicNumbers(e, n))
    return RSAKey.import_key(numbers.private_key(unsafe_skip_rsa_key_validation=True))


def _write(path: Path, records: tuple[_KeyRecord, ...], now_s: int) -> None:
    retained = tuple(one for one in records if now_s < _retained_until_s(one, records))[-KEYS_MAX:]
    write_file(path, msgspec.json.format(msgspec.json.encode(_KeyFile(retained)), indent=2) + b"\n")
