"""What the sweep needs of the world, besides what looks need."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from ecr_governor.app.ports import PolicyInForce
from ecr_governor.core.origin import Creation
from ecr_governor.core.registry_rules import RegistryRules
from ecr_governor.core.sweep import EndedSweep, Lease


class SweepBook(Protocol):
    """What the ledger keeps of sweeps: who sweeps now, and how the last one ended."""

    def take_lease(self, execution: str, run: str, now: datetime, until: datetime) -> Lease:
        """Take the lease, or go on with it if this execution holds it already. Raises SweepRunning."""

    def renew_lease(self, lease: Lease, now: datetime, until: datetime) -> None:
        """Hold the lease for longer. Raises LeaseLost if somebody else has taken it meanwhile."""

    def end_sweep(self, lease: Lease, ended: EndedSweep, entry: Mapping[str, Any]) -> None:
        """Note how a sweep ended, tell of it by an entry, and give the lease back, all or nothing. Raises LeaseLost."""

    def give_back(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it is somebody else's."""

    def last_sweep(self) -> EndedSweep | None:
        """The last sweep that left an inventory; None before the first."""


class RunStore(Protocol):
    """Where a sweep keeps what it found: documents, and files of lines. Keys are paths."""

    def document(self, key: str) -> dict[str, Any] | None:
        """Read a JSON object; None if there is none."""

    def put_document(self, key: str, document: Mapping[str, Any]) -> None:
        """Write a JSON object, over the one that is there."""

    def lines(self, key: str) -> Iterator[bytes]:
        """Read a file line by line, without line breaks; none if there is no such file."""

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        """Write a file of lines, over the one that is there."""

    def join(self, keys: Iterable[str], target: str) -> None:
        """Write one file with the lines of all."""


class Shelf(Protocol):
    """A great many small values by name, outside of memory."""

    def put(self, name: str, value: bytes) -> None:
        """Keep a value; a later one of the same name replaces it."""

    def read(self, name: str) -> bytes | None:
        """Read a value."""

    def take(self, name: str) -> bytes | None:
        """Read a value and note that it was taken."""

    def rest(self) -> Iterator[tuple[str, bytes]]:
        """The values that nobody has taken."""


class CreationHistory(Protocol):
    """CloudTrail's own history of who created repositories."""

    @property
    def calls(self) -> int:
        """How many calls were made so far."""

    def creations(self, since: datetime, until: datetime) -> Iterator[Sequence[tuple[str, Creation]]]:
        """List creations by repository name, newest first, page by page. Raises Throttled, Denied."""


class SweepPolicies(Protocol):
    """The policy in force, and the one that a sweep began with."""

    def current(self, now: datetime) -> PolicyInForce:
        """The policy in force, already limited to what the deployment permits."""

    def pinned(self, version: str) -> PolicyInForce:
        """That very version of the policy file, already limited to what the deployment permits. Raises PolicyChanged."""


class Registry(Protocol):
    """The registry as a whole."""

    def rules(self) -> RegistryRules:
        """Read the registry's own settings. Raises Throttled."""


class Looks(Protocol):
    """The queue behind which repositories are looked at one by one, and put right."""

    def ask(self, repositories: Iterable[str], at: datetime) -> None:
        """Ask for a look at repositories. Raises Throttled, Denied."""
