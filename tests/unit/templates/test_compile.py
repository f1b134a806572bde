"""What the policy's namespaces become, and what no template can say."""

import json

import pytest

from ecr_governor.core.policy.load import load
from ecr_governor.core.templates.compile import MARK, Compiled, compiled
from ecr_governor.core.templates.template import MAX_DESCRIPTION, as_data

ROLE = "arn:aws:iam::123456789012:role/ecr-creation"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
LIFECYCLE = (
    "{rules: [{rulePriority: 1, selection: {tagStatus: untagged, countType: sinceImagePushed, countUnit: days, countNumber: 14}, "
    "action: {type: expire}}]}"
)
PUSH = "auto_created: {allowed: [create_on_push]}"


def made(text: str) -> Compiled:
    return compiled(load(f"version: 1\n{text}", "policy.yaml"))


def told(of: Compiled) -> list[str]:
    return [f"{', '.join(each.prefixes)}: {each.field}: {each.what}" for each in of.left_out]


def test_a_namespace_is_one_whole_template_in_the_words_of_the_api() -> None:
    of = made(
        f"namespaces:\n  ROOT: {{lifecycle_policy: {LIFECYCLE}, {PUSH}, tag_mutability: {{mode: IMMUTABLE_WITH_EXCLUSION, except: [latest, dev-*]}}}}\n"
        f"  payments: {{encryption: {{type: KMS, kms_key: '{KEY}'}}, required_tags: {{team: {{set: pay}}}}, repository_policy: "
        "{Version: '2012-10-17', Statement: [{Sid: Pull, Effect: Allow, Principal: {AWS: '210987654321'}, Action: 'ecr:BatchGetImage'}]}}\n"
        f"templates: {{custom_role_arn: '{ROLE}'}}"
    )
    (template,) = of.templates
    data = as_data(template)
    assert json.loads(data.pop("lifecyclePolicy"))["rules"][0]["selection"]["countNumber"] == 14
    assert json.loads(data.pop("repositoryPolicy"))["Statement"][0]["Sid"] == "Pull"
    assert data == {
        "prefix": "payments",
        "description": MARK,
        "appliedFor": ["CREATE_ON_PUSH"],
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [
            {"filterType": "WILDCARD", "filter": "dev-*"},
            {"filterType": "WILDCARD", "filter": "latest"},
        ],
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KEY},
        "resourceTags": [{"Key": "team", "Value": "pay"}],
        "customRoleArn": ROLE,
    }


def test_where_the_policy_asks_nothing_a_template_says_what_ecr_does_without() -> None:
    (template,) = made(f"namespaces: {{payments/: {{{PUSH}}}}}").templates
    assert as_data(template) == {
        "prefix": "payments",
        "description": MARK,
        "appliedFor": ["CREATE_ON_PUSH"],
        "imageTagMutability": "MUTABLE",
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }


def test_ecr_takes_the_mark() -> None:
    assert len(MARK) <= MAX_DESCRIPTION


def test_the_ways_are_those_that_the_policy_allows() -> None:
    of = made("namespaces: {a: {auto_created: {}}, b: {auto_created: {allowed: [replication]}}, c: {auto_created: {allowed: []}}}")
    assert {each.key: sorted(each.applied_for) for each in of.templates} == {
        "a": ["CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION"],
        "b": ["REPLICATION"],
    }
    assert of.left_out == ()


def test_a_namespace_that_does_not_say_how_repositories_may_come_gets_no_template() -> None:
    of = made("namespaces: {ROOT: {scan_frequency: MANUAL}, payments: {}}")
    assert of.templates == ()
    assert told(of) == ["ROOT, payments: appliedFor: no template: the policy does not say how ECR may create repositories"]


@pytest.mark.parametrize(("meant", "ways"), [("false", ["REPLICATION"]), ("true", ["CREATE_ON_PUSH", "REPLICATION"])])
def test_root_is_opened_to_pushes_only_in_so_many_words(meant: str, ways: list[str]) -> None:
    of = made(
        "namespaces: {ROOT: {auto_created: {allowed: [create_on_push, replication]}}}\n"
        f"templates: {{create_on_push_at_root: {meant}}}"
    )
    assert [sorted(each.applied_for) for each in of.templates] == [ways]
    opened = "ROOT: appliedFor: not for CREATE_ON_PUSH: a push to any name would create a repository"
    assert (opened in told(of)) == (meant == "false")


def test_that_root_is_closed_is_told_by_what_it_refuses_where_the_convention_names_that() -> None:
    convention = "naming: {convention: '{team}/{service}', segments: {team: [a, b, c]}}\n"
    some = made(f"{convention}namespaces: {{ROOT: {{{PUSH}}}, a: {{}}}}")
    assert told(some) == ["ROOT: prefix: the convention allows b/…, c/…, and a push there is refused: no namespace is for it"]
    assert some.left_out[0].do == "add the namespaces `b: {}`, `c: {}`"
    assert told(made(f"{convention}namespaces: {{ROOT: {{{PUSH}}}, a: {{}}, b: {{}}, c: {{}}}}")) == []


def test_that_root_is_closed_is_told_as_a_whole_where_a_beginning_is_open_in_part_only() -> None:
    convention = "naming: {convention: '{team}/{path...}', segments: {team: [a, b]}"
    whole = "ROOT: appliedFor: not for CREATE_ON_PUSH: a push to any name would create a repository"
    assert told(made(f"{convention}}}\nnamespaces: {{ROOT: {{{PUSH}}}, a/x: {{}}, b: {{}}}}")) == [whole]
    open_ones = f"namespaces: {{ROOT: {{{PUSH}}}, a: {{}}, b: {{}}}}"
    assert told(made(f"{convention}, ignore: ['legacy/*']}}\n{open_ones}")) == [whole]
    assert told(made(f"{convention}, ignore: ['a/old/*']}}\n{open_ones}")) == []


def test_immutable_tags_and_a_cache_do_not_go_into_one_template() -> None:
    both = "auto_created: {allowed: [create_on_push, pull_through_cache]}"
    of = made(f"namespaces: {{a: {{tag_mutability: IMMUTABLE, {both}}}, b: {{tag_mutability: MUTABLE, {both}}}}}")
    assert {each.key: sorted(each.applied_for) for each in of.templates} == {
        "a": ["CREATE_ON_PUSH"],
        "b": ["CREATE_ON_PUSH", "PULL_THROUGH_CACHE"],
    }
    assert told(of) == ["a: appliedFor: not for PULL_THROUGH_CACHE: immutable tags would stop a cache's refresh"]


def test_without_a_role_tags_are_left_out_and_kms_makes_no_template() -> None:
    of = made(f"namespaces: {{a: {{required_tags: {{team: {{set: a}}}}, {PUSH}}}, b: {{encryption: KMS, {PUSH}}}}}")
    (template,) = of.templates
    assert (template.key, dict(template.resource_tags), template.custom_role_arn) == ("a", {}, None)
    assert told(of) == [
        "a: resourceTags: without a role ECR creates nothing with tags: team is set by the rule required-tags afterwards",
        "b: encryptionConfiguration: no template: ECR creates nothing with KMS without a role, and encryption cannot be changed afterwards",
    ]


def test_a_role_is_named_only_where_it_is_needed() -> None:
    of = made(f"namespaces: {{a: {{{PUSH}}}, b: {{encryption: KMS, {PUSH}}}}}\ntemplates: {{custom_role_arn: '{ROLE}'}}")
    assert {each.key: each.custom_role_arn for each in of.templates} == {"a": None, "b": ROLE}


@pytest.mark.parametrize(
    ("convention", "prefix", "tags"),
    [
        ("{team}/{service}", "payments", {"team": "payments", "origin": "create_on_push", "fixed": "x"}),
        ("{team}/{service}", "nobody", {"origin": "create_on_push", "fixed": "x"}),  # breaks the convention: no team is known by it
        ("apps/{team}/{service...}", "apps/payments", {"team": "payments", "origin": "create_on_push", "fixed": "x"}),
        ("apps/{team}/{service...}", "apps", {"origin": "create_on_push", "fixed": "x"}),
        ("apps/{team}/{service...}", "tools/payments", {"origin": "create_on_push", "fixed": "x"}),
        ("{service...}/{team}", "payments", {"origin": "create_on_push", "fixed": "x"}),
        ("{stage}-{team}/{service}", "dev-payments", {"origin": "create_on_push", "fixed": "x"}),
        ("{team}/{service}", "mirror", {"origin": "create_on_push", "fixed": "x"}),  # the convention does not speak of it
    ],
)
def test_a_tag_is_in_the_template_if_it_is_the_same_for_every_name_under_it(convention: str, prefix: str, tags: dict[str, str]) -> None:
    of = made(
        f"naming: {{convention: '{convention}', segments: {{team: [payments, mirror]}}, ignore: ['mirror/*']}}\n"
        f"namespaces: {{{prefix}: {{required_tags: {{team: {{set: '{{team}}'}}, owner: {{set: '{{pusher}}'}}, origin: {{set: '{{origin}}'}}, "
        f"fixed: {{set: x}}, cost: {{}}}}, {PUSH}}}}}\ntemplates: {{custom_role_arn: '{ROLE}'}}"
    )
    (template,) = of.templates
    assert dict(template.resource_tags) == tags
    assert f"{prefix}: resourceTags: the tag cost has no value to set" in told(of)


def test_where_there_are_two_ways_the_origin_is_not_known_beforehand() -> None:
    allowed = "auto_created: {allowed: [create_on_push, replication]}"
    of = made(
        f"namespaces: {{a: {{required_tags: {{origin: {{set: '{{origin}}'}}}}, {allowed}}}}}\ntemplates: {{custom_role_arn: '{ROLE}'}}"
    )
    assert dict(of.templates[0].resource_tags) == {}


def test_a_value_that_the_policy_itself_does_not_allow_is_not_set() -> None:
    of = made(
        "naming: {convention: '{team}/{service}'}\n"
        f"namespaces: {{a: {{required_tags: {{team: {{set: '{{team}}', one_of: [b]}}}}, {PUSH}}}}}\ntemplates: {{custom_role_arn: '{ROLE}'}}"
    )
    assert dict(of.templates[0].resource_tags) == {}


def test_names_that_fall_to_another_template_are_told() -> None:
    of = made(
        f"namespaces: {{a: {{{PUSH}}}, a/shut: {{auto_created: {{allowed: []}}}}, a/cache: {{auto_created: {{allowed: [pull_through_cache]}}}}}}"
    )
    assert told(of) == [
        "a/shut: appliedFor: has no template of its own: a push there creates repositories by the template a",
        "a/cache: appliedFor: its template is not for CREATE_ON_PUSH; whether the template a then counts, AWS does not say",
    ]


def test_beginnings_that_the_convention_allows_and_no_namespace_is_for_are_told() -> None:
    of = made(
        "naming: {convention: 'apps/{team}/{service}', segments: {team: [payments, search, platform]}}\n"
        f"namespaces: {{ROOT: {{{PUSH}}}, apps/payments: {{}}, apps/platform/web: {{}}}}"
    )
    assert [each.do for each in of.left_out if each.field == "prefix"] == ["add the namespace `apps/search: {}`"]


def test_scanning_is_left_to_the_registry_and_that_is_told() -> None:
    of = made(f"namespaces: {{a: {{scan_frequency: SCAN_ON_PUSH, {PUSH}}}}}")
    assert told(of) == ["a: scan_frequency: a template does not speak of scanning: the registry's scanning configuration decides"]
    assert [each.do for each in of.left_out] == ["set it there, by aws ecr put-registry-scanning-configuration"]
