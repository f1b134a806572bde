"""The documentation's pictures of a terminal: `python -m benchmarks.terminals FOLDER`. The commands themselves, on a made-up registry.

What they write to a terminal is caught and drawn by rich as SVG, without its address of a font: a picture asks nobody for anything.
"""

import io
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from ecr_governor.app.ports import PolicyInForce
from ecr_governor.app.retirement.cases import Hearing
from ecr_governor.app.retirement.planning import Item, Plan, plan_as_data
from ecr_governor.app.retirement.runs import PLAN
from ecr_governor.core.policy.load import load
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.retirement.decide import Case, decide
from ecr_governor.core.retirement.evidence import Evidence, Use
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, HeldImage, Snapshot
from ecr_governor.core.retirement.state import Retirement, Stage
from local import ecr
from local.ecr import SeedImage, SeedRepository
from local.server import EmbeddedAws

COLUMNS: Final = 104
COMMAND: Final = str(Path(sys.executable).parent / "ecr-governor")
NOW: Final = datetime.now(UTC)
DAY: Final = timedelta(days=1)
OLD: Final = NOW - 400 * DAY
POLICY: Final = """\
version: 1
mode: enforce
naming:
  convention: "{team}/{service}"
  segments:
    team: [payments, search]
    service: {regex: "[a-z][a-z0-9-]{1,38}"}
namespaces:
  ROOT:
    tag_mutability: IMMUTABLE
    required_tags: {team: {set: "{team}"}}
    retirement: {after_days: 90, then: archive}
rules:
  naming: {severity: high}
exemptions:
  - match: "search/legacy_*"
    rules: naming
    reason: renamed together with the index rebuild
    owner: search
    expires: 2027-03-31
"""
WRONG: Final = POLICY.replace("rules: naming", "rules: nameing").replace(
    "  naming: {severity: high}", "  scanning: enforce\n  naming: hgih"
)


def main() -> None:
    """Take the pictures."""
    folder = Path(sys.argv[1]).resolve()
    with EmbeddedAws() as aws, tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        Path("policy.yaml").write_text(POLICY, encoding="utf-8")
        Path("new.yaml").write_text(WRONG, encoding="utf-8")
        _fill(aws)
        environment = {
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "COLUMNS": str(COLUMNS),
            "HOME": place,
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
        }
        for name, arguments in {
            "audit": ("audit", "--policy", "policy.yaml", "--quiet"),
            "explain": ("explain", "payments/check_out", "--policy", "policy.yaml"),
            "plan": ("plan",),
            "validate": ("policy", "validate", "new.yaml"),
        }.items():
            shown = _shown(arguments, environment)
            (folder / f"terminal-{name}.svg").write_text(_drawn(" ".join(("ecr-governor", *arguments)), shown), encoding="utf-8")


def _fill(aws: EmbeddedAws) -> None:
    idle = [SeedImage(tags=["v1"], pushed_at=OLD, pulled_at=NOW - 80 * DAY, size=41_000_000)]
    ecr.seed(
        [
            SeedRepository(name="payments/api", created_at=OLD, mutability="IMMUTABLE", tags={"team": "payments"}, images=idle),
            SeedRepository(name="payments/check-out", created_at=OLD, mutability="IMMUTABLE", tags={"team": "payments"}, images=idle),
            SeedRepository(name="payments/check_out", created_at=OLD, tags={"owner": "alice"}, images=idle),
            SeedRepository(name="search/legacy_index", created_at=OLD, mutability="IMMUTABLE", tags={"team": "search"}, images=idle),
        ]
    )
    names = {"ledger": "ledger", "reports_bucket": "reports"}
    aws.client("ssm").put_parameter(Name="/ecr-governor/names", Value=json.dumps(names), Type="String")
    aws.client("s3").create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    aws.client("s3").put_object(Bucket="reports", Key=f"{PLAN}.json", Body=json.dumps(_plan()).encode())


def _plan() -> dict[str, Any]:
    """A plan as a run writes it, of cases of every kind."""
    policy = load(POLICY, "policy.yaml")
    terms = policy.expectation_for("payments/api").settings.retirement
    evidence = (Evidence("ecs", NOW, (Use("service web in the cluster shop", repository="payments/web"),)), Evidence("lambda", NOW))
    cases: list[Case] = []
    for name, idle, marked, owner in (
        ("payments/api", 80, False, "alice"),
        ("payments/web", 120, False, "alice"),
        ("payments/check_out", 130, True, "bob"),
        ("search/old-index", 200, False, None),
    ):
        used = NOW - idle * DAY
        tags = ({"owner": owner} if owner else {}) | ({DELETE_AFTER: f"{NOW + 9 * DAY:%Y-%m-%d}"} if marked else {})
        snapshot = Snapshot(name, "", OLD, tags, None, (HeldImage("sha256:1", frozenset({"v1"}), used),))
        case = Case(snapshot, None, terms, OLD, evidence, ("ecs", "lambda"), owner=owner, misnamed=_misnamed(name, policy))
        if marked and terms:
            retirement = Retirement(Stage.MARKED, NOW - 5 * DAY, OLD, case.world, terms.hash, tags[DELETE_AFTER], notice=1)
            case = Case(snapshot, retirement, terms, OLD, evidence, ("ecs", "lambda"), owner=owner, delivered_at=NOW - 5 * DAY)
        cases.append(case)
    items = tuple(Item(case, decide(case, NOW), "ROOT") for case in cases)
    hearing = Hearing(PolicyInForce(policy, "1"), ("ecs", "lambda"), evidence, trusted_pulls=True)
    return plan_as_data(Plan(NOW, hearing, items, ()), deletes=False)


def _misnamed(name: str, policy: Policy) -> bool:
    convention = policy.naming.compiled if policy.naming else None
    return convention is not None and convention.match(name) is None


def _shown(arguments: Sequence[str], environment: dict[str, str]) -> str:
    """Run a command on a terminal and give what it wrote there, colours included."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([COMMAND, *arguments], stdout=theirs, stderr=theirs, env=environment)  # noqa: S603 - our own command
    os.close(theirs)
    written = b""
    while True:
        try:
            some = os.read(ours, 65_536)
        except OSError:  # the terminal's other end was closed
            break
        if not some:
            break
        written += some
    process.wait()
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def _drawn(title: str, shown: str) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(shown.rstrip("\n")))
    drawn = console.export_svg(title=title, theme=MONOKAI, unique_id="terminal")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


if __name__ == "__main__":
    main()
