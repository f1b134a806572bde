"""What the import contracts cannot see: clocks, patterns, guards that open."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "layers" / "governor" / "python" / "ecr_governor"
PURE = sorted(path for folder in ("core", "app") for path in (PACKAGE / folder).rglob("*.py"))
ALL = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.stem)
def test_decisions_read_no_clock_no_environment_and_no_chance(path: Path) -> None:
    assert not re.search(r"\b(now|utcnow|today)\(", re.sub(r"\bdef now\(", "", path.read_text()))
    assert not imported(path) & {"os", "sys", "time", "random", "uuid", "secrets", "subprocess", "socket", "pathlib"}


def test_nothing_that_a_retirement_rests_on_can_be_changed() -> None:
    classes = [node for path in sorted((PACKAGE / "core/retirement").glob("*.py")) for node in ast.parse(path.read_text()).body]
    declared = {
        node.name: ast.unparse(node.decorator_list[0])
        for node in classes
        if isinstance(node, ast.ClassDef) and node.decorator_list and not node.name.startswith("_")
    }
    assert {"Case", "Snapshot", "Retirement", "Tombstone"} <= set(declared)
    assert set(declared.values()) == {"dataclass(frozen=True, slots=True)"}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_no_pattern_is_run_by_pythons_own_engine(path: Path) -> None:
    assert "re" not in imported(path)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_nothing_is_swallowed_and_no_event_is_logged_whole(path: Path) -> None:
    handlers = [node.type for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
    assert all(handler is not None for handler in handlers)
    assert not {"Exception", "BaseException"} & {ast.unparse(handler) for handler in handlers if handler is not None}
    assert "log_event=True" not in path.read_text()


def test_only_bootstrap_makes_clients_and_reads_the_clock() -> None:
    for path in ALL:
        if path.parent.name != "bootstrap":
            assert "create_client" not in path.read_text(), path
            assert not imported(path) & {"boto3", "botocore.session"}, path
            assert "datetime.now" not in path.read_text(), path


@pytest.mark.parametrize(
    "module", sorted({path.stem for path in (PACKAGE / "bootstrap").glob("*.py")} - {"__init__", "parts", "report_store", "slack"})
)
def test_what_a_function_starts_from_leaves_the_garbage_collector_at_work(module: str) -> None:
    script = f"import gc, ecr_governor.bootstrap.{module}\nassert gc.isenabled()"
    subprocess.run([sys.executable, "-c", script], check=True)
