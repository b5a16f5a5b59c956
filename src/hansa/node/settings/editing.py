"""Changing one setting of a `hansa.toml` that a person wrote: everything else stays, comments too."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from hansa.core.errors import Code, Fatal
from hansa.core.files import write_file
from hansa.node.settings.setting import Value
from hansa.node.settings.toml import toml_value


def set_setting(file: Path, key: str, value: Value) -> None:
    """Set a key of a settings file.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the file cannot be changed safely; `Code.DISK_FULL`.
    """
    text = file.read_text(encoding="utf-8")
    line = f"{key} = {toml_value(value)}\n"
    present = re.compile(rf"^{key}[ \t]*=[ \t]*(?:\[[^\]]*\]|\"[^\"\n]*\"|[^\[\"\n]*)[ \t]*\n", re.MULTILINE)
    changed, count = present.subn(lambda _: line, text, count=1)
    if count == 0:
        changed = line + text
    expected = list(value) if isinstance(value, tuple) else value
    try:
        is_right = tomllib.loads(changed) == {**tomllib.loads(text), key: expected}
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{file} cannot be changed safely. Write this line into it yourself: {line.strip()}",
        )
    write_file(file, changed.encode())
