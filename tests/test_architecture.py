"""The house: who may import whom, and which outside package stays in which room."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "mlx_distill"
MODULES = sorted(PACKAGE.rglob("*.py"))
FLOORS: list[set[str]] = [
    {"run"},
    {"machine", "stats"},
    {"models"},
    {"collect", "train", "evaluate"},
    {"summarise"},
    {"report"},
    {"pipeline"},
    {"sweep"},
    {"cli"},
    {"__main__"},
]
"""From the ground up: a room imports from the floors below its own."""

ROOMS: dict[str, set[str]] = {
    "anthropic": {"models.teachers"},
    "httpx2": {"models.teachers"},
    "aiohttp": {"models.teachers"},
    "llguidance": {"models.teachers"},
    "mlx": {"models.students", "models.teachers.local", "models.teachers.structured", "train"},
    "mlx_lm": {"models.students", "models.teachers.local", "train"},
    "gguf": {"models.students"},
    "tokenizers": {"models.students"},
    "matplotlib": {"report.charts", "report.look", "report.animate", "report.style"},
    "PIL": {"report"},
    "markupsafe": {"report"},
    "jinja2": {"report", "models.students"},
    "rich": {"cli", "report.terminal"},
    "click": {"cli"},
    "cloup": {"cli"},
    "datasets": {"run", "collect.traces", "evaluate.benchmarks"},
    "py3langid": {"collect"},
    "scipy": {"stats", "evaluate.choosing"},
    "markdown_it": {"machine.checks", "evaluate", "report"},
    "pygments": {"machine.lexers", "evaluate.judges", "report"},
    "psutil": {"machine", "evaluate.benchmarks"},
    "inspect_ai": {"evaluate.benchmarks"},
    "math_verify": {"evaluate.benchmarks"},
    "sympy": {"evaluate.benchmarks"},
    "langdetect": {"evaluate.benchmarks"},
    "punkt": {"evaluate.benchmarks"},
    "latex2sympy2_extended": {"evaluate.benchmarks"},
}
"""Where an outside package may be imported: modules by the beginning of their names."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def floor(name: str) -> int:
    room = name.split(".")[0]
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), -1)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "mlx_distill":
                found |= {f"mlx_distill.{alias.name}" for alias in node.names}
    return found


def test_imports_go_down() -> None:
    assert {
        name_of(path): bad for path in MODULES if (bad := [n for n in imports(path) if not may_import(path, n)])
    } == {}


def may_import(path: Path, imported: str) -> bool:
    here, (top, *rest) = name_of(path), imported.split(".")
    if top != "mlx_distill" or not rest or rest[0] in (here.split(".")[0], "__version__"):
        return True
    return floor(rest[0]) < floor(here)


def test_outside_packages_stay_in_their_rooms() -> None:
    assert {
        name_of(path): bad for path in MODULES if (bad := [n for n in imports(path) if not lives_in(path, n)])
    } == {}


def lives_in(path: Path, imported: str) -> bool:
    allowed = ROOMS.get(imported.split(".")[0])
    return allowed is None or any(f"{name_of(path)}.".startswith((f"{room}.", f"{room}_")) for room in allowed)


def test_a_program_of_its_own_needs_the_standard_library_only() -> None:
    """The watchdog is started by its path, beside whatever the run has loaded."""
    assert {name.split(".")[0] for name in imports(PACKAGE / "machine" / "watchdog.py")} <= sys.stdlib_module_names


def test_the_house_is_small() -> None:
    entries = sorted(path.name for path in PACKAGE.iterdir() if not path.name.startswith("__pycache__"))
    assert len(entries) <= 14, entries


LONGER = {"batches.py"}
"""One state machine, which would be harder to follow in two files."""


def test_files_and_functions_stay_short() -> None:
    assert [path for path in MODULES if path.read_text().count("\n") > (345 if path.name in LONGER else 300)] == []
    functions = [
        (path, node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 1000
    lengths = [(path, node.name, (node.end_lineno or 0) - node.lineno + 1) for path, node in functions]
    assert [found for found in lengths if found[2] > 40] == []


LIGHT = (
    "cli",
    "pipeline",
    "pipeline.plan",
    "models.teachers.claude",
    "models.teachers.local",
    "report.charts",
    "evaluate.judges.questions",
)


def test_only_training_and_generating_load_mlx() -> None:
    assert loaded([f"mlx_distill.{name}" for name in LIGHT], {"mlx", "mlx.core", "mlx_lm", "torch"}) == set()


def test_help_loads_nothing_heavy() -> None:
    heavy = {"numpy", "mlx", "matplotlib", "datasets", "anthropic", "scipy", "markdown_it", "rich"}
    assert loaded(["mlx_distill.cli"], heavy) == set()


def loaded(modules: list[str], wanted: set[str]) -> set[str]:
    """Which of the wanted a new process has in memory after it imported the modules."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return wanted & set(found.stdout.split())
