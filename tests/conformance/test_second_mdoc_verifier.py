"""Presentations of mdocs, judged by an implementation that is not ours, `openvc-core`."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.core.base64url import from_base64url
from tests.support.certificates import NOW
from tests.support.credentials import ROOT
from tests.support.mdocs import OURS, cbor, response
from tests.unit.identity.credentials.test_mdoc import TAMPERED

STRICTER_HERE = {
    "a number of an element beyond those of JSON",
    "an element in two namespaces",
    "an element with a further part",
    "an element with a tag that means nothing",
    "an element that is no number",
    "two elements of one name",
    "an element twice",
    "a security object of another version",
    "a private key of the device",
    "a mandate in the name of another organisation",
    "a certificate without digital signature",
    "the algorithm where nobody signs it",
    "something critical",
    "valid from earlier than it was signed",
    "times that are texts without a tag",
    "elements of the device that it did not sign",
    "another version",
    "parts that nobody knows",
    "too long",
    "a device that authenticates by a MAC",
}
"""What is refused here for rules of our own; the other implementation may accept it."""


def verified(text: str) -> Any:
    mdoc = pytest.importorskip("openvc.mdoc")
    return mdoc.verify_device_response(
        from_base64url(text), trust_anchors=[ROOT.certificate], session_transcript=cbor(OURS), now=NOW
    )


def test_a_good_presentation_is_accepted_by_both() -> None:
    (document,) = verified(response())
    assert document.doc_type == "eu.europa.ec.eudi.lce.1"


@pytest.mark.parametrize("what", sorted(TAMPERED.keys() - STRICTER_HERE))
def test_what_the_other_refuses_is_refused_here_for_a_reason_of_both(what: str) -> None:
    with pytest.raises(Exception, match=r".+"):
        verified(TAMPERED[what][0])
