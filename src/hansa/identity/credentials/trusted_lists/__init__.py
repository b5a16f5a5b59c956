"""Trusted lists: authorities that public bodies supervise, as sources of trust anchors.

    content     what a list says, in either form
    xml_list    ETSI TS 119 612: XML with an XAdES signature, of trust services under eIDAS
    json_list   ETSI TS 119 602: JSON with a JAdES signature, lists of trusted entities (LoTE)
    sources     the anchors of a folder and of lists, read again while the marketplace runs

A list is believed when it is signed with one of the certificates that the operator named for it.
"""
