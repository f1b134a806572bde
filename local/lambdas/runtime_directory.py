"""The directory with the Lambda runtime interface client, made once and kept."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def runtime_directory(cache: Path) -> Path:
    """The runtime for this interpreter, installed from the hashed requirements unless the cache has it."""
    cache = cache.resolve()
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    target = cache / f"runtime-{sys.version_info.major}.{sys.version_info.minor}-{digest}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise FileNotFoundError("uv is needed once to install the Lambda runtime interface client")
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        built = Path(scratch) / "runtime"
        subprocess.run(
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                sys.executable,
                "--target",
                str(built),
                "--require-hashes",
                "--compile-bytecode",
                "-r",
                str(REQUIREMENTS),
            ],
            check=True,
        )
        try:
            built.replace(target)
        except OSError:  # another process was quicker
            if not target.is_dir():
                raise
    return target
