"""`ecr-governor explain`: each verdict with what it rests on, what follows, and what would change it; and no sentence that does not hold."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cli.explanation.given import Given, Recorded
from cli.explanation.making import SETTINGS, Explanation, RuleTold, age_of, explain
from cli.explanation.outlook import Outlook
from cli.explanation.telling import _ago, as_object, print_table
from cli.explanation.twins import twins_of
from cli.policy.cases import Happening
from cli.policy.rehearsal import World, rehearse
from ecr_governor.core.documents import json_text
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.granted import Granted
from ecr_governor.core.origin import Actor, Creation, Origin, Provenance, Push
from ecr_governor.core.policy.load import read
from ecr_governor.core.policy.model import Mode, NamespaceSettings
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Repository, Unreadable, Usage
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, HeldImage, Snapshot, fingerprint
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.core.templates.foreseeing import foresee
from ecr_governor.core.templates.template import Template
from ecr_governor.core.verdict import Violation
from tests.fakes import ACCOUNT, LIFECYCLE, REGION, a_repository

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = NOW - 400 * DAY
POLICY = f"""\
version: 1
mode: enforce
naming: {{convention: "{{team}}/{{service}}", segments: {{team: [payments, search], service: {{regex: "[a-z][a-z0-9-]{{1,38}}"}}}}}}
namespaces:
  ROOT:
    lifecycle_policy: {json.dumps(LIFECYCLE)}
    tag_mutability: IMMUTABLE
    required_tags: {{owner: {{set: "{{pusher}}"}}, team: {{set: "{{team}}"}}}}
  payments:
    retirement: {{after_days: 90, grace_days: 14, unowned_grace_days: 7, quarantine_days: 7, archive_days: 30, then: delete}}
rules: {{tag-mutability: audit, encryption: off}}
exemptions:
  - {{match: "search/legacy_*", rules: naming, reason: moves with the index, owner: search, expires: 2027-03-31}}
"""
CI = Actor(f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/build-1", ACCOUNT, "AssumedRole")


def given(repository: Repository | None = None, policy: str = POLICY, **more: Any) -> Given:
    names = more.pop("names", ())
    return Given(read(policy, "policy.yaml"), repository or a_repository(created_at=OLD), more.pop("now", NOW), names, **more)


def told(explanation: Explanation, rule: str) -> RuleTold:
    return next(each for each in explanation.rules if each.rule == rule)


def snapshot(repository: Repository, *images: HeldImage, tags: dict[str, str] | None = None) -> Snapshot:
    return Snapshot(repository.name, repository.arn, repository.created_at, tags or {}, None, images)


# --- verdicts and what they rest on ---------------------------------------------------------------------------------------------------


def test_every_rule_is_told_and_every_setting_belongs_to_one() -> None:
    asked = [key for keys in SETTINGS.values() for key in keys]

    assert SETTINGS.keys() == RULES.keys()
    assert [each.rule for each in explain(given()).rules] == list(RULES)
    # What retirement does is told on its own, and how far a rule goes with each.
    assert set(asked) == set(NamespaceSettings.model_fields) - {"retirement", "rules"}
    assert len(asked) == len(set(asked))


def test_a_violation_says_what_was_asked_by_which_line_what_was_seen_and_what_follows() -> None:
    rule = told(explain(given()), "lifecycle-policy")

    assert (rule.verdict, rule.mode, rule.mode_source) == ("violation", "enforce", "policy.yaml:2")
    assert [(each.at[-1], each.source) for each in rule.asked] == [
        ("lifecycle_policy", "ROOT, policy.yaml:6"),
        ("replace_lifecycle_policy", "default"),
    ]
    assert [(each.what, each.value, each.source, each.at) for each in rule.seen] == [
        ("lifecycle policy", "none", "ecr:GetLifecyclePolicy", NOW)
    ]
    assert rule.follows == "it is put right with the next event or sweep, if the stack is deployed with Mode=enforce"
    assert list(rule.what_if) == ["compliant after this: put the lifecycle policy of the namespace"]


def test_a_rule_in_audit_puts_nothing_right_and_says_which_line_says_so() -> None:
    rule = told(explain(given()), "tag-mutability")

    assert (rule.verdict, rule.mode) == ("violation", "audit")
    assert rule.follows == "a finding: nothing is put right in mode audit (policy.yaml:11)"
    assert len(rule.remedies) == 1


def test_what_a_namespace_says_of_a_rule_is_told_with_its_line() -> None:
    text = POLICY.replace(
        "  payments:\n",
        "  payments:\n    rules: {tag-mutability: enforce, naming: {severity: low}, encryption: audit, required-tags: off}\n",
    )
    text = text.replace("    tag_mutability:", "    encryption: KMS\n    rules: {scanning: off, naming: audit}\n    tag_mutability:")
    here, elsewhere = explain(given(policy=text)), explain(given(a_repository("search/api", created_at=OLD), policy=text))

    modes = {rule: (told(here, rule).mode, told(here, rule).mode_source) for rule in ("tag-mutability", "naming", "encryption", "unused")}
    assert modes == {
        "tag-mutability": ("enforce", "policy.yaml:12"),
        "naming": ("audit", "ROOT, policy.yaml:8"),
        "encryption": ("audit", "policy.yaml:12"),
        "unused": ("enforce", "policy.yaml:2"),
    }
    assert told(here, "naming").severity == "low"
    assert (told(here, "required-tags").verdict, told(here, "required-tags").mode_source) == ("off", "policy.yaml:12")
    assert told(here, "tag-mutability").follows.startswith("it is put right")
    assert told(elsewhere, "tag-mutability").follows == "a finding: nothing is put right in mode audit (policy.yaml:14)"
    assert (told(elsewhere, "encryption").verdict, told(elsewhere, "encryption").mode_source) == ("off", "policy.yaml:14")
    held_back = explain(given(policy=text.replace("mode: enforce", "mode: audit")))
    assert told(held_back, "tag-mutability").mode_source == "policy.yaml:2"


def test_what_is_off_and_what_is_not_asked_is_told_apart() -> None:
    explanation = explain(given())

    assert (told(explanation, "encryption").verdict, told(explanation, "image-tag").verdict) == ("off", "not asked")


def test_a_policy_that_is_off_is_judged_as_in_audit() -> None:
    explanation = explain(given(policy=POLICY.replace("mode: enforce", "mode: off")))

    assert told(explanation, "lifecycle-policy").mode == "audit"
    assert explanation.violates


def test_an_exemption_is_told_with_its_line_and_its_end() -> None:
    rule = told(explain(given(a_repository("search/legacy_index", created_at=OLD))), "naming")

    assert (rule.verdict, rule.exemption_source, rule.follows) == ("exempt", "policy.yaml:13", "nothing, as long as it is exempt")
    assert "open from 2027-04-01 on, when the exemption has ended" in rule.what_if


def test_an_exemption_from_slack_is_told_once_it_is_confirmed_and_of_this_very_repository() -> None:
    asked = Granted("1", ("lifecycle-policy",), "moves with the index", "slack:U1 (alice)", "U1", date(2027, 1, 31))
    repository = a_repository(created_at=OLD)
    for granted, created_at, verdict, source in (
        (asked, OLD, "violation", ""),
        (replace(asked, confirmed_by="bob"), OLD, "exempt", "the ledger, confirmed in Slack"),
        (replace(asked, confirmed_by="bob"), NOW - DAY, "violation", ""),
    ):
        record = RepositoryRecord(repository.name, created_at=created_at, exemptions=(granted,))
        rule = told(explain(given(repository, recorded=Recorded("stack", record, None))), "lifecycle-policy")
        assert (rule.verdict, rule.exemption_source) == (verdict, source)


def test_what_could_not_be_read_is_undetermined_and_makes_it_incomplete() -> None:
    explanation = explain(given(a_repository(created_at=OLD, tags=Unreadable("ecr:ListTagsForResource: AccessDeniedException"))))

    assert told(explanation, "required-tags").verdict == "undetermined"
    assert list(explanation.incomplete_because) == ["ecr:ListTagsForResource: AccessDeniedException"]


# --- what if --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "moves"),
    [
        ((), ", where it would be in the namespace payments"),
        (("payments/api",), ", which there is already, where it would be in the namespace payments"),
    ],
)
def test_a_name_that_would_do_is_named_and_whether_it_is_taken(names: Sequence[str], moves: str) -> None:
    rule = told(explain(given(a_repository("paymets/api", created_at=OLD), names=names)), "naming")

    assert list(rule.what_if) == [
        f"compliant if renamed payments/api{moves}; ECR cannot rename: push there, move who pulls, delete this one"
    ]


def test_a_remedy_that_does_not_suffice_is_not_promised_to() -> None:
    # No push was seen: the owner's tag cannot be filled in, the team's can.
    rule = told(explain(given()), "required-tags")

    assert list(rule.what_if) == ["a violation also after this: set the tags team=payments. Then it has no tag owner"]


@pytest.mark.parametrize("pulled", [NOW - 20 * DAY, NOW - 1 * DAY])
def test_the_day_from_which_it_is_unused_is_the_day_on_which_the_rule_says_so(pulled: datetime) -> None:
    repository = a_repository(created_at=OLD, usage=Usage(OLD, pulled, 1))
    found = given(repository)
    (sentence,) = told(explain(found), "unused").what_if
    day = datetime.fromisoformat(sentence.split()[2]).replace(tzinfo=UTC)

    def unused_at(at: datetime) -> bool:
        return any(
            each.rule == "unused" and isinstance(each.verdict, Violation) for each in evaluate(repository, found.policy, at).judgements
        )

    assert unused_at(day + DAY)
    assert not unused_at(day - DAY)


# --- before there is one --------------------------------------------------------------------------------------------------------------

TEMPLATE = Template("payments", frozenset({"CREATE_ON_PUSH"}), tag_mutability="IMMUTABLE", lifecycle_policy=json_text.write(LIFECYCLE))


def foreseen(name: str, *templates: Template) -> Explanation:
    found = foresee(name, templates, ACCOUNT, REGION, NOW)
    return explain(given(found.repository, foreseen=found))


def test_a_push_is_judged_by_what_its_template_would_give() -> None:
    explanation = foreseen("payments/new", TEMPLATE)

    assert explanation.given.foreseen
    assert explanation.given.foreseen.template == "payments"
    assert {each.rule: each.verdict for each in explanation.rules if each.verdict != "compliant"} == {
        "encryption": "off", "image-tag": "not asked", "required-tags": "violation", "auto-created": "not asked", "scanning": "not asked",
    }  # fmt: skip
    # The owner's tag names the pusher, who is still to come.
    assert told(explanation, "required-tags").reason == "has no tag team"
    assert told(explanation, "lifecycle-policy").seen[0].source == "creation template payments"
    assert explanation.incomplete_because == ()


def test_what_no_template_says_is_told_by_the_push() -> None:
    policy = POLICY.replace("    tag_mutability: IMM", "    auto_created: {allowed: [create_on_push], grace: 24h}\n    tag_mutability: IMM")
    found = foresee("payments/new", (TEMPLATE,), ACCOUNT, REGION, NOW)
    rule = told(explain(given(found.repository, policy, foreseen=found)), "auto-created")

    sources = {each.what: (each.source, each.at) for each in rule.seen}
    assert sources["holds image"] == ("the push, to come", None)
    assert sources["creation templates"] == ("ecr:DescribeRepositoryCreationTemplates", NOW)


@pytest.mark.parametrize(
    ("name", "templates", "refused"),
    [
        ("search/new", (TEMPLATE,), "no creation template with CREATE_ON_PUSH covers the name"),
        ("payments", (TEMPLATE,), "no creation template with CREATE_ON_PUSH covers the name"),
        (
            "payments/new",
            (replace(TEMPLATE, applied_for=frozenset({"REPLICATION"})),),
            "no creation template with CREATE_ON_PUSH covers the name",
        ),
        (
            "payments/new",
            (replace(TEMPLATE, resource_tags={"a": "b"}),),
            "the creation template payments asks for tags or KMS, and names no role that may set them",
        ),
        (
            "payments/new",
            (replace(TEMPLATE, encryption="KMS"),),
            "the creation template payments asks for tags or KMS, and names no role that may set them",
        ),
        ("payments/new", (replace(TEMPLATE, resource_tags={"a": "b"}, custom_role_arn="arn:aws:iam::123456789012:role/ecr"),), ""),
        ("search/new", (replace(TEMPLATE, prefix="ROOT"),), ""),
    ],
)
def test_whether_ecr_would_take_the_push(name: str, templates: Sequence[Template], refused: str) -> None:
    explanation = foreseen(name, *templates)

    assert explanation.given.foreseen
    assert explanation.given.foreseen.refused == refused
    if refused:
        assert explanation.violates


def test_what_aws_does_not_document_is_told_as_unsure() -> None:
    closer = replace(TEMPLATE, prefix="payments/web", applied_for=frozenset({"REPLICATION"}))

    assert foresee("payments/web/a", (TEMPLATE, closer), ACCOUNT, REGION, NOW).unsure.startswith("the template payments/web is closer")
    assert foresee("payments/new", (TEMPLATE, closer), ACCOUNT, REGION, NOW).unsure == ""
    assert foresee("payments/new", Unreadable("denied"), ACCOUNT, REGION, NOW).unsure == "whether ECR would make it is not known: denied"


# --- the ledger -----------------------------------------------------------------------------------------------------------------------


def recorded(**more: Any) -> Recorded:
    finding = Finding("payments/api", "lifecycle-policy", Severity.MEDIUM, FindingState.OPEN, Mode.AUDIT, "", (), NOW - 24 * DAY)
    record = RepositoryRecord(
        name="payments/api",
        created_at=OLD,
        provenance=Provenance(Origin.CREATE_ON_PUSH, (), Creation("c", OLD, CI), Push("p", OLD, CI, "v1")),
        owner="alice",
        findings=(finding,),
        watched_since=NOW - 100 * DAY,
        **more,
    )
    return Recorded("ecr-governor", record, None)


def test_the_ledger_tells_the_pusher_the_owner_and_how_old_a_finding_is(capsys: pytest.CaptureFixture[str]) -> None:
    known = recorded()
    assert known.record
    explanation = explain(given(a_repository(created_at=OLD, provenance=known.record.provenance), recorded=known))

    assert explanation.owner == "alice"
    assert told(explanation, "required-tags").seen[0].value == "ci/build-1"
    assert "owner=ci/build-1" in told(explanation, "required-tags").what_if[0]
    print_table(explanation)
    out = capsys.readouterr().out
    assert "  ledger   open since 2026-11-02 12:00, 24 days\n" in out
    assert "seen     first pusher: ci/build-1 (ledger: event PutImage, 2025-10-22 12:00, 400 days ago)\n" in out


def test_a_record_of_a_former_repository_of_the_name_tells_nothing_of_this_one() -> None:
    explanation = explain(given(a_repository(created_at=NOW - DAY), recorded=recorded()))

    assert (explanation.owner, told(explanation, "lifecycle-policy").finding) == (None, None)


def test_a_remedy_that_is_paused_is_not_promised() -> None:
    explanation = explain(given(recorded=recorded(paused={"PutLifecyclePolicy": NOW})))

    assert "PutLifecyclePolicy is paused" in told(explanation, "lifecycle-policy").follows


# --- retirement -----------------------------------------------------------------------------------------------------------------------

WINDOWS = {
    "every day": "days: [mon, tue, wed, thu, fri, sat, sun]",
    "two days": "days: [tue, wed]",
    "some hours": "days: [wed, fri, sun], from_hour: 8, until_hour: 15",
}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("idle", [0, 30, 89])
@pytest.mark.parametrize("owner", [None, "alice"])
def test_the_days_to_come_are_those_on_which_the_deployment_would_go_on(idle: int, owner: str | None, window: str) -> None:
    pushed = NOW.replace(hour=0) - idle * DAY
    tags = {"owner": owner} if owner else {}
    repository = a_repository(created_at=pushed, tags=tags, usage=Usage(pushed, None, 1))
    image = HeldImage("sha256:1", frozenset({"v1"}), pushed)
    policy = f"{POLICY}retirement: {{window: {{{WINDOWS[window]}}}}}\n"
    explanation = explain(given(repository, policy, snapshot=snapshot(repository, image, tags=tags), now=NOW.replace(hour=0)))
    world = World(repository.name, repository.arn, pushed, pushed, tags=dict(tags))
    outcome = rehearse(
        world,
        [Happening(at=pushed, pushed="v1")],
        explanation.given.policy,
        NOW + 400 * DAY,
        lambda _at: repository,
    )

    assert explanation.outlook
    assert [(stage, at.date()) for stage, at in explanation.outlook.to_come] == [(step.to, step.at.date()) for step in outcome.steps]
    assert outcome.stage is Stage.DELETED


def test_what_saves_it_and_what_is_taken_for_granted_is_told() -> None:
    repository = a_repository(created_at=OLD, usage=Usage(OLD, NOW - 80 * DAY, 1))
    image = HeldImage("sha256:1", frozenset(), OLD, NOW - 80 * DAY)
    outlook = explain(given(repository, snapshot=snapshot(repository, image))).outlook

    assert outlook
    assert outlook.saves[0] == "kept if anything is pushed or pulled before 2026-12-07, when it is marked at the earliest"
    assert "that nobody uses it by ecs, lambda, whom the deployment asks before each step" in outlook.granted
    assert "only the ledger knows, --stack" in outlook.granted[0]
    assert "nobody uses it" not in [reason.check for reason in outlook.decision.reasons]


def test_a_retirement_under_way_goes_on_from_its_stage() -> None:
    repository = a_repository(created_at=OLD, usage=Usage(OLD, None, 1))
    image = HeldImage("sha256:1", frozenset(), OLD)
    plain = snapshot(repository, image)
    found = given(repository, snapshot=replace(plain, tags={DELETE_AFTER: "2026-12-03"}))
    terms = found.policy.expectation_for(repository.name).settings.retirement
    assert terms
    marked = Retirement(Stage.MARKED, NOW - DAY, OLD, fingerprint(plain), terms.hash, "2026-12-03", notice=1)
    known = replace(recorded(retirement=marked), delivered_at=NOW - DAY)
    outlook = explain(replace(found, recorded=known)).outlook

    assert outlook
    assert outlook.stage is Stage.MARKED
    assert [(stage, f"{at:%Y-%m-%d}") for stage, at in outlook.to_come] == [
        (Stage.QUARANTINED, "2026-12-03"),
        (Stage.ARCHIVED, "2026-12-10"),
        # The archive's days end on a Saturday.
        (Stage.DELETED, "2027-01-11"),
    ]
    assert f"kept if its tag {DELETE_AFTER} is removed" in outlook.saves


def test_what_the_mode_withholds_is_told() -> None:
    repository = a_repository(created_at=OLD)
    outlook = explain(given(repository, POLICY.replace("mode: enforce", "mode: audit"), snapshot=snapshot(repository))).outlook

    assert outlook
    assert list(outlook.withheld) == ["the mode is audit"]


@pytest.mark.parametrize("idle", [400, 10], ids=["due", "not yet"])
def test_where_the_rule_is_not_enforced_nothing_is_foretold(idle: int) -> None:
    pushed = NOW - idle * DAY
    repository = a_repository(created_at=pushed, usage=Usage(pushed, None, 1))
    shown = snapshot(repository, HeldImage("sha256:1", frozenset({"v1"}), pushed))

    def outlook(rule: str) -> Outlook | None:
        return explain(given(repository, POLICY.replace("{tag-mutability: audit,", f"{{unused: {rule},"), snapshot=shown)).outlook

    enforced, audits, off = outlook("enforce"), outlook("audit"), outlook("off")
    assert enforced
    assert audits
    assert off
    assert (bool(enforced.to_come), list(enforced.withheld)) == (True, [])
    assert (list(audits.to_come), list(audits.withheld)) == ([], ["the rule unused audits here"])
    assert list(off.to_come) == []
    assert "the rule unused is off here" in [reason.seen for reason in off.decision.against]


# --- names that look like it ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "other", "letters"),
    [
        ("paymets/api", "payments/api", 1),
        ("payments/check_out", "payments/check-out", 1),
        ("payments-api", "payments/api", 1),
        ("payment/check", "payments/chekc", 2),
        ("payments/api", "payments/app", None),
        ("payments/api-v1", "payments/api-v2", None),
        ("payments/api", "payments/api", None),
        ("payments/api", "search/index", None),
    ],
)
def test_a_typing_error_is_pointed_out_and_a_neighbour_is_not(name: str, other: str, letters: int | None) -> None:
    assert [twin.letters for twin in twins_of(name, [other])] == ([letters] if letters else [])


# --- how it is told -------------------------------------------------------------------------------------------------------------------


def test_foreign_text_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[31m[bold]x\n"
    print_table(explain(given(a_repository(created_at=OLD, tags={"owner": hostile}))))

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[31m[bold]x" in out


def test_a_clock_that_is_behind_makes_nothing_younger_than_new(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(explain(given(a_repository(created_at=NOW + timedelta(minutes=3)))))

    assert "created 2026-11-26 12:03, 0 days ago" in capsys.readouterr().out
    assert age_of(replace(recorded().record.findings[0], opened_at=NOW + DAY / 2), NOW).endswith(", 0 days")  # type: ignore[union-attr]
    assert _ago(NOW + timedelta(minutes=3), NOW) == "0 min ago"


def test_programs_get_all_of_it() -> None:
    repository = a_repository(created_at=OLD)
    data = json.loads(json.dumps(as_object(explain(given(repository, snapshot=snapshot(repository), names=("payments/apis",))))))

    assert data.keys() == {
        "repository", "exists", "account", "region", "at", "created_at", "push", "policy", "namespace", "owner", "settings", "rules",
        "retirement", "looks_like", "ledger", "incomplete_because",
    }  # fmt: skip
    assert [rule["rule"] for rule in data["rules"]] == list(RULES)
    assert data["looks_like"] == [{"repository": "payments/apis", "letters": 1}]
    assert data["retirement"]["stage"] == "observed"
    assert {each["path"]: each["source"] for each in data["settings"]}["namespaces.payments.retirement"] == "policy.yaml:10"
