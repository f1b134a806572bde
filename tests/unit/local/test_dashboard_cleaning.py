"""What is taken out of a custom widget's HTML, and what is left as it was."""

import pytest

from local.dashboard.cleaning import cleaned


@pytest.mark.parametrize(
    ("given", "kept", "taken"),
    [
        ("<p>a<script>alert(1)</script>b</p>", "<p>ab</p>", ["script"]),
        ("<iframe src=x><p>within</p></iframe>after", "after", ["iframe"]),
        ("<svg><use href='#x'/><rect/></svg>", "<svg><rect></rect></svg>", ["use"]),
        ("<a onclick='x()' href='https://a/?b&amp;c'>d</a>", '<a href="https://a/?b&amp;c">d</a>', ["a onclick"]),
        ("<a href='java\nscript:alert(1)'>d</a>", "<a>d</a>", ["a href"]),
        ("<img src='data:image/png;base64,AA'>", '<img src="data:image/png;base64,AA">', []),
        ("<link rel=stylesheet href=https://a><p>b</p>", "<p>b</p>", ["link"]),
        ("<style>.a > b { color: red }</style>", "<style>.a > b { color: red }</style>", []),
        ("<p>&lt;script&gt; &#39;</p><br>", "<p>&lt;script&gt; &#39;</p><br>", []),
        ('<cwdb-action action="call">{"a": 1}</cwdb-action>', '<cwdb-action action="call">{"a": 1}</cwdb-action>', []),
    ],
)
def test_what_runs_or_leads_away_is_taken_out_and_nothing_else(given: str, kept: str, taken: list[str]) -> None:
    assert cleaned(given) == (kept, taken)
