"""The settings of one marketplace: one schema, from which `hansa.toml`, `HANSA_…` and docs/settings.md
follow.

A setting is read from the environment (`HANSA_` and the key in capitals), else from `hansa.toml` in the
marketplace's folder, else it has its default. Unknown keys are refused: a misspelt limit would limit nothing.
Limits that decide what is valid on the ledger are no settings; they stand in the genesis.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from hansa.core.errors import Code, Fatal, Refused
from hansa.core.limits import Limits
from hansa.core.members import normal_endpoint
from hansa.node.settings.limit_texts import LIMIT_TEXTS
from hansa.node.settings.schema import CHOICES, ENVIRONMENT_PREFIX, OWN_SETTINGS, Kind, Setting, Value

FILE_NAME: Final = "hansa.toml"
ENVIRONMENT_OTHERS: Final = frozenset({"HANSA_TOKEN"})
"""Variables with our prefix that are not settings: the command line reads them."""

LEDGER_LIMITS: Final = frozenset(
    {"event_size_max_bytes", "events_per_transaction_max", "transaction_size_max_bytes"}
)
"""Limits that all members must share; the genesis has them."""

NAME_LENGTH_MAX_CHARS: Final = 64


class Settings(msgspec.Struct, frozen=True):
    """What an operator decides about one marketplace. The schema (`hansa.node.settings.schema`) says what
    each means.
    """

    name: str
    did: str
    endpoint: str
    listen_host: str
    listen_port: int
    p2p_host: str
    p2p_port: int
    p2p_external_address: str
    persistent_peers: tuple[str, ...]
    single_machine: bool
    allow_private_networks: bool
    log_level: str
    log_format: str
    ready_lag_max_events: int
    unknown_attributes: Literal["refuse", "keep"]
    unknown_extensions: Literal["keep", "refuse"]
    unresolved_references: Literal["warn", "refuse"]
    referenced_deletion: Literal["refuse", "warn"]
    indexed_attributes: tuple[str, ...]
    import_hosts: tuple[str, ...]
    limits: Limits


_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
PORTS: Final = frozenset({"listen_port", "p2p_port"})


def _limit_settings() -> tuple[Setting, ...]:
    found = []
    for field in msgspec.structs.fields(Limits):
        if field.name in LEDGER_LIMITS:
            continue
        kind: Kind = "whole number" if field.type is int else "number"
        text = LIMIT_TEXTS.get(field.name, "")
        found.append(Setting(field.name, kind, field.default, text, 2 * field.default))
    return tuple(found)


SCHEMA: Final[tuple[Setting, ...]] = OWN_SETTINGS + _limit_settings()
_BY_KEY: Final = {setting.key: setting for setting in SCHEMA}


def load_settings(folder: Path, environment: Mapping[str, str]) -> Settings:
    """The settings of the marketplace in `folder`.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file or variable, the key and the reason.
    """
    file = folder / FILE_NAME
    given: dict[str, Value] = {}
    for key, raw in _read_toml(file).items():
        setting = _BY_KEY.get(key)
        if setting is None:
            raise _wrong(str(file), key, _unknown(key))
        given[key] = _typed(setting, raw, str(file))
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in ENVIRONMENT_OTHERS:
            continue
        key = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        setting = _BY_KEY.get(key)
        if setting is None or variable != setting.variable:
            raise _wrong("the environment", variable, _unknown(key))
        given[key] = _typed(setting, _from_text(setting, text), f"the environment ({variable})")
    return _assembled(given, str(file))


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{file} is not there. Make the marketplace's folder with: hansa init {file.parent} --name … --endpoint …",
        ) from error
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{file} is not UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{file} is not valid TOML: {error}.") from error


def _from_text(setting: Setting, text: str) -> Any:
    """What an environment variable says, as TOML would have it; the text itself when it says nothing of the
    kind.
    """
    if setting.kind == "list of texts":
        return [part.strip() for part in text.split(",") if part.strip()]
    if setting.kind == "truth value":
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if setting.kind in {"whole number", "number"}:
        for read in (int, float):
            try:
                return read(text)
            except ValueError:
                continue
    return text


def _typed(setting: Setting, raw: Any, place: str) -> Value:
    """A value of the setting's kind and within its range."""
    value: Value
    match setting.kind, raw:
        case "text", str():
            value = raw
        case "truth value", bool():
            value = raw
        case ("whole number", int()) | ("number", int() | float()) if not isinstance(raw, bool):
            value = raw if setting.kind == "whole number" else float(raw)
        case "list of texts", list() if all(isinstance(part, str) for part in raw):
            value = tuple(raw)
        case _:
            raise _wrong(place, setting.key, f"it must be a {setting.kind}, as {toml_value(setting.example)}")
    complaint = _out_of_range(setting, value)
    if complaint is not None:
        raise _wrong(place, setting.key, complaint)
    return value


def _out_of_range(setting: Setting, value: Value) -> str | None:
    choices = CHOICES.get(setting.key)
    if choices is not None and value not in choices:
        return f"it must be one of {', '.join(sorted(choices))}"
    if setting.key in PORTS and isinstance(value, int) and not 0 <= value <= 65_535:
        return "it must be a port, 0 to 65535"
    if setting.key in _LIMIT_KEYS and isinstance(value, int | float) and not 0 < value < float("inf"):
        return "it must be above 0"
    if setting.key == "import_hosts" and isinstance(value, tuple):
        wrong = [host for host in value if not _ORIGIN.fullmatch(host)]
        if wrong:
            return f"{wrong[0]!r} is no origin, as https://files.example"
    if isinstance(value, str) and not value.isprintable():
        return "it must be printable text"
    return None


_LIMIT_KEYS: Final = frozenset(
    {field.name for field in msgspec.structs.fields(Limits)} | {"ready_lag_max_events"}
)


def _assembled(given: Mapping[str, Value], file: str) -> Settings:
    values: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for setting in SCHEMA:
        value = given.get(setting.key, setting.default)
        if value is None:
            raise _wrong(file, setting.key, "it has to be given")
        target = values if setting in OWN_SETTINGS else limits
        target[setting.key] = value
    settings = Settings(**values, limits=Limits(**limits))
    _check_identity(settings, file)
    if settings.limits.list_limit_default > settings.limits.list_limit_max:
        raise _wrong(file, "list_limit_default", "it must not be above list_limit_max")
    return settings


def _check_identity(settings: Settings, file: str) -> None:
    if not 0 < len(settings.name) <= NAME_LENGTH_MAX_CHARS:
        raise _wrong(file, "name", f"it must have 1 to {NAME_LENGTH_MAX_CHARS} characters")
    if not settings.did.startswith("did:"):
        raise _wrong(file, "did", "it must be a DID, as did:web:market.example")
    try:
        normal = normal_endpoint(settings.endpoint)
    except Refused as error:
        raise _wrong(file, "endpoint", error.message.rstrip(".")) from error
    if normal != settings.endpoint:
        raise _wrong(file, "endpoint", f"it must be written {normal}")


def _unknown(key: str) -> str:
    if key in LEDGER_LIMITS:
        return "it is the same for the whole league and stands in the genesis"
    near = next((known for known in _BY_KEY if key.replace("_", "") == known.replace("_", "")), None)
    return "there is no such setting" + (f"; {near} is meant" if near else "")


def _wrong(place: str, key: str, reason: str) -> Fatal:
    return Fatal(Code.SETTINGS_INVALID, f"{place}: {key}: {reason}.")


# -- writing
# ------------------------------------------------------------------------------------------------------


def toml_value(value: Value) -> str:
    """A value as TOML writes it. A TOML basic string is a JSON string, but for DEL."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_document(values: Mapping[str, Value]) -> str:
    """A `hansa.toml` that sets these keys, each under its description."""
    lines = [
        "# The settings of this marketplace. Every other setting has its default: see docs/settings.md.",
    ]
    for key, value in values.items():
        lines += ["", f"# {_BY_KEY[key].description}", f"{key} = {toml_value(value)}"]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """The content of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "A setting is a key in `hansa.toml` in the marketplace's folder, or an environment variable, which wins. In a",
        "variable, the parts of a list are separated by commas. Unknown keys, wrong types and values out of range end",
        "the start with exit status 3 and a message that names file, key and reason. The unit is the last part of the",
        "name: `_s` seconds, `_bytes` bytes, `_chars` characters.",
        "",
        "Written by `hansa.node.settings.loading.settings_page`; a test keeps it in step with the code.",
        "",
        "## The marketplace",
        "",
        *_table(OWN_SETTINGS),
        "",
        "## Limits",
        "",
        "Everything that can grow has a bound. The defaults suit a marketplace on one machine. What decides which",
        "events are valid is the same for the whole league and stands in its genesis: "
        + ", ".join(f"`{name}`" for name in sorted(LEDGER_LIMITS))
        + ".",
        "",
        *_table(setting for setting in SCHEMA if setting not in OWN_SETTINGS),
    ]
    return "\n".join(lines) + "\n"


def _table(settings: Any) -> list[str]:
    rows = ["| Key | Variable | Type | Default | Meaning | Example |", "|---|---|---|---|---|---|"]
    for setting in settings:
        default = "(required)" if setting.default is None else f"`{toml_value(setting.default)}`"
        rows.append(
            f"| `{setting.key}` | `{setting.variable}` | {setting.kind} | {default} | {setting.description} "
            f"| `{toml_value(setting.example)}` |"
        )
    return rows
