"""The settings of one marketplace, from `hansa.toml` and the environment.

A setting is read from the environment (`HANSA_` and the key in capitals), else from `hansa.toml` in the
marketplace's folder, else it has its default. Unknown keys are refused: a misspelt limit would limit nothing.
Limits that decide what is valid on the ledger are no settings; they stand in the genesis.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from hansa.core.certificates.elsi import ELSI_PREFIX, organization_identifier_of
from hansa.core.entity_form import ENTITY_SIZE_MAX_BYTES
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import read_file
from hansa.core.limits import Limits
from hansa.core.members import normal_endpoint
from hansa.core.parties import read_party_operators
from hansa.core.policies import (
    ClientIdPrefix,
    CredentialTrust,
    CrossDevice,
    DeletionPolicy,
    FormerReplicas,
    ItemStates,
    MissingAttributes,
    ResponseMode,
    SdJwtIssuer,
    UnknownAttributes,
    UnknownExtensions,
    UnresolvedPolicy,
)
from hansa.core.web_addresses import web_address
from hansa.identity.credentials.identity_documents import IDENTITY_FORMATS
from hansa.identity.credentials.mandate import mandate_kind
from hansa.identity.delegation_rules import DelegationRules
from hansa.identity.issuing.orders import FORMS
from hansa.identity.issuing.rules import ATTESTATIONS
from hansa.identity.onboarding.registering import TERMS_MAX_CHARS
from hansa.node.settings.schema import (
    BY_KEY,
    LEDGER_LIMITS,
    LIMIT_SETTINGS,
    OWN_SETTINGS,
    SCHEMA,
    BusKind,
    LogFormat,
    LogLevel,
)
from hansa.node.settings.setting import ENVIRONMENT_PREFIX, Setting, Value
from hansa.node.settings.toml import toml_value
from hansa.pubsub.engine.genesis import EVIDENCE_AGE_MAX_BLOCKS

FILE_NAME: Final = "hansa.toml"
ENVIRONMENT_OTHERS: Final = frozenset({"HANSA_TOKEN"})
"""Variables with our prefix that are not settings: the command line reads them."""

NAME_LENGTH_MAX_CHARS: Final = 64


class Settings(msgspec.Struct, frozen=True):
    """What an operator decides about one marketplace; `hansa.node.settings.schema` says what each means."""

    name: str
    did: str
    endpoint: str
    listen_host: str
    listen_port: int
    metrics_listen: str
    bus: BusKind
    followed_members: tuple[str, ...]
    p2p_host: str
    p2p_port: int
    p2p_external_address: str
    persistent_peers: tuple[str, ...]
    ledger_blocks_retained: int
    ledger_upgrade_height: int
    single_machine: bool
    allow_private_networks: bool
    log_level: LogLevel
    log_format: LogFormat
    access_log: bool
    ready_lag_max_events: int
    unknown_attributes: UnknownAttributes
    missing_attributes: MissingAttributes
    item_states: ItemStates
    unknown_extensions: UnknownExtensions
    unresolved_references: UnresolvedPolicy
    referenced_deletion: DeletionPolicy
    indexed_attributes: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    import_hosts: tuple[str, ...]
    write_delegations: tuple[str, ...]
    operator_organizations: tuple[str, ...]
    party_operators: tuple[str, ...]
    former_members_replicas: FormerReplicas
    portal_accent: str
    portal_accent_dark: str
    portal_logo: str
    portal_imprint: str
    portal_terms: str
    wallet_credentials: tuple[str, ...]
    login_identity_types: tuple[str, ...]
    credential_trust: CredentialTrust
    anchored_credentials: tuple[str, ...]
    credential_hosts: tuple[str, ...]
    trusted_lists: tuple[str, ...]
    trusted_list_services: tuple[str, ...]
    wallet_client_id_prefix: ClientIdPrefix
    verifier_key: str
    wallet_response_mode: ResponseMode
    wallet_cross_device: CrossDevice
    wallet_names_authorities: bool
    wallet_scheme: str
    web_wallets: tuple[str, ...]
    onboarding_terms: str
    issuing: bool
    issuing_formats: tuple[str, ...]
    issuing_sd_jwt_issuer: SdJwtIssuer
    issuing_dpop: bool
    issuing_wallet_initiated: bool
    issuing_attestations: tuple[str, ...]
    wallet: str
    development_anywhere: bool
    limits: Limits
    file_keys: frozenset[str] = frozenset()
    """The settings that the file names."""
    environment_keys: frozenset[str] = frozenset()
    """The settings whose values the environment has."""


_ENGINE: Final = re.compile(r"[0-9a-f]{40}@[^:].*")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9.+-]{1,63}:(//[A-Za-z0-9./_-]{0,200})?", re.ASCII)
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
MINIMA: Final = {
    "ledger_blocks_retained": 0,
    "ledger_upgrade_height": 0,
    "entity_size_max_bytes": ENTITY_SIZE_MAX_BYTES,
    "retrieval_size_max_bytes": 2 * ENTITY_SIZE_MAX_BYTES,
}
"""The least that a setting may be. What another member may publish must fit, whatever its reader prefers."""
KEY_COMPARED_MAX_CHARS: Final = 80
PORTS: Final = frozenset({"listen_port", "p2p_port"})
ADDRESSES: Final = frozenset({"metrics_listen", "p2p_external_address"})
LINKS: Final = frozenset({"portal_imprint", "portal_terms"})
ORIGINS: Final = frozenset({"allowed_origins", "credential_hosts", "followed_members", "import_hosts"})
LOGIN_LIFETIME_MAX_S: Final = 300.0


def load_settings(folder: Path, environment: Mapping[str, str]) -> Settings:
    """The settings of the marketplace in `folder`.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming for everything that is wrong the file or variable, the key and
            the reason.
    """
    file = folder / FILE_NAME
    values: dict[str, Value] = {}
    faults: list[str] = []
    environment_keys: set[str] = set()
    in_file = _read_toml(file)
    for key, raw in in_file.items():
        setting = BY_KEY.get(key)
        if setting is None:
            faults.append(_fault(str(file), key, _unknown(key)))
        else:
            _set(values, setting, raw, str(file), faults)
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in ENVIRONMENT_OTHERS:
            continue
        key = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        setting = BY_KEY.get(key)
        if setting is None or variable != setting.variable:
            faults.append(_fault("the environment", variable, _unknown(key)))
        else:
            place = f"the environment ({variable})"
            _set(values, setting, _from_text(setting, text), place, faults)
            environment_keys.add(key)
    settings = _assembled(values, str(file), faults)
    return msgspec.structs.replace(
        settings, file_keys=frozenset(in_file), environment_keys=frozenset(environment_keys)
    )


def _set(values: dict[str, Value], setting: Setting, raw: Any, place: str, faults: list[str]) -> None:
    """Set a value, or take note of why it cannot be one; the setting then counts as given."""
    try:
        values[setting.key] = _typed(setting, raw, place)
    except Fatal as fault:
        faults.append(fault.message)
        values[setting.key] = setting.example


def _read_toml(file: Path) -> dict[str, Any]:
    content = read_file(
        file, f"Make the marketplace's folder with: hansa init {file.parent} --name … --endpoint …"
    )
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{file} is not UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{file} is not valid TOML: {error}.") from error


def _from_text(setting: Setting, text: str) -> Any:
    """The value of an environment variable, as TOML would have it; else the text itself."""
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


def _too_small(key: str, value: int) -> str | None:
    if value < MINIMA[key]:
        return f"it must be {MINIMA[key]} or more"
    if key == "ledger_blocks_retained" and 0 < value < EVIDENCE_AGE_MAX_BLOCKS:
        return (
            f"it must be 0, for all, or {EVIDENCE_AGE_MAX_BLOCKS} or more, the age of evidence of misbehavior"
        )
    return None


def _out_of_range(setting: Setting, value: Value) -> str | None:
    if setting.choices and value not in setting.choices:
        return f"it must be one of {', '.join(sorted(setting.choices))}"
    if setting.key in PORTS and isinstance(value, int) and not 0 <= value <= 65_535:
        return "it must be a port, 0 to 65535"
    if _is_limit(setting) and isinstance(value, int | float) and not 0 < value < float("inf"):
        return "it must be above 0"
    if (complaint := _no_login(setting.key, value)) is not None:
        return complaint
    if setting.key in MINIMA and isinstance(value, int):
        return _too_small(setting.key, value)
    if setting.key in ADDRESSES and isinstance(value, str) and value:
        return _no_address(setting.key, value)
    if isinstance(value, tuple):
        return _unusable_texts(setting, value)
    return _unusable_text(setting.key, value) if isinstance(value, str) else None


def _unusable_text(key: str, text: str) -> str | None:
    """What is wrong with any other text."""
    if not text.isprintable():
        return "it must be printable text"
    if key in LINKS and text and not _is_web_address(text):
        return "it must be a web address, as https://market.example/terms"
    return None


def _no_login(key: str, value: Value) -> str | None:
    """Why a value is none for a setting of logins."""
    if key == "login_lifetime_s" and isinstance(value, float) and value > LOGIN_LIFETIME_MAX_S:
        return f"it must be {LOGIN_LIFETIME_MAX_S:.0f} at most"
    if key == "wallet_scheme" and _SCHEME.fullmatch(str(value)) is None:
        return "it must be a scheme with what follows it, as openid4vp://"
    return None


def _no_address(key: str, value: str) -> str | None:
    """Why a text is no address of a socket."""
    if key == "metrics_listen":
        return (
            None if _is_address(value if ":" in value else f":{value}") else "it must be host:port, or a port"
        )
    return None if _is_address(value) and not value.startswith(":") else "it must be host:port"


def _unusable_texts(setting: Setting, texts: tuple[str, ...]) -> str | None:
    """What is wrong with the texts of a list."""
    if setting.key == "issuing_formats" and not texts:
        return "it must name one at least"
    form = _FORMS.get(setting.key)
    if form is not None:
        holds, what = form
        wrong = [text for text in texts if not holds(text)]
        return f"{wrong[0][:KEY_COMPARED_MAX_CHARS]!r} is no {what}" if wrong else None
    checks: dict[str, Callable[[tuple[str, ...]], object]] = {
        "write_delegations": DelegationRules,
        "party_operators": read_party_operators,
    }
    check = checks.get(setting.key)
    if check is not None:
        try:
            check(texts)
        except Refused as error:
            return error.message.rstrip(".")
    return None


def _is_web_address(text: str) -> bool:
    try:
        web_address(text)
    except Refused:
        return False
    return True


def _is_origin(text: str) -> bool:
    return _is_web_address(text) and _ORIGIN.fullmatch(text) is not None


def _is_organization(text: str) -> bool:
    return organization_identifier_of(ELSI_PREFIX + text) is not None


def _is_accepted_credential(text: str) -> bool:
    return _CREDENTIAL.fullmatch(text) is not None


def _is_identity_document(text: str) -> bool:
    return _is_accepted_credential(text) and text.partition(":")[0] in IDENTITY_FORMATS


def _is_trusted_list(text: str) -> bool:
    """Whether a text is an address of the web, or a path that leads out of no folder."""
    if "://" in text:
        return _is_web_address(text)
    path = PurePosixPath(text)
    return text.isprintable() and bool(path.parts) and ".." not in path.parts


def _is_engine(text: str) -> bool:
    return _ENGINE.fullmatch(text) is not None and _is_address(text.partition("@")[2])


def _is_address(text: str) -> bool:
    """Whether a text is `host:port`."""
    host, _, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65_535
    return is_port and host.isprintable() and not set(host) & set(" @/,")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


_CREDENTIAL: Final = re.compile(r"(dc\+sd-jwt|jwt_vc_json|mso_mdoc):[!-~]{1,256}", re.ASCII)
_FORMS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "wallet_credentials": (
        _is_accepted_credential,
        "format with a type, as dc+sd-jwt:eu.europa.ec.eudi.lce.1",
    ),
    "login_identity_types": (
        _is_identity_document,
        "format of identity documents with a type, as dc+sd-jwt:urn:eudi:pid:1",
    ),
    "issuing_formats": (FORMS.__contains__, "format: dc+sd-jwt or jwt_vc_json"),
    "issuing_attestations": (ATTESTATIONS.__contains__, "thing that is attested: wallets or keys"),
    "trusted_lists": (_is_trusted_list, "address of a web page, or path below the folder"),
    "web_wallets": (_is_web_address, "address of a web page, as https://wallet.example/authorize"),
    **dict.fromkeys(ORIGINS, (_is_origin, "origin, as https://files.example")),
    "persistent_peers": (
        _is_engine,
        "address of an engine: the node id in 40 hexadecimal digits, @host:port",
    ),
    "operator_organizations": (_is_organization, "identifier of an organisation, as VATES-B60645900"),
    "trusted_proxies": (_is_network, "address or network, as 10.0.0.0/8"),
}
"""What the texts of a list must be, and how it is called."""


def _is_limit(setting: Setting) -> bool:
    return setting in LIMIT_SETTINGS or setting.key == "ready_lag_max_events"


def _assembled(read: Mapping[str, Value], file: str, faults: list[str]) -> Settings:
    values: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for setting in SCHEMA:
        value = read.get(setting.key, setting.default)
        if value is None:
            faults.append(_fault(file, setting.key, "it is required"))
        target = values if setting in OWN_SETTINGS else limits
        target[setting.key] = value
    if faults:
        raise Fatal(Code.SETTINGS_INVALID, " ".join(faults))
    settings = Settings(**values, limits=Limits(**limits))
    _check_identity(settings, file)
    _check_logins(settings, file)
    _check_development(settings, file)
    _check_terms(settings, file)
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
        web_address(normal)
    except Refused as error:
        raise _wrong(file, "endpoint", error.message.rstrip(".")) from error
    if normal != settings.endpoint:
        raise _wrong(file, "endpoint", f"it must be written {normal}")


def _check_logins(settings: Settings, file: str) -> None:
    mandates, identities = settings.wallet_credentials, settings.login_identity_types
    if not mandates and not identities:
        raise _wrong(file, "wallet_credentials", "it must name one at least, or login_identity_types must")
    for text in identities:
        if text in mandates:
            raise _wrong(file, "login_identity_types", f"{text!r} is in wallet_credentials, too")
        if mandate_kind((text.partition(":")[2],)) is not None:
            raise _wrong(file, "login_identity_types", f"{text!r} is a mandate, and no identity document")


def _check_terms(settings: Settings, file: str) -> None:
    if len(settings.onboarding_terms) > TERMS_MAX_CHARS:
        raise _wrong(file, "onboarding_terms", f"it must have {TERMS_MAX_CHARS} characters at most")


def _check_development(settings: Settings, file: str) -> None:
    """What is for development is served on a loopback address, unless the operator insists."""
    if not (settings.issuing or settings.wallet) or settings.development_anywhere:
        return
    hosts = settings.listen_host, urlsplit(settings.endpoint).hostname or ""
    if not all(map(_is_loopback, hosts)):
        raise _wrong(
            file,
            "issuing" if settings.issuing else "wallet",
            "it is for development, and this marketplace is reached from other machines; development_anywhere insists",
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unknown(key: str) -> str:
    if key in LEDGER_LIMITS:
        return "it is the same for the whole league and stands in the genesis"
    near = next((known for known in BY_KEY if key.replace("_", "") == known.replace("_", "")), None)
    if near is not None:
        return f"there is no such setting; {near} is meant"
    alike = difflib.get_close_matches(key[:KEY_COMPARED_MAX_CHARS], BY_KEY, n=2, cutoff=0.75)
    return "there is no such setting" + (f"; did you mean {' or '.join(alike)}?" if alike else "")


def _wrong(place: str, key: str, reason: str) -> Fatal:
    return Fatal(Code.SETTINGS_INVALID, _fault(place, key, reason))


def _fault(place: str, key: str, reason: str) -> str:
    return f"{place}: {key}: {reason.removesuffix('?')}{'?' if reason.endswith('?') else '.'}"
