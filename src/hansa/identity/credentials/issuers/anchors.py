"""Trust anchors of a marketplace: the authorities whose certificates it accepts for issuers of credentials.

They are files of a folder, `*.pem` or `*.crt`, each with one or more certificates. A file that cannot be used
is an error, and not one anchor less: else whoever can break a file decides whom a marketplace trusts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hansa.core.certificates import Certificate, read_anchor
from hansa.core.errors import Code, Refused
from hansa.core.files import read_failure, read_file
from hansa.core.trust.certificates import certificates_of_pem

ANCHORS_MAX: Final = 1000
ANCHOR_SUFFIXES: Final = frozenset({".pem", ".crt", ".cer", ".der"})


def read_anchors(path: Path) -> tuple[Certificate, ...]:
    """The authorities of a folder, or of one file.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when it is missing or cannot be read.
        Refused: `Code.CERTIFICATE_INVALID`, naming the file, when one is not an authority's certificate.
    """
    files = anchor_files(path) if path.is_dir() else [path]
    anchors: dict[bytes, Certificate] = {}
    for file in files:
        content = read_file(file, "Name an existing file or folder.")
        try:
            anchors |= {raw: read_anchor(raw) for raw in certificates_of_pem(content)}
        except Refused as error:
            raise Refused(error.code, f"{file}: {error.message}") from error
        if len(anchors) > ANCHORS_MAX:
            raise Refused(Code.INVALID, f"{path} has more than {ANCHORS_MAX} trust anchors.")
    return tuple(anchors.values())


def anchor_files(folder: Path) -> list[Path]:
    """The files of a folder that hold certificates, by their names.

    Raises:
        Fatal: When it cannot be read.
    """
    try:
        return sorted(one for one in folder.iterdir() if one.suffix.lower() in ANCHOR_SUFFIXES)
    except OSError as error:
        raise read_failure(folder, error, "Name an existing folder.") from error
