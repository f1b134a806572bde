"""`ecr-governor plan`, `apply`, `calendar` and `restore`: what is retiring, what goes when, and how to get it back."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.deployment import Deployment, refused
from cli.harmless import harmless
from cli.trouble import Exit, Trouble, check_output
from cli.whole_file import write_whole
from ecr_governor.adapters.plan_file import PlanFile, PlannedItem, approval_as_data, plan_of
from ecr_governor.adapters.rebuilding import EcrRebuilding
from ecr_governor.app.errors import GovernorError, Refused, Unintelligible
from ecr_governor.app.retirement.runs import PLAN
from ecr_governor.core.messages.text import counted
from ecr_governor.core.record import RELEASE_ASKED, RepositoryRecord
from ecr_governor.core.retirement import calendar as calendars
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, STATE
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.retirement.tombstone import Tombstone

SHOWN_TAGS = 8
_MARKS = {"contrary": "against", "doubt": "in doubt", "wait": "not yet", "for": "holds"}


def show_plan(deployment: Deployment, repository: str | None, out: Path | None, output: str) -> Exit:
    """Print the last run's plan, or one repository of it with every reason."""
    check_output(output, "table", "json")
    plan = _plan(deployment)
    items = [item for item in plan["items"] if repository in {None, item["repository"]}]
    if repository and not items:
        raise _in_no_plan(deployment, repository)
    shown = {**plan, "items": items}
    if out:
        write_whole(out, json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
        due = sum(item["next"] not in {None, Stage.OBSERVED.value} for item in items)
        told = f"{counted(len(items), 'repository')}, {counted(due, 'step')} due"
        sys.stderr.write(f"{out}: {told}; to have them taken: ecr-governor apply {out}\n")
    elif output == "json":
        sys.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
    elif repository:
        _one(items[0], plan)
    else:
        _page(shown)
    return Exit.CLEAN


def _in_no_plan(deployment: Deployment, name: str) -> Trouble:
    try:
        known = deployment.ledger().read(name) is not None
    except (ClientError, BotoCoreError, GovernorError) as error:
        return refused(error)
    if not known:
        return Trouble(f"{name} is in no plan", "neither the plan nor the ledger knows it", "check the name")
    why = "the last run did not look at it: it is used, or the policy asks for no retirement there"
    return Trouble(f"{name} is in no plan", why, f"see why: ecr-governor explain {name} --stack {deployment.stack}")


def apply(deployment: Deployment, file: Path, only: Sequence[str], *, delete: bool, sure: bool) -> Exit:
    """Have exactly the steps of a plan taken, whatever the caps say; all of them, or none if one does not hold any more."""
    try:
        made = plan_of(file.read_bytes())
    except OSError as error:
        raise Trouble(
            f"{file} cannot be read", error.strerror or str(error), "write it first: ecr-governor plan --out plan.json"
        ) from error
    except Unintelligible as error:
        do = "write it anew: ecr-governor plan --out plan.json"
        raise Trouble(f"{file} is no plan, or only a part of one", str(error), do) from error
    items = _chosen(made, only, [Stage.DELETED] if delete else [Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED])
    console = Console(highlight=False, soft_wrap=not sys.stderr.isatty(), stderr=True)
    for item in items:
        console.print(
            harmless(f"  {item.repository}: {item.stage.value} -> {item.next.value if item.next else ''}, {item.owner or 'no owner'}")
        )
    if delete:
        console.print(Text("Deleted images cannot be brought back.", style="bold red"))
    if not (sure or (sys.stdin.isatty() and typer.confirm(f"Take these {len(items)} steps?", err=True))):
        raise Trouble("nothing was done", "nobody confirmed it", "say yes at the prompt, or add --yes")
    try:
        by = deployment.client("sts").get_caller_identity()["Arn"]
        answer = deployment.invoke(deployment.deleting() if delete else deployment.retiring(), _approved(made, items, by))
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if reasons := answer.get("refused"):
        what = "the plan does not hold any more, and nothing was done"
        raise Trouble(
            what, "; ".join(reasons), "make a new one: ecr-governor sweep, then ecr-governor plan --out plan.json", Exit.INCOMPLETE
        )
    for done in answer["done"]:
        sys.stdout.write(f"{done['repository']}: {done['reached'] or 'not done'}{'; ' + done['why'] if done['why'] else ''}\n")
    return Exit.CLEAN if all(done["reached"] for done in answer["done"]) else Exit.INCOMPLETE


def _chosen(made: PlanFile, only: Sequence[str], stages: Sequence[Stage]) -> Sequence[PlannedItem]:
    items = [item for item in made.forward(stages) if not only or item.repository in only]
    names = {item.repository for item in items}
    if missing := sorted(set(only) - names):
        why = f"for {', '.join(missing)} the plan has no such step now"
        raise Trouble("not all of them can be done", why, "see what the plan says: ecr-governor plan --repository NAME")
    if not items:
        goes = " or ".join(stage.value for stage in stages)
        raise Trouble("the plan has nothing to be done", f"no repository in it is to be {goes} now", "see ecr-governor calendar")
    return items


def _approved(made: PlanFile, items: Sequence[PlannedItem], by: str) -> dict[str, Any]:
    return {"approval": approval_as_data(made.approval(items, by))}


def show_calendar(deployment: Deployment, days: int, output: str) -> Exit:
    """Print what goes within so many days from now."""
    check_output(output, "table", "json", "ics")
    plan, now = _plan(deployment), datetime.now(UTC)
    found = calendars.dates(plan, now + timedelta(days=days))
    if output == "json":
        sys.stdout.write(json.dumps(calendars.as_data(found), indent=2, ensure_ascii=False) + "\n")
    elif output == "ics":
        sys.stdout.write(calendars.as_ics(found, plan["account"], plan["region"], datetime.fromisoformat(plan["at"])))
    else:
        table = Table("not before", "repository", "goes to", "owner", box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for each in found:
            table.add_row(f"{each.at:%Y-%m-%d}", harmless(each.repository), each.to.value, harmless(each.owner or "not known"))
        _console().print(table if found else f"nothing goes within {days} days")
    return Exit.CLEAN


def restore(deployment: Deployment, name: str, *, dry_run: bool) -> Exit:
    """Say what comes back and what cannot; unless it is a dry run, ask for it."""
    try:
        record = deployment.ledger().read(name)
        if record is None:
            raise Trouble(f"the ledger does not know {name}", "there was never such a repository here", "check the name")
        stage = record.retirement.stage if record.retirement else Stage.OBSERVED
        if stage is Stage.DELETED or record.gone_at is not None:
            return _rebuild(deployment, record, dry_run=dry_run)
        if record.retirement is None or not record.retirement.under_way:
            sys.stderr.write(f"{name} is not retiring: there is nothing to restore\n")
            return Exit.CLEAN
        for line in _comes_back(record):
            sys.stdout.write(f"{line}\n")
        if dry_run:
            return Exit.CLEAN
        deployment.client("sqs").send_message(QueueUrl=deployment.releases(), MessageBody=json.dumps(_asking(deployment, name)))
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    sys.stderr.write(f"asked for; the ledger will say when it is done: ecr-governor repository {name}\n")
    return Exit.CLEAN


def _comes_back(record: RepositoryRecord) -> list[str]:
    retirement = record.retirement
    if retirement is None:
        return []
    lines = [f"{record.name} is {retirement.stage.value} since {retirement.since:%Y-%m-%d}. What comes back:"]
    if retirement.stage.rank >= Stage.QUARANTINED.rank or retirement.intended is Stage.QUARANTINED:
        text = "the one from before, byte for byte" if retirement.original_policy else "none, as before"
        lines.append(f"  repository policy: {text}; push and pull work again at once")
    if retirement.archiving_since:
        lines.append("  images: those that the retirement archived, with digests and tags; ECR takes up to 20 minutes for it")
    lost = "images that a deletion under way has taken already" if retirement.intended is Stage.DELETED else "nothing is lost so far"
    return [*lines, f"  tags: {DELETE_AFTER} and {STATE} are removed", f"What cannot come back: {lost}"]


def _rebuild(deployment: Deployment, record: RepositoryRecord, *, dry_run: bool) -> Exit:
    """Set a deleted repository up again, with the operator's own permissions: no role of the stack creates repositories."""
    stone = deployment.tombstones().read(record.name, record.created_at) if record.created_at else None
    if stone is None:
        why = "it was not deleted by a retirement, so that nothing was kept of it"
        raise Trouble(f"{record.name} is gone", why, "push it again")
    sys.stdout.write(f"{record.name} was deleted after {stone.at:%Y-%m-%d %H:%M} UTC. What comes back, without an image:\n")
    for line in _kept_in(stone):
        sys.stdout.write(f"  {line}\n")
    sys.stdout.write(f"What cannot come back: its {counted(len(stone.images), 'image')}. Who still has them elsewhere pushes them again:\n")
    for image in stone.images:
        tags = sorted(image.tags)
        more = f" and {len(tags) - SHOWN_TAGS} more" if len(tags) > SHOWN_TAGS else ""
        sys.stdout.write(f"  {image.digest}  {', '.join(tags[:SHOWN_TAGS]) or 'untagged'}{more}  pushed {image.pushed_at:%Y-%m-%d}\n")
    if dry_run:
        return Exit.CLEAN
    try:
        for done in EcrRebuilding(deployment.client("ecr")).rebuild(stone):
            sys.stderr.write(f"done: {done}\n")
    except Refused as error:
        do = "if it is there again already, nothing is to be done; else set the rest by hand, from what is printed above"
        raise Trouble(f"{record.name} was not set up again as it was", str(error), do) from error
    return Exit.CLEAN


def _kept_in(stone: Tombstone) -> Iterator[str]:
    settings, policy = stone.settings, stone.snapshot.policy
    filters = f" except {', '.join(settings.exclusion_filters)}" if settings.exclusion_filters else ""
    yield f"settings: tags {settings.tag_mutability}{filters}, encrypted with {settings.kms_key or settings.encryption}"
    yield f"tags: {', '.join(f'{key}={value}' for key, value in sorted(stone.tags.items())) or 'none'}"
    yield f"lifecycle policy: {_one_line(settings.lifecycle_policy)}"
    yield f"repository policy: {_one_line(policy if isinstance(policy, str) else None)}"


def _one_line(document: str | None) -> str:
    """Show a policy's text on one line; ECR keeps a repository policy with line breaks."""
    return " ".join(document.split()) if document else "none"


def _asking(deployment: Deployment, name: str) -> dict[str, Any]:
    sts = deployment.client("sts")
    caller = sts.get_caller_identity()
    return {
        "version": "0",
        "source": "ecr-governor",
        "detail-type": RELEASE_ASKED,
        "account": caller["Account"],
        "region": sts.meta.region_name,
        "time": datetime.now(UTC).isoformat(),
        "resources": [],
        "detail": {"repository-name": name, "result": "SUCCESS", "by": caller["Arn"]},
    }


def _plan(deployment: Deployment) -> Mapping[str, Any]:
    try:
        plan = deployment.runs().document(PLAN)
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if plan is None:
        raise Trouble("there is no plan yet", "no sweep has ended since the stack was deployed", "begin one: ecr-governor sweep")
    return plan


def _page(plan: Mapping[str, Any]) -> None:
    console, withheld, done = _console(), bool(plan["withheld"]), _done(plan)
    console.print(harmless(f"plan of {plan['at'][:16].replace('T', ' ')} UTC, policy {plan['policy_hash']}", style="bold"))
    for why in plan["withheld"]:
        console.print(harmless(f"  nothing goes forward: {why}", style="yellow"))
    if any("caps." in why for why in plan["withheld"]):
        console.print(
            Text("  more than the caps allow goes only by a person's word: ecr-governor plan --out plan.json, then apply plan.json")
        )
    for item in plan["items"]:
        against = next((reason for reason in item["reasons"] if reason["weight"] != "for"), None)
        owner, images = item["owner"] or "not known", counted(item["images"], "image")
        console.print(harmless(item["repository"], style="bold"))
        console.print(harmless(f"  {item['stage']}, {_goes(item, withheld=withheld)}; owner {owner}; {images}"))
        if told := done.get(item["repository"]):
            console.print(harmless(f"  since then: {told}", style="green"))
        else:
            console.print(_line(against) if against else "  nothing stands against it")
    if not plan["items"]:
        console.print("nothing is unused")
    for name, why in plan["unread"].items():
        console.print(harmless(f"could not be read: {name}: {why}", style="yellow"))


def _line(reason: Mapping[str, Any]) -> Text:
    said = f"  {_MARKS[reason['weight']]:<9} {reason['check']}: {reason['seen']}"
    return harmless(said, style="" if reason["weight"] == "for" else "yellow")


def _goes(item: Mapping[str, Any], *, withheld: bool) -> str:
    """Say what comes next, and when: a step that is due waits for as long as the run as a whole is withheld."""
    comes = item["next"] or item["then"]
    if comes is None:
        return "nothing comes next"
    when = f"not before {item['next_at'][:10]}" if item["next_at"] else "" if not item["next"] else "withheld" if withheld else "due now"
    return f"then {comes}{', ' + when if when else ''}"


def _done(plan: Mapping[str, Any]) -> Mapping[str, str]:
    """Say of each repository what the plan's own run made of it: the plan itself tells how things stood before."""
    return {each["repository"]: each["reached"] or f"not done: {each['why']}" for each in plan.get("done", ())}


def _one(item: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    console = _console()
    at = plan["at"][:16].replace("T", " ")
    console.print(harmless(f"{item['repository']}: {item['stage']}, {_goes(item, withheld=bool(plan['withheld']))}", style="bold"))
    console.print(harmless(f"  as it stood at {at} UTC; how it is now: ecr-governor repository {item['repository']}"))
    if told := _done(plan).get(item["repository"]):
        console.print(harmless(f"  since then: {told}", style="green"))
    for reason in item["reasons"]:
        console.print(_line(reason))
    if item["stage"] != Stage.OBSERVED.value or item["next"]:
        console.print(harmless(f"What saves it: any push or pull; removing its tag {DELETE_AFTER}; an exemption from the rule unused."))


def _console() -> Console:
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())
