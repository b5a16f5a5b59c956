"""Backup of a marketplace's folder into one file, and the way back.

    contents   which files of the folder belong to a backup, and where the restored ones may go
    archive    the form of the file: a tar archive of one exact form, read without trusting it
    writer     writes one, while the marketplace runs
    restorer   checks one, and makes a folder of it

A backup holds secrets: every key of the marketplace. It is written for its owner alone.
"""

from hansa.node.backup.archive import Manifest, Part
from hansa.node.backup.restorer import restore_backup, verify_backup
from hansa.node.backup.writer import write_backup

__all__ = ["Manifest", "Part", "restore_backup", "verify_backup", "write_backup"]
