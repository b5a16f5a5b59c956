"""Rules about Python code. Each takes one module and yields what it does not allow.

Style that ruff, mypy and import-linter can see is their business; here is what only this project asks for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from tests.tidy.source import Source, Violation

MODULE_LINES_MAX: Final = 500
PACKAGE_MODULES_MAX: Final = 12
FUNCTION_LINES_MAX: Final = 70
NAMES_WITHOUT_MEANING: Final = frozenset(
    {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "shared", "stuff"}
)
PATIENCE_MIN_S: Final = 10
QUANTITY_WITHOUT_UNIT: Final = re.compile(r"(?:^|_)(?:timeout|interval|delay|backoff|ttl|duration|latency)$")
UNDECODED: Final = frozenset({"msgspec.DecodeError", "UnicodeDecodeError", "RecursionError"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Ban(msgspec.Struct, frozen=True):
    """Names that code may not refer to, and what to say instead."""

    rule: str
    names: tuple[str, ...]
    """Dotted names; one that ends in `.` stands for everything below it."""
    instead: str
    areas: frozenset[str] = frozenset({"src"})


SRC_AND_TESTS: Final = frozenset({"src", "tests"})

BANS: Final = (
    Ban(
        "sleep",
        ("asyncio.sleep", "time.sleep"),
        "await `clock.sleep(seconds)` of the Clock that was handed in; a test waits for the condition",
        SRC_AND_TESTS,
    ),
    Ban(
        "clock",
        (
            "time.time",
            "time.time_ns",
            "time.monotonic",
            "time.monotonic_ns",
            "time.perf_counter",
            "time.perf_counter_ns",
            "time.localtime",
            "time.gmtime",
            "datetime.datetime.now",
            "datetime.datetime.utcnow",
            "datetime.datetime.today",
            "datetime.date.today",
        ),
        "ask the Clock that was handed in: `clock.now()` or `clock.monotonic()`; a test makes a ManualClock or SystemClock",
        SRC_AND_TESTS,
    ),
    Ban(
        "randomness",
        ("random.", "secrets.", "os.urandom", "uuid.uuid1", "uuid.uuid4"),
        "take an `entropy: Entropy` parameter (hansa.core.identifiers)",
    ),
    Ban(
        "randomness",
        ("random.", "uuid.uuid4"),
        "draw from `random.Random(seed)`, so that a failing test can be repeated",
        frozenset({"tests"}),
    ),
    Ban(
        "environment",
        ("os.environ", "os.environb", "os.getenv", "os.putenv"),
        "settings are read by hansa.node alone; take the value as a parameter",
    ),
    Ban(
        "print",
        ("print", "pprint.pprint"),
        "data and messages go through the console of hansa.cli, events to the log",
    ),
    Ban(
        "logging",
        tuple(
            f"logging.{name}"
            for name in (
                "getLogger",
                "basicConfig",
                "debug",
                "info",
                "warning",
                "error",
                "exception",
                "critical",
            )
        ),
        "use `structlog.get_logger()` and name the values: `log.info(event, key=value)`",
    ),
    Ban(
        "event-loop",
        ("asyncio.get_event_loop", "asyncio.ensure_future", "asyncio.new_event_loop"),
        "use `asyncio.get_running_loop()`, and a TaskGroup for tasks",
        SRC_AND_TESTS,
    ),
    Ban(
        "outbound",
        ("requests.", "urllib.request.", "http.client.", "aiohttp.ClientSession"),
        "send through the HttpClient that was handed in (hansa.core.http): it knows the allowed hosts and the limits",
    ),
    Ban(
        "exit",
        ("sys.exit", "os._exit", "exit", "quit"),
        "raise `Fatal` with a code: hansa.cli turns it into the exit status",
    ),
)


def banned_names(source: Source) -> Iterator[Violation]:
    """References to what a ban names, through whatever import they come."""
    bans = [ban for ban in BANS if source.area in ban.areas]
    harmless = _harmless_references(source)
    for node in source.nodes:
        if not isinstance(node, ast.Name | ast.Attribute) or id(node) in harmless:
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            continue
        dotted = source.dotted(node)
        for ban in bans:
            if dotted is not None and _is_banned(dotted, ban):
                yield source.wrong(ban.rule, node.lineno, f"{dotted}: {ban.instead}")


def _is_banned(dotted: str, ban: Ban) -> bool:
    return any(dotted == name or (name[-1] == "." and dotted.startswith(name)) for name in ban.names)


def _harmless_references(source: Source) -> set[int]:
    """`asyncio.sleep(0)` only lets others run.

    `random.Random(seed)` is repeatable, and an annotation draws nothing.
    """
    harmless: set[int] = set()
    for node in source.nodes:
        if isinstance(node, ast.Call):
            dotted = source.dotted(node.func)
            first = node.args[0] if node.args else None
            yields = dotted == "asyncio.sleep" and isinstance(first, ast.Constant) and first.value == 0
            seeded = dotted == "random.Random" and first is not None
            if yields or seeded:
                harmless.add(id(node.func))
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        if isinstance(annotation, ast.expr):
            harmless |= {id(part) for part in ast.walk(annotation)}
    return harmless


def module_length(source: Source) -> Iterator[Violation]:
    """A module that nobody can keep in mind."""
    count = len(source.lines)
    if count > MODULE_LINES_MAX:
        yield source.wrong(
            "module-length", count, f"{count} lines, {MODULE_LINES_MAX} at most: split the module by meaning"
        )


def function_length(source: Source) -> Iterator[Violation]:
    """A function that does not fit on a screen."""
    for function in functions(source):
        count = (function.end_lineno or function.lineno) - function.lineno + 1
        if count > FUNCTION_LINES_MAX:
            yield source.wrong(
                "function-length",
                function.lineno,
                f"{function.name} has {count} lines, {FUNCTION_LINES_MAX} at most: give its parts names",
            )


def module_name(source: Source) -> Iterator[Violation]:
    """A name that says where code was put, not what it is."""
    for part in source.path.removesuffix(".py").split("/"):
        if part in NAMES_WITHOUT_MEANING:
            yield source.wrong(
                "module-name", 1, f"{part!r} says nothing: name the module after what it holds"
            )


def docstring(source: Source) -> Iterator[Violation]:
    """A package or module that does not say what it is for."""
    name = source.path.rpartition("/")[2]
    if source.area == "tests" and (name == "__init__.py" or name.startswith("test_")):
        return  # a test module is described by the names of its tests
    if ast.get_docstring(source.tree) is None:
        kind = "package" if source.path.endswith("__init__.py") else "module"
        yield source.wrong("docstring", 1, f"the {kind} has no docstring: say what it is for")


def module_state(source: Source) -> Iterator[Violation]:
    """State that two leagues in one process would share."""
    if source.area != "src":
        return
    for node in source.nodes:
        if isinstance(node, ast.Global):
            yield source.wrong(
                "module-state", node.lineno, "`global`: put the state into an object that node makes"
            )
    for statement in source.tree.body:
        value = getattr(statement, "value", None)
        if (
            isinstance(statement, ast.Assign | ast.AnnAssign)
            and isinstance(value, ast.expr)
            and _starts_empty(value)
        ):
            yield source.wrong(
                "module-state",
                statement.lineno,
                "an empty container here is there to be filled: put it into an object",
            )


def _starts_empty(value: ast.expr) -> bool:
    if isinstance(value, ast.List):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    makers = {"list", "dict", "set", "defaultdict", "deque", "OrderedDict", "Counter"}
    return (
        isinstance(value, ast.Call)
        and not value.args
        and not value.keywords
        and isinstance(value.func, ast.Name)
        and value.func.id in makers
    )


def unit_last(source: Source) -> Iterator[Violation]:
    """A quantity of ours whose name does not say its unit."""
    if source.area != "src":
        return
    for node in source.nodes:
        if isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        else:
            continue
        if QUANTITY_WITHOUT_UNIT.search(name):
            yield source.wrong("unit-last", node.lineno, f"{name}: end it with its unit, as {name}_s")


def test_asserts(source: Source) -> Iterator[Violation]:
    """A test that cannot fail."""
    if not _holds_tests(source):
        return
    local = {function.name: function for function in functions(source)}
    for function in local.values():
        if not function.name.startswith("test_"):
            continue
        if not _asserts(function, local, frozenset()):
            yield source.wrong("test-asserts", function.lineno, f"{function.name} asserts nothing")
    for node in source.nodes:
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and node.test.value:
            yield source.wrong("test-asserts", node.lineno, "this assertion always holds")


def _asserts(function: Function, local: dict[str, Function], seen: frozenset[str]) -> bool:
    """Whether it asserts, or calls something that does by its name or in this module."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in {"raises", "warns", "fail", "run_state_machine_as_test"}:
            return True
        if re.match(r"_?(?:assert|check|expect|require|wait|refus(?:al|ed|es))(?:_|$)", called):
            return True
        if called in local and called not in seen and _asserts(local[called], local, seen | {called}):
            return True
    return False


def test_name(source: Source) -> Iterator[Violation]:
    """A test whose name is not a sentence."""
    if not _holds_tests(source):
        return
    for function in functions(source):
        words = function.name.removeprefix("test_").strip("_").split("_")
        if function.name.startswith("test_") and len(words) < 3:
            yield source.wrong(
                "test-name", function.lineno, f"{function.name}: let the name say what holds, as a sentence"
            )


def _holds_tests(source: Source) -> bool:
    return source.area == "tests" and source.path.rpartition("/")[2].startswith("test_")


def functions(source: Source) -> Iterator[Function]:
    """Every function of a module, methods and inner ones too."""
    return (node for node in source.nodes if isinstance(node, Function))


def package_size(sources: list[Source]) -> Iterator[Violation]:
    """Packages of the product with more modules than a reader can take in at a glance."""
    modules: dict[str, int] = {}
    for source in sources:
        folder, _, name = source.path.rpartition("/")
        if source.is_python and source.area == "src" and name not in {"__init__.py", "__main__.py"}:
            modules[folder] = modules.get(folder, 0) + 1
    for folder, count in modules.items():
        if count > PACKAGE_MODULES_MAX:
            yield Violation(
                f"{folder}/__init__.py",
                1,
                "package-size",
                f"{count} modules, {PACKAGE_MODULES_MAX} at most: group those that belong together in packages",
            )


def unused_modules(sources: list[Source], entry_points: frozenset[str]) -> Iterator[Violation]:
    """Modules of the product that no other module of it imports and nothing starts."""
    modules = {_module_of(s.path): s for s in sources if s.is_python and s.area == "src"}
    used: set[str] = set(entry_points)
    for name, source in modules.items():
        used |= {target for target in _imported(source, name) if target != name}
    for name, source in modules.items():
        is_package = source.path.endswith("__init__.py")
        if name not in used and not is_package and not name.endswith("__main__"):
            yield source.wrong(
                "unused-module", 1, f"{name} is imported by no other module: wire it in or remove it"
            )


def _module_of(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(source: Source, name: str) -> Iterator[str]:
    """Names of modules that a module imports; what it imports from a package may be a module of it."""
    package = name if source.path.endswith("__init__.py") else name.rpartition(".")[0]
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join(
                    [*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])]
                )
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("hansa.")
        ):
            yield node.value.partition(":")[0]


def patience(source: Source) -> Iterator[Violation]:
    """A test that fails when something takes some seconds, as on a busy machine everything may."""
    if source.area != "tests":
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"asyncio.wait_for", "asyncio.timeout"}:
            given = [*node.args, *(one.value for one in node.keywords)]
            limits = [one.value for one in given if isinstance(one, ast.Constant)]
            if any(isinstance(one, int | float) and 0 < one < PATIENCE_MIN_S for one in limits):
                yield source.wrong(
                    "patience", node.lineno, f"wait for {PATIENCE_MIN_S} s at least, or for ever"
                )


def undecoded(source: Source) -> Iterator[Violation]:
    """A list of what decoding JSON raises, which is easily one name short."""
    if source.area != "src":
        return
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Tuple):
            names = {ast.unparse(each) for each in node.type.elts}
            if len(names & UNDECODED) > 1:
                yield source.wrong("undecoded", node.lineno, "say UNREADABLE (hansa.core.bounded_json)")


CODE_RULES: Final = (
    banned_names,
    module_length,
    function_length,
    module_name,
    docstring,
    module_state,
    unit_last,
    test_asserts,
    test_name,
    patience,
    undecoded,
)
