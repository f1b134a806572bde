"""The report as a model: what it says of a sweep, of its fellows before it, of the plan and of the ledger's records."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from benchmarks.reports import NOW, sources
from ecr_governor.adapters.glance_file import glance_as_data, glance_of_data
from ecr_governor.app.errors import Undeliverable, UploadRefused
from ecr_governor.app.reporting import GLANCE, SWEEPS, Printed, Services, make_report, report_after_sweep, report_on_schedule
from ecr_governor.core.audit import AuditedRepository, AuditFinding, AuditSummary
from ecr_governor.core.policy.load import load
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.report.build import Sources, report_of, report_of_audit, worst
from ecr_governor.core.report.glance import glance_of
from ecr_governor.core.report.message import LATEST, Kept, Kind, comment, message, worth_telling
from ecr_governor.core.report.model import Report
from ecr_governor.core.report.saving import GB, saving
from ecr_governor.core.report.words import dollars
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.severity import Severity
from ecr_governor.core.standing import Standing, to_line
from ecr_governor.core.sweep import EndedSweep
from local.slack.validation import refusal
from tests.fakes import ACCOUNT, REGION, FakeBot, FakeChat, FixedPolicy, InMemoryLedger
from tests.sweeping import MemoryBook, MemoryRunStore

DAY = timedelta(days=1)
MADE = sources(60)
MADE_REPORT = report_of(MADE, NOW)
SUMMARY = MADE.summary


def a_standing(name: str = "payments/api", **but: Any) -> Standing:
    data = {
        "name": name,
        "origin": "api",
        "origin_confidence": "certain",
        "owner": "payments",
        "findings": [],
        "undetermined": {},
        "images": 2,
        "size_bytes": 4 * GB,
        "last_push": (NOW - DAY).isoformat(),
        "last_pull": None,
        "unused": False,
        "created_at": (NOW - 9 * DAY).isoformat(),
        "checked_at": NOW.isoformat(),
        "due_at": None,
        "judged_by": "abc/audit",
        "listed": "",
        "read": "",
    }
    return Standing({**data, **but})


def violating(severity: str, rule: str = "naming", state: str = "open") -> list[dict[str, str]]:
    return [{"rule": rule, "severity": severity, "reason": "is wrong", "state": state}]


def reported(*standings: Standing, plan: Mapping[str, Any] | None = None, **but: Any) -> Report:
    return report_of(Sources({**SUMMARY, **but}, standings, (), plan), NOW)


def a_plan(*items: Mapping[str, Any], withheld: Sequence[str] = ()) -> dict[str, Any]:
    return {**MADE.plan, "items": list(items), "withheld": list(withheld)} if MADE.plan else {}


def an_item(name: str, **but: Any) -> dict[str, Any]:
    later = (NOW + 3 * DAY).isoformat()
    base = {"repository": name, "stage": "marked", "next": None, "then": "quarantined", "next_at": later, "owner": "payments"}
    return {**base, "reasons": [{"check": "unused", "seen": "for long", "weight": "for"}], **but}


# --- verdict --------------------------------------------------------------------------------------------------------------------------


def test_nothing_to_do_is_said_in_one_sentence() -> None:
    assert reported().verdict == "There is no repository."
    assert reported(a_standing()).verdict == "The one repository is in order."
    assert reported(a_standing(), a_standing("payments/web")).verdict == "All 2 repositories are in order."


def test_the_verdict_counts_who_is_needed_and_how_gravely() -> None:
    report = reported(
        a_standing("a", findings=violating("high") + violating("low", "scanning"), owner=None),
        a_standing("b", findings=violating("critical")),
        a_standing("c", findings=violating("high", state="exempt")),
        a_standing("d", unused=True),
        plan=a_plan(an_item("d"), an_item("c", next_at=(NOW + 60 * DAY).isoformat())),
    )
    assert report.verdict == (
        "3 of 4 repositories need somebody: 2 violate the policy (1 critical, 1 high, 1 low), 1 of them without a known owner; "
        "1 goes a step further towards retirement within 30 days, from 2026-11-29 on."
    )
    assert (report.needing, report.violating, report.unused, len(report.steps)) == (3, 2, 1, 1)


@pytest.mark.parametrize(
    ("but", "said"),
    [
        ({"complete": False, "incomplete_because": ["Throttled"]}, "Not everything could be read."),
        ({"policy_problem": "line 3: no such key"}, "The policy file is invalid: the last good one judged."),
        ({"ended_at": (NOW - timedelta(hours=30)).isoformat()}, "This is 30 hours old."),
        ({"ended_at": (NOW - 3 * DAY).isoformat()}, "This is 3 days old."),
    ],
)
def test_what_weakens_the_verdict_is_part_of_it(but: Mapping[str, Any], said: str) -> None:
    assert reported(a_standing(), **but).verdict == f"The one repository is in order. {said}"


def test_what_could_not_be_judged_needs_nobody_but_is_said() -> None:
    report = reported(a_standing(undetermined={"naming": "it may be a cache"}))
    assert report.needing == 0
    assert report.verdict.endswith("1 repository could not be judged in full.")


# --- what it holds --------------------------------------------------------------------------------------------------------------------


def test_the_gravest_comes_first_and_the_same_input_in_any_order_gives_the_same() -> None:
    report = report_of(MADE, NOW)
    turned = report_of(replace(MADE, standings=list(reversed(list(MADE.standings)))), NOW)
    assert turned == report
    ranks = [severity and list(Severity).index(severity) for severity in map(worst, report.repositories)]
    known = [rank for rank in ranks if rank is not None]
    assert known == sorted(known, reverse=True)
    assert ranks[: len(known)] == known
    assert [point.at for point in report.trend] == sorted(point.at for point in report.trend)


def test_counts_agree_with_the_repositories() -> None:
    report = report_of(MADE, NOW)
    assert report.total == 60 == sum(owner.repositories for owner in report.owners)
    assert sum(owner.violating for owner in report.owners) == report.violating
    assert sum(rule.open for rule in report.rules) == sum(report.by_severity.values())
    assert report.owners[0].owner is None
    assert report.saving.most_usd >= report.saving.least_usd > 0


def test_since_when_and_by_whom_is_the_ledgers_and_only_of_this_very_repository() -> None:
    name, record = next((name, record) for name, record in MADE.records.items() if record.findings)
    told = next(each for each in report_of(MADE, NOW).repositories if each.name == name)
    assert {finding.since for finding in told.findings} == {finding.opened_at for finding in record.findings}
    assert told.creator is not None
    assert told.creator.startswith("ci-")
    reborn = {**MADE.records, name: replace(record, created_at=NOW)}
    anew = next(each for each in report_of(replace(MADE, records=reborn), NOW).repositories if each.name == name)
    assert (anew.creator, anew.evidence, {finding.since for finding in anew.findings}) == (None, (), {None})


def test_a_retirement_is_told_with_every_reason() -> None:
    (told,) = reported(a_standing("d"), plan=a_plan(an_item("d", next="quarantined"))).repositories
    assert told.retirement is not None
    assert (told.retirement.stage, told.retirement.next, told.retirement.reasons[0].weight) == (Stage.MARKED, Stage.QUARANTINED, "for")


def test_what_could_be_saved_is_a_range() -> None:
    found = saving([(4, 40 * GB), (1, 2 * GB), (0, 0), (None, 5 * GB)])
    assert (found.least_usd, found.most_usd, found.unknown) == (1.2, 4.2, 1)


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [(0, 0.004, "less than a cent"), (0.5, 0.5, "$0.50"), (0, 3.2, "$0.00 to $3.20"), (12, 1367.4, "$12 to $1,367")],
)
def test_dollars_in_words(least: float, most: float, said: str) -> None:
    assert dollars(least, most) == said


def test_an_audit_makes_a_report_too_and_says_what_it_cannot_know() -> None:
    audited = AuditedRepository(
        "a", "unknown", None, (AuditFinding("naming", Severity.HIGH, "is wrong", "open"),), {}, None, None, None, None, unused=False
    )
    summary = AuditSummary(
        ACCOUNT, REGION, "abc", complete=False, incomplete_because=("Denied",), repositories=1, violating=1, calls={}, seconds=1
    )
    report = report_of_audit([audited], summary, {"ROOT": 1}, NOW)
    assert report.verdict.startswith("1 of 1 repository needs somebody: 1 violates the policy (1 high)")
    assert (report.method.complete, report.method.event_loss, report.trend, report.steps) == (False, None, (), ())
    assert "An audit knows no events" in " ".join(report.method.blind_spots)


# --- gathering, keeping and telling ---------------------------------------------------------------------------------------------------


class MemoryStore:
    """Files by key."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, key: str, body: bytes, kind: str) -> str:
        self.files[key] = body
        return f"s3://reports/{key}"

    def address(self, key: str) -> str:
        return f"s3://reports/{key}"

    def made_at(self, key: str) -> datetime | None:
        return NOW if key in self.files else None

    def link(self, key: str, hours: int) -> str:
        return f"https://reports.example/{key}?X-Amz-Expires={hours * 3600}&X-Amz-Signature=0"


class Held:
    """A system in memory whose last sweep is the made-up one."""

    def __init__(self, made: Sources = MADE, policy: str = "version: 1\n") -> None:
        self.runs, self.book, self.ledger, self.store, self.chat = (
            MemoryRunStore(),
            MemoryBook(),
            InMemoryLedger(),
            MemoryStore(),
            FakeChat(),
        )
        self.policy = policy
        standings = list(made.standings)
        for summary in (made.summary, *made.earlier):
            self.runs.put_document(f"sweeps/{summary['run']}/summary", summary)
        self.runs.put_lines("inventory", map(to_line, standings))
        if made.plan:
            self.runs.put_document("retirement/plan", made.plan)
        self.ledger.records_by_name |= made.records
        self.book.ended = EndedSweep(made.summary["run"], NOW, NOW, "inventory", complete=True, registry="")

    def services(self, **but: Any) -> Services:
        return replace(
            Services(
                self.book,
                self.runs,
                self.ledger,
                self.store,
                FixedPolicy(load(self.policy, "policy.yaml")),
                lambda report, output: Printed(output, f"text/{output}", report.verdict.encode()),
                glance_as_data,
                self.chat,
                12,
            ),
            **but,
        )


def test_what_was_kept_is_read_back_to_the_same_report() -> None:
    held = Held()
    assert make_report(held.book, held.runs, held.ledger, NOW) == report_of(MADE, NOW)


def test_before_the_first_sweep_there_is_nothing_to_report() -> None:
    held = Held()
    held.book.ended = None
    assert make_report(held.book, held.runs, held.ledger, NOW) is None
    assert report_on_schedule(Kind.WEEKLY, held.services(), NOW)["reported"] is False
    assert (held.store.files, held.chat.posted) == ({}, [])


def test_only_records_that_have_something_to_add_are_read() -> None:
    held, asked = Held(), list[str]()

    class Watched(InMemoryLedger):
        def records(self, names: Sequence[str]) -> Mapping[str, RepositoryRecord]:
            asked.extend(names)
            return {}

    make_report(held.book, held.runs, Watched(), NOW)
    clean = [standing.name for standing in MADE.standings if not (standing.findings or standing.undetermined or standing.unused)]
    assert clean
    assert not set(asked) & set(clean)


def test_the_trend_goes_back_as_far_as_summaries_are_kept_and_no_farther_than_it_is_long() -> None:
    held = Held()
    report = make_report(held.book, held.runs, held.ledger, NOW)
    assert report is not None
    assert len(report.trend) == SWEEPS
    del held.runs.documents[f"sweeps/{MADE.earlier[3]['run']}/summary"]
    shorter = make_report(held.book, held.runs, held.ledger, NOW)
    assert shorter is not None
    assert len(shorter.trend) == 4


def test_a_report_is_kept_under_its_day_and_as_the_latest_and_told_once() -> None:
    held = Held()
    done = report_on_schedule(Kind.WEEKLY, held.services(), NOW)
    assert set(held.store.files) == {LATEST, *(f"reports/2026-11-26/weekly.{suffix}" for suffix in ("html", "json", "csv", "ics"))}
    assert done["told"] is True
    again = report_on_schedule(Kind.WEEKLY, held.services(), NOW + timedelta(hours=1))
    assert again["told"] is False
    assert len(held.chat.posted) == 1
    assert report_on_schedule(Kind.WEEKLY, held.services(), NOW + 7 * DAY)["told"] is True


def test_after_a_sweep_the_latest_is_kept_with_a_glance_of_it_and_nobody_is_told() -> None:
    held = Held()
    assert report_after_sweep(held.services(), NOW) == {
        "reported": True,
        "files": [f"s3://reports/{LATEST}"],
        "needing": MADE_REPORT.needing,
    }
    assert (set(held.store.files), held.chat.posted) == ({LATEST}, [])
    assert glance_of_data(held.runs.documents[GLANCE]) == glance_of(MADE_REPORT)
    # What is made on schedule is the latest as well, and what people see is of one piece.
    weekly = Held()
    report_on_schedule(Kind.WEEKLY, weekly.services(), NOW)
    assert weekly.runs.documents[GLANCE] == held.runs.documents[GLANCE]
    held.book.ended = None
    assert report_after_sweep(held.services(), NOW)["reported"] is False


def test_what_slack_refused_is_told_when_it_is_tried_again() -> None:
    held = Held()
    held.chat.refusals = [Undeliverable("Slack answered 503")]
    with pytest.raises(Undeliverable):
        report_on_schedule(Kind.WEEKLY, held.services(), NOW)
    assert LATEST in held.store.files
    assert report_on_schedule(Kind.WEEKLY, held.services(), NOW)["told"] is True


def test_nobody_is_told_without_slack_or_where_the_policy_turns_it_off() -> None:
    silent = "version: 1\nnotifications: {slack: {enabled: false}}\n"
    for held, but in ((Held(), {"chat": None}), (Held(policy=silent), {})):
        assert report_on_schedule(Kind.WEEKLY, held.services(**but), NOW)["told"] is False
        assert held.chat.posted == []
        assert LATEST in held.store.files


def test_without_a_link_the_message_says_where_the_report_lies() -> None:
    held = Held()
    report_on_schedule(Kind.WEEKLY, held.services(link_hours=0), NOW)
    assert "https://" not in str(held.chat.posted)
    assert f"aws s3 cp s3://reports/{LATEST} ." in str(held.chat.posted)


@pytest.mark.parametrize(
    ("policy", "button"),
    [
        ("", True),
        (", buttons: {open_report: [U0ALICE0001]}", True),
        (", buttons: {open_report: []}", False),
        (", buttons: {enabled: false}", False),
    ],
)
def test_where_a_button_opens_the_report_its_message_holds_no_link(policy: str, button: bool) -> None:
    held, bot = Held(policy=f"version: 1\nnotifications: {{slack: {{channel: C0MAIN00001{policy}}}}}\n"), FakeBot(answered=True)
    report_on_schedule(Kind.WEEKLY, held.services(chat=bot), NOW)
    ((shown),) = bot.shown
    assert refusal(shown.message) is None
    assert ("https://" in str(shown.message)) is not button
    assert ("'action_id': 'open_report'" in str(shown.message)) is button
    assert f"aws s3 cp s3://reports/{LATEST} ." in str(shown.message)


def uploading(*, answered: bool = False) -> tuple[Held, FakeBot]:
    return Held(policy="version: 1\nnotifications: {slack: {channel: C0MAIN00001, report: upload}}\n"), FakeBot(answered=answered)


def test_where_it_is_to_be_uploaded_the_page_comes_as_a_file_once_and_nothing_else() -> None:
    held, bot = uploading(answered=True)
    assert report_on_schedule(Kind.WEEKLY, held.services(chat=bot), NOW)["told"] is True
    assert report_on_schedule(Kind.WEEKLY, held.services(chat=bot), NOW)["told"] is False
    ((file, comment, channel),) = bot.files
    assert (file.name, file.title) == ("ecr-governor-weekly-2026-11-26.html", "Weekly report, 2026-11-26")
    assert (file.body, channel) == (held.store.files[LATEST], "C0MAIN00001")
    assert "Weekly report: " in comment
    assert f"aws s3 cp s3://reports/{LATEST} ." in comment
    assert "https://" not in comment
    assert bot.calls == ["attach"]


def test_a_file_that_slack_does_not_take_is_a_link_that_says_why() -> None:
    held, bot = uploading()

    def no_scope(method: str, _channel: str) -> None:
        if method == "attach":
            raise UploadRefused("the bot's token has not the scope files:write")

    bot.before = no_scope
    assert report_on_schedule(Kind.WEEKLY, held.services(chat=bot), NOW)["told"] is True
    (shown,) = bot.shown
    assert refusal(shown.message) is None
    assert "|Read the report>" in str(shown.message)
    assert "The page is not attached: the bot's token has not the scope files:write" in str(shown.message)
    assert report_on_schedule(Kind.WEEKLY, held.services(chat=bot), NOW)["told"] is False


def test_trouble_with_a_file_is_no_link_but_tried_again() -> None:
    held, bot = uploading()

    def down(_method: str, _channel: str) -> None:
        raise Undeliverable("Slack answered 503")

    bot.before = down
    with pytest.raises(Undeliverable):
        report_on_schedule(Kind.WEEKLY, held.services(chat=bot), NOW)
    bot.before = lambda *_: None
    assert report_on_schedule(Kind.WEEKLY, held.services(chat=bot), NOW)["told"] is True
    assert (len(bot.files), bot.shown) == (1, [])


def test_a_webhook_takes_no_files() -> None:
    held, _ = uploading()
    report_on_schedule(Kind.WEEKLY, held.services(), NOW)
    assert "|Read the report>" in str(held.chat.posted)


# --- the message ----------------------------------------------------------------------------------------------------------------------


def test_a_day_without_news_is_no_message() -> None:
    quiet = reported(a_standing(findings=violating("low")), opened={}, resolved={})
    assert worth_telling(quiet, Kind.WEEKLY)
    assert not worth_telling(quiet, Kind.DAILY)
    assert worth_telling(reported(a_standing(), opened={"naming": 1}, resolved={}), Kind.DAILY)
    soon, later = (an_item("d", next_at=(NOW + days * DAY).isoformat()) for days in (3, 9))
    assert worth_telling(reported(a_standing("d"), plan=a_plan(soon), opened={}, resolved={}), Kind.DAILY)
    assert not worth_telling(reported(a_standing("d"), plan=a_plan(later), opened={}, resolved={}), Kind.DAILY)


def test_the_message_promises_no_more_than_the_link_keeps() -> None:
    text = str(message(report_of(MADE, NOW), Kind.WEEKLY, Kept("s3://reports/latest.html", "https://example.com/?a=1&b=2", 12)))
    assert "<https://example.com/?a=1&amp;b=2|Read the report>" in text
    assert "The link ends after 12 h, or before that with the function's credentials" in text


def test_a_link_that_slack_has_no_room_for_is_left_out() -> None:
    told = message(report_of(MADE, NOW), Kind.WEEKLY, Kept("s3://reports/latest.html", "https://example.com/" + "x" * 4000, 12))
    assert refusal(told) is None
    assert "example.com" not in str(told)


@pytest.mark.parametrize("kind", Kind)
def test_slack_takes_the_message_of_a_large_registry(kind: Kind) -> None:
    report = report_of(sources(3000, everything_violates=True), NOW)
    assert refusal(message(report, kind, Kept("s3://reports/latest.html", "https://example.com/" + "x" * 1500, 12))) is None


@pytest.mark.parametrize("kind", Kind)
def test_the_text_beside_a_file_has_room_for_a_large_registry_and_ends_with_whole_lines(kind: Kind) -> None:
    large = report_of(sources(3000, everything_violates=True), NOW)
    text = comment(large, kind, Kept("s3://reports/latest.html"))
    assert 500 < len(text) <= 4000
    assert text.count("`") % 2 == 0
    assert "aws s3 cp" in text
    hostile = "<!channel>" * 20 + "`*_~"
    steps = [an_item(f"{'a' * 200}/{number}", next_at=(NOW + number % 5 * DAY).isoformat()) for number in range(40)]
    text = comment(reported(a_standing(), plan=a_plan(*steps, withheld=[hostile])), kind, Kept("s3://reports/latest.html"))
    assert len(text) <= 4000
    assert "<" not in text
    assert text.splitlines()[-1].startswith("account ")


def test_what_holds_everything_up_is_in_the_message() -> None:
    report = reported(a_standing("d"), plan=a_plan(an_item("d"), withheld=["the mode is audit"]))
    assert "nothing goes forward: the mode is audit" in str(message(report, Kind.DAILY, Kept("s3://reports/latest.html")))
