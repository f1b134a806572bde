"""The programs that are compared, how each is started, and what it found."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import rules

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".build" / "bench"
"""The virtual environment with Cloud Custodian and boto3; `make bench` makes it."""
DEPLOYED = ROOT / ".build" / "bench-deployed"
"""The virtual environment with what is deployed to Lambda and nothing else; `make bench` makes it."""

QUOTA = 20
"""Calls a second of each operation, and as many at once, where there is a quota."""

Findings = Mapping[str, Sequence[str]]
"""For each rule the sorted names of the repositories that break it."""

CUSTODIAN, OURS = "custodian", "ours"
REMEMBER, INCREMENTAL = "--write-state", "--incremental"
"""Arguments that make a full check write a state, and another check begin with it. A path follows."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a program puts what it found and what it remembers."""

    directory: Path
    state: Path

    @property
    def findings(self) -> Path:
        """The file for the findings."""
        return self.directory / "findings.json"


@dataclass(frozen=True, slots=True)
class Program:
    """A program under comparison. A stateful one takes REMEMBER and INCREMENTAL; the others check in full only."""

    name: str
    title: str
    argv: Callable[[Workplace], list[str]]
    findings: Callable[[Workplace], Findings]
    stateful: bool = False
    under_quota: tuple[str, ...] = ()
    """Further arguments for one that is told the quota; others have to find it out."""
    slow: bool = False
    """Whether it is left out where it takes a minute or more, unless it is asked for."""


def _custodian(place: Workplace) -> list[str]:
    options = ["--output-dir", str(place.directory), "--cache", "memory", "--cache-period", "15", "--region", rules.REGION]
    return [str(PEERS / "bin" / "custodian"), "run", *options, str(ROOT / "benchmarks" / "peers" / "custodian.yaml")]


def custodian_findings(place: Workplace) -> Findings:
    """Read what each policy wrote; the unused repositories are the difference of two."""
    found = {
        path.parent.name: {resource["repositoryName"] for resource in json.loads(path.read_bytes())}
        for path in place.directory.glob("*/resources.json")
    }
    found[rules.UNUSED] = found.pop("created-long-ago") - found.pop("images-in-use")
    return {rule: sorted(names) for rule, names in found.items()}


def _written(place: Workplace) -> Findings:
    findings: Findings = json.loads(place.findings.read_bytes())
    return findings


def _module(python: Path | str, module: str, *options: str) -> Callable[[Workplace], list[str]]:
    return lambda place: [str(python), "-m", f"benchmarks.{module}", "--findings", str(place.findings), *options]


_PYTHON = PEERS / "bin" / "python"
PROGRAMS = (
    Program(CUSTODIAN, "Cloud Custodian", _custodian, custodian_findings),
    Program("naive", "script, boto3", _module(_PYTHON, "peers.naive"), _written, slow=True),
    Program("floor-boto3", "floor, boto3", _module(_PYTHON, "peers.floor", "--client", "boto3"), _written, stateful=True, slow=True),
    Program(OURS, "**ECR Governor**", _module(DEPLOYED / "bin" / "python", "ours"), _written, stateful=True),
    Program(
        "floor-raw", "floor, own signing", _module(_PYTHON, "peers.floor"), _written, stateful=True, under_quota=("--rate", f"{QUOTA}")
    ),
)
