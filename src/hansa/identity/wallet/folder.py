"""The credentials of one person or machine, with their keys: a folder, readable by its owner alone.

A file for each credential, written whole or not at all. Each credential has a key of its own, so that two
verifiers cannot tell by the key that they see the same person.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal, HansaError, Refused
from hansa.core.files import read_failure, read_file, write_failure, write_file
from hansa.identity.credentials.formats.document import CREDENTIAL_SIZE_MAX_BYTES, CredentialDocument
from hansa.identity.credentials.formats.jwt_vc import read_jwt_vc
from hansa.identity.credentials.formats.mdoc import MDOC_FORMAT, read_mdoc
from hansa.identity.credentials.formats.sd_jwt import SD_JWT_FORMAT, read_sd_jwt
from hansa.identity.credentials.mandate import Mandate, MandatedPerson, mandate_kind, read_mandate
from hansa.identity.credentials.signing_keys import PlainKey
from hansa.identity.credentials.verifier import CredentialFormat

CREDENTIALS_MAX: Final = 500
FILE_SIZE_MAX_BYTES: Final = 2 * CREDENTIAL_SIZE_MAX_BYTES
_ID: Final = re.compile("[0-9a-f]{16}", re.ASCII)
_SUFFIX: Final = ".json"


class HeldCredential(msgspec.Struct, frozen=True):
    """A credential in a wallet, as its file has it."""

    id: str
    """By which it is named here."""
    format: CredentialFormat
    text: str
    """As it was issued."""
    key: dict[str, str]
    """Private JWK of the key that it is bound to."""
    issuer: str
    """Where it came from: identifier of the issuer of OpenID4VCI."""
    added_s: int

    def document(self) -> CredentialDocument:
        """What it says.

        Raises:
            Refused: `Code.CREDENTIAL_MALFORMED`.
        """
        if self.format == MDOC_FORMAT:
            return read_mdoc(self.text)
        return read_sd_jwt(self.text)[0] if self.format == SD_JWT_FORMAT else read_jwt_vc(self.text)

    def signing_key(self) -> PlainKey:
        """The key that it is bound to."""
        return PlainKey.of_jwk(self.key)


class CredentialSummary(msgspec.Struct, frozen=True):
    """What of a credential is shown to its holder."""

    id: str
    format: CredentialFormat
    type: str
    holder: str
    """Name of the person or service; empty when it has none."""
    organization: str
    """For which the holder acts; empty when there is none."""
    powers: tuple[str, ...]
    end_s: int | None


def summary_of(held: HeldCredential) -> CredentialSummary:
    """What of a credential is shown to its holder.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    document = held.document()
    kind = mandate_kind(document.types)
    mandate = None if kind is None else read_mandate(kind, document.subject)
    powers = mandate.powers if mandate is not None else ()
    return CredentialSummary(
        id=held.id,
        format=held.format,
        type=document.types[0],
        holder=_holder(mandate),
        organization="" if mandate is None else mandate.organization.name or mandate.organization.identifier,
        powers=tuple(f"{one.function}: {', '.join(one.actions)}" for one in powers),
        end_s=document.validity.end_s,
    )


def _holder(mandate: Mandate | None) -> str:
    if mandate is None:
        return ""
    mandatee = mandate.mandatee
    if isinstance(mandatee, MandatedPerson):
        return f"{mandatee.first_name} {mandatee.last_name}".strip() or mandatee.email
    return mandatee.service_name or mandatee.domain


class WalletFolder:
    """The credentials in a folder.

    Args:
        path: Of the folder; made when something is added.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Of the folder, which people call the wallet by."""
        return self._path.name

    def credentials(self) -> tuple[HeldCredential, ...]:
        """All of them, oldest first; none, when there is no such folder.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, naming a file that cannot be read.
        """
        try:
            files = sorted(self._path.iterdir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise read_failure(self._path, error, "Name the folder of a wallet.") from error
        files = [one for one in files if one.suffix == _SUFFIX and _ID.fullmatch(one.stem)]
        if len(files) > CREDENTIALS_MAX:
            raise Fatal(Code.SETTINGS_INVALID, f"{self._path} has more than {CREDENTIALS_MAX} credentials.")
        held = map(_read, files)
        return tuple(sorted(held, key=lambda one: (one.added_s, one.id)))

    def add(self, held: HeldCredential) -> None:
        """Add a credential.

        Raises:
            Refused: `Code.CONFLICT`, when there is no room.
            Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
        """
        assert _ID.fullmatch(held.id), "a name is made here"
        if len(self.credentials()) >= CREDENTIALS_MAX:
            raise Refused(Code.CONFLICT, f"A wallet has {CREDENTIALS_MAX} credentials at most: remove some.")
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise write_failure(self._path, error) from error
        content = msgspec.json.format(msgspec.json.encode(held), indent=2)
        write_file(self._path / f"{held.id}{_SUFFIX}", content + b"\n")

    def remove(self, id: str) -> None:
        """Remove a credential with its key.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        path = self._path / f"{id}{_SUFFIX}"
        try:
            if _ID.fullmatch(id) is None:
                raise FileNotFoundError
            path.unlink()
        except FileNotFoundError:
            raise Refused(Code.NOT_FOUND, "There is no such credential in this wallet.") from None
        except OSError as error:
            raise write_failure(path, error) from error


def wallets_in(path: Path) -> tuple[WalletFolder, ...]:
    """The wallets of several people: the folders in a folder, by name.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when it cannot be read.
    """
    try:
        folders = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise read_failure(path, error, "Name a folder with wallets.") from error
    return tuple(map(WalletFolder, folders))


def _read(path: Path) -> HeldCredential:
    content = read_file(path)
    try:
        held = msgspec.json.decode(content[:FILE_SIZE_MAX_BYTES], type=HeldCredential)
        held.signing_key()
        held.document()
    except (*UNREADABLE, HansaError) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} holds no credential of a wallet.") from error
    if held.id != path.stem:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} holds a credential of another name.")
    return held
