"""Odd requests on every route of a whole marketplace: it answers, in its form, in time, and stays whole.

`FUZZ_REQUESTS` is the number of requests of each kind. What must hold of every answer:

- no status above 499 but 501 for what is not offered, and 503 with `Retry-After`;
- an error has TM Forum's body, and every body of JSON can be read;
- the log has neither an error nor a traceback;
- it takes no more processor time than a large request may.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from starlette.routing import Route

from hansa.business.models import Api, Resource, load
from hansa.business.openapi.examples import create_example
from tests.support import odd_requests
from tests.support.asgi import Response
from tests.support.loop_turns import is_short
from tests.support.malformed import complaint
from tests.support.routes import hubs
from tests.support.whole import Whole, open_whole

REQUESTS: Final = int(os.environ.get("FUZZ_REQUESTS", "150"))
USED_MAX_S: Final = 1.0
"""Processor time of one request; what is allowed is a twentieth, and the machine of the tests may be slow."""
NOT_OFFERED: Final = 501
AWAY: Final = 503
MODELS: Final = load()
RESOURCES: Final = [(api, one) for api in MODELS.apis for one in api.resources if "{" not in one.path]
HEALTH: Final = "/readyz"
"""Answers 503 without a ledger, in a form of its own."""
OAUTH: Final = ("/oid4vp/", "/oidc/", "/oid4vci/")
"""Paths whose errors are those of RFC 6749, section 5.2."""
ROLES: Final = ("operator", "provider", "reader", "")
LEAGUE_PARAMETERS: Final = ("after", "limit", "type", "from", "entity", "issuer", "hl", "id", "state")
CONTENTS: Final = (
    "x" * 100,
    '{"id":1}',
    "[]",
    '[{"@type":"Catalog"}]',
    '{"@type":"Catalog","name":"x"}\n' * 3,
)

BOUNDED = settings(
    max_examples=REQUESTS,
    derandomize="FUZZ_REQUESTS" not in os.environ,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


class Sent(NamedTuple):
    """A request."""

    method: str
    target: str
    body: bytes | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it
    role: str = "operator"


class Fuzzed:
    """A marketplace with an entity of many types, and what it must answer."""

    def __init__(self, runner: asyncio.Runner, whole: Whole) -> None:
        self._runner, self._whole = runner, whole
        self._clients = {role: whole.with_role(role) if role else whole.anonymous for role in ROLES}
        self.ids: dict[str, str] = {}
        """By path of the collection."""

    def create_entities(self) -> None:
        """One for each collection that takes what its document shows as an example."""
        for api, resource in RESOURCES:
            path = api.base_path + resource.path
            if "create" in resource.methods:
                answer = self._send(Sent("POST", path, json.dumps(create_example(api, resource)).encode()))
                if answer.status == 201:
                    self.ids[path] = answer.json()["id"]
        assert len(self.ids) > 100

    def check(self, sent: Sent) -> None:
        """Send a request, and look at its answer."""
        note(repr(sent)[:2000])
        began_s = time.process_time()
        with structlog.testing.capture_logs() as logs:
            answer = self._send(sent)
        used_s = time.process_time() - began_s
        faults = [line for line in logs if line["log_level"] in {"error", "critical"} or "exc_info" in line]
        assert not faults, faults
        assert answer.status < 500 or answer.status in {AWAY, NOT_OFFERED}, answer
        if not sent.target.startswith(HEALTH):
            assert answer.status != AWAY or int(answer.headers["retry-after"]) > 0
            self._check_form(sent, answer)
        assert is_short(used_s, USED_MAX_S), f"{used_s:.2f} s"

    @staticmethod
    def _check_form(sent: Sent, answer: Response) -> None:
        media_type = answer.headers.get("content-type", "")
        if answer.status >= 400 and sent.target.startswith(OAUTH) and b'"error"' in answer.body:
            assert isinstance(json.loads(answer.body)["error"], str)
        elif answer.status >= 400 and sent.method != "HEAD" and not media_type.startswith("text/"):
            problem = complaint(*sent[:2], "it", answer.status, answer.body, [answer.status])
            assert problem is None, problem
        elif "json" in media_type:
            parts = answer.body.splitlines() if "ndjson" in media_type else [answer.body]
            for part in filter(None, parts):
                json.loads(part, parse_constant=_refuse_constant)

    def _send(self, sent: Sent) -> Response:
        request = self._clients[sent.role].request(
            sent.method, sent.target, body=sent.body, headers=sent.headers
        )
        return self._runner.run(request)


def _refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """A marketplace for all tests of this module."""
    with asyncio.Runner() as runner:
        manager = open_whole(tmp_path_factory.mktemp("fuzzed") / "lubeck")
        made = Fuzzed(runner, runner.run(manager.__aenter__()))
        made.create_entities()
        yield made
        runner.run(manager.__aexit__(None, None, None))


def attribute_names(api: Api, resource: Resource) -> list[str]:
    """Names of the attributes of a type, and of those of its attributes' types."""
    names: dict[str, None] = {}
    for name, item in api.attributes_of(resource.type).items():
        names[name] = None
        if item.type in api.types:
            names |= dict.fromkeys(list(api.attributes_of(item.type))[:4])
    return list(names)


resources = st.sampled_from(RESOURCES)
roles = st.sampled_from(("operator", *ROLES))


@given(data=st.data())
@BOUNDED
def test_odd_queries_are_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    api, resource = data.draw(resources)
    path = api.base_path + resource.path
    identifiers = [fuzzed.ids.get(path, "x"), "y"]
    query = data.draw(odd_requests.queries(attribute_names(api, resource), identifiers))
    is_item = data.draw(st.booleans())
    target = f"{path}/{identifiers[0]}" if is_item and data.draw(st.booleans()) else path
    method = data.draw(st.sampled_from(("GET", "GET", "GET", "HEAD", "DELETE" if is_item else "GET")))
    head = data.draw(odd_requests.headers(identifiers))
    fuzzed.check(Sent(method, f"{target}?{query}", None, head, data.draw(roles)))


@given(data=st.data())
@BOUNDED
def test_odd_bodies_are_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    api, resource = data.draw(resources)
    path, names = api.base_path + resource.path, attribute_names(api, resource)
    body = data.draw(odd_requests.bodies(create_example(api, resource), names))
    head = data.draw(odd_requests.headers([]))
    fuzzed.check(Sent("POST", path, odd_requests.in_coding(body, head), head, data.draw(roles)))


@given(data=st.data())
@BOUNDED
def test_odd_patches_are_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(fuzzed.ids)))
    api, resource = next(one for one in RESOURCES if one[0].base_path + one[1].path == path)
    names = attribute_names(api, resource)
    body = data.draw(odd_requests.patches(create_example(api, resource), names))
    target = data.draw(st.sampled_from((path, f"{path}/{fuzzed.ids[path]}")))
    method = data.draw(st.sampled_from(("PATCH", "PATCH", "PATCH", "PUT")))
    head = data.draw(odd_requests.headers([]))
    fuzzed.check(Sent(method, target, odd_requests.in_coding(body, head), head, data.draw(roles)))


@given(data=st.data())
@BOUNDED
def test_odd_registrations_are_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    host = data.draw(odd_requests.texts | st.sampled_from(("x.example", "127.0.0.1", "[::1]", "a" * 300)))
    scheme = data.draw(st.sampled_from(("http", "https", "ftp", "HTTP", "")))
    port = data.draw(st.sampled_from(("", ":80", ":0", ":99999", ":x", ":-1")))
    callback = f"{scheme}://{host}{port}/{data.draw(odd_requests.texts)}"
    query = data.draw(odd_requests.queries(["eventType", "eventTime", "name", "event", "id"], ["x"]))
    registration: dict[str, Any] = {"callback": callback, "query": query}
    registration |= data.draw(st.dictionaries(odd_requests.texts, odd_requests.scalars, max_size=1))
    hub = data.draw(st.sampled_from(hubs(MODELS)))
    body = json.dumps(registration).encode()
    fuzzed.check(Sent("POST", hub, body, {"content-type": "application/json"}, data.draw(roles)))
    fuzzed.check(Sent("GET", f"{hub}?{query}", role=data.draw(roles)))


@given(data=st.data())
@BOUNDED
def test_odd_contents_of_jobs_are_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    jobs = [path for path in fuzzed.ids if path.endswith("importJob")]
    job = data.draw(st.sampled_from(jobs))
    content = data.draw(st.sampled_from(CONTENTS).map(str.encode) | st.binary(max_size=50))
    head = data.draw(odd_requests.headers([]))
    target = f"{job}/{fuzzed.ids[job]}/content"
    fuzzed.check(Sent("PUT", target, odd_requests.in_coding(content, head), head, data.draw(roles)))
    url = data.draw(odd_requests.texts.map("http://x.example/{}".format) | odd_requests.texts)
    created = {"url": url, "path": data.draw(odd_requests.texts), "query": data.draw(odd_requests.texts)}
    for path in (job, job.replace("import", "export")):
        body = json.dumps(created).encode()
        fuzzed.check(Sent("POST", path, body, {"content-type": "application/json"}, data.draw(roles)))


@given(data=st.data())
@BOUNDED
def test_odd_requests_to_other_routes_are_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    rest = fuzzed._whole.marketplace.front_door._rest
    routes = [one.path for one in rest.routes if isinstance(one, Route) and "stream" not in one.path]  # type: ignore[attr-defined] # Starlette's
    path = data.draw(st.sampled_from(sorted(routes)))
    segment = data.draw(odd_requests.texts.map(odd_requests.quoted) | st.sampled_from(("TMF620", "a" * 64)))
    while "{" in path:
        path = path[: path.index("{")] + segment + path[path.index("}") + 1 :]
    query = data.draw(odd_requests.queries(LEAGUE_PARAMETERS, ["x"]))
    head = data.draw(odd_requests.headers([]))
    method = data.draw(st.sampled_from(("GET", "GET", "POST", "HEAD", "OPTIONS", "TRACE")))
    value = odd_requests.json_values(st.sampled_from(("entities", "key", "hashlink")))
    body = json.dumps(data.draw(value)).encode() if method == "POST" else None
    fuzzed.check(Sent(method, f"{path}?{query}", body, head, data.draw(roles)))


@given(
    token=st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=60),
    parts=st.lists(st.binary(max_size=40), max_size=4),
)
@BOUNDED
def test_odd_tokens_are_answered(fuzzed: Fuzzed, token: str, parts: list[bytes]) -> None:
    jws = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    path = next(iter(fuzzed.ids))
    for scheme in ("Bearer", "bearer", "Basic", "DPoP", ""):
        for credentials in (token, jws, f"{jws} {token}", ""):
            head = {"authorization": f"{scheme} {credentials}".strip()}
            fuzzed.check(Sent("GET", path, None, head, ""))
