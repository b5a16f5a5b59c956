"""Formats of credentials and presentations: what is in them, before anybody is asked whom to believe.

`sd_jwt` and `disclosures` read `dc+sd-jwt` (RFC 9901 and SD-JWT VC), `jwt_vc` reads `jwt_vc_json` (W3C's data
model, versions 1.1 and 2.0). Both end in the one `CredentialDocument` of `document`.
"""
