"""What a policy would have done: found, changed, retired, regretted; and what the records do not tell stays unknown."""

import random
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

import pytest

from cli.backtest import playing
from cli.backtest.command import _is_ours
from cli.backtest.history import NO_READS, History, knowledge_of
from cli.backtest.playing import Fate, play
from cli.backtest.registry import Registry
from cli.backtest.repository import Setting, Wish
from cli.backtest.result import Result, summed_up
from cli.policy.cases import Happening
from cli.policy.inventory import Line
from cli.policy.rehearsal import World, rehearse
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.repository import Repository, ScanFrequency, Usage
from ecr_governor.core.retirement.state import Stage
from tests.fakes import LIFECYCLE, a_policy, a_repository
from tests.trails import ACCOUNT, BORN, DAY, REGION, Trail

NAME = "payments/api"
POLICY = """
mode: enforce
naming:
  convention: "{team}/{service}"
  segments: {team: [payments, search], service: {regex: "[a-z][a-z0-9-]+"}}
namespaces:
  ROOT:
    tag_mutability: IMMUTABLE
    image_tags: {regex: "v[0-9.]+"}
    required_tags: {owner: {set: "{pusher}"}}
    auto_created: {allowed: [create_on_push], grace: 24h}
    retirement: {after_days: 30, empty_after_days: 20, grace_days: 7, unowned_grace_days: 3, quarantine_days: 3, archive_days: 5, then: delete}
retirement:
  window: {days: [mon, tue, wed, thu, fri, sat, sun]}
  caps: {percent: 100}
"""


def history_of(records: Iterable[dict[str, object]]) -> History:
    history = History(partial(_is_ours, "ecr-governor"))
    for record in records:
        history.take(record)
    return history


def played(trail: Trail, policy: Policy | str = POLICY, *lines: Line, complete: bool = True, wish: Wish | None = None) -> dict[str, Fate]:
    found = a_policy(policy) if isinstance(policy, str) else policy
    history = history_of(trail.records)
    setting = Setting(
        ACCOUNT, REGION, found, knowledge_of(history, complete=complete), Registry(history.registry), history.actors, wish or Wish()
    )
    known = {line.repository.name: line for line in lines}
    names = {*(name for name, past in history.pasts.items() if past.existed), *known}
    return {name: play(name, history.pasts.get(name), known.get(name), setting) for name in sorted(names)}


def summed(trail: Trail, *lines: Line, policy: str = POLICY, complete: bool = True) -> Result:
    found = a_policy(policy)
    knowledge = knowledge_of(history_of(trail.records), complete=complete)
    return summed_up(played(trail, found, *lines, complete=complete).values(), found, (ACCOUNT, REGION), knowledge, (0, 0), {})


def steps(fate: Fate) -> list[tuple[int, Stage]]:
    return [((each.at - BORN).days, each.to) for each in fate.steps]


def in_inventory(name: str = NAME, **facts: object) -> Line:
    return Line(a_repository(name, created_at=BORN - 400 * DAY, **facts), None, {}, frozenset(), "", counted=True)


def lonely(days: float = 120) -> Trail:
    """One repository that is pushed to once and never pulled from, and read events by others until the end."""
    trail = Trail().created(NAME).pushed(NAME, 0.001)
    return trail.call("DescribeRepositories", days, who="somebody")


def rules(fate: Fate) -> set[str]:
    return {finding.rule for finding in fate.findings}


# --- found and changed ----------------------------------------------------------------------------------------------------------------


def test_what_is_found_is_put_right_as_far_as_the_policy_goes_and_found_again_when_it_drifts() -> None:
    trail = Trail().created("payments/check_out").pushed("payments/check_out", 0.001, "latest")
    trail.call("PutImageTagMutability", 2, "payments/check_out", imageTagMutability="MUTABLE").call("DescribeImages", 3)
    fate = played(trail)["payments/check_out"]
    assert rules(fate) == {"naming", "image-tag", "required-tags", "tag-mutability"}
    assert [action for _, action, _ in fate.changes] == ["PutImageTagMutability", "TagResource", "PutImageTagMutability"]
    assert [finding.resolved_at is None for finding in fate.findings if finding.rule == "naming"] == [True]
    assert len([finding for finding in fate.findings if finding.rule == "tag-mutability" and finding.resolved_at]) == 2


def test_a_rule_goes_as_far_as_the_namespace_says() -> None:
    policy = POLICY.replace("\nretirement:\n", "\n  payments: {rules: {tag-mutability: audit, required-tags: off}}\nretirement:\n", 1)
    fate = played(lonely(), policy)[NAME]
    assert "tag-mutability" in rules(fate)
    assert "required-tags" not in rules(fate)
    assert "PutImageTagMutability" not in {action for _, action, _ in fate.changes}


def test_in_audit_nothing_is_changed_or_retired() -> None:
    policy = a_policy(POLICY).in_mode(Mode.AUDIT)
    fate = played(lonely(), policy)[NAME]
    assert "tag-mutability" in rules(fate)
    assert (fate.changes, fate.steps) == ([], [])


def test_what_is_mended_before_its_event_arrives_is_never_seen() -> None:
    trail = Trail().created(NAME, imageTagMutability="MUTABLE").call("PutImageTagMutability", 0.0001, NAME, imageTagMutability="IMMUTABLE")
    trail.tagged(NAME, 0.0002, owner="payments").call("DescribeImages", 3)
    assert rules(played(trail)[NAME]) == set()
    assert "tag-mutability" in rules(played(trail, wish=Wish(delay=timedelta(0)))[NAME])


def test_what_our_own_roles_did_is_played_and_not_taken_from_the_records() -> None:
    trail = Trail().created(NAME).pushed(NAME, 0.001)
    trail.call("PutImageTagMutability", 0.002, NAME, role="ecr-governor-RepositoryEventsRole-1", imageTagMutability="IMMUTABLE")
    trail.call("DescribeImages", 3)
    assert [action for _, action, _ in played(trail)[NAME].changes] == ["PutImageTagMutability", "TagResource"]


def test_what_our_own_roles_pull_is_no_use() -> None:
    trail = lonely()
    for day in (10, 20, 25):
        trail.call("BatchGetImage", day, NAME, role="ecr-governor-RetireRole-1")
    assert steps(played(trail)[NAME])[0] == (31, Stage.MARKED)


def test_of_the_same_second_a_creation_comes_first() -> None:
    trail = Trail().tagged(NAME, 0, owner="payments").pushed(NAME, 0).created(NAME, 0).call("DescribeImages", 3)
    fate = played(trail)[NAME]
    assert fate.owner == "payments"
    assert "required-tags" not in rules(fate)


def test_a_setting_that_is_fought_over_is_left_alone_for_an_hour() -> None:
    trail = Trail().created(NAME)
    for number in range(20):
        trail.call("PutImageTagMutability", 1 + number / 480, NAME, "terraform", imageTagMutability="MUTABLE")
    put_right = [at for at, action, _ in played(trail.call("DescribeImages", 3))[NAME].changes if action == "PutImageTagMutability"]
    # Once at first, and five times within the hour of the fight.
    assert len(put_right) == 1 + 5


def test_a_blank_repository_is_found_when_its_grace_is_over() -> None:
    trail = Trail().call("CreateRepositoryCreationTemplate", -1, prefix="ROOT", appliedFor=["CREATE_ON_PUSH"])
    creator = {"role": "x", "who": "y"}
    trail.call("CreateRepository", 0, NAME, **creator, response={"repository": {"imageTagMutability": "IMMUTABLE"}})  # type: ignore[arg-type]
    issuer = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecr.amazonaws.com/AWSServiceRoleForECRTemplate"
    identity = trail.records[-1]["userIdentity"]
    identity |= {"invokedBy": "ecr.amazonaws.com", "sessionContext": {"sessionIssuer": {"arn": issuer}}}
    trail.call("DescribeImages", 3)
    (finding,) = [finding for finding in played(trail)[NAME].findings if finding.rule == "auto-created"]
    assert finding.opened_at == BORN + DAY
    assert "holds no image 24 h after it was created" in finding.reason


def test_of_a_repository_from_before_the_records_only_what_nothing_changes_is_known_from_the_inventory() -> None:
    trail = Trail().pulled(NAME, 0).call("PutLifecyclePolicy", 2, NAME, lifecyclePolicyText="{}").call("DescribeImages", 5)
    line = in_inventory(images=(), holds_image=True, tags={"owner": "payments"}, lifecycle_policy="{}")
    policy = POLICY.replace("    tag_mutability", f"    lifecycle_policy: {LIFECYCLE}\n    tag_mutability").replace("enforce", "audit")
    fate = played(trail, policy, line)[NAME]
    lifecycle = [finding for finding in fate.findings if finding.rule == "lifecycle-policy"]
    assert [finding.opened_at.date() for finding in lifecycle] == [(BORN + 2 * DAY).date()]
    assert "tag-mutability" in rules(fate)
    alone = played(trail, policy)[NAME]
    assert {"tag-mutability", "required-tags", "naming"} - alone.undetermined.keys() <= {"naming"}
    assert rules(alone) == {"lifecycle-policy"}


def test_tags_from_before_are_known_once_every_key_was_told() -> None:
    line = in_inventory(images=(), holds_image=True, tags={"owner": "new", "team": "payments"})
    trail = Trail().pulled(NAME, 0).tagged(NAME, 3, owner="new").call("DescribeImages", 5)
    fate = played(trail, POLICY, line)[NAME]
    assert fate.owner == "new"
    trail.untagged(NAME, 4, "owner").call("DescribeImages", 6)
    gone = played(trail, POLICY, in_inventory(images=(), holds_image=True, tags={"team": "payments"}))[NAME]
    assert [finding.reason for finding in gone.findings if finding.rule == "required-tags"] == ["has no tag owner"]


def test_who_only_asks_in_vain_makes_no_repository() -> None:
    trail = Trail().call("InitiateLayerUpload", 0, "paymets/api", error="RepositoryNotFoundException").created(NAME, 1)
    assert played(trail).keys() == {NAME}


def test_a_deleted_repository_is_judged_no_more_and_a_new_one_of_the_name_begins_anew() -> None:
    trail = Trail().created("payments/a_b").call("DeleteRepository", 2, "payments/a_b").created("payments/a_b", 4).call("DescribeImages", 5)
    opened = [finding for finding in played(trail)["payments/a_b"].findings if finding.rule == "naming"]
    assert [(finding.opened_at.date(), finding.resolved_at is None) for finding in opened] == [
        (BORN.date(), False),
        ((BORN + 4 * DAY).date(), True),
    ]


# --- retired and regretted ------------------------------------------------------------------------------------------------------------

HISTORIES: dict[str, list[dict[str, object]]] = {
    "left alone": [{"day": 0, "pushed": "v1"}],
    "pulled while marked": [{"day": 0, "pushed": "v1"}, {"day": 35, "pulled": True}],
    "pulled in quarantine": [{"day": 0, "pushed": "v1"}, {"day": 37.5, "pulled": True}],
    "pushed in quarantine": [{"day": 0, "pushed": "v1"}, {"day": 37.5, "pushed": "v2"}],
    "pulled in the archive": [{"day": 0, "pushed": "v1"}, {"day": 41, "pulled": True}],
    "empty": [],
    "pulled now and then": [{"day": 0, "pushed": "v1"}, *({"day": day, "pulled": True} for day in range(10, 90, 10))],
    "tagged while marked": [{"day": 0, "pushed": "v1"}, {"day": 33, "tagged": {"team": "payments"}}],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES.keys())
def test_a_retirement_goes_as_it_is_rehearsed(history: list[dict[str, object]]) -> None:
    policy = a_policy(POLICY.replace('    required_tags: {owner: {set: "{pusher}"}}\n', ""))
    trail, happenings = Trail().created(NAME), [Happening(at=BORN, created="api")]  # type: ignore[arg-type]
    for number, event in enumerate(history):
        day, what = float(str(event["day"])) + 0.001 * (number + 1), {key: value for key, value in event.items() if key != "day"}
        happenings.append(Happening(at=BORN + timedelta(days=day), **what))  # type: ignore[arg-type]
        if "pushed" in event:
            trail.pushed(NAME, day, str(event["pushed"]))
        elif "tagged" in event:
            trail.tagged(NAME, day, team="payments")
        else:
            trail.pulled(NAME, day)
    trail.call("DescribeImages", 100)

    def repository(at: object) -> Repository:
        past = [each for each in happenings if each.at <= at]  # type: ignore[operator]
        uses = [each.at for each in past if each.pushed or each.pulled]
        return a_repository(NAME, created_at=BORN, usage=Usage(max(uses, default=None)))

    rehearsed = rehearse(World(NAME, "arn", BORN, BORN), happenings, policy, BORN + 100 * DAY, repository).steps
    assert steps(played(trail, policy)[NAME]) == [((each.at - BORN).days, each.to) for each in rehearsed]


def test_what_is_pulled_in_quarantine_is_regretted_once_and_given_back() -> None:
    trail = lonely()
    trail.pulled(NAME, 40.2, "deploy").pulled(NAME, 40.3, "deploy")
    fate = played(trail)[NAME]
    assert [to for _, to in steps(fate)][:3] == [Stage.MARKED, Stage.QUARANTINED, Stage.OBSERVED]
    (regret,) = fate.regrets
    assert (regret.stage, regret.what, regret.by) == (Stage.QUARANTINED, "pulled", "deploy")
    result = summed(trail)
    assert (result.regret.reached, result.regret.regretted) == (2, 1)
    assert result.regret.rate == 1 / 2


def test_a_quarantine_that_was_given_back_for_another_reason_is_not_regretted() -> None:
    trail = lonely().tagged(NAME, 39.9, team="payments").pulled(NAME, 50.1)
    fate = played(trail, POLICY.replace("grace_days: 7", "grace_days: 8"))[NAME]
    assert [to for _, to in steps(fate)][:6] == [
        Stage.MARKED,
        Stage.QUARANTINED,
        Stage.OBSERVED,
        Stage.MARKED,
        Stage.QUARANTINED,
        Stage.OBSERVED,
    ]
    found = summed(trail, policy=POLICY.replace("grace_days: 7", "grace_days: 8"))
    assert (found.stages[Stage.QUARANTINED].reached, found.stages[Stage.QUARANTINED].regretted) == (3, 1)


@pytest.mark.parametrize(
    ("event", "error", "what"),
    [
        ("BatchGetImage", "", "pulled"),
        ("BatchGetImage", "RepositoryNotFoundException", "was refused BatchGetImage"),
        ("PutImage", "AccessDenied", "was refused PutImage"),
    ],
)
def test_what_is_wanted_after_its_deletion_is_regretted_for_good(event: str, error: str, what: str) -> None:
    trail = lonely().call(event, 100, NAME, "deploy", error=error).call(event, 101, NAME, "deploy", error=error)
    fate = played(trail)[NAME]
    assert fate.stage is Stage.DELETED
    assert [(regret.stage, regret.what) for regret in fate.regrets] == [(Stage.DELETED, what)]
    assert {stage: found.regretted for stage, found in summed(trail).stages.items() if found.regretted} == {
        Stage.QUARANTINED: 1,
        Stage.ARCHIVED: 1,
        Stage.DELETED: 1,
    }


def test_a_refused_pull_of_a_recorded_quarantine_is_use_where_nothing_is_in_quarantine() -> None:
    trail = lonely().call("BatchGetImage", 25, NAME, "deploy", error="AccessDenied")
    assert steps(played(trail)[NAME])[0] == (56, Stage.MARKED)
    assert steps(played(lonely())[NAME])[0] == (31, Stage.MARKED)


def test_a_refusal_of_who_has_pulled_before_is_a_refusal() -> None:
    trail = lonely().pulled(NAME, 1, "deploy").call("BatchGetImage", 41, NAME, "deploy", error="AccessDenied")
    assert [(regret.what, regret.stage) for regret in played(trail)[NAME].regrets] == [("was refused BatchGetImage", Stage.QUARANTINED)]


def test_who_removes_the_mark_objects_and_our_own_mark_is_no_tag_of_theirs() -> None:
    trail = lonely().tagged(NAME, 5, **{"ecr-governor:delete-after": "2026-02-01"}).untagged(NAME, 33, "ecr-governor:delete-after")
    assert steps(played(trail)[NAME])[:3] == [(31, Stage.MARKED), (33, Stage.OBSERVED), (63, Stage.MARKED)]


def test_a_protected_repository_and_one_of_cloudformation_are_never_retired() -> None:
    assert played(lonely().tagged(NAME, 5, **{"ecr-governor:protect": "1"}))[NAME].steps == []
    trail = lonely()
    trail.records[0]["userIdentity"]["invokedBy"] = "cloudformation.amazonaws.com"
    assert played(trail)[NAME].steps == []


def test_pulls_that_ecr_does_not_record_do_not_keep_and_are_still_refused_in_quarantine() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/scanner"
    policy = POLICY.replace("retirement:\n  window", f"retirement:\n  pull_time_exclusions: ['{role}']\n  window")
    trail = lonely()
    for day in (10, 20, 30, 40):
        trail.call("BatchGetImage", day, NAME, role="scanner")
    fate = played(trail, policy)[NAME]
    assert steps(fate)[0] == (31, Stage.MARKED)
    assert [regret.stage for regret in fate.regrets] == [Stage.QUARANTINED]


def test_nights_over_a_cap_are_told() -> None:
    trail = lonely()
    for number in range(5):
        trail.created(f"payments/other-{number}", 0).pushed(f"payments/other-{number}", 0.001)
    held = summed(trail, policy=POLICY.replace("caps: {percent: 100}", "caps: {percent: 100, per_run: 4, marks: 5}")).held
    assert any("would be marked, caps.marks is 5" in over for night in held for over in night.over)
    assert any("6 repositories would go on, caps.per_run is 4" in over for night in held for over in night.over)


def test_owners_are_told_of_findings_and_of_every_stage() -> None:
    trail = lonely().tagged(NAME, 0.002, owner="payments")
    told = summed(trail).told
    assert told["payments", ""] == (1, 1 + 4)


# --- what is not known ----------------------------------------------------------------------------------------------------------------


def test_without_read_events_nobody_knows_who_pulls_and_nothing_is_retired() -> None:
    trail = Trail().created(NAME).pushed(NAME, 0.001).pushed("payments/other", 100)
    fate = played(trail)[NAME]
    assert fate.steps == []
    assert NO_READS in fate.unknown
    assert "unused" in fate.undetermined
    assert summed(trail).incomplete


def test_without_read_events_ecrs_own_times_tell_when_it_was_last_used() -> None:
    trail = Trail().pushed("payments/other", 0).pushed("payments/other", 100)
    usage = Usage(BORN - 90 * DAY, BORN + 20 * DAY, 1, 1)
    facts = {"images": (), "holds_image": True, "tags": {}, "scan_frequency": ScanFrequency.MANUAL, "usage": usage}
    fate = played(trail, POLICY, in_inventory(**facts))[NAME]
    assert steps(fate)[0] == (51, Stage.MARKED)
    assert fate.unknown == ""


def test_what_is_not_told_of_before_the_records_counts_as_use() -> None:
    trail = Trail().call("DescribeImages", 0).call("DescribeImages", 60)
    facts = {"images": (), "holds_image": True, "tags": {}, "usage": Usage(BORN - 90 * DAY, None, 1, 1)}
    assert steps(played(trail, POLICY, in_inventory(**facts))[NAME])[0] == (30, Stage.MARKED)
    watched = Wish(watched_since=BORN - 60 * DAY)
    assert steps(played(trail, POLICY, in_inventory(**facts), wish=watched)[NAME])[0] == (0, Stage.MARKED)
    facts["usage"] = Usage(BORN - 90 * DAY, BORN + 61 * DAY, 1, 1)
    assert steps(played(trail, POLICY, in_inventory(**facts), wish=watched)[NAME])[0] == (31, Stage.MARKED)


def test_a_missing_day_puts_off_what_it_may_hide_a_use_of() -> None:
    trail = Trail().created(NAME).pushed(NAME, 0.001)
    for day in range(1, 45):
        if day != 20:
            trail.call("DescribeImages", day)
    fate = played(trail, complete=False)[NAME]
    assert fate.steps == []
    assert fate.unknown == f"{(BORN + 20 * DAY).date()}: there is no record at all"
    assert played(trail)[NAME].stage is not Stage.OBSERVED
    assert played(trail, POLICY, in_inventory(usage=Usage(BORN, None, 1, 1)), complete=False)[NAME].unknown == ""


def test_a_missing_day_stops_a_retirement_that_is_under_way() -> None:
    trail = Trail().created(NAME).pushed(NAME, 0.001)
    for day in range(1, 60):
        if day != 33:
            trail.call("DescribeImages", day)
    fate = played(trail, complete=False)[NAME]
    assert steps(fate) == [(31, Stage.MARKED)]
    assert "no record at all" in fate.unknown


def test_no_step_is_taken_on_a_day_of_which_the_records_do_not_tell() -> None:
    policy = POLICY.replace("sun]}", "sun], from_hour: 12}")
    trail = Trail().created(NAME).pushed(NAME, 0.001).call("DescribeImages", 0.002)
    for day in range(1, 50):
        if day != 31:
            trail.call("DescribeImages", day)
    assert steps(played(trail, policy)[NAME])[0] == (31, Stage.MARKED)
    assert played(trail, policy, complete=False)[NAME].steps == []


def test_a_day_without_read_events_stops_a_retirement_and_takes_nothing_back() -> None:
    trail = Trail().created(NAME).pushed(NAME, 0.001)
    for day in range(1, 60):
        if day != 33:
            trail.call("DescribeImages", day)
    trail.created("payments/other", 33)
    fate = played(trail, complete=False)[NAME]
    assert steps(fate) == [(31, Stage.MARKED)]
    assert "not one read event" in fate.unknown


def test_a_missing_day_after_a_step_may_hide_who_wanted_it_back() -> None:
    trail = Trail().created(NAME).pushed(NAME, 0.001)
    for day in range(1, 60):
        if day != 50:
            trail.call("DescribeImages", day)
    result = summed(trail, complete=False)
    deleted = result.stages[Stage.DELETED]
    assert (deleted.reached, deleted.regretted, deleted.unknown, deleted.rate) == (1, 0, 1, None)


def test_settings_are_unknown_after_a_missing_day_unless_they_are_told_again() -> None:
    trail = Trail().created(NAME).call("DescribeImages", 1).call("DescribeImages", 3)
    assert "tag-mutability" in played(trail, complete=False)[NAME].undetermined or played(trail, complete=False)[NAME].changes
    trail.call("PutImageTagMutability", 2.9, NAME, imageTagMutability="IMMUTABLE")
    audit = a_policy(POLICY).in_mode(Mode.AUDIT)
    fate = played(trail, audit, complete=False)[NAME]
    assert "required-tags" in fate.undetermined
    assert "tag-mutability" not in fate.undetermined


# --- only as often as needed ----------------------------------------------------------------------------------------------------------


def test_who_asks_every_night_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    trail = Trail()
    for number in range(12):
        name = f"payments/service-{number}" if number % 4 else f"payments/service_{number}"
        trail.created(name, chance.random())
        for _ in range(number % 3):
            trail.pushed(name, chance.uniform(1, 30), chance.choice(("v1", "latest")))
        for _ in range(number % 5):
            trail.pulled(name, chance.uniform(1, 110))
        if number % 5 == 1:
            trail.tagged(name, chance.uniform(30, 60), **{"ecr-governor:protect": "x"}).untagged(name, 80, "ecr-governor:protect")
    trail.call("DescribeImages", 130)
    policy = POLICY.replace("    image_tags", "    unused: {after: 45d}\n    image_tags").replace(
        "[mon, tue, wed, thu, fri, sat, sun]", "[mon, wed]"
    )
    seldom = played(trail, policy)
    monkeypatch.setattr(playing._Play, "_again", lambda _self, _decision, at, **_: at + timedelta(seconds=1))
    assert any(fate.regrets for fate in seldom.values())
    assert {name: fate.steps and steps(fate) for name, fate in played(trail, policy).items()} == {
        name: fate.steps and steps(fate) for name, fate in seldom.items()
    }


# --- records in any order -------------------------------------------------------------------------------------------------------------


def test_order_and_repetition_of_records_change_nothing() -> None:
    trail = lonely().pulled(NAME, 40.2).tagged(NAME, 3, owner="payments").created("payments/a_b", 2).pulled("payments/a_b", 50)
    trail.untagged(NAME, 60, "owner").pushed(NAME, 61, "latest")
    as_recorded = summed(trail)
    chance = random.Random(7)
    for _ in range(5):
        mixed = Trail()
        mixed.records = [*trail.records, *chance.sample(trail.records, 5)]
        chance.shuffle(mixed.records)
        again = summed(mixed)
        assert again.fates == as_recorded.fates
        assert again.told == as_recorded.told
