"""Draws a run's charts into visuals/: `python generate_visuals.py [RUN] [FOLDER]`.

In: RUN/results.json (default: visuals/, which holds a sample run's). Out: the pictures, RESULTS.md and
pipeline.mmd in FOLDER (default: visuals/). Nothing but results.json is read.
"""

import json
import shutil
import sys
from pathlib import Path

from mlx_distill.report import draw

HERE = Path(__file__).parent / "visuals"


def main() -> None:
    run = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE
    source = run / "results.json"
    if not source.is_file():
        sys.exit(f"{source} does not exist: give a run directory that has finished.")
    results = json.loads(source.read_text(encoding="utf-8"))
    for path in draw(results, folder, folder):
        print(path)
    if source.resolve() != (folder / "results.json").resolve():
        shutil.copy(source, folder / "results.json")


if __name__ == "__main__":
    main()
