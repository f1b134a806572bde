"""The build for this machine: the same template and Makefiles as for AWS, for this interpreter and processor."""

import fcntl
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cli.trouble import Exit, Trouble

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / ".build" / "local"
STAMP = ROOT / ".build" / "local.stamp"
SOURCES = ("template.yaml", "functions", "layers")
PLATFORMS = {
    ("Linux", "x86_64"): "x86_64-manylinux_2_28",
    ("Linux", "aarch64"): "aarch64-manylinux_2_28",
    ("Darwin", "x86_64"): "x86_64-apple-darwin",
    ("Darwin", "arm64"): "aarch64-apple-darwin",
}


def architecture() -> str:
    """This machine's processor, in Lambda's words."""
    return "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"


def ensure_built() -> Path:
    """Build if any source has changed since the last build; give the built template."""
    template = OUTPUT / "template.yaml"
    _tell_uv_what_pip_knows()
    STAMP.parent.mkdir(parents=True, exist_ok=True)
    with STAMP.with_suffix(".lock").open("w") as lock:
        # Two test workers may come here at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = _digest()
        if not (template.exists() and STAMP.exists() and STAMP.read_text() == stamp):
            run_build()
            STAMP.write_text(stamp)
    return template


def _tell_uv_what_pip_knows() -> None:
    """Let uv use the system's certificates and pip's index: it reads no pip configuration. For the build and the Lambda runtime."""
    os.environ.setdefault("UV_SYSTEM_CERTS", "true")
    if "UV_DEFAULT_INDEX" in os.environ or "UV_INDEX_URL" in os.environ:
        return
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if index := os.environ.get("PIP_INDEX_URL") or configured.stdout.strip():
        os.environ["UV_DEFAULT_INDEX"] = index


def run_build() -> None:
    """Run `sam build` without Docker. Raises Trouble with its last lines."""
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "eu-west-1",
        # sam must reach nothing but this machine.
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "BUILD_PYTHON": sys.executable,
        "BUILD_PLATFORM": PLATFORMS.get((platform.system(), platform.machine()), "x86_64-manylinux_2_28"),
        "BUILD_UV": str(binaries / "uv"),
    }
    command = [str(binaries / "sam"), "build", "--build-dir", str(OUTPUT), "--parameter-overrides", f"Architecture={architecture()}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise Trouble("the build failed", "\n" + done.stderr[-2000:], "run make build to see it whole", Exit.INCOMPLETE)


def _digest() -> str:
    digest = hashlib.sha256(f"{sys.version} {platform.machine()}".encode())
    for path in _files():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for source in SOURCES:
        top = ROOT / source
        found = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
        yield from (path for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc")


if __name__ == "__main__":
    ensure_built()
