"""Functions run as Lambda runs them: packaging, errors, time-outs and environment."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.activity import Activity
from local.lambdas.function import Function, FunctionConfig, Host
from local.lambdas.processes import CAN_SPLIT
from local.lambdas.runtime_directory import runtime_directory
from local.lambdas.service import FunctionNotFound, Lambdas

ROOT = Path(__file__).parents[3]
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:probe"
Deploy = Callable[..., Function]


class Offset:
    seconds = 0.0


@pytest.fixture
def offset() -> Offset:
    return Offset()


@pytest.fixture(params=["fresh", "split off"])
def lambdas(request: pytest.FixtureRequest) -> Iterator[Lambdas]:
    """Functions whose processes are begun anew, as AWS does, or split off from a zygote: there is no difference to be seen."""
    if request.param == "split off" and not CAN_SPLIT:
        pytest.skip("only on Linux")
    service = Lambdas(Activity(), retry_delay=0.01, fresh=request.param == "fresh")
    yield service
    service.close()


@pytest.fixture
def deploy(lambdas: Lambdas, tmp_path: Path, offset: Offset) -> Deploy:
    host = Host(
        runtime=runtime_directory(ROOT / ".build"),
        endpoint="http://127.0.0.1:1",
        region="eu-west-1",
        credentials=lambda _: {"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE"},
        clock_offset=lambda: offset.seconds,
    )

    def _deploy(source: str, **settings: Any) -> Function:
        code = tmp_path / "task"
        code.mkdir(exist_ok=True)
        (code / "app.py").write_text(source)
        values = {"handler": "app.handler", "role_arn": "arn:aws:iam::123456789012:role/r", **settings}
        return lambdas.deploy(FunctionConfig(name="probe", arn=ARN, code=code, **values), host)

    return _deploy


def test_returns_what_the_handler_returns_and_what_it_printed(lambdas: Lambdas, deploy: Deploy) -> None:
    deploy("def handler(event, context):\n    print('seen', event['n'])\n    return {'twice': 2 * event['n']}\n")
    result = lambdas.invoke(ARN, {"n": 4})
    assert (json.loads(result.payload), result.error, result.logs) == ({"twice": 8}, None, ("seen 4",))
    assert lambdas.invoke("probe", {"n": 5}).logs == ("seen 5",)


def test_a_process_is_kept_between_invocations_and_replaced_when_recycled(lambdas: Lambdas, deploy: Deploy) -> None:
    function = deploy("count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count\n")
    assert [lambdas.invoke("probe", {}).payload for _ in range(2)] == [b"1", b"2"]
    lambdas.recycle("probe")
    assert lambdas.invoke("probe", {}).payload == b"1"
    assert function.cold_starts == 2


def test_only_the_artefact_and_its_layers_can_be_imported(lambdas: Lambdas, deploy: Deploy) -> None:
    deploy("import moto\ndef handler(event, context):\n    pass\n")
    result = lambdas.invoke("probe", {})
    document = json.loads(result.payload)
    assert result.error == "Unhandled"
    assert document["errorType"] == "Runtime.ImportModuleError"
    assert document["errorMessage"] == "Unable to import module 'app': No module named 'moto'"


def test_a_layer_is_found_in_its_python_folder(lambdas: Lambdas, deploy: Deploy, tmp_path: Path) -> None:
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "shared.py").write_text("VALUE = 7\n")
    deploy("import shared\ndef handler(event, context):\n    return shared.VALUE\n", layers=(tmp_path / "layer",))
    assert lambdas.invoke("probe", {}).payload == b"7"


def test_a_missing_handler_is_named(lambdas: Lambdas, deploy: Deploy) -> None:
    deploy("x = 1\n")
    assert json.loads(lambdas.invoke("probe", {}).payload)["errorType"] == "Runtime.HandlerNotFound"


def test_an_exception_is_an_error_document_with_a_stack_trace(lambdas: Lambdas, deploy: Deploy) -> None:
    deploy("def handler(event, context):\n    raise ValueError('no')\n")
    result = lambdas.invoke("probe", {})
    document = json.loads(result.payload)
    assert (result.error, document["errorType"], document["errorMessage"]) == ("Unhandled", "ValueError", "no")
    assert document["stackTrace"]


def test_time_out_kills_the_process_and_the_next_invocation_works(lambdas: Lambdas, deploy: Deploy) -> None:
    deploy("import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'done'\n", timeout=0.5)
    started = time.monotonic()
    result = lambdas.invoke("probe", 30)
    assert time.monotonic() - started < 5
    assert json.loads(result.payload)["errorMessage"].endswith("Task timed out after 0.50 seconds")
    assert lambdas.invoke("probe", 0).payload == b'"done"'


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("os._exit(3)", "exit status 3"), ("os.kill(os.getpid(), 9)", "signal: killed"), ("os._exit(0)", "without providing a reason")],
)
def test_a_crash_is_reported_and_survived(lambdas: Lambdas, deploy: Deploy, ending: str, reason: str) -> None:
    deploy(f"import os\ndef handler(event, context):\n    if event:\n        {ending}\n    return 1\n")
    document = json.loads(lambdas.invoke("probe", 1).payload)
    assert document["errorType"] == "Runtime.ExitError"
    assert reason in document["errorMessage"]
    assert lambdas.invoke("probe", 0).payload == b"1"


def test_the_environment_is_lambdas_own(lambdas: Lambdas, deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAKED", "yes")
    deploy("import os\ndef handler(event, context):\n    return dict(os.environ)\n", environment={"MINE": "1"})
    variables = json.loads(lambdas.invoke("probe", {}).payload)
    assert variables["MINE"] == "1"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "probe"
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert "LEAKED" not in variables
    assert not [name for name in variables if name.startswith("_SANDBOX")]


def test_the_context_knows_arn_and_remaining_time(lambdas: Lambdas, deploy: Deploy) -> None:
    deploy("def handler(event, context):\n    return [context.invoked_function_arn, context.get_remaining_time_in_millis()]\n", timeout=20)
    arn, remaining = json.loads(lambdas.invoke("probe", {}).payload)
    assert arn == ARN
    assert 15_000 < remaining <= 20_000


def test_a_running_process_follows_the_virtual_clock(lambdas: Lambdas, deploy: Deploy, offset: Offset) -> None:
    function = deploy("import datetime\ndef handler(event, context):\n    return datetime.datetime.now(datetime.UTC).timestamp()\n")
    now = datetime.now(UTC).timestamp()
    for days in (0, 30, 90):
        offset.seconds = days * 86400.0
        assert abs(float(lambdas.invoke("probe", {}).payload) - now - offset.seconds) < 30
    assert function.cold_starts == 1


def test_asynchronous_failures_are_retried_twice_and_then_sent_on(lambdas: Lambdas, deploy: Deploy) -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    lambdas.send = lambda arn, document, _: sent.append((arn, json.loads(document)))
    function = deploy("def handler(event, context):\n    raise RuntimeError('never')\n", on_failure="arn:queue")
    lambdas.invoke_async("probe", {"a": 1})
    while not sent:
        time.sleep(0.01)
    arn, record = sent[0]
    assert arn == "arn:queue"
    assert (record["requestContext"]["condition"], record["requestPayload"]) == ("RetriesExhausted", {"a": 1})
    assert function.invocations == 3


def test_an_unknown_function_is_an_error(lambdas: Lambdas) -> None:
    with pytest.raises(FunctionNotFound):
        lambdas.invoke("nobody", {})


def test_closing_leaves_no_process_behind(lambdas: Lambdas, deploy: Deploy) -> None:
    deploy("import os\ndef handler(event, context):\n    return os.getpid()\n")
    pid = int(lambdas.invoke("probe", {}).payload)
    lambdas.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_dies_between_two_invocations_is_replaced(lambdas: Lambdas, deploy: Deploy) -> None:
    function = deploy("import os\ndef handler(event, context):\n    return os.getpid()\n")
    former = int(lambdas.invoke("probe", {}).payload)
    os.kill(former, signal.SIGKILL)
    process = function._sandboxes[0]._process
    while process is not None and process.alive:
        time.sleep(0.01)
    result = lambdas.invoke("probe", {})
    assert (result.error, function.cold_starts) == (None, 2)
    assert int(result.payload) != former


def test_a_zygote_that_died_is_replaced(lambdas: Lambdas, deploy: Deploy) -> None:
    deploy("def handler(event, context):\n    return 1\n")
    assert lambdas.invoke("probe", {}).payload == b"1"
    for zygote, _ in getattr(lambdas._processes, "_zygotes", {}).values():
        zygote.kill()
        zygote.wait()
    lambdas.recycle("probe")
    assert lambdas.invoke("probe", {}).payload == b"1"
