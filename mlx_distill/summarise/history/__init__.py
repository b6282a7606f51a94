"""Earlier runs: what each came to, which was the last one, and two of them side by side.

In: folders with results.json. Out: short values for tables and RESULTS.md. Runs may be unfinished, broken or of
another version: in a list they are named as such, and only `diff` raises.
"""

from mlx_distill.summarise.history.diff import Diff, Paired, diff
from mlx_distill.summarise.history.runs import Entry, listed, previous, summary

__all__ = ["Diff", "Entry", "Paired", "diff", "listed", "previous", "summary"]
