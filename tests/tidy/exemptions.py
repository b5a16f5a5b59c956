"""Where a rule does not hold, and why. An entry that exempts nothing any more fails the test."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

import msgspec

from tests.tidy.source import Violation


class Exemption(msgspec.Struct, frozen=True):
    """Violations of one rule in matching files are accepted."""

    rule: str
    path: str
    """Shell pattern from the top of the checkout; `*` crosses folders."""
    reason: str
    containing: str = ""
    """Only violations whose message contains this."""

    def covers(self, violation: Violation) -> bool:
        """Whether it accepts this violation."""
        return (
            violation.rule == self.rule
            and fnmatchcase(violation.path, self.path)
            and self.containing in violation.message
        )


class Ratchet(msgspec.Struct, frozen=True):
    """A rule that a part of the project does not keep yet.

    There may be so many violations, and never more.
    """

    rule: str
    path: str
    """Shell pattern from the top of the checkout; `*` crosses folders."""
    at_most: int

    def covers(self, violation: Violation) -> bool:
        """Whether it counts this violation."""
        return violation.rule == self.rule and fnmatchcase(violation.path, self.path)


EXEMPTIONS: Final = (
    Exemption("sleep", "src/hansa/core/clock.py", "this is the clock that everyone else is handed"),
    Exemption("clock", "src/hansa/core/clock.py", "this is the clock that everyone else is handed"),
    Exemption(
        "exit",
        "src/hansa/pubsub/engine/process.py",
        "a child between fork and exec can raise nothing",
        containing="os._exit",
    ),
    Exemption(
        "file-size", "requirements/dev.txt", "it is generated: the hashes of all files of all packages"
    ),
    Exemption(
        "outbound", "src/hansa/node/outbound.py", "this is the HttpClient that everyone else is handed"
    ),
    Exemption("outbound", "src/hansa/pubsub/cometbft.py", "it talks to its own engine, on a unix socket"),
    Exemption(
        "outbound", "src/hansa/client/connection.py", "a client asks whatever address its user gives it"
    ),
    Exemption("randomness", "src/hansa/client/league.py", "the client of integrators: the machine's own"),
    Exemption(
        "unused-definition",
        "src/hansa/client/*.py",
        "the client of integrators",
    ),
    Exemption("environment", "src/hansa/node/serve.py", "the node is where settings are read"),
    Exemption("environment", "src/hansa/cli/local.py", "commands hand it to the node, and read HANSA_TOKEN"),
    Exemption("randomness", "src/hansa/node/serve.py", "the node is where real randomness comes in"),
    Exemption("randomness", "src/hansa/cli/local.py", "the one place where commands take it from"),
    Exemption("unit-last", "src/hansa/pubsub/named_connector.py", "the parameter has aiohttp's name"),
    Exemption("unused-module", "src/hansa/pubsub/memory.py", "the bus of tests"),
    Exemption("print", "src/hansa/sim/*.py", "a campaign prints what became of it"),
    Exemption("exit", "src/hansa/sim/__main__.py", "a campaign that fails says so to make"),
    Exemption("clock", "src/hansa/sim/campaign.py", "how fast the simulation itself is"),
    Exemption("sleep", "src/hansa/sim/world/loop.py", "the clock of simulations sleeps on their loop"),
    Exemption("unit-last", "src/hansa/sim/world/loop.py", "the parameter has the name of the selector's"),
    Exemption(
        "unused-module", "src/hansa/store/memory/store.py", "the store of tests, and of simulations to come"
    ),
    Exemption("leftover", "CONTRIBUTING.md", "it says which words are refused"),
    Exemption("leftover", "tests/tidy/*_rules.py", "the rule spells what it looks for, its test shows it"),
    Exemption("machine-path", "tests/tidy/test_rules.py", "the test of the rule shows such paths"),
    Exemption(
        "registry-host", "tests/tidy/*_rules.py", "the rule spells what it looks for, its test shows it"
    ),
    Exemption("package-size", "src/hansa/core/*", "the floor: leaf modules that everyone imports by name"),
    Exemption(
        "dialect",
        "src/hansa/cli/commands/league.py",
        "`hansa found` founds a league",
        containing="found_league: ",
    ),
    Exemption(
        "unused-definition",
        "src/hansa/store/memory/store.py",
        "the store of tests, and of simulations to come",
    ),
    Exemption("unused-definition", "src/hansa/portal/frame/frame.py", "what Jinja2 calls", "_bytecode"),
    Exemption("unused-definition", "src/hansa/core/clock.py", "the clock of tests and of the simulation"),
    Exemption(
        "unused-definition",
        "src/hansa/node/http/server.py",
        "uvicorn calls these methods",
        containing="the method",
    ),
    Exemption(
        "unused-definition",
        "src/hansa/pubsub/engine/process.py",
        "the event loop calls these methods of a protocol",
        containing="the method",
    ),
    Exemption(
        "unused-definition",
        "src/hansa/node/http/connection/*.py",
        "uvicorn and its transports call these methods",
        containing="the method",
    ),
    Exemption(
        "unused-definition",
        "src/hansa/business/query/jsonpath_text.py",
        "the JSONPath library calls these methods",
        containing="the method",
    ),
    Exemption(
        "unused-definition",
        "src/hansa/pubsub/ledger/rules/*.py",
        "for the commands of governance",
        containing="the function",
    ),
    Exemption(
        "unused-definition",
        "src/hansa/pubsub/named_connector.py",
        "aiohttp calls this method",
        containing="_create_connection",
    ),
)

RATCHETS: Final[tuple[Ratchet, ...]] = ()
