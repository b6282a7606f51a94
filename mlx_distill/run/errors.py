"""Every failure a user can meet, as one short tree.

    DistillError
      UsageError      2    invalid command or configuration
      DataError       3    a file, a data set, a model folder or the disk
      TeacherError    4    the teacher or judge cannot answer
      BudgetError     5    continuing would cost more than --max-cost allows
      MachineError    6    the machine: out of memory, or the GPU was taken away
      GateError       7    the gate said no (only with --gate)
      SweepError      8    a run of a sweep failed; the others continued

The number is the exit code. A message is one line: what happened, then what to do.
"""


class DistillError(Exception):
    exit_code = 1


class UsageError(DistillError):
    exit_code = 2


class DataError(DistillError):
    exit_code = 3


class TeacherError(DistillError):
    exit_code = 4


class BudgetError(DistillError):
    exit_code = 5


class MachineError(DistillError):
    exit_code = 6


class GateError(DistillError):
    exit_code = 7


class SweepError(DistillError):
    exit_code = 8


LINES, LONGEST = 4, 300


def words_of(error: BaseException, *, named: bool = False) -> str:
    """Another library's error as one line: its first lines, since the names of what is missing stand in the second; and
    its kind, if `named` or where the text alone says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = " ".join(lines[:LINES]) + (" …" if len(lines) > LINES else "")
    words = words if len(words) <= LONGEST else f"{words[:LONGEST]} …"
    plain = isinstance(error, ValueError | RuntimeError | OSError) and bool(words) and not named
    return words if plain else f"{type(error).__name__}: {words}".rstrip(": ")
