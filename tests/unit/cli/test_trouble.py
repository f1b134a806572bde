"""What goes wrong on the way in or out is three lines or an exit code of its own, for every command, and never a traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.trouble import Trouble
from cli.whole_file import write_whole
from tests.commands import Ended, run

ROOT = Path(__file__).parents[3]
COMMAND = str(Path(sys.executable).parent / "ecr-governor")
Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


ASK_A_STACK = [
    ("findings",),
    ("repository", "a/b"),
    ("sweep", "--last"),
    ("plan",),
    ("calendar",),
    ("report",),
    ("restore", "a/b"),
    ("ledger", "show", "a/b"),
    ("ledger", "verify"),
    ("explain", "a/b", "--stack", "mine"),
]


@pytest.mark.parametrize("arguments", ASK_A_STACK, ids=" ".join)
@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--region", "not-a region", "not-a region is no AWS Region"),
        ("--endpoint-url", "nonsense", "nonsense is no endpoint"),
    ],
)
def test_a_wrong_option_is_three_lines_whatever_the_command(
    command: Command, arguments: tuple[str, ...], option: str, value: str, told: str
) -> None:
    ended = command(*arguments, option, value)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[0] == f"error: {told}"
    assert [line.split(":")[0].strip() for line in ended.err.splitlines()] == ["error", "why", "do"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("explian", (
            "no such command 'explian'",
            "it is written ecr-governor [OPTIONS] COMMAND [ARGS]...",
            "Did you mean 'explain', 'plan', 'replay'? ecr-governor --help tells more",
        )),
        ("explain a/b --polcy x", (
            "no such option: --polcy",
            "it is written ecr-governor explain [OPTIONS] {name}",
            "--policy or --profile; ecr-governor explain --help tells more",
        )),
        ("exempt expire", (
            "missing argument 'match'",
            "it is written ecr-governor exempt expire [OPTIONS] {match}",
            "ecr-governor exempt expire --help tells more",
        )),
        ("policy backtest a --max-regret abc", (
            "the value of --max-regret cannot be used",
            "it should be a valid number",
            "ecr-governor policy backtest --help tells more",
        )),
        ("calendar --days 0", (
            "the value of --days cannot be used",
            "it should be greater than or equal to 1",
            "ecr-governor calendar --help tells more",
        )),
        ("local up --policy", ("option '--policy' requires an argument", "it is written otherwise", "--help behind the command tells more")),
    ],
)  # fmt: skip
def test_a_command_that_is_written_wrong_is_three_lines_as_well(command: Command, arguments: str, told: tuple[str, str, str]) -> None:
    error, why, do = told

    assert command(*arguments.split()) == Ended(2, "", f"error: {error}\n  why: {why}\n  do:  {do}\n")


def test_a_group_without_a_command_shows_its_help(command: Command) -> None:
    ended = command("policy")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: ecr-governor policy [OPTIONS] COMMAND [ARGS]...\n\n  The policy file.\n")


@pytest.mark.parametrize(
    "arguments", [("policy", "test"), ("policy", "validate"), ("policy", "show"), ("apply",), ("exempt", "list", "--policy")]
)
@pytest.mark.parametrize("file", ["none.yaml", "."])
def test_a_file_that_is_not_there_is_told_by_what_it_should_be(command: Command, arguments: tuple[str, ...], file: str) -> None:
    ended = command(*arguments, file)

    assert ended.code == 2
    error, why, do = ended.err.splitlines()
    assert error.endswith("cannot be read")
    assert why in {"  why: No such file or directory", "  why: Is a directory"}
    assert do.startswith("  do:  ")
    assert "cases file" not in do


@pytest.mark.parametrize(
    "arguments",
    [
        ("check-name", "a/b"),
        ("exempt", "list"),
        ("templates", "compile"),
        ("templates", "which", "a/b", "--policy-only"),
        ("explain", "a/b", "--policy", "policy.yaml"),
        ("audit", "--policy", "policy.yaml"),
        ("local", "up", "--policy", "policy.yaml"),
    ],
    ids=" ".join,
)
def test_where_the_policy_file_is_an_option_the_option_is_named(command: Command, arguments: tuple[str, ...]) -> None:
    assert command(*arguments).err == (
        "error: policy.yaml cannot be read\n  why: No such file or directory\n"
        "  do:  name the policy file by --policy, for example --policy policies/policy.yaml\n"
    )


OF_A_REGISTRY = [
    ("audit",),
    ("explain", "a/b"),
    ("templates", "diff"),
    ("templates", "which", "a/b"),
    ("findings",),
    ("ledger", "show", "a/b"),
]


@pytest.mark.parametrize("arguments", OF_A_REGISTRY, ids=" ".join)
def test_without_region_and_credentials_every_command_says_the_same(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    nowhere = command(*arguments)
    nobody = command(*arguments, "--region", "eu-west-1", "--endpoint-url", "http://127.0.0.2:9")
    stranger = command(*arguments, "--region", "eu-west-1", "--profile", "nobody")

    assert (nowhere.code, nobody.code, stranger.code) == (2, 4, 4)
    assert nowhere.err == (
        "error: no AWS Region\n  why: neither --region nor AWS_REGION nor the profile names one\n  do:  add --region eu-west-1\n"
    )
    assert nobody.err == "error: no AWS credentials\n  why: Unable to locate credentials\n  do:  log in, or give --profile\n"
    assert stranger.err == (
        "error: there is no such profile\n  why: The config profile (nobody) could not be found\n  do:  check --profile\n"
    )


def test_a_demo_is_not_told_for_a_minute_before_it_finds_no_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")

    assert command("demo", "--out", "out").err.splitlines()[0] == "error: out is no folder"


def started(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], stdout=Path("/dev/full").open("w"), stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **env}, check=False
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told(unbuffered: str) -> None:
    ended = started("policy", "schema", PYTHONUNBUFFERED=unbuffered)

    assert ended.returncode == 3
    assert ended.stderr == "error: the output cannot be written\n  why: No space left on device\n  do:  make room, or write elsewhere\n"


@pytest.mark.parametrize("command", [("policy", "schema"), ("exempt", "list", "--policy", "cli/demo/policy.yaml")], ids=["text", "table"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_went_away_is_no_finding(unbuffered: str, command: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        ended = subprocess.run(
            [COMMAND, *command],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )

    assert (ended.returncode, ended.stderr) == (141, "")


def test_where_there_is_no_output_nothing_is_done_and_it_is_said() -> None:
    ended = subprocess.run(["/bin/sh", "-c", f"{COMMAND} policy schema >&-"], capture_output=True, text=True, cwd=ROOT, check=False)

    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("error: the output cannot be written\n  why: stdout is closed\n")


def test_what_the_terminal_cannot_show_is_spelt_out() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    arguments = ["policy", "diff", "cli/demo/policy.yaml", "cli/demo/policy.yaml", "--against", os.devnull]
    ended = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, cwd=ROOT, env=env, check=False)

    assert (ended.returncode, ended.stderr) == (0, f"{os.devnull} may lack repositories: it is empty\n")
    assert "\\u2192" in ended.stdout


def test_who_may_read_a_file_stays_as_it_was(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\n")
    policy.chmod(0o600)
    write_whole(policy, "version: 1\nmode: audit\n")

    assert (policy.stat().st_mode & 0o777, policy.read_text()) == (0o600, "version: 1\nmode: audit\n")


def test_a_file_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Trouble) as trouble:
        write_whole(tmp_path / "none" / "file", "text", "make it writable")

    assert (trouble.value.why, trouble.value.do) == ("No such file or directory", "make it writable")


@pytest.mark.parametrize(("shell", "variable"), [("bash", "complete_bash"), ("zsh", "complete_zsh")])
def test_commands_are_completed(shell: str, variable: str) -> None:
    words = {"COMP_WORDS": "ecr-governor exe", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "ecr-governor exe"}
    env = {**os.environ, **words, "_ECR_GOVERNOR_COMPLETE": variable}
    ended = subprocess.run([COMMAND], capture_output=True, text=True, cwd=ROOT, env=env, check=False)

    assert "exempt" in ended.stdout, shell
    assert ended.stderr == ""
