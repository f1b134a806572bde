"""What one event costs: AWS calls (exact), CPU (as ratios within one run), cold start (whole processes, taken in turn).

Run it with `make bench`. Seconds differ from machine to machine and from minute to minute; the ratios and the calls do not.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli.build import ensure_built
from cli.demo.stage import Stage
from cli.embedded import running
from ecr_governor import batches
from ecr_governor.events import parse

ROOT = Path(__file__).resolve().parents[1]
EVENT = (ROOT / "events" / "put-image.json").read_text()
ROUNDS, EVENTS = 9, 2000
STARTS = 9

HEAVY = (
    "import boto3; boto3.client('ecr', region_name='eu-west-1'); from aws_lambda_powertools import Logger, Metrics; Logger(service='x'); \
Metrics(namespace='x', service='x'); from aws_lambda_powertools.utilities.parser import event_parser; from aws_lambda_powertools.utilities.parser.models \
import EventBridgeModel"
)
BARE = "pass"


def main() -> None:
    """Measure and print everything."""
    print("\nCPU of one event, microseconds (median of rounds taken in turn)")  # noqa: T201 - a benchmark prints
    table(cpu_per_event(), "json.loads")
    print("\nCold start, CPU milliseconds of a fresh process, bare interpreter taken off")  # noqa: T201
    table(cold_starts(), "boto3 + ecr + Powertools Logger, Metrics, parser")
    print("\nAWS calls of the functions for one event")  # noqa: T201
    for what, calls in calls_per_event().items():
        print(f"  {what:<58}{sum(calls.values()):>3}  {', '.join(f'{name} {count}' for name, count in sorted(calls.items()))}")  # noqa: T201


def table(measured: Mapping[str, float], floor: str) -> None:
    """Print each figure with its ratio to one of them."""
    for what, value in measured.items():
        print(f"  {what:<58}{value:>9.1f}  {value / measured[floor]:>6.2f} x")  # noqa: T201


def cpu_per_event() -> dict[str, float]:
    """CPU of reading one event, and of taking a batch of ten through to the use case."""
    sqs = {"Records": [{"messageId": str(number), "body": EVENT} for number in range(10)]}

    class Nowhere:
        def send(self, body: str, reason: str) -> None:
            raise AssertionError(reason)

    def batch() -> None:
        batches.settle(sqs, lambda _: None, Nowhere(), "123456789012", "eu-west-1")

    contenders: dict[str, tuple[Callable[[], object], int]] = {
        "json.loads": (lambda: json.loads(EVENT), 1),
        "parse: envelope and record validated, repository and push": (lambda: parse(EVENT, "123456789012", "eu-west-1"), 1),
        "a batch of ten of one repository, coalesced, per event": (batch, 10),
    }
    rounds: dict[str, list[float]] = {what: [] for what in contenders}
    for _ in range(ROUNDS):
        for what, (run, events) in contenders.items():
            begun = time.process_time()
            for _ in range(EVENTS // events):
                run()
            rounds[what].append((time.process_time() - begun) / EVENTS * 1e6)
    return {what: statistics.median(values) for what, values in rounds.items()}


def cold_starts() -> dict[str, float]:
    """CPU of a fresh process that imports a built function from its built layers, as Lambda does before the first event."""
    built = ensure_built().parent
    layers = f"{built}/GovernorLayer/python{os.pathsep}{built}/DependenciesLayer/python"
    contenders = {
        "boto3 + ecr + Powertools Logger, Metrics, parser": (HEAVY, sysconfig.get_path("purelib")),
        **{
            name: ("import app", f"{built / name}{os.pathsep}{layers}")
            for name in ("RepositoryEventsFunction", "ImageEventsFunction", "NotifyFunction")
        },
    }
    bare = [cpu_of(BARE, layers) for _ in range(STARTS)]
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(STARTS):
        for name, (code, path) in contenders.items():
            taken[name].append(cpu_of(code, path))
    return {name: statistics.median(values) - statistics.median(bare) for name, values in taken.items()}


def cpu_of(code: str, path: str) -> float:
    """User and system milliseconds of one interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-S", "-s", "-c", code], env={"PYTHONPATH": path, "AWS_DEFAULT_REGION": "eu-west-1"}, check=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def calls_per_event() -> dict[str, Counter[str]]:
    """Count the functions' calls on the embedded AWS, by the authorisations that they needed; queue and log traffic left out."""
    counted: dict[str, Counter[str]] = {}
    with running(policy=(ROOT / "cli" / "demo" / "policy.yaml").read_bytes()) as aws:
        stage = Stage(aws)
        stage.client("ecr").create_repository_creation_template(prefix="payments", appliedFor=["CREATE_ON_PUSH"])
        stage.push("payments/warm:v1.0.0", "ci")
        stage.settle()

        def count(what: str, happen: Callable[[], Any]) -> None:
            aws.authorizations.clear()
            happen()
            stage.settle()
            calls = Counter(entry.action for entry in aws.authorizations if entry.action.partition(":")[0] in {"ecr", "dynamodb", "s3"})
            counted[what] = Counter(
                {name: number for name, number in calls.items() if name not in {"dynamodb:GetRecords", "dynamodb:GetShardIterator"}}
            )

        count("create on push, four remedies, events of creation and push", lambda: stage.push("payments/new:v1.0.0", "ci"))
        count("a push to a known repository", lambda: stage.push("payments/new:v1.0.1", "ci"))
        count("drift put right", lambda: stage.client("ecr").delete_lifecycle_policy(repositoryName="payments/new"))
    return counted


if __name__ == "__main__":
    main()
