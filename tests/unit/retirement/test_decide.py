"""Deciding over one repository: each thing that is looked at stands in the way on its own, to the second, and never opens it."""

from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.policy.retirement import RetirementTerms, Then
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.caps import Step
from ecr_governor.core.retirement.decide import (
    KEPT,
    USERS,
    VETO,
    Case,
    Decision,
    Kind,
    Reason,
    Weight,
    after_business_days,
    decide,
    mark_until,
    next_stage,
    world_of,
)
from ecr_governor.core.retirement.evidence import LONGEST_LIFE, Evidence, Use
from ecr_governor.core.retirement.quarantine import quarantined
from ecr_governor.core.retirement.snapshot import ARCHIVED, DELETE_AFTER, PROTECT, STACK, STATE, HeldImage, Snapshot, fingerprint
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.rules.unused import SLACK
from tests.retiring import ORIGINAL, an_image, digest

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
LATE = NOW + SECOND
MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)
OLD = NOW - 400 * DAY
AFTER, EMPTY, GRACE, UNOWNED, QUARANTINE, ARCHIVE = 30, 20, 7, 3, 4, 5
STAGES = (Stage.OBSERVED, Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED)
UNDER_WAY = STAGES[1:]
NEXT = dict(zip(STAGES, (*STAGES[1:], Stage.DELETED), strict=True))
IMAGES = (an_image(1, OLD, tags=["v1"]), an_image(2, OLD, tags=["v2"]))

Change = Callable[[Case], Case]


def the_terms(**more: Any) -> RetirementTerms:
    days = {"after_days": AFTER, "empty_after_days": EMPTY, "grace_days": GRACE, "unowned_grace_days": UNOWNED}
    return RetirementTerms(**{**days, "quarantine_days": QUARANTINE, "archive_days": ARCHIVE, "then": Then.DELETE, **more})


TERMS = the_terms()
SINCE = {
    Stage.OBSERVED: NOW,
    Stage.MARKED: NOW - GRACE * DAY,
    Stage.QUARANTINED: NOW - QUARANTINE * DAY,
    Stage.ARCHIVED: NOW - ARCHIVE * DAY,
}


def judged_again(case: Case) -> Case:
    """The same case, as if its repository had been judged as it is now."""
    if case.retirement is None:
        return case
    judged = replace(case.retirement, fingerprint=case.world, terms=case.terms.hash if case.terms else case.retirement.terms)
    return replace(case, retirement=judged)


def seen(case: Case, **parts: Any) -> Case:
    """The same case, but for what is read of the repository now."""
    snapshot = replace(case.snapshot, **parts)
    return replace(case, snapshot=snapshot, owner=snapshot.tag("owner"))


def tagged(case: Case, **tags: str | None) -> Case:
    """The same case, but for some tags of the repository; None takes one away."""
    return with_tags(case, tags)


def with_tags(case: Case, tags: Mapping[str, str | None]) -> Case:
    assert not isinstance(case.snapshot.tags, Unreadable)
    merged = {**case.snapshot.tags, **tags}
    return seen(case, tags={key: value for key, value in merged.items() if value is not None})


def retired(case: Case, **parts: Any) -> Case:
    """The same case, but for what the ledger says of the retirement."""
    assert case.retirement is not None
    return replace(case, retirement=replace(case.retirement, **parts))


def by_terms(case: Case, **parts: Any) -> Case:
    """The same case under other terms, by which it was judged as well."""
    return judged_again(replace(case, terms=the_terms(**parts)))


def going_on(stage: Stage, *images: HeldImage, **parts: Any) -> Case:
    """A case of that stage that goes on now and would not have a second before; `parts` are of the snapshot."""
    held = images or IMAGES
    marks = {DELETE_AFTER: NOW.date().isoformat(), STATE: stage.value} if stage is not Stage.OBSERVED else {}
    behind_denial = stage.rank >= Stage.QUARANTINED.rank
    snapshot = Snapshot(
        name="payments/api",
        arn="arn:aws:ecr:eu-west-1:123456789012:repository/payments/api",
        created_at=OLD,
        tags={"owner": "alice", **marks},
        policy=quarantined(ORIGINAL) if behind_denial else ORIGINAL,
        images=tuple(replace(image, status=ARCHIVED) if stage is Stage.ARCHIVED else image for image in held),
    )
    retirement = Retirement(
        stage,
        SINCE[stage],
        birth=OLD,
        delete_after=NOW.date().isoformat(),
        notice=1,
        original_policy=ORIGINAL if behind_denial else None,
        archiving_since=SINCE[stage] if stage is Stage.ARCHIVED else None,
    )
    case = Case(
        snapshot=snapshot,
        retirement=None if stage is Stage.OBSERVED else retirement,
        terms=TERMS,
        watched_since=NOW - AFTER * DAY if stage is Stage.OBSERVED else OLD,
        evidence=(Evidence("ecs", NOW), Evidence("lambda", NOW)),
        sources=("ecs", "lambda"),
        delivered_at=SINCE[Stage.MARKED] if stage is Stage.MARKED else None if stage is Stage.OBSERVED else OLD,
    )
    return judged_again(seen(case, **parts))


def once_used(case: Case, at: datetime) -> Case:
    """The same where a source remembers who used an image."""
    return replace(case, evidence=(*case.evidence, Evidence("inspector", NOW, (Use("pods", digest=digest(2), at=at),))))


def emptied(stage: Stage) -> Case:
    """The same for a repository that holds nothing."""
    return judged_again(seen(going_on(stage), images=(), policy=None))


def against(decision: Decision) -> list[tuple[str, Weight]]:
    return [(reason.check, reason.weight) for reason in decision.against]


def words(decision: Decision, check: str) -> list[str]:
    return [reason.seen for reason in decision.reasons if reason.check == check]


def back(stage: Stage) -> Stage | None:
    """What contrary evidence leads to."""
    return Stage.OBSERVED if stage in UNDER_WAY else None


# What goes on


@pytest.mark.parametrize("stage", STAGES)
def test_what_nothing_stands_against_goes_on_to_the_next_stage(stage: Stage) -> None:
    decision = decide(going_on(stage), NOW)
    assert decision.to is NEXT[stage]
    assert decision.against == ()
    assert decision.next_at is None
    assert not decision.vetoed


@pytest.mark.parametrize("stage", STAGES)
def test_a_second_before_it_only_waits(stage: Stage) -> None:
    decision = decide(
        replace(going_on(stage), evidence=(Evidence("ecs", OLD + 399 * DAY), Evidence("lambda", OLD + 399 * DAY))), NOW - SECOND
    )
    assert decision.to is None
    assert [weight for _, weight in against(decision)] == [Weight.WAIT]
    assert decision.next_at == NOW


def test_an_observed_one_is_told_with_all_that_was_looked_at() -> None:
    assert decide(going_on(Stage.OBSERVED), NOW).reasons == (
        Reason("the policy asks for it", "up to delete, as one that is unused"),
        Reason("watched long enough", "since 2026-10-03, 30 days are asked for", until=NOW),
        Reason("unused", "nothing happened since 2025-09-28, 30 days are asked for"),
        Reason("nobody uses it", "ecs, lambda named nobody"),
    )


@pytest.mark.parametrize("stage", STAGES)
def test_where_the_rule_only_audits_nothing_is_taken_further(stage: Stage) -> None:
    decision = decide(replace(going_on(stage), audited=True), NOW)
    assert (decision.to, decision.next_at) == (None, None)
    assert decision.against == (Reason("the rule is enforced", "here it audits: nothing is taken further", Weight.WAIT),)


def test_where_nobody_is_asked_the_reasons_say_so() -> None:
    decision = decide(replace(going_on(Stage.OBSERVED), sources=(), evidence=()), NOW)
    assert decision.to is Stage.MARKED
    assert words(decision, "nobody uses it") == ["no source named nobody"]


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Stage.MARKED, Reason("the owner was told", "on 2026-10-26, grace runs until 2026-11-02", until=NOW)),
        (Stage.QUARANTINED, Reason("quarantined long enough", "until 2026-11-02", until=NOW)),
        (Stage.ARCHIVED, Reason("archived long enough", "until 2026-11-02", until=NOW)),
    ],
)
def test_each_stage_tells_until_when_it_lasts(stage: Stage, said: Reason) -> None:
    case = going_on(stage)
    assert decide(case, NOW).reasons[-1] == said
    assert decide(retired(case, since=NOW + 1 * DAY - (NOW - SINCE[stage])), NOW).reasons[-1].weight is Weight.WAIT


@pytest.mark.parametrize(
    ("then", "archive_days", "ways"),
    [
        (Then.MARK, 5, [Stage.MARKED, None, None, None, None]),
        (Then.QUARANTINE, 5, [Stage.MARKED, Stage.QUARANTINED, None, None, None]),
        (Then.QUARANTINE, 0, [Stage.MARKED, Stage.QUARANTINED, None, None, None]),
        (Then.ARCHIVE, 5, [Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED, None, None]),
        (Then.DELETE, 5, [Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED, None]),
        (Then.DELETE, 0, [Stage.MARKED, Stage.QUARANTINED, Stage.DELETED, Stage.DELETED, None]),
    ],
)
def test_one_with_images_goes_as_far_as_the_policy_says(then: Then, archive_days: int, ways: list[Stage | None]) -> None:
    terms = the_terms(then=then, archive_days=archive_days)
    assert [next_stage(stage, terms, empty=False) for stage in Stage] == ways


@pytest.mark.parametrize("archive_days", [0, 5])
@pytest.mark.parametrize(
    ("then", "ways"),
    [
        (Then.MARK, [Stage.MARKED, None, None, None, None]),
        (Then.QUARANTINE, [Stage.MARKED, None, None, None, None]),
        (Then.DELETE, [Stage.MARKED, Stage.DELETED, Stage.DELETED, Stage.DELETED, None]),
    ],
)
def test_an_empty_one_is_neither_quarantined_nor_archived(then: Then, archive_days: int, ways: list[Stage | None]) -> None:
    assert [next_stage(stage, the_terms(then=then, archive_days=archive_days), empty=True) for stage in Stage] == ways


def test_an_empty_one_is_not_archived_where_that_is_the_end() -> None:
    assert [next_stage(stage, the_terms(then=Then.ARCHIVE), empty=True) for stage in Stage] == [Stage.MARKED, None, None, None, None]


def test_a_decision_knows_an_empty_one() -> None:
    assert decide(emptied(Stage.OBSERVED), NOW).to is Stage.MARKED
    assert decide(emptied(Stage.MARKED), NOW).to is Stage.DELETED
    archived_only = judged_again(seen(going_on(Stage.MARKED), images=tuple(replace(image, status=ARCHIVED) for image in IMAGES)))
    assert decide(archived_only, NOW).to is Stage.QUARANTINED


def test_what_is_deleted_goes_nowhere() -> None:
    gone = seen(retired(going_on(Stage.ARCHIVED), stage=Stage.DELETED), policy=ORIGINAL)
    assert decide(gone, NOW).to is None


def test_neither_a_case_nor_a_decision_nor_anything_in_them_can_be_changed() -> None:
    case = going_on(Stage.MARKED)
    decision = decide(case, NOW)
    use, step = Use("a service"), Step("payments/api", Stage.MARKED, "payments", None)
    for each in (case, decision, case.snapshot, case.snapshot.held[0], case.retirement, case.evidence[0], use, step):
        assert not hasattr(each, "__dict__")
        with pytest.raises(FrozenInstanceError):
            setattr(each, fields(each)[0].name, "something else")
    with pytest.raises(AttributeError):
        decision.reasons[0].check = "something else"  # type: ignore[misc]


def test_a_use_that_a_source_remembers_is_waited_for_like_a_pull() -> None:
    used_at = NOW - 3 * DAY
    decision = decide(once_used(going_on(Stage.OBSERVED), used_at), NOW)
    assert against(decision) == [("unused", Weight.WAIT)]
    assert decision.next_at == used_at + AFTER * DAY + SLACK
    assert not decision.in_use
    assert decide(once_used(going_on(Stage.OBSERVED), NOW - AFTER * DAY - SLACK), NOW).to is Stage.MARKED


# What takes it back

CONTRARY_ALWAYS: dict[str, tuple[Change, str]] = {
    "the policy asks for nothing": (lambda case: replace(case, terms=None), "the policy asks for it"),
    "exempt": (lambda case: replace(case, exempt="the policy exempts it until 2027-01-01: audit"), "no exemption"),
    "protected": (lambda case: with_tags(case, {PROTECT: "yes"}), "no exemption"),
    "protected without a value": (lambda case: with_tags(case, {PROTECT: ""}), "no exemption"),
    "managed by CloudFormation": (lambda case: judged_again(with_tags(case, {STACK: "arn:stack"})), "nobody else manages it"),
    "a user of the repository": (
        lambda case: replace(case, evidence=(*case.evidence, Evidence("ecs", NOW, (Use("a service", repository="payments/api"),)))),
        "nobody uses it",
    ),
    "a user of an image": (
        lambda case: replace(case, evidence=(*case.evidence, Evidence("ecs", NOW, (Use("a service", digest=digest(2)),)))),
        "nobody uses it",
    ),
}
CONTRARY_UNDER_WAY: dict[str, tuple[Change, str]] = {
    "another repository": (lambda case: retired(case, birth=OLD - SECOND), "as it was judged"),
    "of an unknown birth": (lambda case: retired(case, birth=None), "as it was judged"),
    "another world": (lambda case: retired(case, fingerprint="another"), "as it was judged"),
    "a world that was never read": (lambda case: retired(case, fingerprint=""), "as it was judged"),
    "other terms": (lambda case: retired(case, terms="another"), "as it was judged"),
    "another tag": (lambda case: tagged(case, team="payments"), "as it was judged"),
    "without a tag": (lambda case: tagged(case, owner=None), "as it was judged"),
    "without the mark": (lambda case: with_tags(case, {DELETE_AFTER: None}), VETO),
    "with another mark": (lambda case: with_tags(case, {DELETE_AFTER: "2030-01-01"}), VETO),
    "with an empty mark": (lambda case: with_tags(case, {DELETE_AFTER: ""}), VETO),
    "used lately": (
        lambda case: judged_again(seen(case, images=(replace(case.snapshot.held[0], pulled_at=NOW - AFTER * DAY - SLACK + SECOND),))),
        "unused",
    ),
    "a push told of": (lambda case: replace(case, noted_push=NOW - AFTER * DAY - SLACK + SECOND), "unused"),
    "a user remembered": (lambda case: replace(case, used_at=NOW - AFTER * DAY - SLACK + SECOND), "unused"),
    "kept by a button": (lambda case: replace(case, kept_until=NOW + SECOND), KEPT),
    "a use that a source remembers": (lambda case: once_used(case, NOW - AFTER * DAY - SLACK + SECOND), "unused"),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("what", CONTRARY_ALWAYS)
def test_contrary_evidence_takes_it_back_from_every_stage(what: str, stage: Stage) -> None:
    change, check = CONTRARY_ALWAYS[what]
    decision = decide(change(going_on(stage)), NOW)
    assert decision.to is back(stage)
    assert against(decision) == [(check, Weight.CONTRARY)]
    assert decision.next_at is None
    assert not decision.vetoed


@pytest.mark.parametrize("stage", UNDER_WAY)
@pytest.mark.parametrize("what", CONTRARY_UNDER_WAY)
def test_what_changed_since_it_was_judged_takes_it_back(what: str, stage: Stage) -> None:
    change, check = CONTRARY_UNDER_WAY[what]
    decision = decide(change(going_on(stage)), NOW)
    assert decision.to is Stage.OBSERVED
    assert against(decision) == [(check, Weight.CONTRARY)]
    assert decision.vetoed is (check == VETO)


def test_what_somebody_keeps_is_marked_when_that_ends_and_not_before() -> None:
    case = replace(going_on(Stage.OBSERVED), kept_until=NOW + DAY)
    decision = decide(case, NOW)
    assert (decision.to, decision.next_at) == (None, NOW + DAY)
    assert decision.against == (Reason(KEPT, "somebody keeps it until 2026-11-03", Weight.WAIT, NOW + DAY),)
    assert decide(case, NOW + DAY).to is Stage.MARKED
    given_back = replace(case, retirement=Retirement(Stage.OBSERVED, OLD, OLD))
    assert (decide(given_back, NOW).to, decide(given_back, NOW).next_at) == (None, NOW + DAY)


@pytest.mark.parametrize("stage", UNDER_WAY)
def test_contrary_evidence_outweighs_doubt_and_waiting(stage: Stage) -> None:
    case = replace(retired(going_on(stage), since=NOW, fingerprint="another"), trusted_pulls=False)
    decision = decide(case, NOW)
    assert {weight for _, weight in against(decision)} == {Weight.CONTRARY, Weight.DOUBT, Weight.WAIT}
    assert decision.to is Stage.OBSERVED
    assert decision.next_at is None


@pytest.mark.parametrize("intended", STAGES[1:])
def test_an_intent_alone_is_under_way(intended: Stage) -> None:
    """Nothing is recorded as done, and yet it may be."""
    begun = Retirement(Stage.OBSERVED, NOW - DAY, OLD, delete_after="2026-11-09", intended=intended)
    case = judged_again(replace(going_on(Stage.OBSERVED), retirement=begun))
    assert decide(case, NOW).to is Stage.MARKED
    for change in (replace(case, exempt="audit"), retired(case, fingerprint="another"), replace(case, noted_push=NOW)):
        assert decide(change, NOW).to is Stage.OBSERVED


def test_the_ledger_of_an_observed_one_binds_nothing() -> None:
    """What it was judged by once and its mark are history."""
    former = Retirement(Stage.OBSERVED, NOW, birth=OLD - DAY, fingerprint="another", terms="another", delete_after="2026-01-01")
    assert decide(replace(going_on(Stage.OBSERVED), retirement=former), NOW) == decide(going_on(Stage.OBSERVED), NOW)


@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.ARCHIVED])
@pytest.mark.parametrize("policy", [None, ORIGINAL, "not JSON"])
def test_a_quarantine_that_was_lifted_is_a_veto(stage: Stage, policy: str | None) -> None:
    decision = decide(judged_again(seen(going_on(stage), policy=policy)), NOW)
    assert decision.to is Stage.OBSERVED
    assert against(decision) == [(VETO, Weight.CONTRARY)]
    assert decision.vetoed


def test_a_quarantine_with_another_statement_beside_it_still_stands() -> None:
    other = '{"Version":"2012-10-17","Statement":[{"Sid":"Other","Effect":"Deny","Principal":"*","Action":"ecr:ListImages"}]}'
    assert decide(seen(going_on(Stage.QUARANTINED), policy=quarantined(other)), NOW).to is Stage.ARCHIVED


def test_without_images_no_quarantine_is_asked_for() -> None:
    """An interrupted deletion may have taken them all."""
    case = going_on(Stage.ARCHIVED)
    assert decide(judged_again(seen(case, images=(), policy=None)), NOW).to is Stage.DELETED


def test_a_marked_one_may_have_any_policy() -> None:
    assert decide(seen(going_on(Stage.MARKED), policy=None), NOW).to is Stage.QUARANTINED


def coming_back(case: Case, status: str) -> Case:
    """The same case, but for the status of its first image."""
    return judged_again(seen(case, images=(replace(case.snapshot.held[0], status=status), *case.snapshot.held[1:])))


def test_an_image_that_came_back_from_the_archive_is_a_veto() -> None:
    decision = decide(coming_back(going_on(Stage.ARCHIVED), "ACTIVE"), NOW)
    assert decision.to is Stage.OBSERVED
    assert against(decision) == [(VETO, Weight.CONTRARY)]
    assert words(decision, VETO) == ["1 images were brought back from the archive"]
    assert decide(coming_back(going_on(Stage.QUARANTINED), "ACTIVE"), NOW).to is Stage.ARCHIVED


@pytest.mark.parametrize("stage", UNDER_WAY)
@pytest.mark.parametrize("status", ["ACTIVATING", "SOMETHING_NEW"])
def test_an_image_on_its_way_back_from_the_archive_is_a_veto_at_every_stage(status: str, stage: Stage) -> None:
    decision = decide(coming_back(going_on(stage), status), NOW)
    assert decision.to is Stage.OBSERVED
    assert set(against(decision)) == {(VETO, Weight.CONTRARY)}
    assert words(decision, VETO)[0] == "images are on their way back from the archive"
    assert decide(coming_back(going_on(Stage.OBSERVED), status), NOW).to is Stage.MARKED


def test_a_quarantine_that_the_ledger_knows_nothing_of_is_taken_back() -> None:
    for retirement in (None, Retirement(Stage.OBSERVED, NOW), Retirement(Stage.DELETED, NOW)):
        stranger = replace(seen(going_on(Stage.OBSERVED), policy=quarantined(ORIGINAL)), retirement=retirement)
        decision = decide(stranger, NOW)
        assert decision.to is Stage.OBSERVED
        assert ("our own traces", Weight.CONTRARY) in against(decision)
    assert ("our own traces", Weight.CONTRARY) not in against(decide(seen(going_on(Stage.MARKED), policy=quarantined(ORIGINAL)), NOW))


def test_a_policy_that_cannot_be_read_is_not_taken_for_ours() -> None:
    dark = replace(seen(going_on(Stage.OBSERVED), policy=Unreadable("denied")), exempt="audit")
    assert decide(dark, NOW).to is None


@pytest.mark.parametrize("stage", STAGES)
def test_what_happened_later_than_now_is_contrary(stage: Stage) -> None:
    case = going_on(stage)
    late = judged_again(seen(case, images=(replace(case.snapshot.held[0], pulled_at=NOW + SECOND),)))
    assert ("the clock goes forward", Weight.CONTRARY) in against(decide(late, NOW))
    assert decide(late, NOW).to is back(stage)
    just_now = judged_again(seen(case, images=(replace(case.snapshot.held[0], pulled_at=NOW),)))
    assert ("the clock goes forward", Weight.CONTRARY) not in against(decide(just_now, NOW))


@pytest.mark.parametrize("stage", UNDER_WAY)
def test_an_empty_one_is_let_alone_where_the_policy_does_not_speak_of_empty_ones(stage: Stage) -> None:
    case = by_terms(emptied(stage), empty_after_days=None)
    decision = decide(case, NOW)
    assert decision.to is Stage.OBSERVED
    assert words(decision, "the policy asks for it") == ["it lets repositories without images alone"]
    assert ("the policy asks for it", Weight.CONTRARY) in against(decision)


@pytest.mark.parametrize("stage", STAGES)
def test_one_with_images_goes_on_where_the_policy_does_not_speak_of_empty_ones(stage: Stage) -> None:
    assert decide(by_terms(going_on(stage), empty_after_days=None), NOW).to is NEXT[stage]


def blank(stage: Stage) -> Case:
    return replace(emptied(stage), never_pushed=True)


def misnamed(stage: Stage) -> Case:
    return replace(going_on(stage), misnamed=True)


@pytest.mark.parametrize(
    ("case", "kind", "words_for_it"),
    [
        (going_on(Stage.OBSERVED), Kind.UNUSED, "one that is unused"),
        (emptied(Stage.OBSERVED), Kind.EMPTY, "one without images"),
        (blank(Stage.OBSERVED), Kind.BLANK, "one that never got an image"),
        (misnamed(Stage.OBSERVED), Kind.MISNAMED, "one that is wrongly named"),
        (replace(emptied(Stage.OBSERVED), misnamed=True), Kind.EMPTY, "one without images"),
        (replace(going_on(Stage.OBSERVED), never_pushed=True), Kind.UNUSED, "one that is unused"),
        (replace(emptied(Stage.OBSERVED), judged=going_on(Stage.OBSERVED).snapshot, never_pushed=True), Kind.UNUSED, "one that is unused"),
    ],
)
def test_each_sort_of_repository_is_called_by_its_name(case: Case, kind: Kind, words_for_it: str) -> None:
    assert case.kind is kind
    assert words(decide(case, NOW), "the policy asks for it") == [f"up to delete, as {words_for_it}"]


@pytest.mark.parametrize(
    ("case", "terms", "days"),
    [
        (going_on(Stage.OBSERVED), {"blank_after_days": 1, "misnamed_after_days": 1}, AFTER),
        (emptied(Stage.OBSERVED), {"blank_after_days": 1, "misnamed_after_days": 1}, EMPTY),
        (blank(Stage.OBSERVED), {"blank_after_days": 9}, 9),
        (blank(Stage.OBSERVED), {"blank_after_days": 9, "empty_after_days": None}, 9),
        (blank(Stage.OBSERVED), {"blank_after_days": 25}, 25),
        (blank(Stage.OBSERVED), {}, EMPTY),
        (misnamed(Stage.OBSERVED), {"misnamed_after_days": 9}, 9),
        (misnamed(Stage.OBSERVED), {"misnamed_after_days": AFTER + 5}, AFTER),
        (misnamed(Stage.OBSERVED), {}, AFTER),
        (replace(emptied(Stage.OBSERVED), misnamed=True), {"misnamed_after_days": 9}, 9),
        (replace(emptied(Stage.OBSERVED), misnamed=True), {"misnamed_after_days": EMPTY + 5}, EMPTY),
        (replace(blank(Stage.OBSERVED), misnamed=True), {"misnamed_after_days": 9, "blank_after_days": 5}, 5),
    ],
)
def test_each_sort_of_repository_has_days_of_its_own(case: Case, terms: Mapping[str, Any], days: int) -> None:
    case = replace(case, terms=the_terms(**terms), watched_since=NOW - days * DAY)
    assert decide(case, NOW).to is Stage.MARKED
    assert decide(replace(case, watched_since=NOW - days * DAY + SECOND), NOW).next_at == NOW + SECOND
    used = replace(case, watched_since=OLD, used_at=NOW - days * DAY - SLACK)
    assert decide(used, NOW).to is Stage.MARKED
    assert decide(replace(used, used_at=NOW - days * DAY - SLACK + SECOND), NOW).next_at == NOW + SECOND


def test_neither_a_blank_nor_a_misnamed_one_is_taken_where_empty_ones_are_let_alone_and_nothing_is_said_of_them() -> None:
    for case in (blank(Stage.MARKED), replace(emptied(Stage.MARKED), misnamed=True)):
        assert decide(by_terms(case, empty_after_days=None, misnamed_after_days=9), NOW).to is Stage.OBSERVED
    assert decide(by_terms(emptied(Stage.MARKED), empty_after_days=None, blank_after_days=9), NOW).to is Stage.OBSERVED
    assert decide(by_terms(blank(Stage.MARKED), empty_after_days=None, blank_after_days=9), NOW).to is Stage.DELETED


def test_what_became_of_the_mark_is_told() -> None:
    removed, moved = (
        with_tags(going_on(Stage.MARKED), {DELETE_AFTER: None}),
        with_tags(going_on(Stage.MARKED), {DELETE_AFTER: "2030-01-01"}),
    )
    assert words(decide(removed, NOW), VETO) == ["the tag ecr-governor:delete-after was removed"]
    assert words(decide(moved, NOW), VETO) == ["the tag ecr-governor:delete-after was set to 2030-01-01"]


def test_what_could_not_be_read_is_not_called_empty() -> None:
    case = seen(by_terms(going_on(Stage.MARKED), empty_after_days=None), images=Unreadable("denied"))
    assert against(decide(case, NOW)) == [("everything can be read", Weight.DOUBT)]


def test_an_interrupted_deletion_is_ended_whatever_the_policy_says_of_empty_ones() -> None:
    case = by_terms(retired(going_on(Stage.ARCHIVED), intended=Stage.DELETED), empty_after_days=None)
    assert decide(case, NOW).to is Stage.DELETED
    taken = replace(case, snapshot=replace(case.snapshot, images=()), judged=case.snapshot)
    assert decide(taken, NOW).to is Stage.DELETED


def test_what_an_interrupted_deletion_emptied_goes_on_as_if_it_held_its_images() -> None:
    for days in (AFTER - 1, AFTER + 1, None):
        case = by_terms(retired(going_on(Stage.ARCHIVED), intended=Stage.DELETED), empty_after_days=days)
        taken = replace(case, snapshot=replace(case.snapshot, images=()), judged=case.snapshot, watched_since=NOW - AFTER * DAY)
        assert decide(taken, NOW).to is Stage.DELETED
        assert decide(replace(taken, watched_since=NOW - AFTER * DAY + SECOND), NOW).next_at == NOW + SECOND
    assert not going_on(Stage.ARCHIVED).empty
    assert not replace(going_on(Stage.ARCHIVED), judged=emptied(Stage.MARKED).snapshot).empty
    assert not replace(emptied(Stage.MARKED), judged=SNAPSHOT).empty
    assert emptied(Stage.MARKED).empty
    assert replace(emptied(Stage.MARKED), judged=emptied(Stage.MARKED).snapshot).empty


@pytest.mark.parametrize("stage", UNDER_WAY)
def test_a_return_that_was_begun_is_ended(stage: Stage) -> None:
    assert decide(retired(going_on(stage), intended=Stage.OBSERVED), NOW).to is Stage.OBSERVED


def test_an_image_on_its_way_back_from_the_archive_is_in_use() -> None:
    case = by_terms(going_on(Stage.QUARANTINED), archive_days=0)
    assert decide(case, NOW).to is Stage.DELETED
    images = (replace(case.snapshot.held[0], status="ACTIVATING"), *case.snapshot.held[1:])
    assert decide(seen(case, images=images), NOW).to is not Stage.DELETED


def test_at_most_five_users_are_named_each_once_in_order() -> None:
    users = tuple(Use(f"service {number}", digest=digest(1)) for number in (7, 6, 5, 4, 3, 2, 1, 1))
    decision = decide(replace(going_on(Stage.MARKED), evidence=(Evidence("ecs", NOW, users), Evidence("lambda", NOW))), NOW)
    assert words(decision, "nobody uses it") == [f"ecs: service {number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [
        (lambda case: replace(case, terms=None), "the policy asks for it", "it names no retirement for this namespace"),
        (lambda case: replace(case, exempt="audit, until 2027-01-01"), "no exemption", "audit, until 2027-01-01"),
        (lambda case: with_tags(case, {PROTECT: ""}), "no exemption", "it carries the tag ecr-governor:protect"),
        (lambda case: with_tags(case, {STACK: "arn:stack"}), "nobody else manages it", "CloudFormation does, in arn:stack"),
        (lambda case: retired(case, since=LATE), "the clock goes forward", "its stage began at 2026-11-02T12:00:01+00:00, later than now"),
        (
            lambda case: seen(case, created_at=LATE),
            "the clock goes forward",
            "something happened at 2026-11-02T12:00:01+00:00, later than now",
        ),
        (lambda case: replace(case, watched_since=None), "watched long enough", "we have not seen it before"),
        (
            lambda case: replace(case, trusted_pulls=False),
            "pulls are recorded",
            "some roles' pulls are not, and the policy does not name them",
        ),
        (lambda case: replace(case, used_at=NOW), "unused", "it was used on 2026-11-02"),
        (
            lambda case: retired(case, intended=Stage.OBSERVED),
            "no way back begun",
            "it was being taken back, and that was interrupted",
        ),
        (lambda case: retired(case, birth=None), "as it was judged", "it is another repository of the same name"),
        (
            lambda case: retired(case, fingerprint=""),
            "as it was judged",
            "images, their tags or times, or the repository's tags have changed since",
        ),
        (lambda case: retired(case, terms=""), "as it was judged", "the policy's terms have changed since"),
        (lambda case: seen(case, policy=None), VETO, "the quarantine's statement was taken out of the repository policy"),
        (
            lambda case: replace(case, retirement=None),
            "our own traces",
            "a quarantine stands in the policy of which the ledger knows nothing",
        ),
        (lambda case: replace(case, delivered_at=None), "the owner was told", "no notice was delivered yet"),
    ],
)
def test_whoever_asks_why_is_told_what_was_seen(change: Change, check: str, said: str) -> None:
    assert words(decide(change(going_on(Stage.QUARANTINED)), NOW), check) == [said]


def test_of_a_case_of_which_nothing_else_is_said_nothing_is_known() -> None:
    """It is then held to be like any other: pushed to, rightly named, exempt from nothing."""
    bare = Case(SNAPSHOT, None, None, None, (), ())
    unknown = dict.fromkeys(("owner", "delivered_at", "noted_push", "judged", "used_at", "kept_until"))
    assert bare == Case(SNAPSHOT, None, None, None, (), (), exempt="", trusted_pulls=True, never_pushed=False, misnamed=False, **unknown)
    assert Reason("a check", "seen") == Reason("a check", "seen", Weight.FOR, None)


def test_sorts_and_weights_are_called_the_same_in_every_release() -> None:
    """They stand in plans, and weights in the ledger."""
    assert [str(kind) for kind in Kind] == ["unused", "empty", "blank", "misnamed"]
    assert [str(weight) for weight in Weight] == ["for", "contrary", "doubt", "wait"]
    assert (USERS, KEPT, VETO) == ("nobody uses it", "nobody keeps it", "no veto")


# What leaves it where it is

DOUBTS: dict[str, tuple[Change, str]] = {
    "tags unreadable": (lambda case: seen(case, tags=Unreadable("denied")), "everything can be read"),
    "policy unreadable": (lambda case: seen(case, policy=Unreadable("denied")), "everything can be read"),
    "images unreadable": (lambda case: seen(case, images=Unreadable("denied")), "everything can be read"),
    "pulls unrecorded": (lambda case: replace(case, trusted_pulls=False), "pulls are recorded"),
    "a source was not asked": (lambda case: replace(case, evidence=case.evidence[:1]), "nobody uses it"),
    "nobody was asked": (lambda case: replace(case, evidence=(), sources=("ecs",)), "nobody uses it"),
    "a source in trouble": (
        lambda case: replace(case, evidence=(*case.evidence, Evidence("ecs", NOW, trouble="denied"))),
        "nobody uses it",
    ),
    "a source of the future": (lambda case: replace(case, evidence=(*case.evidence, Evidence("ecs", NOW + SECOND))), "nobody uses it"),
    "a stale source": (
        lambda case: replace(case, evidence=(*case.evidence, Evidence("files", NOW - LONGEST_LIFE - SECOND))),
        "nobody uses it",
    ),
    "an expired source": (
        lambda case: replace(case, evidence=(*case.evidence, Evidence("files", NOW - DAY, expires_at=NOW - SECOND))),
        "nobody uses it",
    ),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("what", DOUBTS)
def test_doubt_leaves_it_where_it_is(what: str, stage: Stage) -> None:
    change, check = DOUBTS[what]
    decision = decide(change(going_on(stage)), NOW)
    assert decision.to is None
    assert against(decision) == [(check, Weight.DOUBT)]
    assert decision.next_at is None
    assert not decision.vetoed


@pytest.mark.parametrize("stage", UNDER_WAY)
def test_a_stage_that_began_later_than_now_is_doubtful(stage: Stage) -> None:
    ahead = retired(going_on(stage), since=NOW + SECOND)
    assert ("the clock goes forward", Weight.DOUBT) in against(decide(ahead, NOW))
    assert decide(ahead, NOW).to is None
    just_now = retired(going_on(stage), since=NOW)
    assert ("the clock goes forward", Weight.DOUBT) not in against(decide(just_now, NOW))


def test_an_observed_stage_that_began_later_than_now_is_doubtful() -> None:
    former = Retirement(Stage.OBSERVED, NOW + SECOND)
    decision = decide(replace(going_on(Stage.OBSERVED), retirement=former), NOW)
    assert decision.to is None
    assert against(decision) == [("the clock goes forward", Weight.DOUBT)]


def test_every_part_that_cannot_be_read_is_told() -> None:
    case = seen(going_on(Stage.QUARANTINED), tags=Unreadable("tags"), policy=Unreadable("policy"), images=Unreadable("images"))
    assert words(decide(case, NOW), "everything can be read") == ["tags", "policy", "images"]


def test_sources_that_were_not_asked_are_named() -> None:
    decision = decide(replace(going_on(Stage.MARKED), evidence=()), NOW)
    assert words(decision, "nobody uses it") == ["ecs was not asked", "lambda was not asked", "ecs, lambda named nobody"]


# What it waits for


def test_what_was_never_seen_before_is_watched_first() -> None:
    for case, days in ((going_on(Stage.OBSERVED), AFTER), (emptied(Stage.OBSERVED), EMPTY)):
        decision = decide(replace(case, watched_since=None), NOW)
        assert decision.to is None
        assert against(decision) == [("watched long enough", Weight.WAIT)]
        assert decision.next_at == NOW + days * DAY


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_goes_on_that_was_not_watched_long_enough(stage: Stage) -> None:
    for case, days in ((going_on(stage), AFTER), (emptied(stage), EMPTY)):
        decision = decide(replace(case, watched_since=NOW - days * DAY + SECOND), NOW)
        assert decision.to is None
        assert against(decision) == [("watched long enough", Weight.WAIT)]
        assert decision.next_at == NOW + SECOND
        assert decide(replace(case, watched_since=NOW - days * DAY), NOW).to is not None


def test_watching_counts_from_the_creation_of_a_younger_one() -> None:
    """A record of a former repository is no watching of this one."""
    young = replace(emptied(Stage.OBSERVED), watched_since=OLD)
    decision = decide(seen(young, created_at=NOW - EMPTY * DAY - SLACK + SECOND), NOW)
    assert decision.next_at == NOW + SECOND
    assert decide(seen(young, created_at=NOW - EMPTY * DAY - SLACK), NOW).to is Stage.MARKED
    of_today = decide(seen(young, created_at=NOW), NOW)
    assert against(of_today) == [("watched long enough", Weight.WAIT), ("unused", Weight.WAIT)]
    assert [reason.until for reason in of_today.against] == [NOW + EMPTY * DAY, NOW + EMPTY * DAY + SLACK]
    assert of_today.next_at == NOW + EMPTY * DAY + SLACK


IDLE_SINCE: dict[str, Callable[[Case, datetime], Case]] = {
    "push": lambda case, at: seen(case, images=(replace(IMAGES[0], pushed_at=at), IMAGES[1])),
    "pull": lambda case, at: seen(case, images=(IMAGES[0], replace(IMAGES[1], pulled_at=at))),
    "return from the archive": lambda case, at: seen(case, images=(IMAGES[0], replace(IMAGES[1], activated_at=at))),
    "an event of a push": lambda case, at: replace(case, noted_push=at),
    "a user seen elsewhere": lambda case, at: replace(case, used_at=at),
}


@pytest.mark.parametrize("what", IDLE_SINCE)
def test_an_observed_one_waits_until_its_last_use_is_long_enough_ago(what: str) -> None:
    edge = NOW - AFTER * DAY - timedelta(days=1)
    assert decide(IDLE_SINCE[what](going_on(Stage.OBSERVED), edge), NOW).to is Stage.MARKED
    decision = decide(IDLE_SINCE[what](going_on(Stage.OBSERVED), edge + SECOND), NOW)
    assert decision.to is None
    assert against(decision) == [("unused", Weight.WAIT)]
    assert decision.next_at == NOW + SECOND


@pytest.mark.parametrize("stage", UNDER_WAY)
def test_one_under_way_is_taken_back_when_its_last_use_is_too_short_ago(stage: Stage) -> None:
    edge = NOW - AFTER * DAY - timedelta(days=1)
    assert decide(replace(going_on(stage), noted_push=edge), NOW).to is NEXT[stage]
    decision = decide(replace(going_on(stage), noted_push=edge + SECOND), NOW)
    assert decision.to is Stage.OBSERVED
    assert words(decision, "unused") == ["it was used on 2026-10-02"]


def test_one_that_was_taken_back_waits_like_any_other() -> None:
    """The ledger's memory of it makes no use of it contrary."""
    former = replace(going_on(Stage.OBSERVED), retirement=Retirement(Stage.OBSERVED, OLD), noted_push=NOW)
    assert against(decide(former, NOW)) == [("unused", Weight.WAIT)]


def test_a_push_that_was_told_of_counts_only_if_it_is_the_newest() -> None:
    used = seen(going_on(Stage.OBSERVED), images=(replace(IMAGES[0], pulled_at=NOW),))
    assert decide(replace(used, noted_push=OLD), NOW).next_at == NOW + AFTER * DAY + SLACK


def test_an_empty_one_goes_by_its_own_days() -> None:
    edge = NOW - EMPTY * DAY - SLACK
    young = replace(emptied(Stage.OBSERVED), watched_since=edge)
    assert decide(seen(young, created_at=edge), NOW).to is Stage.MARKED
    assert decide(seen(young, created_at=edge + SECOND), NOW).next_at == NOW + SECOND
    assert words(decide(seen(young, created_at=edge), NOW), "unused") == ["nothing happened since 2026-10-12, 20 days are asked for"]
    silent = replace(seen(young, created_at=edge), terms=the_terms(empty_after_days=None))
    assert words(decide(silent, NOW), "unused") == ["it was used on 2026-10-12"]


def test_what_cannot_be_read_says_nothing_of_use() -> None:
    case = seen(going_on(Stage.MARKED), images=Unreadable("denied"))
    assert words(decide(case, NOW), "unused") == []


def test_after_a_veto_it_is_let_alone_until_the_day() -> None:
    vetoed = replace(going_on(Stage.OBSERVED), retirement=Retirement(Stage.OBSERVED, NOW - DAY, not_before=NOW + SECOND))
    decision = decide(vetoed, NOW)
    assert decision.to is None
    assert against(decision) == [("not vetoed lately", Weight.WAIT)]
    assert decision.next_at == NOW + SECOND
    assert words(decision, "not vetoed lately") == ["somebody objected: until 2026-11-02"]
    assert decide(retired(vetoed, not_before=NOW), NOW).to is Stage.MARKED
    assert decide(retired(vetoed, not_before=None), NOW).to is Stage.MARKED


def test_a_veto_of_before_does_not_hold_what_is_under_way() -> None:
    assert decide(retired(going_on(Stage.MARKED), not_before=NOW + DAY), NOW).to is Stage.QUARANTINED


def test_nothing_follows_a_mark_that_nobody_was_told_of() -> None:
    decision = decide(replace(going_on(Stage.MARKED), delivered_at=None), NOW)
    assert decision.to is None
    assert against(decision) == [("the owner was told", Weight.WAIT)]
    assert decision.next_at is None


@pytest.mark.parametrize(("owner", "days"), [("alice", GRACE), (None, UNOWNED), ("", UNOWNED)])
def test_grace_runs_from_the_notice(owner: str | None, days: int) -> None:
    case = judged_again(tagged(retired(going_on(Stage.MARKED), since=OLD), owner=owner))
    assert decide(replace(case, delivered_at=NOW - days * DAY), NOW).to is Stage.QUARANTINED
    decision = decide(replace(case, delivered_at=NOW - days * DAY + SECOND), NOW)
    assert against(decision) == [("the owner was told", Weight.WAIT)]
    assert decision.next_at == NOW + SECOND


def test_grace_does_not_begin_before_the_mark() -> None:
    case = retired(replace(going_on(Stage.MARKED), delivered_at=OLD), since=NOW - GRACE * DAY + SECOND)
    assert decide(case, NOW).next_at == NOW + SECOND


def test_grace_lasts_at_least_to_the_day_that_the_mark_names() -> None:
    named = "2026-11-03"
    case = with_tags(retired(going_on(Stage.MARKED), delete_after=named), {DELETE_AFTER: named})
    decision = decide(case, NOW)
    assert decision.to is None
    assert decision.next_at == MIDNIGHT + DAY
    at_midnight = replace(case, evidence=(Evidence("ecs", NOW), Evidence("lambda", NOW)))
    assert decide(at_midnight, MIDNIGHT + DAY - SECOND).to is None
    assert decide(at_midnight, MIDNIGHT + DAY).to is Stage.QUARANTINED


@pytest.mark.parametrize("named", ["", "soon", "2026-13-01"])
def test_a_mark_that_names_no_day_leaves_the_grace(named: str) -> None:
    case = with_tags(retired(going_on(Stage.MARKED), delete_after=named), {DELETE_AFTER: named})
    assert decide(case, NOW).to is Stage.QUARANTINED


def test_a_quarantine_lasts_at_least_two_days() -> None:
    """However the terms came to be: within them, ECR may not have recorded the last pull yet."""
    short = RetirementTerms.model_construct(**{**TERMS.model_dump(), "quarantine_days": 1})
    case = judged_again(replace(going_on(Stage.QUARANTINED), terms=short))
    assert decide(retired(case, since=NOW - 2 * DAY + SECOND), NOW).next_at == NOW + SECOND
    assert decide(retired(case, since=NOW - 2 * DAY), NOW).to is Stage.ARCHIVED


def test_terms_of_no_retirement_wait_for_nothing() -> None:
    case = replace(going_on(Stage.MARKED), terms=None, watched_since=None, delivered_at=None)
    assert against(decide(case, NOW)) == [("the policy asks for it", Weight.CONTRARY)]
    assert words(decide(case, NOW), "unused") == []


def test_the_next_moment_is_the_last_of_those_waited_for() -> None:
    case = retired(replace(going_on(Stage.ARCHIVED), watched_since=NOW - AFTER * DAY + DAY), since=NOW)
    assert decide(case, NOW).next_at == NOW + ARCHIVE * DAY
    reversed_ = Decision(None, (Reason("a", "a", Weight.WAIT, NOW + DAY), Reason("b", "b", Weight.WAIT, NOW), Reason("c", "c", until=OLD)))
    assert reversed_.next_at == NOW + DAY
    assert Decision(None, (Reason("b", "b", Weight.FOR, NOW),)).next_at is None


@pytest.mark.parametrize("weight", [Weight.DOUBT, Weight.CONTRARY, Weight.WAIT])
def test_where_more_than_time_is_missing_there_is_no_next_moment(weight: Weight) -> None:
    assert Decision(None, (Reason("a", "a", Weight.WAIT, NOW), Reason("b", "b", weight))).next_at is None
    if weight is not Weight.WAIT:
        assert Decision(None, (Reason("b", "b", weight, NOW),)).next_at is None, (
            "what is contrary until then ends by itself, and is no wait"
        )
    assert Decision(None, (Reason("a", "a"), Reason("b", "b", Weight.WAIT, NOW))).next_at == NOW


def test_who_was_seen_to_use_it_is_to_be_remembered() -> None:
    for what in ("a user of the repository", "a user of an image"):
        assert decide(CONTRARY_ALWAYS[what][0](going_on(Stage.OBSERVED)), NOW).in_use
    assert not decide(going_on(Stage.OBSERVED), NOW).in_use
    assert not decide(DOUBTS["a source in trouble"][0](going_on(Stage.OBSERVED)), NOW).in_use
    assert not decide(CONTRARY_ALWAYS["exempt"][0](going_on(Stage.OBSERVED)), NOW).in_use


def test_only_a_veto_that_stands_is_one() -> None:
    assert Decision(None, (Reason(VETO, "removed", Weight.CONTRARY),)).vetoed
    assert not Decision(None, (Reason(VETO, "still there"), Reason("another", "seen", Weight.CONTRARY))).vetoed


# Days

FRIDAY = datetime(2026, 11, 6, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "days", "ends"),
    [
        (FRIDAY, 0, FRIDAY),
        (FRIDAY, 1, FRIDAY + 3 * DAY),
        (FRIDAY, 5, FRIDAY + 7 * DAY),
        (FRIDAY, 6, FRIDAY + 10 * DAY),
        (FRIDAY + DAY, 1, FRIDAY + 3 * DAY),
        (FRIDAY + 2 * DAY, 1, FRIDAY + 3 * DAY),
        (FRIDAY - DAY, 1, FRIDAY),
        (FRIDAY - 4 * DAY, 4, FRIDAY),
    ],
)
def test_business_days_leave_out_saturdays_and_sundays(moment: datetime, days: int, ends: datetime) -> None:
    assert after_business_days(moment, days) == ends


def test_grace_counts_business_days_where_the_policy_says_so() -> None:
    terms = the_terms(business_days=True)
    assert mark_until(terms, "alice", FRIDAY).isoformat() == "2026-11-17"
    assert mark_until(terms, None, FRIDAY).isoformat() == "2026-11-11"
    assert mark_until(TERMS, "alice", FRIDAY).isoformat() == "2026-11-13"
    assert mark_until(TERMS, None, FRIDAY).isoformat() == "2026-11-09"
    case = retired(replace(going_on(Stage.MARKED), delivered_at=SINCE[Stage.MARKED]), since=OLD)
    assert decide(judged_again(replace(case, terms=terms)), NOW).next_at == after_business_days(SINCE[Stage.MARKED], GRACE)


# The world

SNAPSHOT = going_on(Stage.ARCHIVED).snapshot


def test_images_that_an_interrupted_deletion_took_are_no_change_by_others() -> None:
    for left in ((), SNAPSHOT.held[:1], SNAPSHOT.held[1:]):
        now = replace(SNAPSHOT, images=left)
        assert world_of(now, SNAPSHOT) == fingerprint(SNAPSHOT)
        assert world_of(now, None) == fingerprint(now)
    assert world_of(SNAPSHOT, SNAPSHOT) == fingerprint(SNAPSHOT)


def test_any_other_change_during_an_interrupted_deletion_is_one() -> None:
    pushed = replace(SNAPSHOT, images=(an_image(9, NOW),))
    assert world_of(pushed, SNAPSHOT) != fingerprint(SNAPSHOT)
    retagged = replace(SNAPSHOT, images=(replace(SNAPSHOT.held[0], tags=frozenset({"new"})),))
    assert world_of(retagged, SNAPSHOT) != fingerprint(SNAPSHOT)
    assert world_of(replace(SNAPSHOT, tags={}, images=()), SNAPSHOT) != fingerprint(SNAPSHOT)


def test_what_was_judged_of_a_former_repository_says_nothing() -> None:
    reborn = replace(SNAPSHOT, created_at=NOW, images=())
    assert world_of(reborn, SNAPSHOT) == fingerprint(reborn)
    assert world_of(replace(SNAPSHOT, images=Unreadable("denied")), None) == ""


# What holds for every case

MOMENT = st.integers(-60, 60).map(lambda hours: NOW + timedelta(hours=hours))
ANY_TIME = st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
TAG = st.text("abc:-/", max_size=8).filter(lambda key: not key.startswith(("ecr-governor:", "aws:")))
TAGS = st.dictionaries(TAG | st.sampled_from(["owner", "team", "ecr-governor", "AWS:x"]), st.sampled_from(["", "alice", "bob"]), max_size=3)
USES = st.builds(
    Use,
    st.just("a user"),
    st.sampled_from([None, "payments/api", "other"]),
    st.sampled_from([None, digest(1), digest(9)]),
    at=st.none() | MOMENT | ANY_TIME,
)
EVIDENCE = st.builds(
    Evidence,
    st.sampled_from(["ecs", "lambda", "files"]),
    MOMENT | ANY_TIME,
    st.lists(USES, max_size=2).map(tuple),
    st.sampled_from(["", "", "denied"]),
    st.none() | MOMENT | ANY_TIME,
)
DAYS = st.integers(1, 60)
SOME_TERMS = st.builds(
    the_terms,
    after_days=DAYS,
    empty_after_days=st.none() | DAYS,
    blank_after_days=st.none() | DAYS,
    misnamed_after_days=st.none() | DAYS,
    grace_days=DAYS,
    unowned_grace_days=DAYS,
    business_days=st.booleans(),
    quarantine_days=st.integers(2, 20),
    archive_days=st.integers(1, 20),
    then=st.sampled_from(Then),
)
CHANGES: tuple[Change, ...] = (
    lambda case: case,
    lambda case: judged_again(seen(case, images=(), policy=None)),
    lambda case: judged_again(tagged(case, owner=None)),
    lambda case: judged_again(seen(case, images=(an_image(3, NOW - 31 * DAY, pulled_at=NOW - 40 * DAY),))),
    lambda case: replace(case, watched_since=NOW - AFTER * DAY),
    lambda case: replace(case, never_pushed=True),
    lambda case: replace(case, misnamed=True),
    lambda case: replace(case, delivered_at=NOW - 2 * DAY),
    *(change for change, _ in (*CONTRARY_ALWAYS.values(), *DOUBTS.values())),
)
cases_in_hand = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case of any stage, often one that goes on."""
    case = going_on(draw(st.sampled_from(STAGES)))
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=2)):
        case = _changed(case, change)
    if draw(st.booleans()) and case.terms is not None:
        case = judged_again(replace(case, terms=draw(SOME_TERMS)))
    if draw(st.booleans()) and case.retirement is not None:
        case = retired(case, since=draw(MOMENT) - draw(st.integers(0, 10)) * DAY, not_before=draw(st.none() | MOMENT))
    return case


def _changed(case: Case, change: Change) -> Case:
    # A change of the tags has no place where they cannot be read.
    return case if isinstance(case.snapshot.tags, Unreadable) else change(case)


def farthest(case: Case, now: datetime) -> int:
    """How far it is once the decision was carried out."""
    stage = case.retirement.stage if case.retirement else Stage.OBSERVED
    return (decide(case, now).to or stage).rank


@cases_in_hand
@given(cases(), TAGS, MOMENT)
def test_no_tag_leads_any_farther(case: Case, tags: dict[str, str], now: datetime) -> None:
    if not isinstance(case.snapshot.tags, Unreadable):
        assert farthest(with_tags(case, tags), now) <= farthest(case, now)


@cases_in_hand
@given(cases(), EVIDENCE, MOMENT)
def test_no_evidence_leads_any_farther(case: Case, more: Evidence, now: datetime) -> None:
    """But for a source that was missing: hearing it is what it waits for."""
    if more.source in {each.source for each in case.evidence} or more.source not in case.sources:
        assert farthest(replace(case, evidence=(*case.evidence, more)), now) <= farthest(case, now)
        assert farthest(replace(case, evidence=(more, *case.evidence)), now) <= farthest(case, now)


@cases_in_hand
@given(
    cases(),
    st.sampled_from(["after_days", "empty_after_days", "grace_days", "unowned_grace_days", "quarantine_days", "archive_days"]),
    st.integers(1, 30),
    MOMENT,
)
def test_no_longer_time_leads_any_farther(case: Case, which: str, more: int, now: datetime) -> None:
    if case.terms is None or getattr(case.terms, which) is None:
        return
    longer = replace(case, terms=case.terms.model_copy(update={which: getattr(case.terms, which) + more}))
    assert longer.terms is not None
    longer.terms.__dict__.pop("hash", None)
    assert farthest(longer, now) <= farthest(case, now)
    assert farthest(judged_again(longer), now) <= farthest(judged_again(case), now)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("which", ["after_days", "grace_days", "quarantine_days", "archive_days"])
def test_one_day_more_holds_up_what_would_have_gone_on(which: str, stage: Stage) -> None:
    """That no longer time leads farther would hold as well if nothing ever went on, or if nobody counted."""
    counted = {
        Stage.OBSERVED: "after_days",
        Stage.MARKED: "grace_days",
        Stage.QUARANTINED: "quarantine_days",
        Stage.ARCHIVED: "archive_days",
    }
    longer = by_terms(going_on(stage), **{which: getattr(TERMS, which) + 1})
    assert (decide(longer, NOW).to is None) is (counted[stage] == which)


@cases_in_hand
@given(cases(), MOMENT)
def test_the_same_case_at_the_same_time_is_decided_the_same_way(case: Case, now: datetime) -> None:
    again = replace(case, snapshot=replace(case.snapshot), evidence=tuple(replace(each) for each in case.evidence))
    assert decide(case, now) == decide(again, now)


MISSING: dict[str, Change] = {
    "the record": lambda case: replace(case, retirement=None),
    "the terms": lambda case: replace(case, terms=None),
    "the time of watching": lambda case: replace(case, watched_since=None),
    "the evidence": lambda case: replace(case, evidence=()),
    "one source": lambda case: replace(case, evidence=case.evidence[1:]),
    "the other source": lambda case: replace(case, evidence=case.evidence[:1]),
    "the tags": lambda case: seen(case, tags=Unreadable("denied")),
    "the policy": lambda case: seen(case, policy=Unreadable("denied")),
    "the images": lambda case: seen(case, images=Unreadable("denied")),
    "what was judged": lambda case: retired(case, fingerprint=""),
    "the birth": lambda case: retired(case, birth=None),
    "the terms it was judged by": lambda case: retired(case, terms=""),
    "the mark": lambda case: with_tags(case, {DELETE_AFTER: None}),
    "the mark's day": lambda case: retired(case, delete_after=""),
    "whose pulls are recorded": lambda case: replace(case, trusted_pulls=False),
}
LAST: dict[str, Case] = {
    "archived": going_on(Stage.ARCHIVED),
    "quarantined, without an archive": by_terms(going_on(Stage.QUARANTINED), archive_days=0),
    "empty and marked": emptied(Stage.MARKED),
    "interrupted": retired(going_on(Stage.ARCHIVED), intended=Stage.DELETED),
}


@pytest.mark.parametrize("which", LAST)
@pytest.mark.parametrize("what", MISSING)
def test_where_anything_is_missing_nothing_is_deleted(what: str, which: str) -> None:
    assert decide(LAST[which], NOW).to is Stage.DELETED
    assert decide(MISSING[what](LAST[which]), NOW).to is not Stage.DELETED


def test_where_nobody_was_told_an_empty_one_is_not_deleted() -> None:
    assert decide(replace(LAST["empty and marked"], delivered_at=None), NOW).to is not Stage.DELETED


@pytest.mark.parametrize("which", ["archived", "quarantined, without an archive", "interrupted"])
def test_where_nobody_was_told_nothing_is_deleted(which: str) -> None:
    assert decide(replace(LAST[which], delivered_at=None), NOW).to is not Stage.DELETED


@cases_in_hand
@given(cases(), ANY_TIME, st.lists(ANY_TIME, min_size=7, max_size=7))
def test_no_time_is_too_strange_to_decide(case: Case, now: datetime, moments: list[datetime]) -> None:
    watched, delivered, since, not_before, pushed, pulled, created = moments
    strange = replace(case, watched_since=watched, delivered_at=delivered, noted_push=pushed, used_at=pulled)
    if strange.retirement:
        strange = retired(strange, since=since, not_before=not_before)
    strange = seen(strange, created_at=created, images=(an_image(1, pushed, pulled_at=pulled),))
    for each in (strange, judged_again(strange)):
        decision = decide(each, now)
        assert decision.to is not Stage.DELETED or max(since, pushed, pulled, created) < now
        assert decision.reasons
