"""A TOML file's content, or in one line why it cannot be read."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any

from mlx_distill.run.errors import DataError, UsageError


def toml_of(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises DataError when there is none, or it is not TOML; UsageError for a folder."""
    try:
        return tomllib.loads(path.read_bytes().removeprefix(codecs.BOM_UTF8).decode())
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: check the path.") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder: give a file.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): convert it, e.g. with iconv -t UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid TOML ({error}): correct that place.") from error
