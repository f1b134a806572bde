"""Starts one program and says what it took, as one line of JSON.

A process's peak of memory counts what its parent held when it started it. This parent holds next to nothing: run it with `-S`.
"""

import json
import os
import signal
import sys
import time


def main() -> None:
    """Read the job from standard input: argv, environment, directory, log (a path), seconds (a limit)."""
    job = json.load(sys.stdin)
    os.chdir(job["directory"])
    log = os.open(job["log"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    begun = time.monotonic()
    child = os.posix_spawn(job["argv"][0], job["argv"], job["environment"], file_actions=files, setpgroup=0)
    killed_by: list[int] = []

    def kill(number: int, _: object) -> None:
        killed_by.append(number)
        os.killpg(child, signal.SIGKILL)

    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, kill)
    signal.setitimer(signal.ITIMER_REAL, job["seconds"])
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - begun
    took = {
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": wall,
        # Linux counts in KiB, macOS in bytes.
        "peak_mb": usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024),
        "exit_code": os.waitstatus_to_exitcode(status),
        "timed_out": signal.SIGALRM in killed_by,
    }
    sys.stdout.write(json.dumps(took) + "\n")


if __name__ == "__main__":
    main()
