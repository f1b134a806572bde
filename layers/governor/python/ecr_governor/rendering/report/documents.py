"""A report as CSV, JSON, Markdown, SARIF and iCalendar: for programs, and for where no page can be shown."""

import io
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from ecr_governor.core.foreign_text import escaped
from ecr_governor.core.report.model import Report, ReportedFinding, ReportedRepository
from ecr_governor.core.report.words import day, dollars, plural, repositories, size, utc
from ecr_governor.core.retirement import calendar
from ecr_governor.rendering.comma_separated import COLUMNS, cell, finding_cells, rows_to
from ecr_governor.rendering.markdown import list_of
from ecr_governor.rendering.report.days import by_day, when
from ecr_governor.rendering.sarif import SarifWriter

MORE_COLUMNS: Final = (
    "since",
    "fix",
    "origin_confidence",
    "creator",
    "pusher",
    "created_at",
    "stage",
    "next_step",
    "not_before",
)
"""What a report adds to the columns of an audit."""
NAMED: Final = 10
"""Repositories that Markdown names on one line."""
POLICY_FILE: Final = "policy.yaml"
"""Where SARIF says that results are: repositories have no lines."""


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def schema() -> dict[str, Any]:
    """Give the JSON Schema of a report as JSON."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A report of ECR Governor, version 1",
        **_adapter().json_schema(mode="serialization"),
    }


def as_json(report: Report) -> str:
    """Give the report as JSON, in ASCII: no encoding makes anything else of foreign text."""
    return json.dumps(_adapter().dump_python(report, mode="json"), indent=1, ensure_ascii=True) + "\n"


def as_csv(report: Report) -> str:
    """Give a row for each finding; a repository without any has one row without a rule."""
    stream = io.StringIO()
    rows = rows_to(stream)
    rows.writerow((*COLUMNS, *MORE_COLUMNS))
    for repository in report.repositories:
        for finding in repository.findings or (None,):
            more = (cell(value) for value in _more(repository, finding))
            rows.writerow((*finding_cells(report.account, report.region, repository, finding), *more))
    return stream.getvalue()


def _more(repository: ReportedRepository, finding: ReportedFinding | None) -> tuple[Any, ...]:
    retirement = repository.retirement
    following = (retirement.next or retirement.then) if retirement else None
    return (
        utc(finding.since) if finding else "",
        finding.fix if finding else "",
        repository.origin_confidence,
        repository.creator,
        repository.pusher,
        utc(repository.created_at),
        retirement.stage.value if retirement else "",
        following.value if following else "",
        utc(retirement.not_before) if retirement else "",
    )


def as_sarif(report: Report) -> str:
    """Give the findings as SARIF 2.1.0, as an audit does."""
    stream = io.StringIO()
    writer = SarifWriter(stream, 1, POLICY_FILE)
    writer.begin(report.account, report.region, report.policy_hash)
    for repository in report.repositories:
        writer.repository(repository)
    writer.end(report.method)
    return stream.getvalue()


def as_ics(report: Report) -> str:
    """Give the steps to come as a calendar."""
    dates = (calendar.Date(step.repository, step.to, step.at, step.owner) for step in report.steps)
    return calendar.as_ics(dates, report.account, report.region, report.made_at)


def as_markdown(report: Report) -> str:
    """Give what matters for a job's summary or a comment: verdict, numbers, next steps, who has what, and the list of what is wrong."""
    return "".join(f"{line}\n" for line in _markdown(report))


def _markdown(report: Report) -> Iterator[str]:
    yield f"## Amazon ECR, account {escaped(report.account)}, {escaped(report.region)}, {when(report.made_at)}"
    yield f"\n**{escaped(report.verdict)}**"
    yield "\n| Repositories | Violating | Unused | Could be saved | Next steps |\n| ---: | ---: | ---: | ---: | ---: |"
    saved = f"{dollars(report.saving.least_usd, report.saving.most_usd)} a month" if report.unused else "nothing"
    yield f"| {report.total:,} | {report.violating:,} | {report.unused:,} | {escaped(saved)} | {len(report.steps):,} |"
    if report.unused:
        yield f"\n{escaped(report.saving.reason)}"
    if report.steps or report.method.withheld:
        yield f"\n### The next {report.horizon_days} days\n"
    for why in report.method.withheld:
        yield f"- nothing goes forward: {escaped(why)}"
    for date, verb, steps in by_day(report.steps):
        named = ", ".join(escaped(step.repository) for step in steps[:NAMED])
        more = f" and {len(steps) - NAMED:,} more" if len(steps) > NAMED else ""
        yield f"- **{date.isoformat()}** {verb}: {named}{more}"
    yield from _owners(report)
    yield from _rules(report)
    told = [repository for repository in report.repositories if repository.findings or repository.undetermined]
    if told:
        yield "\n### Repositories\n"
    for repository in told:
        yield "".join(list_of(repository)).rstrip("\n")
    yield from _method(report)


def _owners(report: Report) -> Iterator[str]:
    if report.owners:
        yield "\n### By owner\n\n| Owner | Repositories | Violating | Open findings | Unused | Size |\n| --- | ---: | ---: | --- | ---: | ---: |"
    for each in report.owners:
        open_ones = ", ".join(f"{count:,} {severity}" for severity, count in each.by_severity.items()) or "none"
        owner = escaped(each.owner) if each.owner is not None else "**nobody**"
        counted = size(each.size_bytes) if each.size_bytes is not None else ""
        yield f"| {owner} | {each.repositories:,} | {each.violating:,} | {open_ones} | {each.unused:,} | {counted} |"


def _rules(report: Report) -> Iterator[str]:
    if report.rules:
        yield "\n### By rule\n\n| Rule | Worst | Open | Opened | Resolved | Exempt | Undetermined |"
        yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for each in report.rules:
        numbers = " | ".join(f"{count:,}" for count in (each.open, each.opened, each.resolved, each.exempt, each.undetermined))
        yield f"| {escaped(each.rule)} | {each.severity.value if each.open else 'none'} | {numbers} |"


def _method(report: Report) -> Iterator[str]:
    method = report.method
    yield "\n### Method and blind spots\n"
    yield f"- seen at {when(method.seen_at)} by {escaped(method.source)}; policy {escaped(report.policy_hash)}, mode {escaped(report.mode)}"
    if method.planned_at:
        yield f"- retirements as planned on {day(method.planned_at)}"
    if method.event_loss:
        changes = method.event_loss.announced + method.event_loss.unannounced
        yield f"- no event told of {method.event_loss.unannounced:,} of {changes:,} change{plural(changes)} since the sweep before"
    for why in method.incomplete_because:
        yield f"- could not be read: {escaped(why)}"
    for why, count in method.undetermined.items():
        yield f"- undetermined for {repositories(count)}: {escaped(why)}"
    for name, why in method.unread.items():
        yield f"- its retirement could not be read: {escaped(name)}: {escaped(why)}"
    for spot in method.blind_spots:
        yield f"- {escaped(spot)}"
