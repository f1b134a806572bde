"""`ecr-governor templates …`: what people and pipelines are told, and what is done to a registry."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import NoCredentialsError

from cli.templates import registry
from ecr_governor.app.errors import Denied
from ecr_governor.core.templates.compile import MARK, compiled
from ecr_governor.core.templates.template import Template
from tests.commands import Ended, run
from tests.templates import FakeCreationTemplates

Command = Callable[..., Ended]
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "templates.md").read_text()
POLICY = """\
version: 1
namespaces:
  ROOT: {tag_mutability: IMMUTABLE, auto_created: {allowed: [create_on_push]}}
  payments: {}
  search: {}
"""
BY_HAND = Template("payments", frozenset({"CREATE_ON_PUSH"}), "by hand")
OURS = Template("payments", frozenset({"CREATE_ON_PUSH"}), MARK, tag_mutability="IMMUTABLE")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> FakeCreationTemplates:
    """The registry's templates."""
    fake = FakeCreationTemplates()
    monkeypatch.setattr(registry, "templates_at", lambda _place: fake)
    return fake


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return lambda *arguments: run(capsys, monkeypatch, "templates", *arguments)


def put(there: FakeCreationTemplates, *templates: Template) -> None:
    there.templates = {each.key: each for each in templates}


# --- compile --------------------------------------------------------------------------------------------------------------------------


def test_json_is_what_the_api_takes_and_the_reasons_go_to_people(command: Command) -> None:
    ended = command("compile")
    assert ended.code == 0
    value = json.loads(ended.out)
    assert [each["prefix"] for each in value["templates"]] == ["payments", "search"]
    assert value["left_out"][0]["prefixes"] == ["ROOT"]
    assert "left out for ROOT: not for CREATE_ON_PUSH: a push to any name would create a repository\n  do:  give each" in ended.err
    assert ended.err.endswith("2 templates\n")


def test_yaml_is_a_template_of_cloudformation(command: Command) -> None:
    value = yaml.safe_load(command("compile", "--output", "yaml").out)
    assert {each["Type"] for each in value["Resources"].values()} == {"AWS::ECR::RepositoryCreationTemplate"}
    assert list(value["Resources"]) == ["TemplatePayments", "TemplateSearch"]


def test_a_registry_policy_is_for_one_registry_and_says_what_it_does_not_do(command: Command) -> None:
    ended = command("compile", "--registry-policy", "--account", "123456789012", "--region", "cn-north-1")
    (statement,) = json.loads(ended.out)["Statement"]
    assert statement["NotResource"][0] == "arn:aws-cn:ecr:cn-north-1:123456789012:repository/payments/*"
    assert "Whether creation on push is asked for it, AWS does not say" in ended.err


def test_an_scp_says_whom_it_does_not_bind(command: Command) -> None:
    ended = command("compile", "--scp")
    assert len(json.loads(ended.out)["Statement"]) == 1
    assert "neither service-linked roles" in ended.err
    assert "Who may change templates is left open" in ended.err
    assert "left open" not in command("compile", "--scp", "--admin", "arn:aws:iam::*:role/platform").err


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012:role/platform",
        "arn:aws:iam::*:role/platform",
        "arn:*:iam::123456789012:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Admin_*",
        "arn:aws-cn:iam::12345678901?:user/people/ann@example.com",
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:federated-user/ann",
        "arn:aws:iam::123456789012:*",
    ],
)
def test_whom_an_scp_spares_is_a_principal(command: Command, arn: str) -> None:
    _, changes = json.loads(command("compile", "--scp", "--admin", arn).out)["Statement"]
    assert changes["Condition"] == {"ArnNotLike": {"aws:PrincipalArn": [arn]}}


@pytest.mark.parametrize(
    "arn",
    [
        "foo", "", "*", "platform*", "arn:aws:iam:role/platform", "arn:aws:iam::1234:role/platform", "arn:aws:iam::123456789012:platform",
        "arn:aws:iam::123456789012:role/", "arn:aws:iam::123456789012:group/x", "arn:aws:s3:::bucket", " arn:aws:iam::123456789012:root",
        "arn:aws:iam:eu-west-1:123456789012:role/x",
    ],
)  # fmt: skip
def test_an_scp_that_spares_nobody_is_not_printed(command: Command, arn: str) -> None:
    assert command("compile", "--scp", "--admin", "arn:aws:iam::*:role/platform", "--admin", arn) == Ended(
        2,
        "",
        f"error: {arn!r} is no principal's ARN\n  why: aws:PrincipalArn never is that: nobody at all could change templates\n"
        "  do:  --admin 'arn:aws:iam::123456789012:role/platform', with * for any account\n",
    )


def test_of_a_session_the_role_is_to_be_named(command: Command) -> None:
    told = command("compile", "--scp", "--admin", "arn:aws:sts::123456789012:assumed-role/platform/ann").err
    assert told.splitlines()[1] == "  why: aws:PrincipalArn is the role of a session, not the session: nobody at all could change templates"


@pytest.mark.parametrize(
    ("arguments", "why", "do"),
    [
        ((), "creation templates name nobody", "add --scp, or take --admin out"),
        (
            ("--registry-policy", "--account", "123456789012", "--region", "eu-west-1"),
            "a registry policy leaves templates alone",
            "take --admin out, or ask for --scp",
        ),
    ],
)
def test_an_admin_is_taken_with_an_scp_alone(command: Command, arguments: tuple[str, ...], why: str, do: str) -> None:
    ended = command("compile", *arguments, "--admin", "arn:aws:iam::*:role/platform")
    assert ended == Ended(2, "", f"error: --admin is for --scp alone\n  why: {why}\n  do:  {do}\n")


@pytest.mark.parametrize(
    ("policy", "arguments", "what"),
    [
        (POLICY, ("--registry-policy",), "the registry's account is not known"),
        (POLICY, ("--registry-policy", "--account", "1234", "--region", "eu-west-1"), "the registry's account is not known"),
        (POLICY, ("--registry-policy", "--account", "123456789012"), "the registry's Region is not known"),
        (POLICY, ("--registry-policy", "--account", "123456789012", "--region", "nowhere"), "nowhere is no AWS Region"),
        (POLICY, ("--registry-policy", "--scp"), "these are two documents"),
        (f"{POLICY}templates: {{create_on_push_at_root: true}}\n", ("--scp",), "there are no prefixes to keep names to"),
        ("version: 1\n", ("--scp",), "there are no prefixes to keep names to"),
        (POLICY, ("--output", "toml"), "there is no output toml"),
    ],
)
def test_what_cannot_be_printed_is_told_in_three_lines(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, arguments: tuple[str, ...], what: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "policy.yaml").write_text(policy)
    ended = command("compile", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(rf"error: {re.escape(what)}\n  why: .+\n  do:  .+\n", ended.err)


def test_a_document_that_aws_would_not_take_is_not_printed(command: Command, tmp_path: Path) -> None:
    many = "".join(f"  namespace-of-a-team-{number}: {{}}\n" for number in range(200))
    (tmp_path / "policy.yaml").write_text(f"version: 1\nnamespaces:\n{many}")
    ended = command("compile", "--scp")
    assert (ended.code, ended.out) == (2, "")
    assert "AWS takes 10,240" in ended.err


# --- diff -----------------------------------------------------------------------------------------------------------------------------


def test_a_registry_as_the_policy_wants_it_differs_in_nothing(command: Command, there: FakeCreationTemplates) -> None:
    put(there, OURS, replace(OURS, prefix="search/", description="by terraform"))
    ended = command("diff")
    assert (ended.code, ended.out) == (0, "search: as wanted, and somebody else's\n2 templates as wanted, 0 not\n")


def test_what_differs_is_told_field_by_field(command: Command, there: FakeCreationTemplates) -> None:
    put(there, replace(OURS, tag_mutability="MUTABLE"), replace(BY_HAND, prefix="mirror"), replace(OURS, prefix="old"))
    ended = command("diff")
    assert ended.code == 1
    assert ended.out == (
        "payments: changed\n"
        "    imageTagMutability  MUTABLE -> IMMUTABLE\n"
        "search: missing\n"
        "    appliedFor               CREATE_ON_PUSH\n"
        "    imageTagMutability       IMMUTABLE\n"
        "    encryptionConfiguration  AES256\n"
        "mirror: somebody else's, at a prefix of which the policy wants nothing\n"
        "    appliedFor  CREATE_ON_PUSH\n"
        "old: left over: made from the policy, and not wanted any more\n"
        "    appliedFor  CREATE_ON_PUSH\n"
        "no template as wanted, 4 not\n"
    )


@pytest.mark.parametrize(("prefix", "code"), [("mirror", 0), ("mirror/", 0), ("other", 1)])
def test_somebody_elses_template_differs_unless_it_is_known(command: Command, there: FakeCreationTemplates, prefix: str, code: int) -> None:
    put(there, OURS, replace(OURS, prefix="search"), replace(BY_HAND, prefix="mirror"))
    assert command("diff", "--known", prefix).code == code


def test_what_is_left_over_is_not_explained_away(command: Command, there: FakeCreationTemplates) -> None:
    put(there, OURS, replace(OURS, prefix="search"), replace(OURS, prefix="old"))
    assert command("diff", "--known", "old").code == 1


def test_programs_get_both_templates_and_the_differences(command: Command, there: FakeCreationTemplates) -> None:
    put(there, BY_HAND)
    value = json.loads(command("diff", "--output", "json").out)
    taken, missing = value["templates"]
    assert (value["differs"], taken["standing"], missing["standing"]) == (True, "taken", "missing")
    assert taken["differences"] == [{"field": "imageTagMutability", "found": "MUTABLE", "wanted": "IMMUTABLE"}]
    assert (taken["found"]["description"], taken["wanted"]["description"], missing["found"]) == ("by hand", MARK, None)


@pytest.mark.parametrize(("error", "code", "what"), [(NoCredentialsError(), 4, "no AWS credentials"), (Denied("ecr:X"), 3, "AWS refused")])
@pytest.mark.parametrize("name", ["diff", "sync", "lint", "which"])
def test_what_aws_has_against_it_is_told_in_three_lines(
    command: Command, there: FakeCreationTemplates, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, code: int, what: str
) -> None:
    def read() -> Any:
        raise error

    monkeypatch.setattr(there, "read", read)
    ended = command(name, *(["payments/api"] if name == "which" else []))
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(f"error: {what}\n  why: ")


def test_names_and_descriptions_of_others_are_shown_as_text(command: Command, there: FakeCreationTemplates) -> None:
    put(there, replace(BY_HAND, prefix="x\x1b[31m", applied_for=frozenset({"NEW\x1b[2J"})))
    ended = command("diff")
    assert "\x1b" not in ended.out + ended.err


# --- sync -----------------------------------------------------------------------------------------------------------------------------


def wanted() -> dict[str, Template]:
    from ecr_governor.core.policy.load import load  # noqa: PLC0415 - one test's own

    return {each.key: each for each in compiled(load(POLICY, "policy.yaml")).templates}


def test_sync_makes_the_registry_what_the_policy_wants_and_a_second_time_does_nothing(
    command: Command, there: FakeCreationTemplates
) -> None:
    put(there, replace(OURS, tag_mutability="MUTABLE"))
    ended = command("sync", "--yes")
    assert (ended.code, there.changes) == (0, ["create search", "update payments"])
    assert there.templates == wanted()
    assert "to be done: create search, update payments\n" in ended.err
    again = command("sync", "--yes")
    assert (again.code, again.out, len(there.changes)) == (0, "2 templates as wanted, 0 not\n", 2)


def test_a_dry_run_shows_and_does_nothing(command: Command, there: FakeCreationTemplates) -> None:
    ended = command("sync", "--dry-run", "--yes")
    assert (ended.code, there.changes) == (1, [])
    assert "would be done: create payments, create search\n" in ended.err


def test_without_a_word_nothing_is_done(command: Command, there: FakeCreationTemplates) -> None:
    ended = command("sync")
    assert (ended.code, there.changes) == (2, [])
    assert ended.err.endswith("error: nothing was done\n  why: nobody confirmed it\n  do:  say yes at the prompt, or add --yes\n")


def test_what_is_somebody_elses_stays_as_it_is_and_is_told(command: Command, there: FakeCreationTemplates) -> None:
    mirror = replace(BY_HAND, prefix="mirror")
    put(there, BY_HAND, mirror)
    ended = command("sync", "--yes")
    assert (ended.code, there.changes) == (1, ["create search"])
    assert there.templates["payments"] == BY_HAND
    assert there.templates["mirror"] == mirror
    assert "left alone: payments is somebody else's; take it over with --adopt payments\n" in ended.err
    assert "left alone: mirror is somebody else's; delete it with --delete mirror\n" in ended.err


def test_by_its_name_it_is_taken_over_or_deleted(command: Command, there: FakeCreationTemplates) -> None:
    put(there, BY_HAND, replace(BY_HAND, prefix="mirror"), replace(OURS, prefix="old"), replace(BY_HAND, prefix="kept"))
    arguments = ("--adopt", "payments/", "--delete", "mirror", "--delete", "old", "--known", "kept")
    ended = command("sync", "--yes", "--output", "json", *arguments)
    assert ended.code == 0
    assert there.changes == ["create search", "update payments", "delete mirror", "delete old"]
    assert there.templates == {**wanted(), "kept": replace(BY_HAND, prefix="kept")}
    value = json.loads(ended.out)
    assert value["done"][1] == {"change": "update", "prefix": "payments"}
    assert not [each for each in value["templates"] if each["standing"] not in {"same", "foreign"}]


@pytest.mark.parametrize("arguments", [("--adopt", "mirror"), ("--delete", "payments"), ("--delete", "nowhere")])
def test_a_prefix_that_was_named_by_mistake_stops_everything(
    command: Command, there: FakeCreationTemplates, arguments: tuple[str, str]
) -> None:
    put(there, BY_HAND, replace(BY_HAND, prefix="mirror"))
    ended = command("sync", "--yes", *arguments)
    assert (ended.code, there.changes) == (2, [])
    assert f"error: nothing was done: {arguments[1]} was named\n" in ended.err


def test_what_was_changed_meanwhile_is_not_written_over(
    command: Command, there: FakeCreationTemplates, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([(OURS,), (replace(OURS, tag_mutability="MUTABLE"),)])
    monkeypatch.setattr(there, "read", lambda: next(answers))
    ended = command("sync", "--yes")
    assert (ended.code, there.changes) == (3, [])
    assert "error: nothing was done: somebody changed a template meanwhile\n" in ended.err


def test_a_change_that_ecr_took_and_did_not_make_is_no_success(command: Command, there: FakeCreationTemplates) -> None:
    put(there, replace(OURS, lifecycle_policy="{}"))
    there.deaf.add("payments")
    ended = command("sync", "--yes")
    assert ended.code == 3
    assert "error: ECR took the changes and does not have all of them\n  why: payments (lifecyclePolicy)\n" in ended.err


# --- which and lint -------------------------------------------------------------------------------------------------------------------


def test_a_name_without_a_template_is_refused(command: Command, there: FakeCreationTemplates) -> None:
    put(there, OURS)
    ended = command("which", "paymets/api")
    assert ended.code == 1
    assert "  a push                        nothing: a push would be refused\n" in ended.out


def test_what_nobody_knows_is_said_to_be_so(command: Command, there: FakeCreationTemplates) -> None:
    put(there, OURS, Template("payments/mirror", frozenset({"PULL_THROUGH_CACHE"})))
    ended = command("which", "payments/mirror/nginx")
    assert ended.code == 1
    assert "not certain: payments/mirror is nearer and is not for it; whether payments counts then, AWS does not say" in ended.out


def test_a_template_that_lacks_its_role_makes_every_push_fail(command: Command, there: FakeCreationTemplates) -> None:
    put(there, replace(OURS, resource_tags={"team": "payments"}))
    ended = command("which", "payments/api", "--output", "json")
    way = json.loads(ended.out)["ways"]["CREATE_ON_PUSH"]
    assert (ended.code, way["creates"]) == (1, False)
    assert way["says"] == "fails: the template payments sets tags or a KMS key, and names no role"


def test_the_policy_can_be_asked_without_a_registry(command: Command) -> None:
    ended = command("which", "payments/api", "--policy-only", "--output", "json")
    value = json.loads(ended.out)
    assert (ended.code, value["source"], value["ways"]["CREATE_ON_PUSH"]["template"]["prefix"]) == (0, "policy", "payments")


def test_what_is_no_name_is_told_before_anything_is_asked(command: Command) -> None:
    assert command("which", "Payments/API").code == 2


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 1)])
def test_a_warning_is_a_failure_only_with_strict(
    command: Command, there: FakeCreationTemplates, strict: tuple[str, ...], code: int
) -> None:
    put(there, replace(BY_HAND, prefix="ROOT"))
    ended = command("lint", *strict)
    assert (ended.code, ended.err) == (code, "1 template, 1 remark\n")
    assert ended.out.startswith(
        "ROOT: warning: is for CREATE_ON_PUSH: a push to any name creates a repository [root-opens-everything]\n  why: "
    )


def test_an_error_is_always_a_failure(command: Command, there: FakeCreationTemplates) -> None:
    put(there, replace(BY_HAND, resource_tags={"a": "b"}))
    ended = command("lint", "--output", "json")
    assert (ended.code, [each["code"] for each in json.loads(ended.out)]) == (1, ["role-missing"])


def test_of_a_policy_nothing_is_to_be_said_but_what_it_leaves_out(command: Command) -> None:
    ended = command("lint", "--policy-only", "--strict")
    assert (ended.code, ended.out) == (0, "")
    assert "left out for ROOT: " in ended.err


# --- the page -------------------------------------------------------------------------------------------------------------------------


def test_the_page_shows_what_the_commands_print(command: Command, tmp_path: Path) -> None:
    (policy,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "policy.yaml").write_text(policy)
    (block,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    shown = re.findall(r"^\$ ecr-governor templates (.*)\n((?:(?!\$ ).*\n)+)", block, re.MULTILINE)
    assert len(shown) == 2
    for line, printed in shown:
        assert command(*line.split()).out == printed


def test_the_page_names_the_mark(command: Command) -> None:
    assert f"*{MARK}*" in PAGE
