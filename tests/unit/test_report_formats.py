"""A report in every format: the same bytes every time, whole, and what a stranger writes is text."""

import base64
import csv
import hashlib
import io
import json
import re
import unicodedata
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import html5lib
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from benchmarks.reports import NOW, sources
from ecr_governor.core.foreign_text import visible
from ecr_governor.core.report.asking import Asked, Misasked, part_of
from ecr_governor.core.report.build import Sources, report_of
from ecr_governor.core.report.glance import glance_of
from ecr_governor.core.report.message import Kept, Kind, message
from ecr_governor.core.report.model import Report
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.core.standing import Standing
from ecr_governor.rendering.comma_separated import COLUMNS
from ecr_governor.rendering.report import CONTENT_TYPES, SUFFIXES, rendered
from ecr_governor.rendering.report.documents import MORE_COLUMNS, schema
from ecr_governor.rendering.report.html import BRIEF, LARGEST, RESERVED
from ecr_governor.rendering.report.widget import Frame, glance_as_html, repository_as_html, trouble_as_html
from local.slack.validation import refusal

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)
SMALL = report_of(sources(60), NOW)
SUMMARY = sources(0).summary
XHTML = "{http://www.w3.org/1999/xhtml}"


def page_of(report: Report) -> Any:
    return html5lib.HTMLParser(strict=True).parse(rendered(report, "html"))


def texts_of(element: Any) -> str:
    return "".join(element.itertext())


# --- the same every time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", CONTENT_TYPES)
def test_the_same_report_gives_the_same_bytes(output: str) -> None:
    turned = report_of(sources(60), NOW)
    assert rendered(SMALL, output) == rendered(turned, output)
    assert rendered(SMALL, output).endswith(b"\n")


def test_every_format_has_a_file_name() -> None:
    assert SUFFIXES.keys() == CONTENT_TYPES.keys()
    assert len(set(SUFFIXES.values())) == len(SUFFIXES)


@pytest.mark.parametrize("output", CONTENT_TYPES)
def test_a_report_of_nothing_is_whole(output: str) -> None:
    text = rendered(report_of(Sources(SUMMARY, ()), NOW), output).decode()
    match output:
        case "html":
            assert "There is no repository." in text
        case "json" | "sarif":
            json.loads(text)
        case "csv":
            assert text == ",".join((*COLUMNS, *MORE_COLUMNS)) + "\n"
        case "ics":
            assert text == "".join(
                f"{line}\r\n"
                for line in (
                    "BEGIN:VCALENDAR",
                    "VERSION:2.0",
                    "PRODID:-//ECR Governor//Retirement//EN",
                    "CALSCALE:GREGORIAN",
                    "BEGIN:VTIMEZONE",
                    "TZID:UTC",
                    "BEGIN:STANDARD",
                    "DTSTART:19700101T000000",
                    "TZOFFSETFROM:+0000",
                    "TZOFFSETTO:+0000",
                    "END:STANDARD",
                    "END:VTIMEZONE",
                    "END:VCALENDAR",
                )
            )


# --- JSON -----------------------------------------------------------------------------------------------------------------------------


def test_the_schema_in_the_documentation_is_the_models() -> None:
    assert json.loads((ROOT / "docs" / "report.schema.json").read_text()) == schema()


def test_json_keeps_its_schema_and_says_everything() -> None:
    document = json.loads(rendered(SMALL, "json"))
    jsonschema.validate(document, schema())
    assert document["version"] == 1
    assert [each["name"] for each in document["repositories"]] == [each.name for each in SMALL.repositories]
    assert document["verdict"] == SMALL.verdict
    assert rendered(SMALL, "json").isascii()


# --- HTML -----------------------------------------------------------------------------------------------------------------------------


def test_the_page_says_what_the_report_says() -> None:
    page = page_of(SMALL)
    text = texts_of(page)
    headline, _, rest = SMALL.verdict.partition(": ")
    (h1,) = page.iter(f"{XHTML}h1")
    assert texts_of(h1) == headline
    assert rest[1:] in text
    for repository in SMALL.repositories:
        assert repository.name in text
        for finding in repository.findings:
            assert finding.reason in text
            assert finding.fix in text
    for spot in SMALL.method.blind_spots:
        assert spot in text
    assert len(list(page.iter(f"{XHTML}polyline"))) + len(list(page.iter("{http://www.w3.org/2000/svg}polyline"))) == 4


def test_every_repository_can_be_linked_to_and_every_link_within_the_page_leads_somewhere() -> None:
    page = page_of(SMALL)
    ids = Counter(element.get("id") for element in page.iter() if element.get("id"))
    assert set(ids.values()) == {1}
    assert {f"repository={each.name}" for each in SMALL.repositories} <= ids.keys()
    for link in page.iter(f"{XHTML}a"):
        assert link.get("href", "").startswith("#")
        assert link.get("href")[1:].replace("%3D", "=") in ids, link.get("href")


def test_the_page_asks_nobody_for_anything_and_its_policy_lets_it_run_nothing_else() -> None:
    text = rendered(SMALL, "html").decode()
    assert not re.search(r"https?:", text)
    assert not re.search(r"""\s(?:src|srcset|style|on\w+)=""", text)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", text)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    directives = dict(part.strip().split(" ", 1) for part in policy.replace("&#39;", "'").split(";"))
    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == "'none'"
    for tag in ("style", "script"):
        bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in bodies]
        assert directives[f"{tag}-src"].split() == hashes


def test_tables_have_names_and_headers() -> None:
    for table in page_of(SMALL).iter(f"{XHTML}table"):
        assert texts_of(table.find(f"{XHTML}caption"))
        heads = table.find(f"{XHTML}thead").findall(f".//{XHTML}th")
        assert heads
        assert {head.get("scope") for head in heads} == {"col"}
        for row in table.iterfind(f".//{XHTML}tbody/{XHTML}tr"):
            cells = list(row)
            assert sum(int(cell.get("colspan", 1)) for cell in cells) == len(heads)


@pytest.mark.parametrize("everything_violates", [False, True])
def test_five_thousand_repositories_fit(everything_violates: bool) -> None:
    report = report_of(sources(5_000, everything_violates=everything_violates), NOW)
    page = rendered(report, "html")
    assert len(page) <= LARGEST == 5_000_000
    # The made-up registry with its usual share of violations fits whole.
    assert (b"have no room here" in page) is everything_violates
    assert page.count(b"<tbody data-f=") == 5_000
    assert page.count(b"<details>") > 1_700


def test_what_has_no_room_is_the_least_grave_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    report = report_of(sources(500), NOW)
    monkeypatch.setattr("ecr_governor.rendering.report.html.LARGEST", RESERVED + 250 * BRIEF)
    text = rendered(report, "html").decode()
    (left_out,) = re.findall(r"([\d,]+) repositories more have no room here", text)
    (without,) = re.findall(r"The details of ([\d,]+) repositories have no room here", text)
    shown = text.count("<tbody data-f=")
    assert shown + int(left_out) == 500
    told = [each for each in report.repositories[:shown] if each.findings or each.undetermined or each.retirement]
    assert text.count("<details><summary>") + int(without) == len(told)
    assert f'id="repository={report.repositories[0].name}"' in text
    assert f'id="repository={report.repositories[-1].name}"' not in text


# --- the others -----------------------------------------------------------------------------------------------------------------------


def test_csv_is_that_of_an_audit_and_more() -> None:
    rows = list(csv.DictReader(io.StringIO(rendered(SMALL, "csv").decode()), strict=True))
    assert list(rows[0])[: len(COLUMNS)] == list(COLUMNS)
    assert len(rows) == sum(len(each.findings) or 1 for each in SMALL.repositories)
    row = next(row for row in rows if row["stage"] == "marked")
    assert row["next_step"] == "quarantined"
    assert row["not_before"].endswith("+00:00")
    assert row["fix"] == RULES[row["rule"]].fix


def test_sarif_has_a_result_for_each_finding() -> None:
    log = json.loads(rendered(SMALL, "sarif"))
    assert len(log["runs"][0]["results"]) == sum(len(each.findings) for each in SMALL.repositories)
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is True


def test_the_calendar_has_every_step() -> None:
    text = rendered(SMALL, "ics").decode()
    assert text.count("BEGIN:VEVENT") == len(SMALL.steps) > 0


def test_markdown_begins_with_the_verdict_and_names_who_has_what() -> None:
    text = rendered(SMALL, "markdown").decode()
    assert text.index(SMALL.verdict.split(" (")[0]) < text.index("### By owner") < text.index("### Repositories")
    assert "| **nobody** |" in text


# --- foreign text ---------------------------------------------------------------------------------------------------------------------

HOSTILE = (
    "<!channel>",
    "`rm -rf`",
    "a\u202eb\u2066c\u200f",
    "=cmd()",
    "\t=cmd()",
    "\uff1dcmd()",
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "one\ntwo\r\nthree\u2028four\x0bfive",
    "x" * 256,
    "\0\x1b[31mred",
    "| a | b |",
    "**bold** [x](http://evil.example)",
    "https://evil.example/?a=b&c",
    "&lt;b&gt; &amp;",
    "@org/team #1 :x:",
    "]]>--><!--",
    "",
    " ",
    "\u65e5\u672c\u8a9e \U0001f469\u200d\U0001f4bb",
    "\ufdd0\ue000\uffff",
)
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.builds(lambda left, right: left + right, st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
    st.text("`*_[]()<>|\\&#@!~$:/.=+-; \n\tab1'\"{}%", max_size=40),
)
FINDING = st.fixed_dictionaries(
    {
        "rule": st.sampled_from(sorted(RULES)) | TEXT,
        "severity": st.sampled_from([severity.value for severity in Severity]),
        "reason": TEXT,
        "state": st.sampled_from(["open", "exempt"]),
    }
)
STANDING = st.fixed_dictionaries(
    {
        "name": TEXT,
        "origin": TEXT,
        "origin_confidence": TEXT,
        "owner": st.none() | TEXT,
        "findings": st.lists(FINDING, max_size=3),
        "undetermined": st.dictionaries(TEXT, TEXT, max_size=2),
        "images": st.none() | st.integers(0, 99),
        "size_bytes": st.none() | st.integers(0, 1 << 50),
        "last_push": st.none() | st.just(NOW.isoformat()),
        "last_pull": st.none() | st.just(NOW.isoformat()),
        "unused": st.sampled_from([None, True, False]),
        "created_at": st.just((NOW - DAY).isoformat()),
    }
)
REPORTS = st.builds(
    lambda standings, planned, account, region, because, withheld, policy, problem: report_of(
        Sources(
            {
                **SUMMARY,
                "account": account,
                "region": region,
                "policy_hash": policy,
                "policy_problem": problem,
                "complete": not because,
                "incomplete_because": because,
                "by_namespace": {account: 1},
                "undetermined": {region: 2},
            },
            [Standing(each) for each in standings],
            [SUMMARY],
            {
                "at": NOW.isoformat(),
                "withheld": withheld,
                "unread": {account: region},
                "items": [
                    {
                        "repository": each["name"],
                        "stage": "marked",
                        "next": None,
                        "then": "quarantined",
                        "next_at": (NOW + DAY).isoformat(),
                        "owner": each["owner"],
                        "reasons": [{"check": each["origin"], "seen": account, "weight": region}],
                    }
                    for each in (standings if planned else [])
                ],
            },
        ),
        NOW,
    ),
    st.lists(STANDING, max_size=3, unique_by=lambda each: visible(each["name"])),
    st.booleans(),
    TEXT,
    TEXT,
    st.lists(TEXT, max_size=2),
    st.lists(TEXT, max_size=2),
    TEXT,
    st.none() | TEXT,
)
ELEMENTS = frozenset(element.tag.rpartition("}")[2] for element in page_of(SMALL).iter() if isinstance(element.tag, str)) | {
    "em",
    "li",
    "ul",
}
DASHBOARD = frozenset(
    ["html", "head", "body", "style", "div", "p", "a", "b", "small", "span", "dl", "dt", "dd", "ul", "li", "code", "cwdb-action"]
)


def unseen(text: str) -> set[str]:
    return {unicodedata.category(character) for character in text if character not in "\r\n"} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def squeezed(text: str) -> str:
    return " ".join(text.split())


@given(REPORTS)
def test_on_the_page_foreign_text_is_text(report: Report) -> None:
    page = page_of(report)
    texts = texts_of(page)
    assert not unseen(texts)
    elements = [element for element in page.iter() if isinstance(element.tag, str)]
    assert {element.tag.rpartition("}")[2] for element in elements} <= ELEMENTS
    assert sum(element.tag == f"{XHTML}script" for element in elements) == 2
    for element in elements:
        assert not [name for name in element.attrib if name.startswith("on") or name in {"style", "src"}]
        assert element.get("href", "#").startswith("#")
    shown = squeezed(texts)
    for repository in report.repositories:
        for text in (repository.name, repository.owner or "", *(finding.reason for finding in repository.findings)):
            assert squeezed(visible(text)) in shown


@given(REPORTS)
def test_on_the_dashboard_it_is_text_too(report: Report) -> None:
    glance, frame = glance_of(report), Frame("arn:aws:lambda:eu-west-1:123456789012:function:x", "s3://b/reports/latest.html", "https://c")
    answers = [glance_as_html(glance, wanted, part_of(glance, wanted), frame, NOW) for wanted in (Asked(), Asked(owner=report.account))]
    answers += [repository_as_html(glance, each, frame) for each in glance.report.repositories]
    answers.append(trouble_as_html(Misasked(report.account, report.region, report.policy_hash), frame))
    for answer in answers:
        page = html5lib.parse(answer)
        assert not unseen(texts_of(page))
        for element in page.iter():
            tag = element.tag.rpartition("}")[2]
            assert tag in DASHBOARD
            assert not [name for name in element.attrib if name.startswith("on") or name in {"style", "src"}]
            assert element.get("href", "https://c/").startswith("https://c/")
            if tag == "cwdb-action":
                asked = json.loads(element.text)
                assert asked.keys() <= {"owner", "unowned", "namespace", "repository"}
                assert asked.get("repository", "") in {"", *(each.name for each in report.repositories)}
    shown = squeezed(texts_of(html5lib.parse(answers[0])))
    for repository in report.repositories:
        if repository.open_findings:
            for text in (repository.name, repository.owner or "", repository.open_findings[0].reason):
                assert squeezed(visible(text)) in shown


@given(REPORTS)
def test_in_every_other_format_it_is_text_too(report: Report) -> None:
    document = json.loads(rendered(report, "json"))
    assert [each["name"] for each in document["repositories"]] == [each.name for each in report.repositories]
    assert json.loads(rendered(report, "sarif"))["version"] == "2.1.0"
    text = rendered(report, "csv").decode()
    assert not unseen(text)
    for row in csv.DictReader(io.StringIO(text, newline=""), strict=True):
        for value in row.values():
            assert not unicodedata.normalize("NFKC", value).lstrip().startswith(("=", "+", "-", "@", "\u2212"))
    calendar = rendered(report, "ics").decode()
    assert not unseen(calendar)
    assert {line.partition(":")[0].partition(";")[0] for line in calendar.split("\r\n") if line and not line.startswith(" ")} <= {
        *("BEGIN", "END", "VERSION", "PRODID", "CALSCALE", "UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION", "TRANSP"),
        *("TZID", "TZOFFSETFROM", "TZOFFSETTO"),
    }


@given(REPORTS)
def test_markdown_keeps_its_form(report: Report) -> None:
    text = rendered(report, "markdown").decode()
    assert not unseen(text)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    parts = {part.type for token in tokens for part in token.children or ()}
    assert parts <= {"text", "text_special", "strong_open", "strong_close", "softbreak"}
    assert not [token.type for token in tokens if "html" in token.type or "code" in token.type or "fence" in token.type]


@given(REPORTS, st.sampled_from(Kind))
def test_slack_takes_the_message_and_it_mentions_nobody(report: Report, kind: Kind) -> None:
    told = message(report, kind, Kept("s3://reports/latest.html", "https://example.com/x", 12))
    assert refusal(told) is None
    for text in re.findall(r"<[^>]*>", json.dumps(told, ensure_ascii=False)):
        assert text == "<https://example.com/x|Read the report>"


def test_a_machine_elsewhere_writes_the_same() -> None:
    east = datetime.fromisoformat(NOW.astimezone(UTC).isoformat().replace("08:00:00+00:00", "22:00:00+14:00"))
    assert east == NOW
    for output in ("html", "csv", "markdown", "ics"):
        assert rendered(report_of(sources(60), east), output) == rendered(SMALL, output)
