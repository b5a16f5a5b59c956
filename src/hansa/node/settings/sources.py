"""Where the value of each setting comes from: the environment, else the file, else its default."""

from __future__ import annotations

from typing import Literal

from hansa.node.settings.loading import Settings
from hansa.node.settings.schema import OWN_SETTINGS
from hansa.node.settings.setting import Setting, Value

SettingSource = Literal["file", "environment", "default"]


def value_of(settings: Settings, setting: Setting) -> Value:
    """The value that a setting has."""
    holder = settings if setting in OWN_SETTINGS else settings.limits
    value: Value = getattr(holder, setting.key)
    return value


def source_of(setting: Setting, in_file: frozenset[str], in_environment: frozenset[str]) -> SettingSource:
    """Where the value of a setting comes from."""
    if setting.key in in_environment:
        return "environment"
    return "file" if setting.key in in_file else "default"
