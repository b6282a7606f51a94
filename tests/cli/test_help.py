"""What --help offers, command by command, and that an old command line still works."""

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout

import click
import pytest
from command_line import command, fails, invoke
from tables import every

from mlx_distill.cli import cli, commands, lookups
from mlx_distill.cli.options import RUN_OPTIONS, SHOWN
from mlx_distill.run import config as configuration

HEAVY = ("numpy", "mlx", "matplotlib", "datasets", "anthropic", "scipy", "markdown_it", "rich")


def offered(name: str) -> set[str]:
    """The flags that a command's --help shows."""
    told = invoke(name, "--help").stdout
    return set(re.findall(r"^  (--[a-z-]+)", told, flags=re.MULTILINE))


def flags(name: str) -> dict[str, click.Option]:
    """All flags that a command accepts, the hidden ones too."""
    options = [each for each in cli.commands[name].params if isinstance(each, click.Option)]
    return {flag: option for option in options for flag in option.opts}


@every(
    "name, used, unused",
    [
        ("collect", {"--teacher", "--prompts", "--max-cost", "--yes"}, {"--rank", "--judge", "--learning-rate"}),
        ("train", {"--epochs", "--rank", "--memory", "--data"}, {"--judge", "--teacher", "--max-cost", "--yes"}),
        ("compare", {"--judge", "--samples", "--self-check"}, {"--rank", "--epochs", "--memory", "--select"}),
        ("bench", {"--benchmark", "--rule", "--gate", "--json"}, {"--teacher", "--rank", "--yes"}),
        ("select", {"--select", "--strengths", "--benchmark"}, {"--samples", "--rule", "--teacher"}),
        ("report", {"--run", "--theme"}, {"--learning-rate", "--preset", "--judge", "--yes"}),
        ("export", {"--run", "--to"}, {"--preset", "--epochs"}),
    ],
)
def test_a_command_offers_what_it_uses(name: str, used: set[str], unused: set[str]) -> None:
    shown = offered(name)
    assert shown >= used
    assert not shown & unused


def test_run_and_plan_offer_the_same_settings() -> None:
    settings = {field.setting.flag for _, field in configuration.settings()}
    assert offered("run") & settings == offered("plan") & settings
    assert offered("run") >= {"--teacher", "--rank", "--judge", "--memory", "--benchmark"}


OLD = ("--teacher", "--epochs", "--judge", "--memory", "--select", "--benchmark", "--yes", "--accept-terms", "--update")


@every("name", ["plan", "run", "collect", "train", "compare", "report"])
def test_every_command_of_a_run_accepts_the_settings_of_all(name: str) -> None:
    assert set(OLD) <= set(flags(name))
    accepted = {flag for flag, option in flags(name).items() if "__" in (option.name or "")}
    assert accepted == {flag for flag, option in flags("run").items() if "__" in (option.name or "")}


def test_a_hidden_option_still_changes_the_configuration() -> None:
    option = flags("report")["--epochs"]
    assert option.hidden
    done = invoke("report", "--epochs", "0", "--run", "nowhere")
    assert "training.epochs is 0: it must be above zero" in done.stderr


def test_the_most_used_options_come_first_and_are_a_dozen() -> None:
    told = invoke("run", "--help").stdout
    first = told[told.index("Most used:") : told.index("Prompts:")]
    listed = re.findall(r"^  (--[a-z-]+)", first, flags=re.MULTILINE)
    assert listed[:3] == ["--run", "--preset", "--config"]
    assert set(listed) >= {"--teacher", "--student", "--judge", "--epochs", "--data", "--benchmark"}
    assert len(listed) <= 13


def test_commands_stand_in_the_order_of_the_work_with_an_example_each() -> None:
    told = invoke("--help").stdout
    names = re.findall(r"^  ([a-z]+)  ", told, flags=re.MULTILINE)
    assert names == [each.name for each in (*commands.COMMANDS, *lookups.COMMANDS)]
    assert names[:4] == ["plan", "run", "collect", "train"]
    for name in names:
        assert f"Example: mlx-distill {name}" in invoke(name, "--help").stdout


def test_the_examples_of_help_are_valid_command_lines() -> None:
    parent = click.Context(cli, info_name="mlx-distill", **cli.context_settings)
    for name, listed in cli.commands.items():
        arguments = (listed.epilog or "").removeprefix("Example: mlx-distill ").split()
        assert arguments[0] == name
        listed.make_context(name, arguments[1:], parent)


def test_a_flag_means_one_setting_in_every_command() -> None:
    for name in SHOWN:
        destinations = [option.name for option in flags(name).values()]
        assert len(destinations) == len(flags(name)), name
    assert all(set(option.commands) <= set(SHOWN) for option in RUN_OPTIONS)


def test_every_setting_says_what_it_is_in_one_sentence_without_a_full_stop() -> None:
    for name, field in configuration.settings():
        text = field.setting.help
        assert text, name
        assert not text.endswith("."), name
        assert len(text) <= 120, name


def test_preset_and_config_are_not_given_together() -> None:
    fails(2, "give one of them", "plan", "--preset", "demo", "--config", "mine.toml")


@pytest.mark.parametrize("arguments", [(), ("run",), ("bench",), ("report",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; from mlx_distill.cli import cli; "
        f"cli.main([*{arguments!r}, '--help'], standalone_mode=False); print('loaded:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("loaded:")[2].split())
    assert not loaded & set(HEAVY)
    assert "Usage: " in done.stdout


def test_the_shell_completes_commands() -> None:
    asked = {"_MLX_DISTILL_COMPLETE": "bash_complete", "COMP_WORDS": "mlx-distill re", "COMP_CWORD": "1"}
    done = subprocess.run(command(), env=os.environ | asked, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["plain,report"]
    assert "_MLX_DISTILL_COMPLETE" in invoke("--help").stdout


def test_help_is_the_same_whether_it_is_asked_for_once_or_twice() -> None:
    texts = []
    for _ in range(2):
        with redirect_stdout(io.StringIO()) as told:
            cli.main(["collect", "--help"], standalone_mode=False)
        texts.append(told.getvalue())
    assert texts[0] == texts[1]
