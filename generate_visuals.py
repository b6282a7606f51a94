"""Draws a run's charts into visuals/: `python generate_visuals.py [RUN] [FOLDER] [--theme light] [--animate] …`.

In: RUN/results.json (default: visuals/, which holds a sample run's). Out: the pictures, RESULTS.md, report.html and
pipeline.mmd in FOLDER (default: visuals/). Nothing but results.json is read.
"""

import argparse
import shutil
import sys
from pathlib import Path

from mlx_distill.report import draw
from mlx_distill.report.look import FORMATS, THEMES, Look, size_of
from mlx_distill.run.decode import read_results
from mlx_distill.run.errors import DataError, UsageError

HERE = Path(__file__).parent / "visuals"


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a run's charts from its results.json.")
    parser.add_argument("run", nargs="?", type=Path, default=HERE)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    parser.add_argument("--format", choices=FORMATS, default="png")
    parser.add_argument("--size", default="1920x1080", help="pixels, such as 1080x1920")
    parser.add_argument("--theme", choices=THEMES, default="dark")
    parser.add_argument("--animate", action="store_true", help="frames and a GIF of each chart too")
    typed = parser.parse_args()
    source = typed.run / "results.json"
    try:
        look, results = Look(typed.format, size_of(typed.size), typed.theme), read_results(typed.run)
    except (UsageError, DataError) as error:
        sys.exit(str(error))
    for path in draw(results, typed.folder, typed.folder, look, typed.animate):
        print(path)
    if source.resolve() != (typed.folder / "results.json").resolve():
        shutil.copy(source, typed.folder / "results.json")


if __name__ == "__main__":
    main()
