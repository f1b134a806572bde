"""Change core/retirement in all small ways, and see that a test notices: `python -m tests.mutation [MODULE ...]`.

Exit code 1 if a mutant survives that is not listed as equivalent, or one that is listed is no more or is noticed by now.
"""

import argparse
import ast
import subprocess
import sys
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.equivalents import EQUIVALENT
from tests.mutation.mutants import Mutant, mutants_of, vocabulary_of
from tests.mutation.running import Subject, Untestable, survivors_of

ROOT = Path(__file__).parents[2]
CORE = ROOT / "layers/governor/python/ecr_governor/core"
PACKAGE = CORE / "retirement"
TESTS = ROOT / "tests/unit/retirement"
TESTED_BY = {"state": ("snapshot",)}
"""The tests of modules that are not tested, or not wholly, by those of their own name."""
PROGRESS = 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a module's mutants: how many there are of each sort, and what must not be, each in words."""

    summary: str
    wrong: Sequence[str]


def judge(mutants: Sequence[Mutant], alive: Sequence[Mutant], listed: AbstractSet[str]) -> Verdict:
    """Compare the mutants that survived with those of which that was known."""
    unknown = [each for each in alive if each.identity not in listed]
    there, living = {each.identity for each in mutants}, {each.identity for each in alive}
    wrong = [
        *(f"survives, line {each.line}: {each.identity}" for each in unknown),
        *(f"listed, and no more: {identity}" for identity in sorted(listed - there)),
        *(f"listed, and noticed: {identity}" for identity in sorted(listed & there - living)),
    ]
    killed, known = len(mutants) - len(alive), len(alive) - len(unknown)
    return Verdict(f"{len(mutants)} mutants, {killed} killed, {known} equivalent, {len(unknown)} survive", wrong)


def main() -> int:
    """Try the mutants of one module, or each module in a process of its own: what one of them has loaded must not be there in the next."""
    modules = sorted(each.stem for each in PACKAGE.glob("*.py") if each.stem != "__init__")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "modules", nargs="*", choices=[[], *modules], metavar="MODULE", help=f"of {', '.join(modules)}; all unless told otherwise"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--like", default="", help="only those whose printed form has this in it")
    given = parser.parse_args()
    if len(given.modules) == 1:
        return _try(given.modules[0], given.processes, given.like)
    again = [sys.executable, "-m", "tests.mutation", "--processes", str(given.processes), "--like", given.like]
    codes = [subprocess.run([*again, each], cwd=ROOT, check=False).returncode for each in given.modules or modules]
    return 1 if any(codes) else 0


def _try(module: str, processes: int, like: str) -> int:
    begun = time.monotonic()
    subject = Subject(
        f"ecr_governor.core.retirement.{module}",
        PACKAGE / f"{module}.py",
        [str(TESTS / f"test_{each}.py") for each in TESTED_BY.get(module, (module,))],
    )
    sources = [*sorted(PACKAGE.glob("*.py")), CORE / "policy/retirement.py"]
    vocabulary = vocabulary_of(ast.parse(source.read_text()) for source in sources)
    mutants = [each for each in mutants_of(subject.tree, vocabulary) if like in each.identity]

    def say(tried: int) -> None:
        if tried % PROGRESS == 0:
            sys.stderr.write(f"  {tried} of {len(mutants)}, {time.monotonic() - begun:.0f} s\n")

    listed = frozenset(identity for by_module in EQUIVALENT.values() for identity in by_module.get(module, ()) if like in identity)
    try:
        verdict = judge(mutants, survivors_of(subject, mutants, processes, say), listed)
    except Untestable as untestable:
        _say(f"{module}: {untestable}")
        return 1
    for line in verdict.wrong:
        _say(f"  {line}")
    _say(f"{module}: {verdict.summary}")
    return 1 if verdict.wrong else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
