"""A wheel built from the tree and installed elsewhere runs the demo: everything that it needs travels inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.long
def test_an_installed_wheel_runs_the_demo(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {f"mlx_distill/prompts/{name}" for name in ("coding.toml", "recorded.jsonl", "rubric.md")} <= set(names)
    assert {f"mlx_distill/report/page/templates/page.{kind}" for kind in ("html", "css", "js")} <= set(names)
    assert {f"mlx_distill/report/page/templates/sweep.{kind}" for kind in ("html", "css")} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "visuals", "perf"))]
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    run = [sys.executable, "-m", "mlx_distill", "run", "--preset", "demo-short", "--limit", "1", "--max-tokens", "8"]
    environment = os.environ | {"PYTHONPATH": str(site)}
    where = "import mlx_distill; print(mlx_distill.__file__)"
    found = subprocess.run([sys.executable, "-c", where], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.startswith(str(site))
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "demo-short" / "results.json").is_file()
