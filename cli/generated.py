"""Pages of which a part is generated: what stands between two marks is written anew, the rest is people's."""

from collections.abc import Mapping
from pathlib import Path

from cli.trouble import Trouble

BEGIN, END = "<!-- generated: {} -->\n", "<!-- end of what is generated -->\n"


def write_into(file: Path, parts: Mapping[str, str]) -> None:
    """Write each part anew that stands in a file between its marks. Raises Trouble if the marks are not as they should be."""
    try:
        file.write_text(renewed(file.read_text(encoding="utf-8"), file.name, parts), encoding="utf-8")
    except OSError as error:
        raise Trouble(f"{file} cannot be written", error.strerror or str(error), "give the path of a page with marks") from error


def renewed(text: str, name: str, parts: Mapping[str, str]) -> str:
    """Give a page with what is generated in it written anew."""
    for part, content in parts.items():
        before, mark, rest = text.partition(BEGIN.format(part))
        if mark:
            _, end, after = rest.partition(END)
            if not end:
                raise Trouble(f"{name} does not end what is generated", f"after {mark.strip()}", f"write {END.strip()} behind the table")
            text = f"{before}{mark}{content}{end}{after}"
    return text
