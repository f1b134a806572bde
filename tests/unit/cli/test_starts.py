"""What the command line loads: nothing that the command has no use for. What that costs in time is measured in benchmarks/command_line.py."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer import Context
from typer.main import get_command

from cli.main import app
from cli.starting import narrowed, pass_over_crt

ROOT = Path(__file__).parents[3]
LOADED = """\
import sys
sys.argv = ["ecr-governor", *sys.argv[1:]]
from cli.main import main
try:
    main()
except SystemExit:
    pass
sys.stderr.write(" ".join(name for name, module in sys.modules.items() if module is not None))
"""
CLOUD = {"boto3", "botocore", "urllib3", "kubernetes", "moto", "samtranslator", "aws_lambda_powertools"}
PAGES = {"jinja2", "markupsafe", "rich", "jsonschema", "ruamel"}
SLOW = {"importlib.resources", "xml", "ssl", "sqlite3", "asyncio", "concurrent.futures", "http.client", "multiprocessing"}


def loaded(*arguments: str) -> set[str]:
    ended = subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(ended.stderr.split())


def modules_and_plugins(*arguments: str) -> str:
    script = f'{LOADED}\nimport pydantic.plugin._loader as loader\nsys.stderr.write(" plugins: " + str(loader._plugins))'
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, cwd=ROOT).stderr


def vain(modules: set[str], *unwanted: set[str]) -> list[str]:
    return sorted(
        {name for each in unwanted for name in each if any(module == name or module.startswith(f"{name}.") for module in modules)}
    )


def test_help_loads_the_commands_and_nothing_of_what_they_do() -> None:
    modules = loaded("--help")

    assert vain(modules, CLOUD, PAGES, SLOW, {"pydantic", "pydantic_core", "yaml", "re2", "ecr_governor", "typing_extensions"}) == []


@pytest.mark.parametrize("arguments", [("policy", "validate"), ("exempt", "list", "--output", "json", "--policy")])
def test_what_reads_a_policy_file_loads_no_cloud(arguments: tuple[str, ...]) -> None:
    modules = loaded(*arguments, "cli/demo/policy.yaml")

    assert "ecr_governor.core.policy.model" in modules
    assert vain(modules, CLOUD) == []


def test_explain_without_a_deployment_loads_no_more_of_the_cloud_than_it_asks_with() -> None:
    modules = loaded("explain", "payments/api", "--policy", "cli/demo/policy.yaml", "--endpoint-url", "http://127.0.0.1:9")

    unwanted = {
        "boto3",
        "s3transfer",
        "OpenSSL",
        "_awscrt",
        "cryptography",
        "concurrent.futures.thread",
        "ecr_governor.adapters.inventory",
        "ecr_governor.app.notify",
    }
    assert "botocore.client" in modules
    assert vain(modules, unwanted, {"cli.deployment", "ecr_governor.adapters.ledger"}) == []


@pytest.mark.parametrize(
    ("line", "passed_over"), [("login_session = arn:aws:iam::123456789012:user/me", False), ("region = eu-west-1", True)]
)
def test_what_aws_login_needs_is_left_where_a_profile_was_signed_in_by_it(
    line: str, passed_over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(f"[default]\n{line}\n")
    monkeypatch.setenv("CFG", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", "$CFG/config")
    monkeypatch.setattr(sys, "modules", {name: module for name, module in sys.modules.items() if name != "awscrt"})
    pass_over_crt()

    assert ("awscrt" in sys.modules) is passed_over
    monkeypatch.setenv("AWS_CONFIG_FILE", "~nobody-of-that-name/config")
    pass_over_crt()


def test_validate_loads_no_format_and_looks_for_no_plugin() -> None:
    modules = loaded("policy", "validate", "cli/demo/policy.yaml")

    unwanted = (SLOW, {"ecr_governor.adapters", "ecr_governor.app", "ecr_governor.rendering"})
    assert vain(modules, PAGES, *unwanted, {"email", "socket", "random", "zipfile"}) == []
    assert "plugins: None" in modules_and_plugins("policy", "validate", "cli/demo/policy.yaml")


def test_what_local_up_cannot_start_is_told_before_the_embedded_aws_is_loaded() -> None:
    assert vain(loaded("local", "up", "--policy", "no policy.yaml"), CLOUD) == []


def test_what_a_section_is_by_default_is_not_validated_by_a_model_of_its_own() -> None:
    script = """\
import sys
from pydantic._internal import _model_construction as models
complete, built = models.complete_model_class, []
models.complete_model_class = lambda cls, *a, **k: (built.append(cls.__name__), complete(cls, *a, **k))[1]
from pathlib import Path
from datetime import UTC, datetime
from cli.policy.validating import check
check(Path("cli/demo/policy.yaml"), datetime.now(UTC))
sys.stderr.write(" ".join(built))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)

    # One model is built for the whole file: each further one costs as much as to read it.
    assert ended.stderr.split() == ["Policy"]


def test_what_is_put_off_is_there_once_it_is_used() -> None:
    script = """\
import sys
from cli.starting import put_off
put_off("importlib.metadata")
import importlib.metadata
import importlib.metadata as metadata
assert "email" not in sys.modules
from importlib.metadata import version
assert version("typer") == metadata.version("typer") == importlib.metadata.version("typer")
assert issubclass(metadata.PackageNotFoundError, ImportError)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")


def leaves(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    below = getattr(command, "commands", None)
    if below is None:
        return {path: command}
    return {name: leaf for word, each in below.items() for name, leaf in leaves(each, (*path, word)).items()}


def test_a_command_that_is_built_alone_is_the_same() -> None:
    every = leaves(get_command(app))
    assert len(every) > 30

    for path, command in every.items():
        ((found, alone),) = leaves(get_command(narrowed(app, [*path, "--help"]))).items()
        assert found == path
        assert alone.get_help(Context(alone)) == command.get_help(Context(command))


@pytest.mark.parametrize("words", [[], ["--help"], ["--version", "policy"], ["polcy", "validate"], ["validate"]])
def test_words_that_name_no_command_leave_all_of_them(words: list[str]) -> None:
    assert narrowed(app, words) is app


@pytest.mark.parametrize("rest", [[], ["--help"], ["validat"]])
def test_words_that_name_a_group_leave_all_of_it(rest: list[str]) -> None:
    assert set(leaves(get_command(narrowed(app, ["exempt", *rest])))) == {("exempt", word) for word in ("add", "list", "expire")}
