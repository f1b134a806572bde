"""`ecr-governor check-name`: what a pipeline is told before it pushes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import Ended, run

Command = Callable[..., Ended]

POLICY = """\
version: 1
naming:
  convention: "{team}/{service}"
  segments: {team: [payments, search], service: {regex: "[a-z][a-z0-9-]{1,38}"}}
  ignore: ["docker-hub/*"]
namespaces: {payments: {scan_frequency: MANUAL}}
exemptions: [{match: "search/old_*", rules: naming, reason: moves with the cluster, owner: me, expires: 2097-01-31}]
"""


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return lambda *arguments: run(capsys, monkeypatch, "check-name", *arguments)


def test_an_invalid_policy_file_is_told_line_by_line_with_the_way_to_more(check: Command) -> None:
    Path("policy.yaml").write_text("version: 1\nnamin: x\nmode: sometimes\n")
    ended = check("payments/api")

    first, why, *problems, do = ended.err.splitlines()
    assert (ended.code, first, why) == (2, "error: policy.yaml is no valid policy file", "  why:")
    assert len(problems) == 2
    assert all(problem.startswith("    policy.yaml:") for problem in problems)
    assert do == "  do:  ecr-governor policy validate policy.yaml tells more"


def test_an_empty_name_is_seen(check: Command) -> None:
    assert check("").out.startswith("no  (no name): is no repository name")


def test_names_that_may_be_pushed_to(check: Command) -> None:
    ended = check("payments/api", "docker-hub/library/nginx_x", "search/old_index")

    assert ended == Ended(
        0,
        "ok  payments/api: keeps {team}/{service}\n"
        "ok  docker-hub/library/nginx_x: the policy does not judge its name\n"
        "ok  search/old_index: is exempt until 2097-01-31: moves with the cluster\n",
        "",
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("paymets/api", "team 'paymets' must be one of payments, search; nearest allowed name: payments/api"),
        (
            "payments/check_out",
            "service 'check_out' must be like the expression [a-z][a-z0-9-]{1,38}; nearest allowed name: payments/check-out",
        ),
        ("zzzzzz", "has 1 path part, where {team}/{service} has 2; the convention is {team}/{service}"),
        (
            "Payments/API",
            "is no repository name: ECR takes 2 to 256 of a-z, 0-9 and single . _ - / between them; nearest allowed name: payments/api",
        ),
        ("x" * 300, "is no repository name: ECR takes 2 to 256 of a-z, 0-9 and single . _ - / between them"),
    ],
)
def test_names_that_may_not(check: Command, name: str, told: str) -> None:
    assert check(name) == Ended(1, f"no  {name}: {told}\n", "")


def test_programs_get_the_suggestion_by_itself(check: Command) -> None:
    assert json.loads(check("paymets/api", "payments/api", "--output", "json").out) == [
        {
            "name": "paymets/api",
            "allowed": False,
            "reason": "team 'paymets' must be one of payments, search; nearest allowed name: payments/api",
            "suggestion": "payments/api",
            "namespace": "ROOT",
        },
        {"name": "payments/api", "allowed": True, "reason": "keeps {team}/{service}", "suggestion": None, "namespace": "payments"},
    ]


def test_github_shows_what_is_wrong_and_takes_no_command_from_a_name(check: Command) -> None:
    ended = check("a\n::warning::b", "payments/api", "--output", "github")

    assert ended.out.startswith("::error title=repository name::a%0A::warning::b: is no repository name")
    assert ended.out.count("\n") == 1
    assert ended.code == 1


def test_a_policy_that_is_off_is_asked_all_the_same_and_a_rule_that_is_off_is_not(check: Command, tmp_path: Path) -> None:
    (tmp_path / "off.yaml").write_text(f"{POLICY}mode: off\n")
    (tmp_path / "rule.yaml").write_text(f"{POLICY}rules: {{naming: off}}\n")

    assert check("paymets/api", "--policy", "off.yaml").code == 1
    assert check("paymets/api", "--policy", "rule.yaml").out == "ok  paymets/api: the policy does not judge its name\n"


def test_without_a_policy_file_it_is_told_what_is_missing(check: Command) -> None:
    told = check("a/b", "--policy", "none.yaml")

    assert (told.code, told.err.splitlines()[0]) == (2, "error: none.yaml cannot be read")
