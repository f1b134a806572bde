"""What a policy file may say of retirement, and what it is told where it may not."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ecr_governor.core.policy.load import PolicyInvalid, load
from ecr_governor.core.policy.model import Policy, Unused
from ecr_governor.core.policy.retirement import Caps, Retirement, RetirementTerms, Source, Then, Weekday, Window

TERMS = "after_days, empty_after_days, blank_after_days, misnamed_after_days, grace_days, unowned_grace_days, business_days, quarantine_days, archive_days, then"
CAPS = "per_run, percent, per_owner, per_namespace, per_day, marks"
LEAST, MOST = "0 is out of bounds → write a number of at least 1", "3651 is out of bounds → write a number of at most 3650"
NEGATIVE = "-1 is out of bounds → write a number of at least 0"
SOURCES = "ecs, lambda, apprunner, batch, codebuild, inspector, sagemaker, files"
NOBODY_ASKED = (
    "nobody is asked who uses an image: ECR's times alone say nothing of what runs without pulling "
    "→ name a source, or leave it out for ecs and lambda"
)
TOO_MANY = "100001 is out of bounds → write a number of at most 100000"


def policy(*lines: str) -> Policy:
    return load("\n".join(("version: 1", *lines)), "policy.yaml")


def terms(text: str, name: str = "payments/api") -> RetirementTerms | None:
    return policy(f"namespaces: {{ROOT: {{retirement: {text}}}}}").expectation_for(name).settings.retirement


def problems(line: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        policy(line)
    return [f"{problem.path}: {problem.what}" + (f" → {problem.do}" if problem.do else "") for problem in caught.value.problems]


def test_nothing_is_retired_unless_the_policy_says_so() -> None:
    assert policy().expectation_for("payments/api").settings.retirement is None
    assert policy("namespaces: {ROOT: {unused: {after: 90d}}}").expectation_for("payments/api").settings.retirement is None
    assert terms("null") is None
    assert terms("") is None


def test_the_shortest_terms_only_mark() -> None:
    assert terms("{}") == RetirementTerms(
        after_days=90,
        empty_after_days=None,
        blank_after_days=None,
        misnamed_after_days=None,
        grace_days=14,
        unowned_grace_days=7,
        business_days=False,
        quarantine_days=7,
        archive_days=30,
        then=Then.MARK,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{after_days: 1}", {"after_days": 1}),
        ("{after_days: 3650}", {"after_days": 3650}),
        ("{empty_after_days: 1}", {"empty_after_days": 1}),
        ("{empty_after_days: null}", {"empty_after_days": None}),
        ("{blank_after_days: 3}", {"blank_after_days": 3}),
        ("{misnamed_after_days: 14}", {"misnamed_after_days": 14}),
        ("{grace_days: 1, unowned_grace_days: 3650}", {"grace_days": 1, "unowned_grace_days": 3650}),
        ("{business_days: true}", {"business_days": True}),
        ("{quarantine_days: 2, then: quarantine}", {"quarantine_days": 2, "then": Then.QUARANTINE}),
        ("{quarantine_days: 3650, then: delete}", {"quarantine_days": 3650, "then": Then.DELETE}),
        ("{quarantine_days: 0}", {"quarantine_days": 0}),
        ("{quarantine_days: 0, archive_days: 0, then: mark}", {"quarantine_days": 0, "archive_days": 0}),
        ("{archive_days: 1, then: archive}", {"archive_days": 1, "then": Then.ARCHIVE}),
        ("{archive_days: 0, then: delete}", {"archive_days": 0, "then": Then.DELETE}),
        ("{archive_days: 0, then: quarantine}", {"archive_days": 0, "then": Then.QUARANTINE}),
        ("{archive_days: 3650}", {"archive_days": 3650}),
    ],
)
def test_good_terms_are_taken_as_they_are_said(text: str, said: dict[str, Any]) -> None:
    assert terms(text) == RetirementTerms(**said)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5", f": must be a mapping, not the number 5 → write key: value below it, of {TERMS}; or remove it"),
        ("{after_days: 0}", f".after_days: {LEAST}"),
        ("{after_days: 3651}", f".after_days: {MOST}"),
        ("{after_days: 1.5}", ".after_days: must be a whole number, not the number 1.5 → write a whole number in digits, without quotes"),
        ("{after_days: '9'}", ".after_days: must be a whole number, not the text '9' → write a whole number in digits, without quotes"),
        (
            "{after_days: true}",
            ".after_days: must be a whole number, not the truth value true → write a whole number in digits, without quotes",
        ),
        ("{after_days: null}", ".after_days: must be a whole number, not nothing → write a whole number in digits, without quotes"),
        ("{empty_after_days: 0}", f".empty_after_days: {LEAST}"),
        ("{empty_after_days: 3651}", f".empty_after_days: {MOST}"),
        ("{grace_days: 0}", f".grace_days: {LEAST}"),
        ("{grace_days: 3651}", f".grace_days: {MOST}"),
        ("{unowned_grace_days: 0}", f".unowned_grace_days: {LEAST}"),
        ("{unowned_grace_days: 3651}", f".unowned_grace_days: {MOST}"),
        ("{business_days: 'yes'}", ".business_days: must be true or false, not the text 'yes' → write true or false, without quotes"),
        ("{business_days: 1}", ".business_days: must be true or false, not the number 1 → write true or false, without quotes"),
        ("{quarantine_days: -1}", f".quarantine_days: {NEGATIVE}"),
        ("{quarantine_days: 3651}", f".quarantine_days: {MOST}"),
        (
            "{quarantine_days: 1}",
            (
                ".quarantine_days: 1 is shorter than ECR needs to show a pull: its time is up to 24 hours late "
                "→ write 2 or more, or 0 to leave the stage out"
            ),
        ),
        *(
            (
                f"{{quarantine_days: 0, then: {then}}}",
                (
                    f".quarantine_days: nothing can be taken to {then} without a quarantine: only there does nobody begin to use an image unseen "
                    "→ write 2 or more, or then: mark"
                ),
            )
            for then in ("quarantine", "archive", "delete")
        ),
        (
            "{archive_days: 0, then: archive}",
            ".archive_days: the archive is left out and the last stage → write 1 or more, or another then",
        ),
        ("{archive_days: -1}", f".archive_days: {NEGATIVE}"),
        ("{archive_days: 3651}", f".archive_days: {MOST}"),
        ("{then: destroy}", ".then: 'destroy' is not one of the allowed values → write one of mark, quarantine, archive, delete"),
        ("{then: null}", ".then: has no value → write one of mark, quarantine, archive, delete"),
        ("{days: 5}", f".days: unknown key 'days' → write one of {TERMS}"),
    ],
)
def test_faulty_terms_are_refused_with_the_place(text: str, told: str) -> None:
    assert problems(f"namespaces: {{ROOT: {{retirement: {text}}}}}") == [f"namespaces.ROOT.retirement{told}"]


def test_a_namespace_has_the_whole_of_its_terms_from_root_or_none_of_it() -> None:
    made = policy(
        "namespaces:",
        "  ROOT: {retirement: {after_days: 30, grace_days: 3, then: archive}}",
        "  own: {retirement: {after_days: 60}}",
        "  none: {retirement: null}",
        "  other: {tag_mutability: IMMUTABLE}",
    )
    root = RetirementTerms(after_days=30, grace_days=3, then=Then.ARCHIVE)
    expected = {"payments/api": root, "other/api": root, "own/api": RetirementTerms(after_days=60), "none/api": None}
    assert {name: made.expectation_for(name).settings.retirement for name in expected} == expected


def test_what_is_to_be_retired_is_called_unused_by_the_same_days() -> None:
    made = policy(
        "namespaces:",
        "  ROOT: {retirement: {after_days: 30}}",
        "  own: {retirement: {after_days: 60}}",
        "  said: {unused: {after: 5d}}",
        "  asked: {unused: null}",
        "  none: {retirement: null}",
    )
    expected = {"payments/api": 30, "own/api": 60, "said/api": 5, "asked/api": 30, "none/api": None}
    for name, days in expected.items():
        unused = made.expectation_for(name).settings.unused
        assert unused == (Unused(after=timedelta(days=days)) if days else None)


def test_other_terms_have_another_hash() -> None:
    said = [
        "{}",
        "{after_days: 91}",
        "{empty_after_days: 9}",
        "{blank_after_days: 9}",
        "{misnamed_after_days: 9}",
        "{grace_days: 1}",
        "{unowned_grace_days: 1}",
        "{business_days: true}",
    ]
    said += ["{quarantine_days: 8}", "{archive_days: 31}", "{then: quarantine}"]
    hashes = {each.hash for each in map(terms, said) if each}
    assert len(hashes) == len(said)
    same = terms("{after_days: 90, then: mark}")
    assert same is not None
    assert same.hash in hashes
    assert len(same.hash) == 12


def test_what_is_said_of_retirement_is_part_of_the_policys_hash() -> None:
    bodies = ["retirement: {}", "retirement: {stop: true}", "retirement: {caps: {marks: 7}}", "namespaces: {ROOT: {retirement: {}}}"]
    assert len({policy(body).hash for body in bodies}) == len(bodies)
    assert policy().hash == policy("retirement: {}").hash


# What holds for all retirements


def test_without_a_word_of_it_little_goes_at_once_and_nothing_from_friday_to_sunday() -> None:
    assert policy().retirement == policy("retirement: {}").retirement
    assert policy().retirement == Retirement(
        stop=False,
        sources=(Source.ECS, Source.LAMBDA),
        caps=Caps(per_run=10, percent=5, per_owner=5, per_namespace=5, per_day=20, marks=100),
        window=Window(
            days=(Weekday.MONDAY, Weekday.TUESDAY, Weekday.WEDNESDAY, Weekday.THURSDAY),
            from_hour=0,
            until_hour=24,
        ),
        pull_time_exclusions=(),
    )


def test_all_that_may_be_said_is_taken_as_it_is_said() -> None:
    made = policy(
        "retirement:",
        "  stop: true",
        "  sources: [files, sagemaker, inspector, codebuild, batch, apprunner, ecs, lambda]",
        "  caps: {per_run: 0, percent: 0, per_owner: 100000, per_namespace: 1, per_day: 2, marks: 3}",
        "  window: {days: [sun], from_hour: 23, until_hour: 24}",
        "  pull_time_exclusions: ['arn:aws:iam::123456789012:role/scanner']",
    )
    assert made.retirement == Retirement(
        stop=True,
        sources=(
            Source.FILES,
            Source.SAGEMAKER,
            Source.INSPECTOR,
            Source.CODEBUILD,
            Source.BATCH,
            Source.APP_RUNNER,
            Source.ECS,
            Source.LAMBDA,
        ),
        caps=Caps(per_run=0, percent=0, per_owner=100_000, per_namespace=1, per_day=2, marks=3),
        window=Window(days=(Weekday.SUNDAY,), from_hour=23, until_hour=24),
        pull_time_exclusions=("arn:aws:iam::123456789012:role/scanner",),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "",
            ": must be a mapping, not nothing → write key: value below it, of stop, sources, caps, window, pull_time_exclusions; or remove it",
        ),
        ("{enabled: true}", ".enabled: unknown key 'enabled' → write one of stop, sources, caps, window, pull_time_exclusions"),
        ("{stop: 'true'}", ".stop: must be true or false, not the text 'true' → write true or false, without quotes"),
        ("{stop: 1}", ".stop: must be true or false, not the number 1 → write true or false, without quotes"),
        ("{stop: }", ".stop: must be true or false, not nothing → write true or false, without quotes"),
        ("{sources: ecs}", ".sources: must be a list, not the text 'ecs' → write - before each entry, or the entries in [ ]"),
        (
            "{sources: [eks]}",
            f".sources[0]: 'eks' is not one of the allowed values → did you mean ecs? write one of {SOURCES}",
        ),
        (
            "{sources: []}",
            f".sources: {NOBODY_ASKED}",
        ),
        *((f"{{caps: {{{cap}: -1}}}}", f".caps.{cap}: {NEGATIVE}") for cap in CAPS.split(", ") if cap != "percent"),
        *((f"{{caps: {{{cap}: 100001}}}}", f".caps.{cap}: {TOO_MANY}") for cap in CAPS.split(", ") if cap != "percent"),
        (
            "{caps: {per_day: 1.0}}",
            ".caps.per_day: must be a whole number, not the number 1.0 → write a whole number in digits, without quotes",
        ),
        ("{caps: {percent: -0.1}}", ".caps.percent: -0.1 is out of bounds → write a number of at least 0.0"),
        ("{caps: {percent: 100.5}}", ".caps.percent: 100.5 is out of bounds → write a number of at most 100.0"),
        ("{caps: {per_week: 3}}", f".caps.per_week: unknown key 'per_week' → did you mean per_owner? write one of {CAPS}"),
        (
            "{window: {days: [monday]}}",
            ".window.days[0]: 'monday' is not one of the allowed values → did you mean mon? write one of mon, tue, wed, thu, fri, sat, sun",
        ),
        ("{window: {from_hour: -1}}", f".window.from_hour: {NEGATIVE}"),
        ("{window: {from_hour: 24}}", ".window.from_hour: 24 is out of bounds → write a number of at most 23"),
        ("{window: {until_hour: 0}}", f".window.until_hour: {LEAST}"),
        ("{window: {until_hour: 25}}", ".window.until_hour: 25 is out of bounds → write a number of at most 24"),
        ("{window: {hours: 3}}", ".window.hours: unknown key 'hours' → write one of days, from_hour, until_hour"),
        ("{pull_time_exclusions: [1]}", ".pull_time_exclusions[0]: must be text, not the number 1 → put it in quotes"),
    ],
)
def test_what_may_not_be_said_of_all_retirements_is_refused_with_the_place(text: str, told: str) -> None:
    assert problems(f"retirement: {text}") == [f"retirement{told}"]


@pytest.mark.parametrize("value", ["'5'", "true"])
def test_a_share_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(PolicyInvalid):
        policy(f"retirement: {{caps: {{percent: {value}}}}}")


@pytest.mark.parametrize("window", ["{from_hour: 22, until_hour: 6}", "{from_hour: 9, until_hour: 9}", "{days: []}"])
def test_a_window_that_never_opens_is_refused(window: str) -> None:
    with pytest.raises(PolicyInvalid):
        policy(f"retirement: {{window: {window}}}")


MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "within"),
    [
        (MONDAY, True),
        (MONDAY - timedelta(microseconds=1), False),
        (MONDAY + timedelta(hours=8, microseconds=-1), True),
        (MONDAY + timedelta(hours=8), False),
        (MONDAY + timedelta(days=1), False),
        (MONDAY + timedelta(days=2), True),
        (MONDAY + timedelta(days=6), False),
        (MONDAY.astimezone(timezone(timedelta(hours=-10))), True),
        (MONDAY.replace(tzinfo=timezone(timedelta(hours=1))), False),
    ],
)
def test_a_window_opens_on_its_days_and_hours_of_utc(moment: datetime, within: bool) -> None:
    window = Window(days=(Weekday.MONDAY, Weekday.WEDNESDAY), from_hour=9, until_hour=17)
    assert window.contains(moment) is within


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        (MONDAY, MONDAY),
        (MONDAY + HOUR, MONDAY + HOUR),
        (MONDAY - HOUR, MONDAY),
        (MONDAY + 8 * HOUR - timedelta(microseconds=1), MONDAY + 8 * HOUR - timedelta(microseconds=1)),
        (MONDAY + 8 * HOUR, MONDAY + timedelta(days=2)),
        (MONDAY + timedelta(days=1, minutes=7), MONDAY + timedelta(days=2)),
        (MONDAY + timedelta(days=2, hours=8), MONDAY + timedelta(days=7)),
        (MONDAY.replace(hour=23, tzinfo=timezone(timedelta(hours=-10))), MONDAY + timedelta(days=2)),
    ],
)
def test_the_first_moment_within_a_window_is_the_moment_itself_or_when_it_opens(moment: datetime, opens: datetime) -> None:
    assert Window(days=(Weekday.MONDAY, Weekday.WEDNESDAY), from_hour=9, until_hour=17).opens(moment) == opens


def test_a_window_of_one_day_opens_a_week_later() -> None:
    assert Window(days=(Weekday.MONDAY,), until_hour=9).opens(MONDAY) == MONDAY.replace(hour=0) + timedelta(days=7)


@pytest.mark.parametrize(("after", "day"), list(enumerate(Weekday)))
def test_each_day_of_the_week_has_its_word(after: int, day: Weekday) -> None:
    assert Window(days=(day,)).contains(MONDAY + timedelta(days=after))
    assert not Window(days=(day,)).contains(MONDAY + timedelta(days=after + 1))
