"""What CloudWatch takes out of a custom widget's HTML before it shows it.

docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_security.html: scripts, `iframe`, `use`, and "other known
security vulnerabilities".
"""

from __future__ import annotations

import html
from html.parser import HTMLParser
from typing import Final

# UNCONFIRMED: what else it takes out. Whatever loads or sends something is taken out here, so that nothing relies on it.
FORBIDDEN: Final = frozenset(["script", "iframe", "use", "object", "embed", "frame", "frameset", "base", "link", "meta", "noscript"])
ADDRESSES: Final = frozenset(["href", "src", "xlink:href", "action", "formaction", "background", "data", "srcset", "poster"])
SCHEMES: Final = ("https:", "http:", "mailto:", "#", "/", "data:image/")
EMPTY: Final = frozenset(["area", "br", "col", "hr", "img", "input", "source", "wbr"])


class _Cleaner(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.kept: list[str] = []
        self.taken: list[str] = []
        self._within = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in FORBIDDEN:
            self.taken.append(tag)
            self._within += tag not in {"base", "link", "meta", "embed"}
            return
        if self._within:
            return
        kept = [tag]
        for name, value in attrs:
            address = "".join((value or "").split()).lower()
            # The `action` of a cwdb-action is a word, not an address.
            leads_away = name in ADDRESSES and tag != "cwdb-action" and not address.startswith(SCHEMES)
            if name.startswith("on") or leads_away:
                self.taken.append(f"{tag} {name}")
            else:
                kept.append(name if value is None else f'{name}="{html.escape(value)}"')
        self.kept.append(f"<{' '.join(kept)}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in FORBIDDEN:
            self._within = max(self._within - 1, 0)
        elif not self._within and tag not in EMPTY:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.kept.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")


def cleaned(text: str) -> tuple[str, list[str]]:
    """Give the HTML that is shown, and what was taken out of it: elements, and attributes after their element."""
    cleaner = _Cleaner()
    cleaner.feed(text)
    cleaner.close()
    return "".join(cleaner.kept), cleaner.taken
