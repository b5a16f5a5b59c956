from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hansa.core.errors import Code, Fatal
from hansa.core.limits import Limits
from hansa.node.settings.limit_texts import LIMIT_TEXTS
from hansa.node.settings.loading import Settings, load_settings
from hansa.node.settings.schema import LEDGER_LIMITS, SCHEMA
from hansa.node.settings.setting import Value
from hansa.node.settings.toml import toml_document, toml_value

PEERS = ("a" * 40 + "@x.example:1", "0" * 40 + "@[::1]:26656")
GOOD: dict[str, Value] = {
    "name": "lubeck",
    "did": "did:web:lubeck.example",
    "endpoint": "https://lubeck.example",
    "p2p_port": 26656,
}


def folder_with(tmp_path: Path, text: str) -> Path:
    (tmp_path / "hansa.toml").write_text(text)
    return tmp_path


def good(tmp_path: Path, **further: str | bool | float | tuple[str, ...]) -> Path:
    return folder_with(
        tmp_path, "\n".join(f"{key} = {toml_value(value)}" for key, value in {**GOOD, **further}.items())
    )


def complaint(folder: Path, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(Fatal) as caught:
        load_settings(folder, environment or {})
    assert caught.value.code is Code.SETTINGS_INVALID
    return caught.value.message


def test_what_is_not_given_has_its_default(tmp_path: Path) -> None:
    settings = load_settings(good(tmp_path), {})
    assert settings.limits == Limits()
    assert settings.persistent_peers == ()
    assert not settings.allow_private_networks


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    folder = good(tmp_path, log_level="info", body_depth_max=10)
    settings = load_settings(
        folder,
        {
            "HANSA_LOG_LEVEL": "debug",
            "HANSA_BODY_DEPTH_MAX": "12",
            "HANSA_RETRIEVAL_TIMEOUT_S": "2.5",
            "HANSA_PERSISTENT_PEERS": ", ".join(PEERS),
            "HANSA_ALLOW_PRIVATE_NETWORKS": "true",
            "HANSA_TOKEN": "for the command line",
            "PATH": "/bin",
        },
    )
    assert (settings.log_level, settings.limits.body_depth_max) == ("debug", 12)
    assert settings.limits.retrieval_timeout_s == 2.5
    assert settings.persistent_peers == PEERS
    assert settings.allow_private_networks


def test_a_whole_number_will_do_where_a_number_is_asked_for(tmp_path: Path) -> None:
    assert load_settings(good(tmp_path, stop_timeout_s=3), {}).limits.stop_timeout_s == 3.0


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("body_depth_max", "ten", "whole number"),
        ("body_depth_max", True, "whole number"),
        ("body_depth_max", 1.5, "whole number"),
        ("body_depth_max", 0, "above 0"),
        ("ledger_blocks_retained", -1, "0 or more"),
        ("ledger_blocks_retained", 99_999, "the age of evidence"),
        ("stop_timeout_s", "soon", "number"),
        ("allow_private_networks", 1, "truth value"),
        ("persistent_peers", "a@x:1", "list of texts"),
        ("name", 3, "text"),
        ("name", "", "characters"),
        ("name", "a\nb", "printable"),
        ("metrics_listen", "127.0.0.1:0099991234", "host:port"),
        ("p2p_external_address", "market.example", "host:port"),
        ("p2p_external_address", "market.example:99999", "host:port"),
        ("p2p_external_address", ":26656", "host:port"),
        ("did", "lubeck", "DID"),
        ("endpoint", "lubeck.example", "endpoint"),
        ("endpoint", "HTTPS://Lubeck.example/", "must be written https://lubeck.example"),
        ("p2p_port", 70000, "port"),
        ("log_level", "loud", "one of debug, error, info, warning"),
        ("list_limit_default", 5000, "list_limit_max"),
        ("event_size_max_bytes", 10, "genesis"),
        ("list_limit_maximum", 10, "no such setting"),
        ("listlimitmax", 10, "list_limit_max is meant"),
    ],
)
def test_a_wrong_value_is_refused_with_file_key_and_reason(
    tmp_path: Path, key: str, value: str | bool | float, reason: str
) -> None:
    message = complaint(good(tmp_path, **{key: value}))
    assert "hansa.toml" in message
    assert key in message
    assert reason in message


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        *(
            ("persistent_peers", text, "40 hexadecimal digits")
            for text in ("x", "a@b", "zz@x:1", f"{'A' * 40}@x:1")
        ),
        *(
            ("persistent_peers", f"{'a' * 40}@{text}", "40 hexadecimal digits")
            for text in ("", "x", ":1", "x:0", "x y:1")
        ),
        *(("trusted_proxies", text, "address or network") for text in ("x", "300.1.1.1/99", "10.0.0.0/33")),
        *((key, "x", "origin") for key in ("allowed_origins", "import_hosts", "followed_members")),
    ],
)
def test_a_wrong_text_of_a_list_is_refused_with_what_it_should_be(
    tmp_path: Path, key: str, text: str, reason: str
) -> None:
    message = complaint(folder_with(tmp_path, toml_document({**GOOD, key: (text,)})))
    assert f"{key}: {text!r} is no " in message
    assert reason in message


def test_a_mark_of_the_byte_order_does_not_matter(tmp_path: Path) -> None:
    folder = good(tmp_path)
    file = folder / "hansa.toml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_settings(folder, {}).name == GOOD["name"]


@pytest.mark.parametrize("key", [setting.key for setting in SCHEMA if setting.default is None])
def test_a_required_setting_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    rest = {known: value for known, value in GOOD.items() if known != key}
    folder = folder_with(
        tmp_path, "\n".join(f"{known} = {toml_value(value)}" for known, value in rest.items())
    )
    assert f"{key}: it is required" in complaint(folder)


@pytest.mark.parametrize(
    ("variable", "text"),
    [("HANSA_BODY_DEPTH_MAX", "x"), ("HANSA_BODY_DEPTH", "1"), ("HANSA_log_level", "info")],
)
def test_a_wrong_variable_is_refused_by_its_name(tmp_path: Path, variable: str, text: str) -> None:
    assert variable in complaint(good(tmp_path), {variable: text})


def test_a_damaged_file_is_refused_with_its_place(tmp_path: Path) -> None:
    assert "line 1" in complaint(folder_with(tmp_path, "name = = 3\n"))
    (tmp_path / "hansa.toml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in complaint(tmp_path)


def test_a_missing_or_unreadable_file_is_said_to_be_so(tmp_path: Path) -> None:
    assert "hansa init" in complaint(tmp_path)
    (tmp_path / "hansa.toml").mkdir()
    assert "cannot be read" in complaint(tmp_path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written: dict[str, Value] = {
        **GOOD,
        "name": 'Lübeck "7" \\ \x7f',
        "persistent_peers": PEERS,
        "retrieval_timeout_s": 2.5,
    }
    written["name"] = 'Lübeck "7"'
    settings = load_settings(folder_with(tmp_path, toml_document(written)), {})
    assert (settings.name, settings.persistent_peers) == ('Lübeck "7"', PEERS)


def test_every_limit_is_a_setting_with_a_meaning_or_of_the_ledger() -> None:
    limits = {field.name for field in msgspec.structs.fields(Limits)}
    assert limits - LEDGER_LIMITS == set(LIMIT_TEXTS)
    assert {setting.key for setting in SCHEMA} - set(LIMIT_TEXTS) == set(Settings.__struct_fields__) - {
        "limits",
        "file_keys",
        "environment_keys",
    }


def test_every_example_is_a_good_value(tmp_path: Path) -> None:
    for setting in SCHEMA:
        value = setting.example
        # What is for development is refused at the endpoint of these settings, unless they insist.
        values = {"development_anywhere": True, setting.key: value}
        settings = load_settings(good(tmp_path, **values), {})
        holder = settings if hasattr(settings, setting.key) else settings.limits
        assert getattr(holder, setting.key) == value


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path,
        """
name = "lubeck"
endpoint = 7
log_level = "loud"
allow_private_network = true
retrieval_timeout_s = 'soon'
p2p_port = 26656
""",
    )
    said = complaint(folder, {"HANSA_BODY_DEPTH_MAX": "-1", "HANSA_NOTHING": "1"})
    assert "endpoint: it must be a text" in said
    assert "log_level: it must be one of" in said
    assert "allow_private_network: there is no such setting; did you mean allow_private_networks?" in said
    assert "retrieval_timeout_s: it must be a number" in said
    assert "HANSA_BODY_DEPTH_MAX" in said
    assert "HANSA_NOTHING: there is no such setting." in said
    assert "did: it is required" in said


@pytest.mark.parametrize(
    ("mandates", "identities", "sentence"),
    [
        ((), (), "wallet_credentials: it must name one at least, or login_identity_types must"),
        (None, ("jwt_vc_json:PersonIdentification",), "is no format of identity documents with a type"),
        (None, ("urn:eudi:pid:1",), "is no format of identity documents with a type"),
        (None, ("dc+sd-jwt:eu.europa.ec.eudi.lce.2",), "is a mandate, and no identity document"),
        (("dc+sd-jwt:urn:eudi:pid:1",), ("dc+sd-jwt:urn:eudi:pid:1",), "is in wallet_credentials, too"),
    ],
)
def test_credentials_of_logins_that_make_no_sense_are_refused(
    tmp_path: Path, mandates: tuple[str, ...] | None, identities: tuple[str, ...], sentence: str
) -> None:
    named = {} if mandates is None else {"wallet_credentials": mandates}
    assert sentence in complaint(good(tmp_path, **named, login_identity_types=identities))


def test_people_without_organisation_log_in_only_where_the_operator_says_so(tmp_path: Path) -> None:
    assert load_settings(good(tmp_path), {}).login_identity_types == ()


def test_a_marketplace_may_ask_for_identity_documents_alone(tmp_path: Path) -> None:
    folder = good(tmp_path, wallet_credentials=(), login_identity_types=("mso_mdoc:org.iso.18013.5.1.mDL",))
    assert load_settings(folder, {}).wallet_credentials == ()
