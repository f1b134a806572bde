"""The start of each built function, against a plain build of the same code. Run it with `python -m benchmarks.cold_start`.

A function starts as Lambda starts it: the real runtime client on a Runtime API, nothing but artefact and layers on the path, nothing
written next to the code. The plain build is what `sam build` makes by itself of a requirements.txt: whole packages, no bytecode.
Processes take turns, so that a busy moment meets both builds. Files are in memory, as they are not on a Lambda's first start ever.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.starts import ANSWERED, READY, Starts
from cli.build import ensure_built
from cli.embedded import running
from local.lambdas.function import FunctionConfig, Host, environment_of
from local.lambdas.runtime_api import Answer, Invocation, RuntimeApi
from local.lambdas.runtime_directory import runtime_directory

ROOT = Path(__file__).resolve().parents[1]
BUILT, PLAIN = ROOT / ".build" / "cold-start" / "built", ROOT / ".build" / "cold-start" / "plain"
STARTS = 8
PATIENCE = 60.0
FIRST_EVENTS = {"RepositoryEventsFunction": "create-repository.json", "ImageEventsFunction": "put-image.json"}
"""What a function is sent first, from the folder events; the others' inputs are made by the deployment itself."""
ANY_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "any"}


def measure(starts: int = STARTS) -> list[Starts]:
    """Start every function `starts` times each way, and those with a first event as often again until it is answered."""
    functions = _build()
    policy = (ROOT / "cli" / "demo" / "policy.yaml").read_bytes()
    results: list[Starts] = []
    # Under audit an event changes nothing, so that every start meets the same state.
    with running(policy=policy, mode="audit") as aws, _api() as api:
        aws.client("ecr").create_repository(repositoryName="payments/api")
        aws.settle(PATIENCE)
        host = Host(runtime_directory(ROOT / ".build"), aws.endpoint, aws.region, lambda _: ANY_CREDENTIALS, lambda: 0.0)
        configs: dict[str, FunctionConfig] = {each.config.code.name: each.config for each in aws.lambdas}
        # What deletes is not deployed in audit.
        for name in (each for each in functions if each in configs):
            both = [_of_build(configs[name], build) for build in (BUILT, PLAIN)]
            for until, event in ((READY, None), (ANSWERED, _first_event(name))):
                if until == ANSWERED and event is None:
                    continue
                # The very first start reads files into memory, the first event makes the ledger's entry: neither counts.
                if event is not None or not results:
                    for config in both:
                        _start(config, host, api, event)
                found = Starts(name, until)
                for _ in range(starts):
                    for config, took in zip(both, (found.built, found.plain), strict=True):
                        cpu, wall = _start(config, host, api, event)
                        took.cpu.append(cpu)
                        took.wall.append(wall)
                results.append(found)
    return results


def _build() -> list[str]:
    """Make both builds and give the functions' names. They are copies, which no build that others begin meanwhile can disturb."""
    source = ensure_built().parent
    for build in (BUILT, PLAIN):
        shutil.rmtree(build, ignore_errors=True)
    # Its bytecode holds for a copy, too: it goes by no file's time.
    shutil.copytree(source, BUILT)
    requirements = ROOT / "layers" / "dependencies" / "requirements.txt"
    uv = str(Path(sys.executable).parent / "uv")
    options = ["--python", sys.executable, "--target", str(PLAIN / "DependenciesLayer" / "python"), "--require-hashes", "--no-deps"]
    subprocess.run([uv, "pip", "install", "--quiet", "--no-compile-bytecode", *options, "-r", str(requirements)], check=True)  # noqa: S603 - our own
    package, bytecode = Path("python", "ecr_governor"), shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "layers" / "governor" / package, PLAIN / "GovernorLayer" / package, ignore=bytecode)
    functions = sorted(app.parent.name for app in BUILT.glob("*Function/app.py"))
    for name in functions:
        shutil.copytree(BUILT / name, PLAIN / name, ignore=bytecode)
    return functions


def _of_build(config: FunctionConfig, build: Path) -> FunctionConfig:
    return replace(config, code=build / config.code.name, layers=tuple(build / layer.name for layer in config.layers))


def _first_event(function: str) -> bytes | None:
    if function not in FIRST_EVENTS:
        return None
    body = json.loads((ROOT / "events" / FIRST_EVENTS[function]).read_bytes())
    # It happened just now, in a repository that is there.
    body["time"] = body["detail"]["eventTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"Records": [{"messageId": "1", "body": json.dumps(body)}]}).encode()


@contextmanager
def _api() -> Iterator[RuntimeApi]:
    api = RuntimeApi()
    try:
        yield api
    finally:
        api.close()


def _start(config: FunctionConfig, host: Host, api: RuntimeApi, event: bytes | None) -> tuple[float, float]:
    """Start a function until it is ready, or has answered; give CPU and time in milliseconds. Raises RuntimeError if it fails."""
    session = api.new_session()
    environment = {**environment_of(config, host, 1), "AWS_LAMBDA_RUNTIME_API": api.address}
    command = [sys.executable, "-S", "-s", "-m", "awslambdaric", config.handler]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, cwd=config.code, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    try:
        if not session.initialised.wait(PATIENCE) or session.init_error:
            raise RuntimeError(f"{config.code}: {(session.init_error or b'not ready').decode()}")
        if event is not None:
            session.initialised.clear()
            session.inbox.put(Invocation("first", event, int((time.time() + PATIENCE) * 1000), config.arn))
            answer = session.outbox.get(timeout=PATIENCE)
            if not isinstance(answer, Answer) or answer.failed or json.loads(answer.payload).get("batchItemFailures"):
                raise RuntimeError(f"{config.code}: {answer}")
            # It has answered for good when it asks for the next event.
            session.initialised.wait(PATIENCE)
        wall = time.monotonic() - begun
    finally:
        process.kill()
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000, wall * 1000


def main() -> None:
    """Measure and print."""
    for found in measure():
        built, plain = found.built, found.plain
        sys.stdout.write(
            f"{found.function:<26}{found.until:<22}CPU {median(built.cpu):6.0f} of {median(plain.cpu):6.0f} ms = {found.share:.2f}"
            f"   time {median(built.wall):6.0f} of {median(plain.wall):6.0f} ms\n"
        )


if __name__ == "__main__":
    main()
