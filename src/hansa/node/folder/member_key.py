"""The member's key in a folder, and the one that takes its place.

The new key is on disk before any ledger knows of it, and the old one stays until the ledger has registered
the new one. So whichever of the two the league knows is there, however often a rotation is interrupted.

So it is with the key for key agreement, of which the one before stays: what is sealed for it may be read
later. The one before that opens nothing any more; its origins have announced anew what they sealed for it.

The secret from which other keys follow is not replaced: what others know by these would be another thing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from hansa.core.confidential.agreement import AgreementKey
from hansa.core.derivation import DerivationSecret
from hansa.core.errors import Code, Fatal
from hansa.core.files import is_missing, sync_folder, write_failure, write_file
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.node.folder.card import read_card
from hansa.node.folder.layout import (
    AGREEMENT_KEY,
    CARD,
    FORMER_AGREEMENT_KEY,
    MEMBER_KEY,
    MEMBER_SECRET,
    NEXT_AGREEMENT_KEY,
    NEXT_MEMBER_KEY,
)
from hansa.node.settings.editing import set_setting
from hansa.node.settings.loading import FILE_NAME, load_settings


def next_member_key(folder: Path) -> SigningKey:
    """The key that is to take the place of the member's; the same until a ledger has registered it.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    path = folder / NEXT_MEMBER_KEY
    if is_missing(path):
        write_file(path, SigningKey.generate().private_document())
    return SigningKey.load(path)


def discard_next_key(folder: Path) -> None:
    """Remove the key that was to take the place of the member's, which the ledger has refused."""
    path = folder / NEXT_MEMBER_KEY
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise write_failure(path, error) from error


def adopt_member_key(folder: Path, me: Member) -> SigningKey:
    """The key that signs for a member: the next one, put in its place, when the registry names that.

    The card follows the registry.

    Args:
        folder: Of the marketplace.
        me: Its entry in the registry.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    path = folder / NEXT_MEMBER_KEY
    if is_missing(path):
        return SigningKey.load(folder / MEMBER_KEY)
    try:
        key = SigningKey.load(path)
    except Fatal:
        if not is_missing(path):
            raise
        return SigningKey.load(folder / MEMBER_KEY)  # another process has just put it there
    if me.key(key.kid) != key.public:
        return SigningKey.load(folder / MEMBER_KEY)
    update_card(folder, me)
    try:
        path.replace(folder / MEMBER_KEY)
        sync_folder(path.parent)
    except FileNotFoundError:
        pass  # another process has done it
    except OSError as error:
        raise write_failure(folder / MEMBER_KEY, error) from error
    return key


def update_card(folder: Path, me: Member, node_id: str | None = None) -> None:
    """Have the card say what the registry says of this member, and the address of its engine the node id.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    card = read_card(folder / CARD)
    if card.member.did != me.did:
        raise Fatal(
            Code.SETTINGS_INVALID, f"{folder / CARD} is the card of {card.member.did}, not of {me.did}."
        )
    address = card.p2p_address
    if node_id is not None:
        address = f"{node_id}@{address.partition('@')[2]}"
    if card.member != me or card.p2p_address != address:
        changed = msgspec.structs.replace(card, member=me, p2p_address=address)
        write_file(folder / CARD, msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n")


def set_endpoint(folder: Path, me: Member) -> None:
    """Have the card and the settings name the endpoint that the registry has of this member.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    update_card(folder, me)
    if load_settings(folder, {}).endpoint != me.endpoint:
        set_setting(folder / FILE_NAME, "endpoint", me.endpoint)


def agreement_keys(folder: Path) -> tuple[AgreementKey, ...]:
    """The keys of a folder that open sealed events: the present one, the next one and the one before.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when one cannot be read.
    """
    paths = (folder / path for path in (AGREEMENT_KEY, NEXT_AGREEMENT_KEY, FORMER_AGREEMENT_KEY))
    return tuple(AgreementKey.load(path) for path in paths if not is_missing(path))


def next_agreement_key(folder: Path) -> AgreementKey:
    """The key that is to open sealed events; the same until a ledger has registered it.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    path = folder / NEXT_AGREEMENT_KEY
    if is_missing(path):
        write_file(path, AgreementKey.generate().private_document())
    return AgreementKey.load(path)


def adopt_agreement_key(folder: Path, me: Member) -> None:
    """Put the next key for key agreement in its place, when the registry names it; the card follows.

    Args:
        folder: Of the marketplace.
        me: Its entry in the registry.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    path, present = folder / NEXT_AGREEMENT_KEY, folder / AGREEMENT_KEY
    if is_missing(path) or AgreementKey.load(path).public != me.agreement_key:
        return
    update_card(folder, me)
    try:
        if not is_missing(present):
            # Both are there for a moment: an interruption loses neither.
            write_file(folder / FORMER_AGREEMENT_KEY, present.read_bytes())
        path.replace(present)
        sync_folder(path.parent)
    except OSError as error:
        raise write_failure(present, error) from error


def member_secret(folder: Path) -> DerivationSecret:
    """The secret of a folder, made now where there is none, as in one of an earlier release.

    Args:
        folder: Of the marketplace.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    path = folder / MEMBER_SECRET
    if is_missing(path):
        write_file(path, DerivationSecret.generate().document())
    return DerivationSecret.load(path)
