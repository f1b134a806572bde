"""What is known of a repository between two sweeps, and when that is still enough."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.core import listed
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.policy.model import Limits, Mode
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Repository, ScanFrequency, TagMutability, TagMutabilitySetting, Unreadable, Usage
from ecr_governor.core.selection import FULL_CHECK_DAYS, Need, Terms, need
from ecr_governor.core.severity import Severity
from ecr_governor.core.standing import (
    Standing,
    from_line,
    from_record,
    listed_fingerprint,
    name_in,
    read_fingerprint,
    standing_of,
    to_line,
)
from ecr_governor.core.sweep import cost_estimate, decide
from ecr_governor.core.tally import Meter, Tally, as_data, from_data, total
from tests.fakes import T0, a_policy, a_repository

DAY = timedelta(days=1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
MOMENT = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
TIME = MOMENT.map(datetime.isoformat)
NAME = st.text("abc/-._0", min_size=2, max_size=20)
FINDING = st.fixed_dictionaries({"rule": TEXT, "severity": TEXT, "reason": TEXT, "state": st.sampled_from(["open", "exempt"])})
STANDINGS = st.fixed_dictionaries(
    {
        "name": NAME,
        "origin": TEXT,
        "origin_confidence": TEXT,
        "owner": st.none() | TEXT,
        "findings": st.lists(FINDING, max_size=3),
        "undetermined": st.dictionaries(TEXT, TEXT, max_size=2),
        "images": st.none() | st.integers(0, 10**6),
        "size_bytes": st.none() | st.integers(0, 10**15),
        "last_push": st.none() | TIME,
        "last_pull": st.none() | TIME,
        "unused": st.none() | st.booleans(),
        "created_at": TIME,
        "checked_at": TIME,
        "due_at": st.none() | TIME,
        "judged_by": TEXT,
        "listed": TEXT,
        "read": TEXT,
    }
).map(Standing)
KNOWN = Standing(
    {
        "name": "search/x",
        "origin": "unknown",
        "origin_confidence": "none",
        "owner": None,
        "findings": [],
        "undetermined": {},
        "images": None,
        "size_bytes": None,
        "last_push": None,
        "last_pull": None,
        "unused": None,
        "created_at": (T0 - 300 * DAY).isoformat(),
        "checked_at": T0.isoformat(),
        "due_at": None,
        "judged_by": "hash/audit",
        "listed": "l",
        "read": "r",
    }
)


def but(standing: Standing, **changes: Any) -> Standing:
    """The same standing, but for some of its keys."""
    return Standing(standing.data | {key: value.isoformat() if isinstance(value, datetime) else value for key, value in changes.items()})


def fingerprint_of(repository: Repository) -> str:
    return listed_fingerprint(repository, repository.tags)


def need_of(repository: Repository, known: Standing | None, terms: Terms) -> Need | None:
    return need(repository, repository.tags, known, terms)


def known_of(repository: Repository, **changes: Any) -> Standing:
    return but(KNOWN, name=repository.name, created_at=repository.created_at, listed=fingerprint_of(repository), **changes)


@given(STANDINGS)
def test_a_line_is_read_back_as_it_was_written(standing: Standing) -> None:
    line = to_line(standing)
    assert b"\n" not in line
    assert from_line(line) == standing
    assert name_in(line) == standing.name


@pytest.mark.parametrize("line", [b"", b"{}", b'{"name":"x', b'{"origin":"x","name":"y"}'])
def test_what_is_no_line_has_no_name(line: bytes) -> None:
    with pytest.raises(ValueError, match="not the line"):
        name_in(line)


@pytest.mark.parametrize(
    "other",
    [
        {"tags": {"a": "2"}},
        {"tags": {}},
        {"tag_mutability": TagMutabilitySetting(TagMutability.IMMUTABLE)},
        {"tag_mutability": TagMutabilitySetting(TagMutability.MUTABLE_WITH_EXCLUSION, frozenset({"x*"}))},
        {"scan_on_push": True},
    ],
)
def test_each_listed_setting_is_part_of_the_fingerprint(other: dict[str, Any]) -> None:
    before = a_repository(tags={"a": "1"})
    assert fingerprint_of(before) == fingerprint_of(a_repository(tags={"a": "1"}))
    assert fingerprint_of(before) != fingerprint_of(replace(before, **other))


@pytest.mark.parametrize(
    "other",
    [{"lifecycle_policy": "{}"}, {"repository_policy": "{}"}, {"scan_frequency": ScanFrequency.SCAN_ON_PUSH}],
)
def test_each_setting_that_is_read_is_part_of_the_other(other: dict[str, Any]) -> None:
    before = a_repository()
    assert read_fingerprint(before) != read_fingerprint(replace(before, **other))
    assert fingerprint_of(before) == fingerprint_of(replace(before, **other))


@pytest.mark.parametrize("part", ["tags", "tag_mutability", "encryption"])
def test_what_could_not_be_read_has_no_fingerprint(part: str) -> None:
    assert fingerprint_of(replace(a_repository(), **{part: Unreadable("denied")})) == ""


@pytest.mark.parametrize("part", ["lifecycle_policy", "repository_policy", "scan_frequency"])
def test_what_was_refused_has_none_but_what_nobody_asked_for_does_not_matter(part: str) -> None:
    assert read_fingerprint(replace(a_repository(), **{part: Unreadable("denied")})) == ""
    assert read_fingerprint(replace(a_repository(), **{part: Unreadable("not fetched")}))


@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_the_order_of_tags_makes_no_difference(tags: dict[str, str]) -> None:
    turned = dict(reversed(tags.items()))
    assert fingerprint_of(a_repository(tags=tags)) == fingerprint_of(a_repository(tags=turned))


def test_what_was_listed_is_handed_on_whole() -> None:
    plain = a_repository(tags={"a": "1"}, scan_on_push=True, tag_mutability=TagMutabilitySetting(TagMutability.MUTABLE, frozenset({"x"})))
    dark = replace(plain, tags=Unreadable("a"), tag_mutability=Unreadable("b"), encryption=Unreadable("c"))
    for repository in (plain, dark):
        back = listed.from_data(json.loads(json.dumps(listed.as_data(repository))))
        for part in ("name", "arn", "account", "region", "created_at", "tags", "tag_mutability", "encryption", "scan_on_push"):
            assert getattr(back, part) == getattr(repository, part)


@pytest.mark.parametrize(
    ("known", "terms", "expected"),
    [
        ({}, {}, None),
        ({"judged_by": "other/audit"}, {}, Need.OTHER_POLICY),
        ({"judged_by": "hash/enforce"}, {}, Need.OTHER_POLICY),
        ({}, {"everything": True}, Need.OTHER_POLICY),
        ({"undetermined": {"naming": "why"}}, {}, Need.UNDETERMINED),
        ({"read": ""}, {}, Need.UNDETERMINED),
        ({}, {"announced": frozenset({"payments/api"})}, Need.ANNOUNCED),
        ({"due_at": T0}, {}, Need.DUE),
        ({"due_at": T0 + timedelta(seconds=1)}, {}, None),
        ({"checked_at": T0 - 7 * DAY}, {}, Need.SHARE),
        ({"checked_at": T0 - 7 * DAY}, {"share": False}, None),
    ],
)
def test_a_repository_is_read_for_a_reason(known: dict[str, Any], terms: dict[str, Any], expected: Need | None) -> None:
    repository = a_repository()
    assert need_of(repository, known_of(repository, **known), Terms("hash/audit", T0, **terms)) is expected


def test_a_repository_that_is_new_or_another_is_read() -> None:
    repository, terms = a_repository(), Terms("hash/audit", T0)
    assert need_of(repository, None, terms) is Need.UNKNOWN
    assert need_of(repository, but(known_of(repository), created_at=T0 - DAY), terms) is Need.RECREATED
    assert need_of(replace(repository, tags={"a": "1"}), known_of(repository), terms) is Need.CHANGED
    assert need_of(replace(repository, tags=Unreadable("denied")), known_of(repository), terms) is Need.CHANGED


def test_each_name_has_its_day_of_the_week() -> None:
    """Whatever the name, exactly one night of each week is its own; and no night is anything like all of them."""
    nights: dict[int, int] = {}
    for number in range(700):
        repository = a_repository(f"payments/service-{number}")
        its = [
            night
            for night in range(1, FULL_CHECK_DAYS + 1)
            if need_of(repository, known_of(repository, checked_at=T0 + night * DAY - 5 * DAY), Terms("hash/audit", T0 + night * DAY))
        ]
        assert len(its) == 1
        nights[its[0]] = nights.get(its[0], 0) + 1
    assert len(nights) == FULL_CHECK_DAYS
    assert max(nights.values()) < 150


def test_a_standing_sums_up_what_was_judged() -> None:
    policy = a_policy(
        'naming: {convention: "{team}/{service}", segments: {team: [search]}}\nnamespaces: {ROOT: {unused: {after: 90d}, image_tags: {regex: v1}}}\n'
    )
    repository = a_repository(
        created_at=T0 - 300 * DAY,
        tags={"owner": "alice"},
        images=Unreadable("denied"),
        usage=Usage(last_push=T0 - 300 * DAY, last_pull=T0 - 10 * DAY, images=3, size_bytes=7),
    )
    standing = standing_of(repository, evaluate(repository, policy, T0), policy, T0, T0 + 500 * DAY)
    assert [finding["rule"] for finding in standing.findings] == ["naming"]
    assert list(standing.undetermined) == ["image-tag"]
    assert (standing.owner, standing.data["images"], standing.size_bytes, standing.unused) == ("alice", 3, 7, False)
    assert standing.due_at is not None
    assert T0 + 80 * DAY <= standing.due_at <= T0 + 82 * DAY
    assert standing.judged_by == f"{policy.hash}/audit"


def test_what_a_look_left_in_the_ledger_is_a_standing() -> None:
    open_one = Finding("a/b", "naming", Severity.HIGH, FindingState.OPEN, Mode.AUDIT, "why", (), T0)
    findings = (
        open_one,
        replace(open_one, rule="scanning", state=FindingState.RESOLVED),
        replace(open_one, rule="x", state=FindingState.EXEMPT),
    )
    record = RepositoryRecord("a/b", created_at=T0, findings=findings, policy_hash="hash", listed="l", read="r", owner="alice")
    fresh = from_record(record, None, T0)
    assert fresh is not None
    assert [(finding["rule"], finding["state"]) for finding in fresh.findings] == [("naming", "open"), ("x", "exempt")]
    assert fresh.open_rules == {"naming"}
    former = but(KNOWN, name="a/b", created_at=T0, images=5, last_pull=T0, unused=True, due_at=T0 + DAY)
    carried = from_record(record, former, T0)
    assert carried is not None
    assert (carried.data["images"], carried.last_pull, carried.unused, carried.due_at) == (5, T0, False, T0 + DAY)
    other = from_record(record, but(former, created_at=T0 - DAY), T0)
    assert other is not None
    assert other.data["images"] is None
    assert from_record(replace(record, gone_at=T0), former, T0) is None
    assert from_record(replace(record, policy_hash=""), former, T0) is None


@given(st.lists(st.lists(STANDINGS, max_size=3), max_size=4))
def test_parts_of_a_tally_add_up_to_the_whole_in_any_order(parts: list[list[Standing]]) -> None:
    whole, tallies = Tally(), []
    for part in parts:
        tally = Tally()
        for standing in part:
            tally.add(standing, "ROOT", None)
            whole.add(standing, "ROOT", None)
        tallies.append(tally)
    for order in (tallies, tallies[::-1]):
        summed = total(order)
        assert {**as_data(summed), "opened_in": 0} == {**as_data(whole), "opened_in": 0}
    assert as_data(from_data(json.loads(json.dumps(as_data(whole))))) == as_data(whole)


def test_what_is_not_known_now_is_not_resolved() -> None:
    tally = Tally()
    broken = [{"rule": rule, "severity": "high", "reason": "why", "state": "open"} for rule in ("naming", "unused")]
    tally.add(but(KNOWN, undetermined={"unused": "denied"}), "ROOT", but(KNOWN, findings=broken))
    assert tally.resolved == {"naming": 1}


def test_the_meter_gives_no_rate_where_nothing_changed() -> None:
    meter = Meter()
    assert meter.loss is None
    meter.hear(announced=True, name="a", what="x")
    assert meter.loss == 0.0
    meter.hear(announced=False, name="b", what="created")
    assert (meter.loss, meter.examples) == (0.5, ["b: created"])


@given(st.lists(st.sampled_from(["a", "b", "c", "d"])), st.integers(0, 5))
def test_a_decision_never_goes_beyond_the_cap(names: list[str], cap: int) -> None:
    decision = decide(names, ["gone"], Limits(remedies_per_sweep=cap))
    assert len(decision.looks) <= cap
    assert decision.vanished == ("gone",)
    if len(set(names)) <= cap:
        assert set(decision.looks) == set(names)
        assert decision.withheld == ""
    else:
        assert decision.looks == ()
        assert str(len(set(names))) in decision.withheld


def test_only_metrics_and_time_cost_anything() -> None:
    assert cost_estimate({"ecr:DescribeImages": 10**6}, 0) == 0
    assert cost_estimate({"cloudwatch:GetMetricData": 20}, 0) == pytest.approx(0.1)
    assert cost_estimate({}, 3600) > 0
