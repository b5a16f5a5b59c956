"""Entities whose texts try to become markup, script, other links or another reading."""

from __future__ import annotations

from typing import Any, Final

HOSTILE: Final = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "'><svg/onload=window.pwned=1>",
    "</title><script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "<!--<script>window.pwned=1</script>",
    "{{7*7}}{% raw %}${7*7}#{7*7}",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
    "[click](javascript:window.pwned=1)",
    "[click](data:text/html,<script>window.pwned=1</script>)",
    "[click]( jAvAsCrIpT&colon;window.pwned=1)",
    "![pixel](https://tracker.example/pixel.png)",
    "<https://ok.example> <javascript:window.pwned=1>",
    "<a href='https://evil.example' style='position:fixed;inset:0'>x</a>",
    "<style>body{display:none}</style><link rel=stylesheet href=//evil.example>",
    "<iframe src=//evil.example></iframe><base href=//evil.example>",
    "`</code><script>window.pwned=1</script>`",
    "```\n</pre><script>window.pwned=1</script>\n```",
    "# one\n\n###### six\n\n> quote\n\n| a | b |\n|---|---|\n| <b>c</b> | d |",
    "\u202egnp.exe\u202c \u2066\u2067hidden\u2069 zero\u200bwidth\ufeff\u2060",
    "\x00\x08\x1b[31mred\x7f\x9f",
    "x" * 5000,
    "Ẑ̸͍a̵͇l̷̠g̶̘o̴" * 50,
    "🏴" + "\U000e0067\U000e0062" * 20,
    "مرحبا بالعالم — שלום עולם",
    "\ud83d lone surrogate".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
)
"""Texts for every attribute that is one."""
ADDRESSES: Final = (
    "javascript:window.pwned=1",
    "data:text/html,<script>window.pwned=1</script>",
    "//evil.example",
    "https://user:password@evil.example/",
    'https://ok.example/a?b="><script>',
    "vbscript:x",
    "file:///etc/passwd",
    " https://ok.example",
    "https://ok.example/\u202e",
)


def hostile_offering(number: int, text: str) -> list[dict[str, Any]]:
    """An offering with all that a page shows of it, in which every text is that one."""
    name = f"urn:ngsi-ld:product-offering:hostile-{number}"
    address = ADDRESSES[number % len(ADDRESSES)]
    return [*_needed(name, text, address), _offering(name, text, address), *_beside(name, text, address)]


def _needed(name: str, text: str, address: str) -> list[dict[str, Any]]:
    """Its price and its specification."""
    price, specification = f"{name}-price", f"{name}-specification"
    party = {"id": f"{name}-party", "name": text, "role": "Seller", "@referredType": "Organization"}
    value = {"value": text, "unitOfMeasure": text, "isDefault": True}
    characteristics = [
        {
            "name": text,
            "description": text,
            "configurable": True,
            "productSpecCharacteristicValue": [value, {"value": 2}],
        },
        {"name": f"Compliance:{text}", "productSpecCharacteristicValue": [{"value": address}]},
    ]
    return [
        {
            "@type": "ProductOfferingPrice",
            "id": price,
            "name": text,
            "description": text,
            "priceType": text,
            "price": {"value": 1.5, "unit": text},
            "unitOfMeasure": {"amount": 1, "units": text},
            "recurringChargePeriodType": text,
            "lifecycleStatus": "Launched",
        },
        {
            "@type": "ProductSpecification",
            "id": specification,
            "name": text,
            "description": text,
            "brand": text,
            "productNumber": text,
            "version": text,
            "lifecycleStatus": "Launched",
            "relatedParty": [party],
            "productSpecCharacteristic": characteristics,
        },
    ]


def _offering(name: str, text: str, address: str) -> dict[str, Any]:
    return {
        "@type": "ProductOffering",
        "id": name,
        "name": text,
        "description": text,
        "version": text,
        "lifecycleStatus": "Launched",
        "lastUpdate": text,
        "category": [{"id": f"{name}-category", "name": text}],
        "productSpecification": {"id": f"{name}-specification", "name": text},
        "productOfferingPrice": [{"id": f"{name}-price", "name": text}],
        "productOfferingTerm": [
            {"name": text, "description": text, "duration": {"amount": 1, "units": text}}
        ],
        "agreement": [{"id": text, "name": text}],
        "place": [{"id": text, "name": text}],
        "attachment": [{"name": text, "url": address, "mimeType": text, "description": text}],
        "bundledProductOffering": [{"id": text, "name": text}],
        "productOfferingRelationship": [{"id": text, "name": text, "relationshipType": text}],
        "serviceLevelAgreement": {"id": text, "name": text},
        "validFor": {"endDateTime": text},
    }


def _beside(name: str, text: str, address: str) -> list[dict[str, Any]]:
    """Its category and its provider."""
    return [
        {
            "@type": "Category",
            "id": f"{name}-category",
            "name": text,
            "description": text,
            "lifecycleStatus": "Launched",
        },
        {
            "@type": "Organization",
            "id": f"{name}-party",
            "name": text,
            "tradingName": text,
            "contactMedium": [{"mediumType": text, "characteristic": {"emailAddress": text, "city": text}}],
            "externalReference": [{"externalReferenceType": text, "name": address}],
        },
    ]
