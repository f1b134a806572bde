"""JSON: one object for one Region, a list of objects for several."""

from typing import TextIO

from ecr_governor.core.audit import AuditedRepository, AuditSummary
from ecr_governor.rendering.json_lines import as_json, repository_as_data


class JsonWriter:
    """Writes a JSON document, a line for each repository. It ends with the last of the Regions that were promised."""

    def __init__(self, stream: TextIO, regions: int) -> None:
        self._stream = stream
        self._regions = regions
        self._begun = 0
        self._separator = ""

    def begin(self, account: str, region: str, policy_hash: str) -> None:
        """Open the Region's object and its list of repositories."""
        self._begun += 1
        if self._regions > 1:
            self._stream.write("[\n" if self._begun == 1 else ",\n")
        head = as_json({"account": account, "region": region, "policy_hash": policy_hash}).removesuffix("}")
        self._stream.write(f'{head}, "repositories": [')
        self._separator = "\n"

    def repository(self, audited: AuditedRepository) -> None:
        """Add one repository to the list."""
        self._stream.write(self._separator + as_json(repository_as_data(audited)))
        self._separator = ",\n"

    def end(self, summary: AuditSummary) -> None:
        """Close the list and the object, and after the last Region the document."""
        tail = as_json(
            {
                "complete": summary.complete,
                "incomplete_because": list(summary.incomplete_because),
                "calls": dict(sorted(summary.calls.items())),
            }
        ).removeprefix("{")
        self._stream.write(f"\n], {tail}")
        if self._begun == self._regions:
            self._stream.write("\n]\n" if self._regions > 1 else "\n")
