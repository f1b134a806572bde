"""What the programs are measured at: accounts of several sizes, a change of 2 %, a slow network, a quota."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from benchmarks import rules
from benchmarks.programs import INCREMENTAL, QUOTA, REMEMBER, ROOT, Findings, Program, Workplace
from benchmarks.served import Served

LATENCY_MS, LATENCY_SIZE = 20, 1000
QUOTA_SIZE = 300
WARM_UP_SIZE = 50
LARGE = 2000
"""More repositories than that are too many for slow programs."""
LONGEST = 1800.0
"""Seconds until a program is given up."""


class Scenario(StrEnum):
    """What is asked of a program."""

    FULL = "full"
    INCREMENTAL = "incremental"
    LATENCY = "latency"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one program took. `cpu` and `wall` in seconds; `wrong` says which rules it answered wrongly, and how."""

    scenario: Scenario
    size: int
    round: int
    program: str
    title: str
    calls: dict[str, int]
    refused: int
    unknown: dict[str, int]
    changes: int
    cpu: float
    wall: float
    peak_mb: float
    wrong: tuple[str, ...]
    failure: str

    @property
    def total(self) -> int:
        """All calls, those that were refused with them."""
        return sum(self.calls.values())

    @property
    def right(self) -> int:
        """How many of the rules it answered without a mistake."""
        return 0 if self.failure else len(rules.RULES) - len(self.wrong)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


Report = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Measuring:
    """Runs the programs in turn and hands each result to `report`. The order is another one in every round."""

    programs: Sequence[Program]
    seed: int
    report: Report

    def warm_up(self) -> None:
        """Let each program run once where it does not count: bytecode gets written, files get into memory."""
        with Served(WARM_UP_SIZE, self.seed) as served, _workplaces() as workplace:
            for program in self.programs:
                self._run(program, served, workplace(program), Scenario.FULL, 0)

    def sweep(self, size: int, rounds: int) -> None:
        """Check an account in full, let 2 % of it change, and check it again by those who can remember."""
        able = [program for program in self.programs if program.stateful]
        with Served(size, self.seed) as served, _workplaces() as workplace:
            for program in able:
                failure = self._remember(program, served, workplace(program))
                if failure:
                    sys.stderr.write(f"{program.name}: {failure}\n")
            for number in range(rounds):
                for program in _turn(self.programs, number):
                    self.report(self._run(program, served, workplace(program), Scenario.FULL, number))
                served.ask("change")
                for program in _turn(able, number):
                    self.report(self._run(program, served, workplace(program), Scenario.INCREMENTAL, number))
                served.ask("restore")

    def slow_network(self, rounds: int) -> None:
        """Check where every call takes 20 ms."""
        self._configured(Scenario.LATENCY, LATENCY_SIZE, rounds, latency_ms=LATENCY_MS, quota=0)

    def quota(self, rounds: int) -> None:
        """Check where each operation can be called 20 times a second."""
        self._configured(Scenario.QUOTA, QUOTA_SIZE, rounds, latency_ms=0, quota=QUOTA)

    def _configured(self, scenario: Scenario, size: int, rounds: int, **configuration: float) -> None:
        with Served(size, self.seed) as served, _workplaces() as workplace:
            for number in range(rounds):
                for program in _turn(self.programs, number):
                    served.ask("configure", **configuration)
                    self.report(self._run(program, served, workplace(program), scenario, number))

    def _remember(self, program: Program, served: Served, place: Workplace) -> str:
        argv = [*program.argv(place), REMEMBER, str(place.state)]
        return _failure(_launch(argv, served.endpoint, place), place)

    def _run(self, program: Program, served: Served, place: Workplace, scenario: Scenario, number: int) -> Run:
        argv = program.argv(place)
        if scenario is Scenario.INCREMENTAL:
            argv += [INCREMENTAL, str(_copy(place))]
        if scenario is Scenario.QUOTA:
            argv += program.under_quota
        truth = served.ask("truth")
        served.ask("reset")
        took = _launch(argv, served.endpoint, place)
        counts = served.ask("counts")
        failure = _failure(took, place)
        wrong = () if failure else mistakes(program.findings(place), truth)
        return Run(
            scenario=scenario,
            size=served.size,
            round=number,
            program=program.name,
            title=program.title,
            calls=counts["calls"],
            refused=sum(counts["refused"].values()),
            unknown=counts["unknown"],
            changes=len(counts["changes"]),
            cpu=took["cpu"],
            wall=took["wall"],
            peak_mb=took["peak_mb"],
            wrong=wrong,
            failure=failure,
        )


def mistakes(found: Findings, truth: Findings) -> tuple[str, ...]:
    """Say of each rule that was answered wrongly, or not at all, how many names were too many and how many were missing."""
    wrong = []
    for rule, names in truth.items():
        answer, right = set(found.get(rule, ())), set(names)
        if rule not in found:
            wrong.append(f"{rule}: not answered")
        elif answer != right:
            wrong.append(f"{rule}: {len(answer - right)} too many, {len(right - answer)} missing")
    return tuple(wrong)


def _copy(place: Workplace) -> Path:
    """Copy the state, a file or a directory, for one run: every round begins with the same, whatever a program does to its own."""
    copy = place.directory / "state"
    if place.state.is_dir():
        shutil.copytree(place.state, copy)
    elif place.state.exists():
        shutil.copy(place.state, copy)
    return copy


def _turn(programs: Sequence[Program], number: int) -> Sequence[Program]:
    begin = number % max(1, len(programs))
    return [*programs[begin:], *programs[:begin]]


@contextmanager
def _workplaces() -> Iterator[Callable[[Program], Workplace]]:
    """Give what makes a new workplace for a run; a program's state is the same in all of them."""
    with tempfile.TemporaryDirectory() as top:

        def workplace(program: Program) -> Workplace:
            return Workplace(Path(tempfile.mkdtemp(dir=top)), Path(top) / f"{program.name}.state")

        yield workplace


def _launch(argv: Sequence[str], endpoint: str, place: Workplace) -> dict[str, Any]:
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "C.UTF-8",
        "HOME": str(place.directory),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": rules.REGION,
        "AWS_REGION": rules.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(ROOT / "layers" / "governor" / "python"),
    }
    job = {"argv": argv, "environment": environment, "directory": str(ROOT), "log": str(place.directory / "log"), "seconds": LONGEST}
    launcher = [sys.executable, "-S", "-E", str(ROOT / "benchmarks" / "launcher.py")]
    done = subprocess.run(launcher, input=json.dumps(job), stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own
    took: dict[str, Any] = json.loads(done.stdout)
    return took


def _failure(took: dict[str, Any], place: Workplace) -> str:
    if took["timed_out"]:
        return f"not done after {LONGEST:g} s"
    if took["exit_code"]:
        return f"exit code {took['exit_code']}: {(place.directory / 'log').read_text(errors='replace')[-400:].strip()}"
    return ""
