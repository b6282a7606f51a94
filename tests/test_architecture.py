"""The house: who may import whom, and which outside package stays in which room."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mlx_distill"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = {"collect", "train", "compare", "report", "bench", "export"}
LEVEL = {
    "errors": 0,
    "records": 1,
    "prices": 1,
    "rows": 1,
    "config": 2,
    "rundir": 2,
    "stats": 3,
    "agreement": 4,
    "promptset": 3,
    "sandbox": 3,
}
LEVEL |= {
    "wording": 1,
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
LEVEL |= {"blas": 3, "watchdog": 3, "console_training": 3, "students": 3, "environment": 4, "teachers": 4, "fit": 4}
LEVEL |= dict.fromkeys(STAGES, 5)
LEVEL |= {
    "summarise": 6,
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
    "pygments": {"compare", "report"},
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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_and_never_sideways_between_stages(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "mlx_distill" or len(parts) < 2 or parts[1] == "__version__":
            continue
        assert parts[1] == here or LEVEL[parts[1]] < LEVEL[here], f"{path}: {name}"
        assert not (parts[1] in STAGES and here in STAGES and parts[1] != here), f"{path}: {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_outside_packages_stay_in_their_rooms(path: Path) -> None:
    for name in imports(path):
        allowed = ROOMS.get(name.split(".")[0])
        assert allowed is None or room(path) in allowed, f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"


@pytest.mark.parametrize(
    "modules",
    [
        "mlx_distill.cli",
        "mlx_distill.pipeline",
        "mlx_distill.plan",
        "mlx_distill.teachers.claude",
        "mlx_distill.teachers.local",
        "mlx_distill.report.charts",
        "mlx_distill.compare.judge",
    ],
)
def test_only_training_and_generating_load_mlx(modules: str) -> None:
    code = f"import sys, {modules}; print([m for m in sys.modules if m in ('mlx', 'mlx.core', 'mlx_lm', 'torch')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_help_is_fast() -> None:
    """Generous for a shared machine; a heavy import would take seconds."""
    seconds: list[float] = []
    while not seconds or (min(seconds) >= 0.3 and len(seconds) < 20):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "mlx_distill", "--help"], capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.3
