"""Errors as a person needs them: what, why, what to do. And the exit codes, which scripts rely on."""

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code says."""

    CLEAN = 0
    VIOLATIONS = 1
    USAGE = 2
    INCOMPLETE = 3
    CREDENTIALS = 4


class Trouble(Exception):
    """Something that the person at the terminal can mend: three lines instead of a traceback."""

    def __init__(self, what: str, why: str, do: str, exit_code: Exit = Exit.USAGE) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do
        self.exit_code = exit_code


def check_output(output: str, *known: str) -> None:
    """Raise Trouble for an output that a command does not have."""
    if output not in known:
        raise Trouble(f"there is no output {output}", f"this command has {', '.join(known)}", f"--output {'|'.join(known)}")
