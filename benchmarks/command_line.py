"""What it costs to start the command line: `python -m benchmarks.command_line`, and `--against FOLDER` with another checkout in turns.

CPU is user and system time of the whole process, by `wait4`: on a machine with other work to do, time says little. Bytecode is written
by a run that does not count, as it is after the first use. `explain` asks the server of `benchmarks.server`, which is a process of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.served import Served

ROOT: Final = Path(__file__).parents[1]
COMMAND: Final = Path(sys.executable).parent / "ecr-governor"
POLICY: Final = ROOT / "cli" / "demo" / "policy.yaml"
EXPLAINED: Final = "service-000000"
"""A repository of the server's account."""
REPOSITORIES: Final = 20
STARTS: Final[Mapping[str, Sequence[str]]] = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "ecr-governor --help": (str(COMMAND), "--help"),
    "ecr-governor policy validate": (str(COMMAND), "policy", "validate", str(POLICY)),
    "ecr-governor check-name": (str(COMMAND), "check-name", "payments/api", "--policy", str(POLICY)),
    "ecr-governor exempt list": (str(COMMAND), "exempt", "list", "--policy", str(POLICY)),
    "ecr-governor explain": (str(COMMAND), "explain", EXPLAINED, "--policy", str(POLICY), "--endpoint-url"),
}
ROUNDS: Final = 11


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each command is started")
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns with this one")
    wish = parser.parse_args()
    checkouts = {"this": ROOT, **({"other": wish.against.resolve()} if wish.against else {})}
    measured: dict[tuple[str, str], list[float]] = {}
    with Served(REPOSITORIES, seed=1) as served:
        for number in range(wish.rounds + 1):
            for name, command in STARTS.items():
                for checkout, folder in checkouts.items():
                    asked = (*command, served.endpoint) if command[-1] == "--endpoint-url" else command
                    cost = _cpu(asked, folder)
                    if number:  # the first writes bytecode
                        measured.setdefault((name, checkout), []).append(cost)
    sys.stdout.write(_table(measured, list(checkouts)))


def _cpu(command: Sequence[str], folder: Path) -> float:
    """Start a command of a checkout and give the seconds of CPU that it took."""
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}
    environment["PYTHONPATH"] = f"{folder / 'layers' / 'governor' / 'python'}:{folder}"
    process = subprocess.Popen(  # noqa: S603 - our own commands
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=folder
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def _table(measured: Mapping[tuple[str, str], Sequence[float]], checkouts: Sequence[str]) -> str:
    lines = [f"| command | {' | '.join(f'{each}: least, s | median, s' for each in checkouts)} |"]
    lines.append(f"| --- |{' ---: | ---: |' * len(checkouts)}")
    for name in STARTS:
        cells = [f"{cost:.2f}" for each in checkouts for cost in (min(measured[name, each]), statistics.median(measured[name, each]))]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
