"""The settings of logins with wallets, of whom they are believed, and of what is there for trying it out."""

from __future__ import annotations

from typing import Final

from hansa.core.policies import ClientIdPrefix, CredentialTrust, CrossDevice, ResponseMode, SdJwtIssuer
from hansa.node.settings.setting import Setting, choice

WALLET_SETTINGS: Final = (
    Setting(
        "wallet_credentials",
        "list of texts",
        (
            "dc+sd-jwt:eu.europa.ec.eudi.lce.1",
            "dc+sd-jwt:learcredential.employee.sd.1",
            "jwt_vc_json:LEARCredentialEmployee",
            "jwt_vc_json:learcredential.employee.w3c.4",
        ),
        "Credentials with which people log in for an organisation, each as its format and its type; a wallet presents one of "
        "them. May be empty where `login_identity_types` is not.",
        ("dc+sd-jwt:eu.europa.ec.eudi.lce.1",),
    ),
    Setting(
        "login_identity_types",
        "list of texts",
        (),
        "Identity documents with which people log in for themselves, without an organisation and its rights, each as its "
        "format, `dc+sd-jwt` or `mso_mdoc`, and its type; empty: nobody does.",
        ("dc+sd-jwt:urn:eudi:pid:1", "mso_mdoc:org.iso.18013.5.1.mDL"),
    ),
    choice(
        "credential_trust",
        CredentialTrust,
        "ledger",
        "Whose credentials are accepted: of the trusted issuers on the ledger, or of whoever has a certificate of an "
        "authority in `anchors/`.",
        "anchors",
    ),
    Setting(
        "anchored_credentials",
        "list of texts",
        (),
        "Types of credentials for which a certificate of an authority in `anchors/` is enough, beside the trusted issuers "
        "of the ledger.",
        ("urn:eudi:pid:1",),
    ),
    Setting(
        "credential_hosts",
        "list of texts",
        (),
        "Origins from which status lists and documents of issuers' DIDs may be fetched, beside the members' endpoints.",
        ("https://issuer.example",),
    ),
    Setting(
        "trusted_lists",
        "list of texts",
        (),
        "Trusted lists (ETSI TS 119 612 and TS 119 602) whose authorities are accepted beside those of `anchors/`: addresses, or "
        "files. Each is signed with a certificate of `list-signers/`.",
        ("https://lists.example/tsl.xml", "lists/pid-providers.jws"),
    ),
    Setting(
        "trusted_list_services",
        "list of texts",
        ("http://uri.etsi.org/TrstSvc/Svctype/CA/QC",),
        "Types of services in trusted lists whose certificates are accepted as authorities.",
        ("http://uri.etsi.org/19602/SvcType/PID/Issuance",),
    ),
    choice(
        "wallet_client_id_prefix",
        ClientIdPrefix,
        "x509_hash",
        "How wallets know this marketplace; HAIP demands `x509_hash`.",
        "decentralized_identifier",
    ),
    Setting(
        "verifier_key",
        "text",
        "",
        "Key of the verifier in a PKCS #11 token (RFC 7512); empty: it is in `verifier/key.pem`. The PIN is in a file.",
        "pkcs11:token=hansa;object=verifier?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:verifier/pin",
    ),
    choice(
        "wallet_response_mode",
        ResponseMode,
        "direct_post.jwt",
        "Whether wallets encrypt what they present (`direct_post.jwt`), as HAIP demands, or leave that to TLS.",
        "direct_post",
    ),
    choice(
        "wallet_cross_device",
        CrossDevice,
        "code",
        "How a login with a wallet on another device is confirmed: by a code that this device shows and that is typed in "
        "the browser, by a click alone, or not at all, as there are none.",
        "confirm",
    ),
    Setting(
        "wallet_names_authorities",
        "truth value",
        False,
        "Whether requests name the authorities of `anchors/` (`aki`), so that wallets offer only credentials of issuers under "
        "one of them; leave it off where issuers are known by the ledger alone.",
        True,
    ),
    Setting(
        "wallet_scheme",
        "text",
        "openid4vp://",
        "With what links that open a wallet begin.",
        "haip-vp://",
    ),
    Setting(
        "web_wallets",
        "list of texts",
        (),
        "Addresses of wallets that are web pages, to which the login page has links.",
        ("https://wallet.example/authorize",),
    ),
)
"""How people log in."""
DEVELOPMENT_SETTINGS: Final = (
    Setting(
        "onboarding_terms",
        "text",
        "",
        "Version of the operator's terms that an organisation accepts when it registers, 128 characters at most; empty: "
        "organisations do not register here. `portal_terms` says where they are.",
        "2026-11",
    ),
    Setting(
        "issuing",
        "truth value",
        False,
        "Whether this marketplace issues credentials, for development: whoever can read its folder can be anybody to those "
        "who trust its authority (docs/operators/issuing.md).",
        True,
    ),
    Setting(
        "issuing_formats",
        "list of texts",
        ("dc+sd-jwt", "jwt_vc_json"),
        "Formats in which credentials are issued; HAIP has no `jwt_vc_json`.",
        ("dc+sd-jwt",),
    ),
    choice(
        "issuing_sd_jwt_issuer",
        SdJwtIssuer,
        "did",
        "What `iss` of a `dc+sd-jwt` is: the did:elsi of the organisation, as in DOME, or the address of this marketplace, "
        "which the certificate of the seal names, as the OpenID conformance suite demands.",
        "address",
    ),
    Setting(
        "issuing_dpop",
        "truth value",
        False,
        "Whether the issuer of credentials binds every access token to a key of the wallet (DPoP), as HAIP demands.",
        True,
    ),
    Setting(
        "issuing_wallet_initiated",
        "truth value",
        False,
        "Whether wallets may begin without an offer: whoever is logged in then approves an offer that was made for them, whoever "
        "made the link that led there.",
        True,
    ),
    Setting(
        "issuing_attestations",
        "list of texts",
        (),
        "What the provider of a wallet has to attest before the issuer issues anything: the wallet itself (`wallets`), its keys "
        "(`keys`), as HAIP demands. The authorities of providers are in `issuing/attesters/`; they are read at the start.",
        ("wallets", "keys"),
    ),
    Setting(
        "wallet",
        "text",
        "",
        "Folder with the wallets of people, a folder each, which the page `/wallet` uses, for development; empty: there is no "
        "such page.",
        "/srv/demo/wallet",
    ),
    Setting(
        "development_anywhere",
        "truth value",
        False,
        "Whether what is for development is served where others than this machine reach it. Without it, a marketplace with "
        "`issuing` or `wallet` starts on a loopback address alone.",
        True,
    ),
)
"""Organisations that register, and parts that are for trying things out."""
