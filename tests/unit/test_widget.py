"""The widget on CloudWatch's dashboard: what is asked, what is shown of a report that is cut to a glance, and in which form."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import html5lib
import pytest

from benchmarks.reports import NOW, sources
from ecr_governor.adapters.dashboard_event import dashboard_call
from ecr_governor.adapters.glance_file import glance_as_data, glance_of_data
from ecr_governor.app.dashboard import answer
from ecr_governor.app.errors import Unintelligible
from ecr_governor.app.reporting import GLANCE
from ecr_governor.core.report.asking import KNOWN, Asked, Misasked, Part, asked, one_of, part_of
from ecr_governor.core.report.build import report_of
from ecr_governor.core.report.glance import AT_MOST, Glance, counted, glance_of, weaknesses
from ecr_governor.core.severity import Severity
from ecr_governor.rendering.report.widget import DESCRIPTION, ROWS, Frame, glance_as_html, repository_as_html, trouble_as_html
from local.dashboard.cleaning import cleaned
from tests.sweeping import MemoryRunStore

DAY = timedelta(days=1)
REPORT = report_of(sources(400), NOW)
WHOLE = glance_of(REPORT)
EVERYTHING = Asked()
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:widget"
FRAME = Frame(ARN, "s3://bucket/reports/latest.html", "https://eu-west-1.console.aws.amazon.com")
CONTEXT = {
    "dashboardName": "ecr-governor-eu-west-1",
    "widgetId": "widget-1",
    "domain": "https://eu-west-1.console.aws.amazon.com",
    "accountId": "123456789012",
    "locale": "en",
    "timezone": {"label": "UTC", "offsetISO": "+00:00", "offsetInMinutes": 0},
    "theme": "light",
    "forms": {"all": {}},
    "params": {"owner": "team-ads"},
    "width": 1200,
    "height": 600,
}


def shown(glance: Glance = WHOLE, wanted: Asked = EVERYTHING, frame: Frame = FRAME, now: Any = NOW) -> str:
    return glance_as_html(glance, wanted, part_of(glance, wanted), frame, now)


def tree_of(html: str) -> Any:
    return html5lib.parse(html, namespaceHTMLElements=False)


def text_of(html: str) -> str:
    return " ".join("".join(tree_of(html).itertext()).split())


def clicks(html: str) -> list[dict[str, Any]]:
    return [json.loads(each.text) for each in tree_of(html).iter("cwdb-action")]


# --- the call -------------------------------------------------------------------------------------------------------------------------


def test_a_click_asks_for_what_it_says_and_the_widget_by_itself_for_its_parameters() -> None:
    first = dashboard_call({"owner": "team-ads", "widgetContext": CONTEXT})
    assert (first.parameters, first.describe, first.dark, first.width, first.height) == ({"owner": "team-ads"}, False, False, 1200, 600)
    assert first.console == "https://eu-west-1.console.aws.amazon.com"
    assert dashboard_call({"repository": "a/b", "widgetContext": CONTEXT}).parameters == {"repository": "a/b"}
    assert dashboard_call({"widgetContext": CONTEXT}).parameters == {"owner": "team-ads"}
    assert dashboard_call({"widgetContext": {**CONTEXT, "theme": "dark"}}).dark
    assert dashboard_call({"describe": True}).describe


@pytest.mark.parametrize(
    "context", [None, [], "x", {}, {"params": [], "theme": 7, "width": "wide", "height": -3, "domain": None}, {"width": 1e308}]
)
def test_what_is_not_as_it_should_be_is_taken_for_absent(context: Any) -> None:
    call = dashboard_call({"widgetContext": context})
    assert (call.parameters, call.console, call.dark, call.width, call.height) == ({}, "", False, None, None)


@pytest.mark.parametrize(
    "domain",
    [
        "https://evil.example",
        "https://evil.example/.console.aws.amazon.com",
        "https://x.console.aws.amazon.com.evil.example",
        "http://eu-west-1.console.aws.amazon.com",
        "javascript:alert(1)//.console.aws.amazon.com",
        'https://"><script>.console.aws.amazon.com',
        "https://[::1.console.aws.amazon.com",
        "https://\uff45vil.console.aws.amazon.com",
    ],
)
def test_nothing_is_linked_but_the_console(domain: str) -> None:
    assert dashboard_call({"widgetContext": {"domain": domain}}).console == ""


def test_of_an_address_no_more_than_the_host_is_believed() -> None:
    call = dashboard_call({"widgetContext": {"domain": "https://me:secret@eu-west-1.console.aws.amazon.com:9/x?y#z"}})
    assert call.console == "https://eu-west-1.console.aws.amazon.com"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"ownr": "x"}, "there is no parameter ownr"),
        ({"owner": 7}, "owner is no text"),
        ({"namespace": "x" * 257}, "namespace is no text"),
        ({"unowned": "yes"}, "unowned is neither true nor false"),
        ({"owner": "x", "unowned": True}, "owner and unowned are both asked for"),
    ],
)
def test_what_nobody_can_be_asked_is_told_with_the_reason_and_what_to_do(parameters: Mapping[str, Any], said: str) -> None:
    with pytest.raises(Misasked) as trouble:
        asked(parameters)
    told = text_of(trouble_as_html(trouble.value, FRAME))
    assert said.lower() in told.lower()
    assert f"Why: {trouble.value.why}." in told
    assert f"Do this: {trouble.value.do}" in told


def test_the_description_tells_each_parameter() -> None:
    assert [name for name in KNOWN if f"**{name}**" not in DESCRIPTION] == []


# --- the glance -----------------------------------------------------------------------------------------------------------------------


def test_a_glance_of_a_large_registry_counts_all_and_keeps_the_gravest_the_soonest_and_some_of_each_owner() -> None:
    report = report_of(sources(6_000), NOW)
    glance = glance_of(report)
    assert len(json.dumps(glance_as_data(glance))) < 2_000_000
    assert len(glance.report.repositories) <= AT_MOST
    assert not glance.whole
    assert glance.going == len(report.steps) == sum(each.count for each in glance.days)
    for name in ("total", "violating", "unused", "needing", "by_severity", "rules", "saving"):
        assert getattr(glance.report, name) == getattr(report, name)
    kept = {each.name for each in glance.report.repositories}
    assert kept >= {each.name for each in report.repositories[:300]} | {step.repository for step in glance.report.steps}
    assert {each.owner for each in glance.report.repositories if each.open_findings} == {
        each.owner for each in report.repositories if each.open_findings
    }
    assert {(each.day, each.to) for each in glance.days} == {(each.day, each.to) for each in counted(glance.report.steps)}


def test_whoever_has_nothing_grave_finds_some_of_his_own_too_and_hears_that_it_is_not_all() -> None:
    one = replace(REPORT.repositories[0], retirement=None)
    finding = one.findings[0]
    loud = [replace(one, name=f"loud/{number}", owner="loud") for number in range(400)]
    low = (replace(finding, severity=Severity.LOW),)
    quiet = [replace(one, name=f"quiet/{number}", owner="quiet", findings=low) for number in range(9)]
    glance = glance_of(replace(REPORT, repositories=(*loud, *quiet), violating=409, steps=()))
    found = Counter(each.owner for each in glance.report.repositories)
    assert found == {"loud": 300, "quiet": 5}
    assert not glance.whole
    assert part_of(glance, Asked(namespace="quiet")).said == "At least 5 repositories below quiet violate the policy (5 low)."


def test_what_could_not_be_judged_is_nowhere_said_to_be_in_order() -> None:
    one = replace(REPORT.repositories[0], retirement=None, findings=(), undetermined={"unused": "AccessDenied"})
    few = glance_of(replace(REPORT, repositories=(replace(one, name="u/1"),), violating=0, steps=()))
    assert part_of(few, Asked(namespace="u")).said == "0 repositories below u violate the policy. 1 repository could not be judged in full."
    many = [replace(one, name=f"{team}/{number}", owner="all") for team in ("a", "z") for number in range(400)]
    glance = glance_of(replace(REPORT, repositories=tuple(many), violating=0, steps=()))
    assert not glance.whole
    assert part_of(glance, Asked(namespace="z")).said == "Nothing below z needs somebody, as far as it is shown here."
    told = text_of(shown(glance, Asked(namespace="z")))
    assert "There is none that needs somebody, as far as it is shown here." in told
    assert "within 30 days, as far as it is shown here." in told


def test_a_glance_is_read_back_as_it_was_and_one_of_another_release_is_none() -> None:
    document = json.loads(json.dumps(glance_as_data(WHOLE)))
    assert glance_of_data(document) == WHOLE
    with pytest.raises(Unintelligible, match="version"):
        glance_of_data({**document, "version": 2})


def test_before_the_first_report_the_widget_says_how_there_will_be_one() -> None:
    runs = MemoryRunStore()
    with pytest.raises(Misasked, match="nothing has been reported yet"):
        answer({}, runs, glance_of_data)
    runs.put_document(GLANCE, {"version": 2})
    with pytest.raises(Misasked, match="another release"):
        answer({}, runs, glance_of_data)
    runs.put_document(GLANCE, glance_as_data(WHOLE))
    found = answer({"owner": ""}, runs, glance_of_data)
    assert isinstance(found.found, Part)
    assert found.found.said == REPORT.verdict
    assert answer({"repository": REPORT.repositories[0].name}, runs, glance_of_data).found == REPORT.repositories[0]


# --- what is shown --------------------------------------------------------------------------------------------------------------------


def test_the_widget_says_what_the_report_says() -> None:
    html, report = shown(), WHOLE.report
    told = text_of(html)
    headline, _, rest = REPORT.verdict.partition(": ")
    assert headline in told
    assert rest[1:] in told
    for number in (report.total, report.violating, report.unused, len(REPORT.steps)):
        assert f"{number:,}" in told
    first = WHOLE.days[0]
    assert f"{first.count} repositor" in told
    assert html.count("<cwdb-action") == len(clicks(html))
    assert report.repositories[0].name in told
    assert "aws s3 cp s3://bucket/reports/latest.html ." in told
    assert "https://eu-west-1.console.aws.amazon.com/s3/object/bucket?region=eu-west-1&amp;prefix=reports/latest.html" in html


def test_an_action_follows_what_is_clicked_and_calls_this_function() -> None:
    tree = tree_of(shown())
    parents = {child: parent for parent in tree.iter() for child in parent}
    actions = list(tree.iter("cwdb-action"))
    assert actions
    for each in actions:
        siblings = list(parents[each])
        assert siblings[siblings.index(each) - 1].tag == "a"
        assert (each.get("action"), each.get("endpoint")) == ("call", ARN)
        asked(json.loads(each.text))
        assert (each.get("display") == "popup") == ("repository" in each.text)


def test_every_click_has_an_answer() -> None:
    for parameters in clicks(shown()):
        wanted = asked(parameters)
        if wanted.repository:
            assert wanted.repository in text_of(repository_as_html(WHOLE, one_of(WHOLE, wanted.repository), FRAME))
        else:
            narrowed = shown(wanted=wanted)
            assert "needs somebody" not in text_of(narrowed)[:80]
            assert {"owner": "", "namespace": ""} in clicks(narrowed)


def test_whoever_asks_for_his_own_sees_nothing_else() -> None:
    owner = next(each for each in REPORT.owners if each.owner and each.violating)
    part = part_of(WHOLE, Asked(owner=owner.owner or ""))
    assert part.said.startswith(f"{owner.violating} of {owner.repositories} repositories of {owner.owner} violate the policy (")
    assert {each.owner for each in part.repositories} == {owner.owner}
    assert sum(each.count for each in part.days) == len(part.steps) == sum(step.owner == owner.owner for step in REPORT.steps)
    unowned = part_of(WHOLE, Asked(unowned=True))
    assert {each.owner for each in unowned.repositories} == {None}
    assert "repositories without a known owner" in unowned.said


def test_a_namespace_ends_at_a_slash() -> None:
    part = part_of(WHOLE, asked({"namespace": "ads/"}))
    assert part.repositories
    assert all(each.name.startswith("ads/") for each in part.repositories)
    assert part_of(WHOLE, Asked(namespace="ad")).said == "Nothing below ad needs somebody."
    cut = replace(WHOLE, going=WHOLE.going + 1)
    assert part_of(cut, Asked(namespace="ad")).said == "Nothing below ad needs somebody, as far as it is shown here."
    assert part_of(cut, Asked(namespace="ads")).said.startswith("At least ")


def test_one_repository_is_shown_with_its_reasons_and_what_is_not_known_is_not_said_to_be_fine() -> None:
    one = next(each for each in REPORT.repositories if each.retirement and each.findings)
    told = text_of(repository_as_html(WHOLE, one, FRAME))
    for said in (one.findings[0].reason, one.findings[0].fix, *(reason.seen for reason in one.retirement.reasons if one.retirement)):
        assert said in told
    with pytest.raises(Misasked, match="not among the repositories that are shown here") as trouble:
        one_of(WHOLE, "payments/nobody-knows")
    assert "may be in order, less grave, or not there" in trouble.value.why


def test_what_weakens_the_answer_is_told_by_the_time_of_whoever_looks() -> None:
    weak = replace(
        REPORT.method,
        complete=False,
        incomplete_because=("first", "second", "third", "fourth"),
        policy_problem="line 7: no such rule",
        unread={"payments/api": "AccessDenied"},
        undetermined={"naming: it may be a cache": 2},
        planned_at=None,
    )
    glance = glance_of(replace(REPORT, method=weak))
    told = " ".join(weaknesses(glance, NOW))
    for said in (
        "Not read: first",
        "1 more reasons are in the report",
        "the last good one judged: line 7: no such rule",
        "Undetermined in 2 repositories: naming: it may be a cache",
        "Not planned: payments/api: AccessDenied",
        "Steps of retirement have not been planned",
    ):
        assert said in told
    assert "No sweep has reported since" not in told
    assert "fourth" not in told
    late = shown(glance, now=NOW + 3 * DAY)
    assert "This is 3 days old." in text_of(late)
    assert "No sweep has reported since 2026-11-26" in text_of(late)


def test_the_age_is_that_of_now_and_not_of_when_it_was_written() -> None:
    written_late = report_of(sources(60), NOW + 2 * DAY)
    assert written_late.verdict.endswith("This is 2 days old.")
    glance = glance_of(written_late)
    assert "old" not in glance.report.verdict
    assert text_of(shown(glance, now=NOW + 5 * DAY)).count("This is 5 days old.") == 1


def test_a_plan_from_before_the_sweep_is_said_to_be_one() -> None:
    stale = replace(REPORT, method=replace(REPORT.method, planned_at=REPORT.method.seen_at - DAY))
    assert "Steps of retirement are those of 2026-11-25: the run after this sweep did not come to its end." in weaknesses(
        glance_of(stale), NOW
    )
    assert not [said for said in weaknesses(WHOLE, NOW) if "retirement" in said]


def test_lost_events_are_told_from_where_the_alarm_goes_off() -> None:
    loss = REPORT.method.event_loss
    assert loss is not None
    for rate, told in ((0.09, False), (0.1, True)):
        glance = glance_of(replace(REPORT, method=replace(REPORT.method, event_loss=replace(loss, announced=9, unannounced=1, rate=rate))))
        assert ("No event told of 1 of 10 changes since the sweep before." in weaknesses(glance, NOW)) is told


def test_what_holds_everything_up_is_told_where_the_steps_are() -> None:
    held = glance_of(replace(REPORT, method=replace(REPORT.method, withheld=("the mode is audit",))))
    assert "Nothing goes forward: the mode is audit" in text_of(shown(held))


def test_a_registry_in_order_is_said_to_be() -> None:
    made = sources(3)
    quiet = report_of(
        replace(
            made, standings=[replace(each, data={**each.data, "findings": [], "undetermined": {}}) for each in made.standings], plan=None
        ),
        NOW,
    )
    told = text_of(shown(glance_of(quiet)))
    assert "All 3 repositories are in order." in told
    assert "There is none that needs somebody." in told
    assert "Nothing goes a step further within 30 days." in told


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (300, 200), (819, 900), (820, 400), (1900, 9_000)])
def test_it_respects_theme_and_size(theme: str, width: int, height: int) -> None:
    frame = replace(FRAME, dark=theme == "dark", width=width, height=height)
    (root,) = (each for each in tree_of(shown(frame=frame)).iter("div") if "ecrg" in each.get("class", ""))
    assert set(root.get("class").split()) == {"ecrg", theme, "wide" if width >= 820 else "narrow"}
    popups = {each["repository"] for each in clicks(shown(frame=frame)) if "repository" in each}
    assert popups
    assert ROWS[0] <= frame.rows <= ROWS[1]
    assert len(shown(frame=frame)) < 60_000


def test_there_is_nothing_in_it_that_cloudwatch_takes_out() -> None:
    for html in (shown(), shown(wanted=Asked(unowned=True)), repository_as_html(WHOLE, REPORT.repositories[0], FRAME)):
        assert html.isascii()
        shown_there, taken = cleaned(html)
        assert taken == []
        assert text_of(shown_there) == text_of(html)
        for element in tree_of(html).iter():
            assert element.tag not in {"script", "iframe", "use", "link", "object", "embed", "base", "meta", "img", "form"}
            assert element.get("href", "https://eu-west-1.console.aws.amazon.com/").startswith("https://eu-west-1.console.aws.amazon.com/")
        (style,) = tree_of(html).iter("style")
        assert "url(" not in style.text
        assert "@import" not in style.text
        # Nothing of the page around it is touched.
        assert all(
            selector.strip().startswith(".ecrg") for rule in style.text.split("}")[:-1] for selector in rule.partition("{")[0].split(",")
        )
