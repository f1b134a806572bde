"""An audit's result in every format: the same every time, and foreign text is text."""

import csv
import io
import json
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TextIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.text import Text

from cli.audit_output import OUTPUTS, AuditWriter, writer_for
from cli.audit_output.progress import Pulse, shown
from cli.audit_output.table import TableWriter
from cli.trouble import Exit, Trouble
from ecr_governor.core.audit import AuditedRepository, AuditFinding, AuditSummary
from ecr_governor.core.foreign_text import escaped, tidy, visible
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.rendering.comma_separated import COLUMNS, cell
from ecr_governor.rendering.sarif import LEVELS
from ecr_governor.rendering.words import Tally, known_facts
from tests.fakes import ACCOUNT, REGION, T0

GOLDEN = Path(__file__).parents[1] / "golden"
STREAMED = [output for output in OUTPUTS if output != "html"]
SUFFIXES = {"table": "txt", "json": "json", "jsonl": "jsonl", "csv": "csv", "markdown": "md", "sarif": "sarif"}
HASH = "5f2c" * 16
CLEAN = AuditedRepository("payments/worker", "api", "payments", (), {}, 3, 1_500_000, T0, T0, unused=False)
API = AuditedRepository(
    name="payments/api",
    origin="create_on_push",
    owner="payments",
    findings=(
        AuditFinding(
            "scanning", Severity.HIGH, "no filter of the registry's scanning rules matches its name, so nothing is scanned", "open"
        ),
        AuditFinding("naming", Severity.LOW, "moves next quarter | `api` [here](http://evil.example)", "exempt"),
    ),
    undetermined={"required-tags": "AccessDenied: ecr:ListTagsForResource", "lifecycle-policy": "Throttled"},
    images=12,
    size_bytes=3_650_722_201,
    last_push=T0,
    last_pull=T0 - timedelta(days=1),
    unused=False,
)
TMP = AuditedRepository(
    "=tmp",
    "unknown",
    None,
    (AuditFinding("unused", Severity.CRITICAL, "@everyone <b>idle</b>", "open"),),
    {},
    1,
    1023,
    T0,
    None,
    unused=True,
)
REPOSITORIES = (API, CLEAN, TMP)
SUMMARY = AuditSummary(
    ACCOUNT,
    REGION,
    HASH,
    complete=False,
    incomplete_because=("Denied: ecr:ListTagsForResource",),
    repositories=3,
    violating=2,
    calls={"ecr:ListTagsForResource": 4, "ecr:DescribeRepositories": 1},
    seconds=3.25,
)
HOSTILE = (
    "<!channel>",
    "`rm -rf`",
    "``` x",
    "a\u202eb\u2066c\u200f",
    "=cmd()",
    " =cmd()",
    "\t=cmd()",
    "\r-1",
    "\0+1",
    "\u200b@SUM(1)",
    "\uff1dcmd()",
    "\u3000\uff20x",
    "\u2212 1",
    "<script>alert(1)</script>",
    "one\ntwo\r\nthree\u2028four\x0bfive\x85six",
    "x" * 256,
    "\x1b[31mred\x9b2J\x07",
    "| a | b |\n| --- | --- |",
    "**bold** _x_ ~~y~~ # h",
    "1. one",
    "- two",
    "# three",
    "![x](http://evil.example/x.png) <http://evil.example> www.evil.example",
    "https://evil.example/?a=b&c",
    "&lt;b&gt; &amp; \\` \\",
    "@org/team #1 $x$ :x:",
    "]]>--></table>",
    "",
    " ",
    '"quoted", "; =1"',
    "\u65e5\u672c\u8a9e \U0001f469\u200d\U0001f4bb",
)


def fed(writer: AuditWriter, repositories: Sequence[AuditedRepository] = REPOSITORIES, summary: AuditSummary = SUMMARY) -> None:
    writer.begin(summary.account, summary.region, summary.policy_hash)
    for repository in repositories:
        writer.repository(repository)
    writer.end(summary)


def written(output: str, repositories: Sequence[AuditedRepository] = REPOSITORIES, summary: AuditSummary = SUMMARY) -> str:
    stream = io.StringIO()
    fed(writer_for(output, stream), repositories, summary)
    return stream.getvalue()


def written_twice(output: str) -> str:
    stream = io.StringIO()
    writer = writer_for(output, stream, regions=2)
    fed(writer)
    fed(writer, (CLEAN,), replace(SUMMARY, region="eu-central-1", complete=True, incomplete_because=(), repositories=1, violating=0))
    return stream.getvalue()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


# --- what is written ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def three_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that stay as they are, so that a new rule or a better word changes no golden file."""
    rules = {
        rule: replace(RULES[rule], summary=f"Summary of {rule}.", why=f"Why {rule}.", fix=f"Fix {rule}.", severity=severity)
        for rule, severity in (("naming", Severity.LOW), ("scanning", Severity.MEDIUM), ("unused", Severity.CRITICAL))
    }
    monkeypatch.setattr("ecr_governor.rendering.markdown.RULES", rules)
    monkeypatch.setattr("ecr_governor.rendering.sarif.RULES", rules)
    monkeypatch.setattr("ecr_governor.rendering.sarif.INDEX", {rule: index for index, rule in enumerate(rules)})


@pytest.mark.usefixtures("three_rules")
@pytest.mark.parametrize("output", STREAMED)
def test_the_same_input_gives_the_same_bytes(output: str) -> None:
    golden = (GOLDEN / f"audit.{SUFFIXES[output]}").read_bytes().decode()
    assert written(output) == golden
    assert written(output) == golden


@pytest.mark.parametrize("output", STREAMED)
def test_the_order_of_a_mapping_does_not_show(output: str) -> None:
    turned = replace(API, undetermined=dict(reversed(list(API.undetermined.items()))))
    summary = replace(SUMMARY, calls=dict(reversed(list(SUMMARY.calls.items()))))
    assert written(output, (turned,), summary) == written(output, (API,))


@pytest.mark.parametrize("output", STREAMED)
def test_the_machines_time_zone_does_not_show(output: str) -> None:
    east = timezone(timedelta(hours=14))
    moved = replace(API, last_push=T0.astimezone(east), last_pull=(T0 - timedelta(days=1)).astimezone(east))
    assert written(output, (moved,)) == written(output, (API,))


def test_an_output_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(Trouble) as caught:
        writer_for("xml", io.StringIO())
    assert caught.value.exit_code is Exit.USAGE


@pytest.mark.parametrize("output", STREAMED)
def test_an_audit_of_nothing_is_whole(output: str) -> None:
    text = written(output, (), replace(SUMMARY, complete=True, incomplete_because=(), repositories=0, violating=0, calls={}))
    if output in {"json", "sarif"}:
        json.loads(text)
    assert text.endswith("\n")


def test_json_says_everything_once() -> None:
    document = json.loads(written("json"))
    assert set(document) == {"account", "region", "policy_hash", "complete", "repositories", "incomplete_because", "calls"}
    assert [repository["name"] for repository in document["repositories"]] == ["payments/api", "payments/worker", "=tmp"]
    assert document["repositories"][0]["last_push"] == "2026-11-02T09:14:07+00:00"
    assert document["repositories"][1]["unused"] is False
    assert document["complete"] is False


def test_json_of_several_regions_is_a_list() -> None:
    documents = json.loads(written_twice("json"))
    assert [(document["region"], document["complete"], len(document["repositories"])) for document in documents] == [
        (REGION, False, 3),
        ("eu-central-1", True, 1),
    ]


def test_every_json_line_says_where_and_the_last_of_a_region_is_its_summary() -> None:
    lines = [json.loads(line) for line in written_twice("jsonl").splitlines()]
    assert [line.get("region", "summary") for line in lines] == [*[REGION] * 3, "summary", "eu-central-1", "summary"]
    assert lines[3]["summary"]["violating"] == 2
    assert lines[5]["summary"]["region"] == "eu-central-1"


def test_csv_has_one_header_and_a_row_for_each_finding() -> None:
    text = written_twice("csv")
    rows = rows_of(text)
    assert text.count(",".join(COLUMNS)) == 1
    assert [(row["region"], row["repository"], row["rule"]) for row in rows] == [
        (REGION, "payments/api", "scanning"),
        (REGION, "payments/api", "naming"),
        (REGION, "payments/worker", ""),
        (REGION, "'=tmp", "unused"),
        ("eu-central-1", "payments/worker", ""),
    ]
    assert (rows[0]["unused"], rows[2]["unused"], rows[3]["unused"]) == ("false", "false", "true")


def test_markdown_tells_each_region_after_its_heading() -> None:
    text = written_twice("markdown")
    assert text.count("## Amazon ECR") == 2
    assert text.split("\n\n")[1].startswith("**Of 3 repositories, 2 violate the policy**: 1 critical, 1 high")
    assert "**Of 1 repository, 0 violate the policy**: no open findings." in text
    assert text.count("### Repositories") == 1


def test_a_long_markdown_list_waits_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written("markdown")
    monkeypatch.setattr("ecr_governor.rendering.markdown.IN_MEMORY", 1)
    assert written("markdown") == whole


def test_sarif_has_a_run_for_each_region_and_a_rule_for_each_rule() -> None:
    log = json.loads(written_twice("sarif"))
    assert log["version"] == "2.1.0"
    assert [run["automationDetails"]["id"] for run in log["runs"]] == [
        f"ecr-governor/{ACCOUNT}/{REGION}/",
        f"ecr-governor/{ACCOUNT}/eu-central-1/",
    ]
    assert [run["invocations"][0]["executionSuccessful"] for run in log["runs"]] == [False, True]
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted(RULES)
    assert all(rule["defaultConfiguration"]["level"] == LEVELS[RULES[rule["id"]].severity] for rule in rules)
    for result in log["runs"][0]["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert [bool(result["suppressions"]) for result in log["runs"][0]["results"]] == [False, True, False]


def test_a_sarif_result_is_known_again_by_what_it_is_about() -> None:
    def prints(repository: AuditedRepository, summary: AuditSummary = SUMMARY) -> list[str]:
        results = json.loads(written("sarif", (repository,), summary))["runs"][0]["results"]
        return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]

    again = replace(API, owner=None, findings=tuple(replace(finding, reason="other words", state="open") for finding in API.findings))
    assert prints(again) == prints(API)
    others = [*prints(API), *prints(replace(API, name="payments/apis")), *prints(API, replace(SUMMARY, region="us-east-1"))]
    assert len(set(others)) == len(others)


# What the standard has for the objects that are written (SARIF 2.1.0, section 3): what each needs, and what else it may have here.
SARIF: Mapping[str, tuple[set[str], set[str]]] = {
    "log": ({"version", "runs"}, {"$schema"}),
    "run": ({"tool"}, {"automationDetails", "properties", "results", "invocations"}),
    "tool": ({"driver"}, set()),
    "driver": ({"name"}, {"rules"}),
    "rule": ({"id"}, {"shortDescription", "fullDescription", "help", "defaultConfiguration"}),
    "result": (
        {"message"},
        {"ruleId", "ruleIndex", "level", "locations", "partialFingerprints", "suppressions", "properties"},
    ),
    "location": (set(), {"physicalLocation", "logicalLocations"}),
    "physical": (set(), {"artifactLocation", "region"}),
    "logical": (set(), {"name", "fullyQualifiedName", "kind"}),
    "suppression": ({"kind"}, {"status"}),
    "invocation": ({"executionSuccessful"}, {"toolExecutionNotifications"}),
    "notification": ({"message"}, {"level", "associatedRule"}),
}


def objects(log: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "log", log
    for run in log["runs"]:
        yield from (("run", run), ("tool", run["tool"]), ("driver", run["tool"]["driver"]))
        yield from (("rule", rule) for rule in run["tool"]["driver"]["rules"])
        for invocation in run["invocations"]:
            yield "invocation", invocation
            yield from (("notification", each) for each in invocation["toolExecutionNotifications"])
        for result in run["results"]:
            yield "result", result
            yield from (("suppression", each) for each in result["suppressions"])
            for location in result["locations"]:
                yield from (("location", location), ("physical", location["physicalLocation"]))
                yield from (("logical", each) for each in location["logicalLocations"])


def test_sarif_is_made_of_what_the_standard_has() -> None:
    seen = set[str]()
    for kind, found in objects(json.loads(written_twice("sarif"))):
        needed, more = SARIF[kind]
        assert needed <= found.keys() <= needed | more, kind
        if "level" in found:
            assert found["level"] in {"none", "note", "warning", "error"}
        if "message" in found:
            assert found["message"]["text"]
        seen.add(kind)
    assert seen == SARIF.keys()


def test_a_brace_in_a_sarif_message_is_a_brace_and_no_placeholder() -> None:
    finding = replace(API.findings[0], reason="must be like {team}/[a-z]{2}; see [there](0)")
    (run,) = json.loads(written("sarif", (replace(API, findings=(finding,)),), replace(SUMMARY, incomplete_because=("{0}",))))["runs"]
    assert run["results"][0]["message"]["text"].endswith("must be like {{team}}/[a-z]{{2}}; see [there] (0)")
    assert run["results"][0]["properties"]["reason"] == finding.reason
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "{{0}}"


def test_sarif_places_results_at_the_policy_file() -> None:
    stream = io.StringIO()
    fed(writer_for("sarif", stream, policy_file="our policies/ecr.yaml"))
    (uri,) = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in json.loads(stream.getvalue())["runs"][0]["results"]
    }
    assert uri == "our%20policies/ecr.yaml"


# --- the terminal ---------------------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> TextIO:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


def test_a_terminal_gets_colours_and_its_own_width(terminal: Terminal) -> None:
    fed(writer_for("table", terminal))
    assert "\x1b[31m  high" in terminal.getvalue()
    plain = Text.from_ansi(terminal.getvalue()).plain.splitlines()
    assert max(map(len, plain)) <= 60 < max(map(len, written("table").splitlines()))


def test_no_color_is_respected(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    fed(writer_for("table", terminal))
    assert not any(f"\x1b[{style}m" in terminal.getvalue() for style in ("31", "1;31", "33", "34"))


def test_what_is_no_terminal_gets_plain_text_even_if_colours_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = written("table")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    assert written("table") == plain
    assert "\x1b" not in plain


def test_the_table_ends_with_the_counts() -> None:
    last = written("table").split("\n\n")[-1]
    assert " ".join(last.split()) == "2 of 3 repositories violating; 1 critical, 1 high, 1 exempt, 2 undetermined; 5 calls in 3.2 s"


# --- progress -------------------------------------------------------------------------------------------------------------------------


@dataclass
class Reading:
    listed: int = 0
    total: int | None = None
    completed: int = 0


def test_progress_says_only_what_is_known() -> None:
    reading, now = Reading(), [0.0]
    pulse = Pulse(reading, clock=lambda: now[0])
    said = [pulse.said()]
    reading.listed = 3000
    said.append(pulse.said())
    reading.total = 10_000
    said.append(pulse.said())
    for seconds, completed in ((10, 200), (30, 600), (300, 6000), (301, 6000), (500, 10_000)):
        now[0], reading.completed = float(seconds), completed
        said.append(pulse.said())
    assert said == [
        "listing repositories",
        "3,000 repositories listed so far",
        "0 of 10,000 repositories",
        "200 of 10,000 repositories, 20/s, about 8 minutes left",
        "600 of 10,000 repositories, 20/s, about 8 minutes left",
        "6,000 of 10,000 repositories, 20/s, about 3 minutes left",
        "6,000 of 10,000 repositories, 20/s, about 3 minutes left",
        "10,000 of 10,000 repositories, 20/s",
    ]


def test_the_rate_is_that_of_the_last_minute() -> None:
    reading, now = Reading(total=100_000), [0.0]
    pulse = Pulse(reading, clock=lambda: now[0])
    for second in range(601):
        now[0] = float(second)
        reading.completed += 100 if second < 500 else 1
        said = pulse.said()
    assert said.endswith("1/s, about 14 hours left")


def test_a_rate_below_one_is_told_by_the_minute() -> None:
    reading, now = Reading(total=10), [0.0]
    pulse = Pulse(reading, clock=lambda: now[0])
    pulse.said()
    now[0], reading.completed = 50.0, 5
    assert pulse.said() == "5 of 10 repositories, 6 a minute, about 50 seconds left"


def test_elsewhere_a_line_is_written_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("cli.audit_output.progress.SAY_EVERY", 0.01)
    asked = threading.Semaphore(0)
    monkeypatch.setattr(Pulse, "said", lambda _self: asked.release() or "so far")
    with shown(Reading(), REGION, quiet=False):
        # Once to begin with, and then for each line.
        assert all(asked.acquire(timeout=10) for _ in range(3))
    out, err = capsys.readouterr()
    assert (out, set(err.splitlines())) == ("", {f"{REGION}: so far"})


def test_whoever_wants_quiet_has_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("cli.audit_output.progress.SAY_EVERY", 0.01)
    with shown(Reading(), REGION, quiet=True):
        time.sleep(0.05)
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_drawn_on_the_terminal_that_the_table_is_printed_on(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = writer_for("table", terminal)
    assert isinstance(writer, TableWriter)
    monkeypatch.setattr(sys, "stderr", Terminal())
    writer.begin(ACCOUNT, REGION, HASH)
    with shown(Reading(listed=3, total=3, completed=1), REGION, quiet=False, console=writer.console):
        writer.repository(API)
        writer.console.print("")
    writer.end(SUMMARY)
    assert cast("Terminal", sys.stderr).getvalue() == ""
    assert "1 of 3 repositories" in Text.from_ansi(terminal.getvalue()).plain
    assert "payments/api" in terminal.getvalue()


# --- words ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024 * 1024 - 1, "1.0 MiB"), (3_650_722_201, "3.4 GiB"), (5 << 60, "5120.0 PiB")],
)
def test_sizes_in_words(size_bytes: int, said: str) -> None:
    bare = replace(CLEAN, owner=None, images=None, last_push=None, last_pull=None, size_bytes=size_bytes)
    assert known_facts(bare) == f"no known owner, {said}"


def test_nothing_known_is_no_facts() -> None:
    assert known_facts(replace(CLEAN, owner=None, images=None, size_bytes=None, last_push=None, last_pull=None)) == "no known owner"


def test_the_tally_counts() -> None:
    tally = Tally()
    for repository in REPOSITORIES:
        tally.count(repository)
    assert tally.findings() == "1 critical, 1 high, 1 exempt, 2 undetermined"
    assert tally.rules["naming"] == {"exempt": 1}


# --- foreign text ---------------------------------------------------------------------------------------------------------------------

TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.builds(lambda left, right: left + right, st.sampled_from(HOSTILE), st.text(max_size=20)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=256),
    st.text("`*_[]()<>|\\&#@!~$:/.=+-; \n\tab1", max_size=40),
)
MOMENT = st.none() | st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy wants naive bounds
NUMBER = st.none() | st.integers(min_value=0, max_value=1 << 50)
FINDING = st.builds(
    AuditFinding,
    rule=st.sampled_from(sorted(RULES)) | TEXT,
    severity=st.sampled_from(Severity),
    reason=TEXT,
    state=st.sampled_from(["open", "exempt"]),
)
REPOSITORY = st.builds(
    AuditedRepository,
    name=TEXT,
    origin=TEXT,
    owner=st.none() | TEXT,
    findings=st.lists(FINDING, max_size=3).map(tuple),
    undetermined=st.dictionaries(TEXT, TEXT, max_size=2),
    images=NUMBER,
    size_bytes=NUMBER,
    last_push=MOMENT,
    last_pull=MOMENT,
    unused=st.booleans(),
)
REPOSITORY_LISTS = st.lists(REPOSITORY, max_size=3)
SUMMARIES = st.builds(
    AuditSummary,
    account=TEXT,
    region=TEXT,
    policy_hash=TEXT,
    complete=st.booleans(),
    incomplete_because=st.lists(TEXT, max_size=2).map(tuple),
    repositories=st.integers(0, 9),
    violating=st.integers(0, 9),
    calls=st.dictionaries(TEXT, st.integers(0, 9), max_size=2),
    seconds=st.floats(0, 1e6),
)


def as_expected(audited: AuditedRepository) -> Mapping[str, Any]:
    return {
        "name": audited.name,
        "origin": audited.origin,
        "owner": audited.owner,
        "findings": [
            {"rule": finding.rule, "severity": finding.severity.value, "reason": finding.reason, "state": finding.state}
            for finding in audited.findings
        ],
        "undetermined": dict(audited.undetermined),
        "images": audited.images,
        "size_bytes": audited.size_bytes,
        "last_push": audited.last_push.isoformat() if audited.last_push else None,
        "last_pull": audited.last_pull.isoformat() if audited.last_pull else None,
        "unused": audited.unused,
    }


def assert_shown_safely(text: str) -> None:
    unseen = {unicodedata.category(character) for character in text if character != "\n"} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not unseen


@given(REPOSITORY_LISTS, SUMMARIES)
def test_json_parses_back_equal(repositories: list[AuditedRepository], summary: AuditSummary) -> None:
    text = written("json", repositories, summary)
    document = json.loads(text)
    assert document["repositories"] == [as_expected(repository) for repository in repositories]
    assert (document["account"], document["region"], document["policy_hash"]) == (summary.account, summary.region, summary.policy_hash)
    assert document["incomplete_because"] == list(summary.incomplete_because)
    assert document["calls"] == summary.calls
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


@given(REPOSITORY_LISTS, SUMMARIES)
def test_json_lines_parse_back_equal(repositories: list[AuditedRepository], summary: AuditSummary) -> None:
    *lines, last = [json.loads(line) for line in written("jsonl", repositories, summary).splitlines()]
    where = {"account": summary.account, "region": summary.region}
    assert lines == [{**where, **as_expected(repository)} for repository in repositories]
    told = last["summary"]
    assert told["calls"] == summary.calls
    assert (told["seconds"], told["complete"]) == (summary.seconds, summary.complete)


@given(REPOSITORY_LISTS, SUMMARIES)
def test_sarif_parses_back_equal(repositories: list[AuditedRepository], summary: AuditSummary) -> None:
    text = written("sarif", repositories, summary)
    (run,) = json.loads(text)["runs"]
    told = [
        (
            result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"],
            result["locations"][0]["logicalLocations"][0]["name"],
            result["ruleId"],
            result["properties"]["severity"],
            result["properties"]["reason"],
            result["level"],
            bool(result["suppressions"]),
        )
        for result in run["results"]
    ]
    assert told == [
        (
            f"ecr://{summary.account}/{summary.region}/{repository.name}",
            repository.name,
            finding.rule,
            finding.severity.value,
            finding.reason,
            LEVELS[finding.severity],
            finding.state == "exempt",
        )
        for repository in repositories
        for finding in repository.findings
    ]
    for result in run["results"]:
        assert_shown_safely(result["message"]["text"])
        assert "](" not in result["message"]["text"]
    assert run["invocations"][0]["executionSuccessful"] is summary.complete
    assert text.isascii()


@given(REPOSITORY_LISTS, SUMMARIES)
def test_csv_parses_back_and_holds_no_formula(repositories: list[AuditedRepository], summary: AuditSummary) -> None:
    text = written("csv", repositories, summary)
    assert_shown_safely(text)
    rows = rows_of(text)
    assert len(rows) == len(text.splitlines()) - 1 == sum(len(repository.findings) or 1 for repository in repositories)
    findings = [(repository, finding) for repository in repositories for finding in repository.findings or (None,)]
    for row, (repository, finding) in zip(rows, findings, strict=True):
        assert set(row) == set(COLUMNS)
        for value in row.values():
            shown = unicodedata.normalize("NFKC", value).lstrip()
            assert not shown.startswith(("=", "+", "-", "@", "\u2212")), value
        assert row["repository"].removeprefix("'") == visible(repository.name).removeprefix("'")
        assert row["reason"].removeprefix("'") == (visible(finding.reason).removeprefix("'") if finding else "")


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\0x", " =1", "\n=1", "\u00a0\uff0b1", "\u200b=1", "\ufe66x", "\u207a1"]
)
def test_a_cell_that_would_run_is_text(text: str) -> None:
    assert cell(text) == f"'{visible(text)}"


@pytest.mark.parametrize("text", ["a=1", "payments/api", "'=1", "", "1-2"])
def test_any_other_cell_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@given(REPOSITORY_LISTS, SUMMARIES)
def test_the_table_fits_and_shows_nothing_unseen(repositories: list[AuditedRepository], summary: AuditSummary) -> None:
    text = written("table", repositories, summary)
    assert_shown_safely(text)
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    assert f" of {summary.repositories} repositor" in text


@given(REPOSITORY_LISTS, SUMMARIES)
def test_markdown_keeps_its_form(repositories: list[AuditedRepository], summary: AuditSummary) -> None:
    text = written("markdown", repositories, summary)
    assert_shown_safely(text)
    assert not set("`<>") & set(text)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    told = [repository for repository in repositories if repository.findings or repository.undetermined]
    kinds = [token.type for token in tokens]
    why = 0 if summary.complete else len(summary.incomplete_because) or 1
    assert kinds.count("bullet_list_open") == bool(why) + bool(told) + len(told)
    assert kinds.count("list_item_open") == why + len(told) + sum(len(item.findings) + len(item.undetermined) for item in told)
    assert kinds.count("heading_open") == 1 + bool(told)
    assert kinds.count("table_open") == bool(told)
    columns = [kind for kind in kinds if kind in {"td_open", "th_open"}]
    assert len(columns) == 5 * kinds.count("tr_open")
    assert set(kinds) <= {
        f"{kind}_{side}"
        for kind in ("heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td", "bullet_list", "list_item")
        for side in ("open", "close")
    } | {"inline"}
    parts = {part.type for token in tokens for part in token.children or ()}
    assert parts <= {"text", "text_special", "strong_open", "strong_close"}


@given(TEXT)
def test_escaped_markdown_shows_the_text_itself(text: str) -> None:
    (_, inline, _) = MarkdownIt("commonmark").parse(f"x {escaped(text)} x")
    shown = "".join(part.content for part in cast("Any", inline).children)
    assert shown.replace("\u200b", "") == f"x {tidy(text)} x".replace("x  x", "x  x")
    assert "@" not in shown.replace("@\u200b", "")
