"""`ecr-governor policy bundle`: one file of a policy file and the documents that it leaves to files, as a deployment reads it."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from cli.policy import files
from cli.policy.editing import composed, end_of, value_of
from cli.trouble import Trouble
from cli.whole_file import write_whole
from ecr_governor.core.policy.document_files import references
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import FILE
from ecr_governor.core.policy.yaml_text import PolicyInvalid, compose, node_at

_ANCHOR = re.compile(r"&\S+\s+")


def run(file: Path, into: Path | None) -> None:
    """Print the policy as one file, or write it. Raises Trouble if it is not valid."""
    text, read, count, taken = _bundled(file)
    if into is None:
        sys.stdout.write(text)
    else:
        if into.resolve() == file.resolve():
            raise Trouble(f"{into} is the policy file itself", "what it leaves to files would be lost", "name another file with --into")
        if into.resolve() in taken:
            raise Trouble(f"{into} is a document that the policy takes from there", "it would be lost", "name another file with --into")
        write_whole(into, text, "name another file with --into")
    told = "1 document" if count == 1 else f"{count} documents"
    sys.stderr.write(f"{file}: {told} put in, policy hash {read.policy.hash}\n")


def text_of(file: Path, option: str = "") -> str:
    """Give the policy file, named by an option, as one text. Raises Trouble if it is not valid."""
    return _bundled(file, option)[0]


def _bundled(file: Path, option: str = "") -> tuple[str, Reading, int, frozenset[Path]]:
    """Give the policy as one text, as it was read, how many places were filled, and the files that they were filled from."""
    try:
        text = files.text_of(file, option=option)
        read = files.understood(text, file)
        # What stands where was put in by now; the text says where it was to be put.
        written, _ = compose(text, str(file))
        named = {at: str(settings.items[str(at[-1])].value[FILE]) for at, settings in references(written)}
        left = {at: node_at(read.root, at) for at in named}
        whole, count = _put_in(text, {at: document.value for at, document in left.items()})
        again = files.alone(whole, file)
    except PolicyInvalid as invalid:
        raise files.refused(file, invalid) from invalid
    if again.policy.hash != read.policy.hash:
        why = "the text would say something else: what is left to files is written in an unusual way"
        raise Trouble("no one file can be made here", why, f"put the documents into {file} by hand")
    return whole, read, count, frozenset((file.parent / path).resolve() for path in named.values())


def _put_in(text: str, documents: dict[tuple[str | int, ...], Any]) -> tuple[str, int]:
    """Replace what refers to a file by its document, in one line: the lines behind it keep their numbers. All else stays as it stands.

    Gives the text, and how many places were replaced.
    """
    root = composed(text)
    spans: dict[int, tuple[int, str]] = {}
    for at, document in documents.items():
        node = root
        for key in at:
            node = value_of(node, str(key))
        start, end = node.start_mark.index, end_of(node)
        anchor = _ANCHOR.match(text, start)
        spans[anchor.end() if anchor else start] = end, json.dumps(document, ensure_ascii=False)
    for start, (end, new) in sorted(spans.items(), reverse=True):
        text = text[:start] + new + text[end:]
    return text, len(spans)
