"""What one event costs: CPU, as ratios within one run, and AWS calls, which are exact. Run it with `python -m benchmarks.event_path`."""

import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.demo.stage import Stage
from cli.embedded import running
from ecr_governor import batches
from ecr_governor.events import parse

ROOT = Path(__file__).resolve().parents[1]
EVENT = (ROOT / "events" / "put-image.json").read_text()
ROUNDS, EVENTS = 9, 2000
FLOOR = "json.loads"
OF_THE_DEPLOYMENT = {"ecr", "dynamodb", "s3"}
"""Services whose calls count; traffic of queues, streams and logs is the platform's."""
OF_THE_STREAM = {"dynamodb:GetRecords", "dynamodb:GetShardIterator"}


def cpu_per_event() -> dict[str, float]:
    """Give microseconds of CPU of reading one event, and of taking a batch of ten through to the use case."""
    sqs = {"Records": [{"messageId": str(number), "body": EVENT} for number in range(10)]}

    class Nowhere:
        def send(self, body: str, reason: str) -> None:
            raise AssertionError(reason)

    def batch() -> None:
        batches.settle(sqs, lambda _: None, Nowhere(), "123456789012", "eu-west-1")

    contenders: dict[str, tuple[Callable[[], object], int]] = {
        FLOOR: (lambda: json.loads(EVENT), 1),
        "envelope and record validated, repository and push known": (lambda: parse(EVENT, "123456789012", "eu-west-1"), 1),
        "the same in a batch of ten of one repository": (batch, 10),
    }
    rounds: dict[str, list[float]] = {what: [] for what in contenders}
    for _ in range(ROUNDS):
        for what, (run, events) in contenders.items():
            begun = time.process_time()
            for _ in range(EVENTS // events):
                run()
            rounds[what].append((time.process_time() - begun) / EVENTS * 1e6)
    return {what: statistics.median(values) for what, values in rounds.items()}


def calls_per_event() -> dict[str, Counter[str]]:
    """Count the functions' calls on the embedded AWS, by the authorisations that they needed."""
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
            calls = Counter(entry.action for entry in aws.authorizations if entry.action.partition(":")[0] in OF_THE_DEPLOYMENT)
            counted[what] = Counter({name: number for name, number in calls.items() if name not in OF_THE_STREAM})

        count("create on push: creation and push, four remedies", lambda: stage.push("payments/new:v1.0.0", "ci"))
        count("a push to a known repository", lambda: stage.push("payments/new:v1.0.1", "ci"))
        count("drift put right", lambda: stage.client("ecr").delete_lifecycle_policy(repositoryName="payments/new"))
    return counted


def main() -> None:
    """Measure and print."""
    cpu = cpu_per_event()
    for what, microseconds in cpu.items():
        sys.stdout.write(f"{what:<60}{microseconds:>8.1f} us of CPU{microseconds / cpu[FLOOR]:>8.2f} x\n")
    for what, calls in calls_per_event().items():
        listed = ", ".join(f"{name} {number}" for name, number in sorted(calls.items()))
        sys.stdout.write(f"{what:<60}{calls.total():>8} calls     {listed}\n")


if __name__ == "__main__":
    main()
