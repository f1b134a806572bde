"""What a backtest makes of the records that a scenario leaves, from files as a trail delivers them."""

from pathlib import Path

from cli.backtest.command import Asked, backtest
from cli.backtest.playing import Fate
from cli.backtest.result import Result
from cli.demo.stage import Stage
from cli.embedded import ACCOUNT, REGION
from cli.policy import files
from ecr_governor.core.finding import FindingState
from local.trail.files import write_files


def backtested(stage: Stage, policy: bytes, folder: Path) -> Result:
    """Write the records of all that happened, and play the policy on them."""
    (folder / "policy.yaml").write_bytes(policy)
    write_files(stage.aws.trail.history, folder / "trail", account=ACCOUNT, region=REGION, until=stage.aws.clock.now())
    asked = Asked(folder / "policy.yaml", folder / "trail", delay=0, quiet=True)
    return backtest(asked, files.read(asked.policy_path))


def fate_of(result: Result, name: str) -> Fate:
    """What it says of one repository."""
    return next(fate for fate in result.fates if fate.name == name)


def found(fate: Fate) -> set[str]:
    """The rules of which there was an open finding."""
    return {finding.rule for finding in fate.findings if finding.state is not FindingState.EXEMPT}


def found_by(stage: Stage, name: str) -> set[str]:
    """The same, as the deployed system found it."""
    return {opened["rule"] for entry in stage.ledger.entries(name) for opened in entry.body.get("opened", ())}


def put_right_by(stage: Stage, name: str) -> set[str]:
    """What the deployed system changed, by action."""
    outcomes = [outcome for entry in stage.ledger.entries(name) for outcome in entry.body.get("outcomes", ())]
    return {outcome["remedy"]["action"] for outcome in outcomes if outcome["status"] == "applied"}
