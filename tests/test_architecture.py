"""The house: who may import whom, and which outside package stays in which room."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "mlx_distill"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = {"collect", "train", "compare", "report", "bench", "export"}
LEVEL = {
    "errors": 0,
    "reasoning": 0,
    "records": 1,
    "bootstrap": 1,
    "prices": 1,
    "rows": 0.5,
    "config": 2,
    "conversations": 2,
    "rundir": 2,
    "stats": 3,
    "agreement": 4,
    "promptset": 3,
    "sandbox": 3,
}
LEVEL |= {
    "watchdog": 2,
    "wording": 1,
    "lexers": 1,
    "choosing": 4,
    "console_standings": 3,
    "history": 4,
    "console_text": 2,
    "console_benchmarks": 4,
    "console_sweep": 4,
    "console_selection": 4,
    "console_summary": 5,
    "checks": 4,
    "proportions": 4,
    "ranks": 4,
}
LEVEL |= {"blas": 3, "console_training": 3, "students": 3, "environment": 4, "teachers": 4, "fit": 4}
LEVEL |= dict.fromkeys(STAGES, 5)
LEVEL |= {
    "summarise": 6,
    "paths": 5,
    "ownership": 6,
    "plan": 6,
    "doctor": 6,
    "console": 6,
    "stages": 7,
    "pipeline": 8,
    "sweep": 8,
    "options": 8,
    "cli": 9,
    "__main__": 10,
    "__init__": -1,
}

ROOMS = {
    "anthropic": {"teachers"},
    "httpx2": {"teachers"},
    "aiohttp": {"teachers"},
    "llguidance": {"teachers"},
    "mlx": {"students", "train", "teachers", "export"},
    "mlx_lm": {"students", "train", "teachers"},
    "matplotlib": {"report"},
    "rich": {
        "console",
        "console_training",
        "console_summary",
        "console_benchmarks",
        "console_selection",
        "console_standings",
        "console_sweep",
        "console_text",
    },
    "click": {"cli", "options"},
    "datasets": {"promptset", "collect", "bench"},
    "py3langid": {"collect"},
    "gguf": {"students"},
    "tokenizers": {"students"},
    "scipy": {"stats", "proportions", "ranks", "choosing"},
    "markdown_it": {"checks", "bench", "compare", "report"},
    "jinja2": {"report", "students"},
    "markupsafe": {"report"},
    "PIL": {"report"},
    "psutil": {"sandbox", "bench"},
    "inspect_ai": {"bench"},
    "math_verify": {"bench"},
    "sympy": {"bench"},
    "langdetect": {"bench"},
    "punkt": {"bench"},
    "latex2sympy2_extended": {"bench"},
    "pygments": {"compare", "report", "lexers"},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


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


def test_imports_go_down_and_never_sideways_between_stages() -> None:
    assert {path: wrong for path in MODULES if (wrong := [n for n in imports(path) if not may_import(path, n)])} == {}


def may_import(path: Path, name: str) -> bool:
    here, parts = room(path), name.split(".")
    if parts[0] != "mlx_distill" or len(parts) < 2 or parts[1] in (here, "__version__"):
        return True
    return LEVEL[parts[1]] < LEVEL[here] and not {parts[1], here} <= STAGES


def test_outside_packages_stay_in_their_rooms() -> None:
    assert {path: wrong for path in MODULES if (wrong := [n for n in imports(path) if not lives_in(path, n)])} == {}


def lives_in(path: Path, name: str) -> bool:
    allowed = ROOMS.get(name.split(".")[0])
    return allowed is None or room(path) in allowed


def test_files_and_functions_stay_short() -> None:
    assert [path for path in MODULES if path.read_text().count("\n") > 400] == []
    functions = [
        (path, node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 1000
    assert [(path, node.name) for path, node in functions if (node.end_lineno or 0) - node.lineno >= 60] == []


LIGHT = ("cli", "pipeline", "plan", "teachers.claude", "teachers.local", "report.charts", "compare.judge")


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
