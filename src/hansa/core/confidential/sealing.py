"""Sealed events: what they announce is readable for their recipients, and all of them look alike.

The sealed text of an event is base64url of 402 bytes, whatever it announces and for whomever it is:

    32         public key of the sender, made for some time (`hansa.core.confidential.agreement`)
    4 x 48     a slot for each recipient: a tag, by which that recipient recognises the slot, and the content
               key, which it alone can read. What no recipient needs is filled with random bytes
    178        the notice, encrypted with the content key (ChaCha20-Poly1305, RFC 8439)

Tag and wrapped key are HMACs under the pairwise secret over league, issuer and key of the event. So a tag
says nothing to anybody else, no two events have tags that can be compared, and a tag that is copied into
another event is recognised by nobody. An entity with more recipients than slots has several events.

The *notice* says which entity (by the SHA-256 of issuer and identifier), its type, version, digest and nonce,
or that it is withdrawn. Versions grow with time and count nothing: an event of a later version has another
random key on the ledger, and nobody sees that both are about one entity.

The hashlink of a sealed event is of a salt and the bytes of the version. The salt follows from the content
key, so that nobody else can guess the bytes and compare; and as one hashlink has one content key, recipients
cannot be shown different bytes under one event. The bytes themselves are encrypted too, once for each event,
and padded to the next power of two.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from hansa.core.canonical import hashlink_of_digest
from hansa.core.confidential.agreement import KEY_SIZE_BYTES, AgreementKey
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import NONCE_SIZE_BYTES, Entropy

SLOTS: Final = 4
"""Recipients of one event at most."""
PART_MIN_BYTES: Final = 1024
VERSION_MAX: Final = 2**53 - 1
_TAG_SIZE_BYTES: Final = 16
_SLOT_SIZE_BYTES: Final = _TAG_SIZE_BYTES + KEY_SIZE_BYTES
_SLOTS_SIZE_BYTES: Final = SLOTS * _SLOT_SIZE_BYTES
_NOTICE_SIZE_BYTES: Final = 162
_BOX_AT: Final = KEY_SIZE_BYTES + _SLOTS_SIZE_BYTES
_NO_NONCE: Final = b"\0" * 12
"""A content key, and what is derived of it, encrypts one text."""
_NOTICE: Final = struct.Struct(">32sQ32s16sBB")
_TYPE: Final = re.compile(rb"[A-Z][A-Za-z0-9]{1,63}")
_LENGTH: Final = struct.Struct(">I")
_WITHDRAWAL: Final = 1
_HAS_NONCE: Final = 2


class Notice(msgspec.Struct, frozen=True):
    """What a sealed event says to its recipients."""

    entity_key: bytes
    """SHA-256 of issuer DID, zero byte and identifier (`hansa.core.identifiers.entity_key`)."""
    type: str
    """TM Forum type name."""
    version: int
    """Greater than that of every earlier notice about the entity."""
    digest: bytes
    """SHA-256 of the version's bytes; of a withdrawal, zeros."""
    nonce: bytes | None = None
    """What binds the identifier to the issuer; None of one with a registered prefix."""
    is_withdrawal: bool = False
    """Whether the recipients are to remove the entity."""


class EventContext(msgspec.Struct, frozen=True):
    """For which event something is derived: whatever is copied elsewhere is of no use there."""

    league: str
    """Name of the chain."""
    issuer: str
    key: str
    """Of the event on the ledger, hex."""

    def named(self, purpose: bytes) -> bytes:
        """What a derived value for a purpose depends on."""
        return b"\0".join((purpose, self.league.encode(), self.issuer.encode(), self.key.encode()))


class SealedEvent(msgspec.Struct, frozen=True):
    """What is on the ledger of a notice, and what its origin serves."""

    sealed: str
    hashlink: str
    part: bytes
    """The bytes of the version, encrypted; of a withdrawal, nothing."""


class OpenedEvent(msgspec.Struct, frozen=True):
    """A sealed event, as a recipient reads it."""

    notice: Notice
    content_key: bytes


def seal(
    notice: Notice,
    body: bytes,
    sender: AgreementKey,
    secrets: Sequence[bytes],
    context: EventContext,
    entropy: Entropy,
) -> SealedEvent:
    """Seal a notice for some recipients.

    Args:
        notice: What they get to know.
        body: The bytes of the version; of a withdrawal, nothing.
        sender: Key of the issuer for now.
        secrets: Its secrets with the recipients, `SLOTS` at most.
        context: The event.
        entropy: For the content key, and for what fills slots.
    """
    assert 0 < len(secrets) <= SLOTS, "an event has a recipient, and not too many"
    assert notice.is_withdrawal == (not body), "a version has bytes, and a withdrawal has none"
    content_key = entropy(KEY_SIZE_BYTES)
    slots = [_slot(secret, content_key, context) for secret in secrets]
    slots += [entropy(_SLOT_SIZE_BYTES) for _ in range(SLOTS - len(slots))]
    box = _cipher(content_key, b"notice", context).encrypt(
        _NO_NONCE, _encoded_notice(notice), context.named(b"notice")
    )
    # In the order of their random tags, so that the place of a slot says nothing.
    raw = sender.public_bytes + b"".join(sorted(slots)) + box
    link = _hashlink(content_key, context, body)
    part = b""
    if body:
        part = _cipher(content_key, b"part", context).encrypt(
            _NO_NONCE, _padded(body), context.named(b"part")
        )
    return SealedEvent(base64.urlsafe_b64encode(raw).decode("ascii"), link, part)


def sender_of(sealed: str) -> bytes:
    """The public key with which an event was sealed."""
    return base64.urlsafe_b64decode(sealed)[:KEY_SIZE_BYTES]


def opened(sealed: str, secrets: Iterable[bytes], context: EventContext) -> OpenedEvent | None:
    """An event as one of its recipients reads it; None when it is not for who has these secrets.

    Raises:
        Refused: `Code.ENTITY_INVALID`: it is, and nobody can read it.
    """
    raw = base64.urlsafe_b64decode(sealed)
    slots = [raw[at : at + _SLOT_SIZE_BYTES] for at in range(KEY_SIZE_BYTES, _BOX_AT, _SLOT_SIZE_BYTES)]
    for secret in secrets:
        tag = _tag(secret, context)
        for slot in slots:
            if hmac.compare_digest(slot[:_TAG_SIZE_BYTES], tag):
                content_key = _masked(slot[_TAG_SIZE_BYTES:], secret, context)
                return OpenedEvent(_notice_of(raw[_BOX_AT:], content_key, context), content_key)
    return None


def body_of(part: bytes, opened_event: OpenedEvent, hashlink: str, context: EventContext) -> bytes:
    """The bytes of a version, as the event names them.

    Raises:
        Refused: `Code.HASH_MISMATCH`: what the origin sent is something else.
    """
    body = content_of(part, opened_event.content_key, context)
    if not is_announced(body, opened_event, hashlink, context):
        raise Refused(Code.HASH_MISMATCH, "The bytes do not have the hashes that event and notice name.")
    return body


def content_of(part: bytes, content_key: bytes, context: EventContext) -> bytes:
    """What was encrypted with a content key, compared with nothing.

    Raises:
        Refused: `Code.HASH_MISMATCH`: something else was.
    """
    try:
        padded = _cipher(content_key, b"part", context).decrypt(_NO_NONCE, part, context.named(b"part"))
    except InvalidTag as error:
        raise Refused(
            Code.HASH_MISMATCH, "What was sent is not the part that the event announces."
        ) from error
    if len(padded) < _LENGTH.size:  # the issuer decides what it encrypts
        raise Refused(Code.HASH_MISMATCH, "What was sent has no room for the length of its bytes.")
    (length,) = _LENGTH.unpack_from(padded)
    return padded[_LENGTH.size : _LENGTH.size + length]


def is_announced(body: bytes, opened_event: OpenedEvent, hashlink: str, context: EventContext) -> bool:
    """Whether bytes have the salted hash that an event names, and the digest that its notice names."""
    has_digest = hashlib.sha256(body).digest() == opened_event.notice.digest
    return has_digest and _hashlink(opened_event.content_key, context, body) == hashlink


def opened_with(sealed: str, content_key: bytes, context: EventContext) -> OpenedEvent:
    """An event as whoever knows its content key reads it: its origin, when a recipient has named the key.

    Raises:
        Refused: `Code.ENTITY_INVALID`: it was sealed with another one.
    """
    assert len(content_key) == KEY_SIZE_BYTES, "a content key has one size"
    box = base64.urlsafe_b64decode(sealed)[_BOX_AT:]
    return OpenedEvent(_notice_of(box, content_key, context), content_key)


# -- derived values ------------------------------------------------------------------------------------------


def _tag(secret: bytes, context: EventContext) -> bytes:
    return hmac.digest(secret, context.named(b"tag"), "sha256")[:_TAG_SIZE_BYTES]


def _masked(key: bytes, secret: bytes, context: EventContext) -> bytes:
    """A content key, hidden or shown again: the mask is used for one event alone."""
    mask = hmac.digest(secret, context.named(b"key"), "sha256")
    return bytes([one ^ other for one, other in zip(key, mask, strict=True)])


def _slot(secret: bytes, content_key: bytes, context: EventContext) -> bytes:
    return _tag(secret, context) + _masked(content_key, secret, context)


def _cipher(content_key: bytes, purpose: bytes, context: EventContext) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hmac.digest(content_key, context.named(purpose), "sha256"))


def _hashlink(content_key: bytes, context: EventContext, body: bytes) -> str:
    salt = hmac.digest(content_key, context.named(b"salt"), "sha256")
    return hashlink_of_digest(hashlib.sha256(salt + body).digest())


# -- forms ---------------------------------------------------------------------------------------------------


def _encoded_notice(notice: Notice) -> bytes:
    name = notice.type.encode("ascii")
    assert _TYPE.fullmatch(name), "a type has a name of the ledger's form"
    flags = _WITHDRAWAL * notice.is_withdrawal + _HAS_NONCE * (notice.nonce is not None)
    nonce = notice.nonce or b"\0" * NONCE_SIZE_BYTES
    fields = notice.entity_key, notice.version, notice.digest, nonce, flags, len(name)
    return (_NOTICE.pack(*fields) + name).ljust(_NOTICE_SIZE_BYTES, b"\0")


def _notice_of(box: bytes, content_key: bytes, context: EventContext) -> Notice:
    try:
        raw = _cipher(content_key, b"notice", context).decrypt(_NO_NONCE, box, context.named(b"notice"))
    except InvalidTag as error:
        raise Refused(
            Code.ENTITY_INVALID, "The event is for this member, and cannot be decrypted."
        ) from error
    entity_key, version, digest, nonce, flags, length = _NOTICE.unpack_from(raw)
    name = raw[_NOTICE.size : _NOTICE.size + length]
    notice = None
    is_possible = version <= VERSION_MAX and flags <= _WITHDRAWAL + _HAS_NONCE
    if is_possible and _TYPE.fullmatch(name) is not None:
        notice = Notice(
            *(entity_key, name.decode("ascii"), version, digest),
            *(nonce if flags & _HAS_NONCE else None, bool(flags & _WITHDRAWAL)),
        )
    if notice is None or _encoded_notice(notice) != raw:
        raise Refused(Code.ENTITY_INVALID, "The event is for this member, and not in its one form.")
    return notice


def _padded(body: bytes) -> bytes:
    return (_LENGTH.pack(len(body)) + body).ljust(_padded_size(len(body)), b"\0")


def _padded_size(body_size_bytes: int) -> int:
    """The power of two that holds a body with its length."""
    return max(PART_MIN_BYTES, 1 << (body_size_bytes + _LENGTH.size - 1).bit_length())
