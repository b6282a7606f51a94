"""What --sandbox-packages shows to a program, and that it shows no more."""

from __future__ import annotations

import pytest
from conftest import missing
from tables import every

from mlx_distill.machine import sandbox
from mlx_distill.run.errors import UsageError

LOOK = """
import json, os, sys
found = []
for what in ("numpy", "psutil", "rich"):
    try:
        __import__(what)
        found.append(what)
    except ImportError:
        pass
written = []
for path in [path for path in sys.path if "packages" in path and os.path.isdir(path)]:
    for name in ["numpy/made", "made"]:
        try:
            open(os.path.join(path, name), "w").close()
            written.append(name)
        except OSError:
            pass
print(json.dumps([found, written]))
"""


@every(
    "text, names",
    [("", ()), ("numpy", ("numpy",)), (" numpy, six ", ("numpy", "six")), ("numpy six,numpy", ("numpy", "six"))],
)  # fmt: skip
def test_names_are_separated_by_commas_or_spaces(text: str, names: tuple[str, ...]) -> None:
    assert sandbox.names_of(text) == names


def test_a_shelf_holds_the_packages_and_what_they_need() -> None:
    assert sandbox.shelf(()).entries == ()
    found = sandbox.shelf(("markdown_it",))  # by the name of its module
    assert {"markdown_it", "mdurl"} <= found.modules
    assert "pytest" not in found.modules
    assert any(version.startswith("markdown-it-py ") for version in found.versions)


@every("name", ["no-such-package-here", "../numpy", "/etc", "-h"])
def test_what_is_not_installed_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not installed"):
        sandbox.shelf((name,))


@pytest.mark.real
def test_a_program_sees_what_it_may_see_and_cannot_change_it() -> None:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")
    assert sandbox.run(LOOK, packages=("numpy",)).result == [["numpy"], []]
    assert sandbox.run(LOOK).result == [[], []]
