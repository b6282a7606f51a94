"""The programs that run inside the sandbox: they execute an answer and say what its checks evaluate to.

In, on standard input: the answer's code and the checks' lines, never what is expected. Out: a JSON list with, for each
check, [its value] (written by `tagged`) or null. For Python each check runs in a process of its own that starts before
the check is read: it loads the answer, is then told the check, and evaluates it with code that is compiled anew.

What cannot be closed while checks hand iterators and callbacks to an answer, and is accepted: an answer that takes over
its own process, frame by frame, can reply there what it likes. It does not know what is expected, so it can only guess,
as any wrong function can. It cannot reply for another check, and a reply from before the check was told has no nonce.
"""

from __future__ import annotations

VALUES = '''
def tagged(value):
    """JSON that tells lists, tuples, sets, bytes and dictionaries apart."""
    if isinstance(value, dict):
        return ["dict", *([tagged(key), tagged(item)] for key, item in value.items())]
    if isinstance(value, (list, tuple, set, bytes)):
        return [type(value).__name__, *map(tagged, value)]
    return value
'''

PYTHON = (
    VALUES
    + '''
import ast, builtins, contextlib, importlib, json, marshal, os, signal, sys, types, warnings

LITERAL = """
def literal(value):
    kind = type(value)  # compared by `is`: a class can have a class of its own that says it equals any other
    if any(kind is known for known in (list, tuple, set)):
        return kind(literal(item) for item in value)
    if kind is dict:
        return {literal(key): literal(item) for key, item in value.items()}
    if any(kind is known for known in (int, float, str, bytes, bool, type(None))):
        return value
    raise TypeError("not a literal")
"""

RAISED = """
def raised(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return None
"""

def load(code):
    module = sys.modules["answer"] = types.ModuleType("answer")
    sys.modules["__main__"] = types.ModuleType("__main__")
    exec(code, module.__dict__)
    return module.__dict__

def answer(code, questions, replies):
    # Names are bound before the answer is loaded: it may put others in their place.
    execute, evaluate, text, parsed, build = exec, eval, repr, marshal.loads, dict
    read, write, clean = os.read, os.write, dict(vars(builtins))
    literal, raised = compile(LITERAL, "check", "exec"), compile(RAISED, "check", "exec")
    names = load(code)
    write(replies, b"loaded\\n")
    size = int.from_bytes(read(questions, 4), "big")
    question = b""
    while len(question) < size:
        question += read(questions, size - len(question))
    nonce, lines, last = parsed(question)
    own, helper = {"__builtins__": clean}, {"__builtins__": clean}
    execute(literal, own)
    execute(raised, helper)
    names = build(names, raised=helper["raised"], __builtins__=build(clean))
    execute(lines, names)
    write(replies, nonce + text(own["literal"](evaluate(last, names))).encode() + b"\\n")

def start(code, theirs, ours):
    child = os.fork()
    if child:
        return child
    leave, report = os._exit, sys.excepthook  # again before the answer can replace them
    try:
        for descriptor in ours:
            os.close(descriptor)
        os.dup2(nothing, 0)
        answer(code, *theirs)
    except BaseException:
        report(*sys.exc_info())
    finally:
        leave(0)

def question(nonce):
    tree = ast.parse(json.loads(given.readline()).strip())
    last = tree.body.pop()
    lines, last = compile(tree, "check", "exec"), compile(ast.Expression(last.value), "check", "eval")
    asked = marshal.dumps((nonce, lines, last))
    return len(asked).to_bytes(4, "big") + asked

def value(to, replies):
    """[what the check evaluates to], or None."""
    if replies.readline() != b"loaded\\n":
        given.readline()
        return None
    nonce = os.urandom(16).hex().encode()
    to.write(question(nonce))
    reply = replies.readline()
    if not reply.startswith(nonce):
        return None
    return [tagged(ast.literal_eval(reply.removeprefix(nonce).decode().strip()))]

def checked(code):
    (questions, to), (said, replies) = os.pipe(), os.pipe()
    child = start(code, (questions, replies), (to, said, printed, given.fileno()))
    os.close(questions)
    os.close(replies)
    try:
        with open(to, "wb", buffering=0) as to, open(said, "rb") as said:
            return value(to, said)
    except Exception:
        return None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

def import_ahead(code):
    """What the answer imports of the standard library: once instead of in each check's process."""
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imports for alias in node.names}
    for name in names | {getattr(node, "module", None) or "" for node in imports}:
        if name.partition(".")[0] in sys.stdlib_module_names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)

nothing, printed = os.open(os.devnull, os.O_RDWR), os.dup(1)
os.dup2(nothing, 1)
given = open(os.dup(0), "rb", buffering=0)  # unbuffered: what is not read yet is in no process
task = json.loads(given.readline())
warnings.simplefilter("ignore")  # what is said last on the error stream becomes the Score's detail
try:
    import_ahead(task["code"])
    code = compile(task["code"], "answer.py", "exec")
    results = [checked(code) for _ in range(task["checks"])]
except Exception:
    sys.excepthook(*sys.exc_info())
    results = []
with open(printed, "w") as file:
    json.dump(results, file)
'''
)

SQL = (
    VALUES
    + """
import json, sqlite3

task = json.loads(input())
database = sqlite3.connect(":memory:")
database.executescript(task["setup"])
rows, statement = None, ""
for part in task["code"].split(";"):
    statement += part + ";"
    if sqlite3.complete_statement(statement):
        if statement.strip(" ;\\n\\t"):
            found = database.execute(statement)
            if found.description:
                rows = [list(row) for row in found.fetchall()]
        statement = ""
print(json.dumps([[tagged(rows)]]))
"""
)

AS_SCRIPT = """
import json, os, runpy, sys
with open("answer.py", "w", encoding="utf-8") as file:
    file.write(json.loads(sys.stdin.readline())["code"])
sys.argv = ["answer.py"]
runpy.run_path("answer.py", run_name="__main__")
"""
