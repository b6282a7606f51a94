"""Attacks and right programs, at each level that this machine has, as root and as an ordinary user."""

import os
import sys

import pytest
from conftest import missing
from trials import GROUPS, USERS, trials


def levels() -> list[tuple[str, str]]:
    """(who, level) of this system; root can become an ordinary user, not the other way round."""
    if sys.platform == "darwin":
        return [("user", "seatbelt")]
    return [("root", "namespaces")] * (os.geteuid() == 0) + [("user", "namespaces"), ("user", "bubblewrap")]


@pytest.mark.real
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("who", "level"), levels())
def test_each_level_holds_every_attack_and_runs_every_right_program(who: str, level: str, group: str) -> None:
    if who == "user" and os.geteuid() == 0 and not USERS.command():
        missing("an ordinary user cannot run this Python")
    found = trials(who, level, [group])
    if isinstance(found, str):
        missing(f"{level} does not work here: {found}")
    assert [row for row in found if not row.held] == []
    assert {row.group for row in found} == {group}
