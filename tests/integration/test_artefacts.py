"""What `sam build` made, as Lambda would run it."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from cli.build import ensure_built
from ecr_governor.adapters.usage.witnesses import AWS
from local.activity import Activity
from local.lambdas.function import FunctionConfig, Host
from local.lambdas.runtime_directory import runtime_directory
from local.lambdas.service import Lambdas

ROOT = Path(__file__).parents[2]
FUNCTIONS = tuple(
    sorted(
        name
        for name, resource in yaml_parse((ROOT / "template.yaml").read_text())["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    )
)
Run = Callable[..., str]


@pytest.fixture(scope="module")
def built() -> Path:
    return ensure_built().parent


@pytest.fixture
def run(built: Path) -> Iterator[Run]:
    """Invoke a built function with some of its layers; give the error that AWS would answer, or nothing."""
    service = Lambdas(Activity(), retry_delay=0.01, fresh=True)
    host = Host(runtime_directory(ROOT / ".build"), "http://127.0.0.1:1", "eu-west-1", lambda _: {}, lambda: 0.0)

    def _run(function: str, *layers: str) -> str:
        config = FunctionConfig(
            name=function,
            arn=f"arn:aws:lambda:eu-west-1:123456789012:function:{function}",
            code=built / function,
            handler="app.handler",
            role_arn="arn:aws:iam::123456789012:role/r",
            layers=tuple(built / layer for layer in layers),
        )
        service.deploy(config, host)
        result = service.invoke(config.arn, {"Records": []})
        return "" if result.error is None else f"{json.loads(result.payload)['errorType']}: {json.loads(result.payload)['errorMessage']}"

    yield _run
    service.close()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_dependency_left_out_of_the_layers_fails_with_awss_own_error(run: Run, function: str) -> None:
    assert run(function, "GovernorLayer") == (
        "Runtime.ImportModuleError: Unable to import module 'app': No module named 'aws_lambda_powertools'"
    )
    assert run(function, "DependenciesLayer") == "Runtime.ImportModuleError: Unable to import module 'app': No module named 'ecr_governor'"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_with_both_layers_it_starts(run: Run, function: str) -> None:
    # Without its environment it stops at its settings, which is behind every import.
    error = run(function, "GovernorLayer", "DependenciesLayer")
    assert "ImportModuleError" not in error
    assert "ValidationError" in error or error == ""


def test_every_module_has_its_bytecode_and_it_survives_a_copy(built: Path) -> None:
    for layer in ("GovernorLayer", "DependenciesLayer", *FUNCTIONS):
        sources = list((built / layer).rglob("*.py"))
        assert sources
        for source in sources:
            compiled = Path(importlib.util.cache_from_source(str(source)))
            if not compiled.exists():
                # Files that are no valid Python of this version, for example templates within a package.
                with pytest.raises(SyntaxError):
                    compile(source.read_bytes(), str(source), "exec")
                continue
            flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
            assert flags == 0b01, f"{source}: bytecode is bound to a time stamp"


def test_the_layer_holds_the_api_models_of_the_clients_that_are_made_and_few_others(built: Path) -> None:
    wiring = (ROOT / "layers/governor/python/ecr_governor/bootstrap").glob("*.py")
    made = {service for module in wiring for service in re.findall(r'client\("(\w+)"', module.read_text())}
    asked = {each.service for each in AWS}
    kept = {path.name for path in (built / "DependenciesLayer/python/botocore/data").iterdir() if path.is_dir()}
    credentials = {"sso", "sso-oidc", "sts"}
    assert kept == made | asked | credentials


def test_the_layers_are_small(built: Path) -> None:
    def size(folder: str) -> int:
        return sum(path.stat().st_size for path in (built / folder).rglob("*") if path.is_file())

    assert size("DependenciesLayer") < 40_000_000
    assert size("GovernorLayer") < 3_700_000
    assert all(size(function) < 20_000 for function in FUNCTIONS)
