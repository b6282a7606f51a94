"""The programs that run inside the sandbox, put together from the texts of modules: there is no package to import from.

`PYTHON` says what an answer's checks evaluate to (`checking`), `SQL` what an answer's query returns, `SCRIPT` whether a
program runs. Each gets an answer's code on its standard input, and never what is expected of it.
"""

from __future__ import annotations

import functools
import inspect
import re
from types import ModuleType

from mlx_distill.machine.checks import checking, loading, values

OWN = re.compile(r"^from mlx_distill.*\n", re.MULTILINE)


def joined(*modules: ModuleType) -> str:
    """Modules as one program: imports from this package are left out, `from __future__` stands first."""
    texts = [OWN.sub("", inspect.getsource(module)) for module in modules]
    guards = [re.sub(r'\nif __name__ == "__main__":\n    main\(\)\n\Z', "\n", text) for text in texts[:-1]]
    return "\n".join([*guards, texts[-1]])


@functools.cache
def python() -> str:
    program = joined(loading, checking)
    return program.replace('VALUES = ""', f"VALUES = {inspect.getsource(values)!r}")


@functools.cache
def script() -> str:
    return joined(loading) + SCRIPT


@functools.cache
def sql() -> str:
    return joined(values) + SQL


SCRIPT = """
import json

def main():
    task, printed, nothing = json.loads(sys.stdin.readline()), os.dup(1), os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    leave, write, said = os._exit, os.write, ""
    made = module("__main__", task["code"])
    imports, standard, execute, reason = (ast.Import, ast.ImportFrom), sys.stdlib_module_names, exec, why
    try:
        for node, compiled in _statements(task["code"], made.__file__):
            try:
                execute(compiled(), made.__dict__)
            except ModuleNotFoundError as error:
                if not isinstance(node, imports) or (error.name or "").partition(".")[0] in standard:
                    raise
    except EOFError:
        pass  # it asks, and nobody is there to answer
    except SystemExit as end:
        said = "" if end.code in (None, 0) else "SystemExit: " + repr(end.code)
    except BaseException as error:
        said = reason(error)
    write(printed, json.dumps(said).encode())
    leave(0)

main()
"""

SQL = """
import sqlite3, time

COMMENT = "--[^\\\\n]*|/\\\\*(?s:.*?)\\\\*/"

def first_words(statement, count):
    import re
    return re.sub(COMMENT, " ", statement).upper().replace("(", " ").split()[:count]

def statements(code):
    statement = ""
    for part in code.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            if first_words(statement, 1) not in ([], [";"]):
                yield statement
            statement = ""

def main():
    task = loads(sys.stdin.readline())
    database = sqlite3.connect(":memory:")
    database.executescript(task["setup"])
    until = time.process_time() + task["seconds"]
    database.set_progress_handler(lambda: time.process_time() > until, 10000)
    rows, said, there = None, "", set()
    for statement in statements(task["code"]):
        words = first_words(statement, 9)
        if words[:2] == ["INSERT", "INTO"] and words[2] in there:
            continue  # an example's rows, for a table that the task has given already
        try:
            found = database.execute(statement)
            if found.description and words[0] not in ("EXPLAIN", "PRAGMA"):
                rows = [list(row) for row in found.fetchall()]
        except sqlite3.Error as error:
            said = said or type(error).__name__ + ": " + str(error)
            if words[:2] == ["CREATE", "TABLE"] and "already exists" in str(error):
                there |= {word.strip("`'[]" + chr(34)) for word in words[2:6]}
    print(dumps([said if rows is None else [encoded(rows)]]))

main()
"""
