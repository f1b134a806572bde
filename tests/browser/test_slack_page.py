"""The page of messages, in a real browser: what people see, in light and dark, and nothing that a name smuggles in."""

import json
import shutil
import struct
import subprocess
import urllib.request
import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ecr_governor.core.announcement import Told, announce
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.messages.buttons import exemption_form
from ecr_governor.core.messages.news import message
from ecr_governor.core.messages.text import plain
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.press import Subject
from ecr_governor.core.record import Change, Trigger, change_as_data
from ecr_governor.core.severity import Severity
from local.slack.server import Slack
from tests.fakes import ACCOUNT, REGION, T0

CHROMIUM = shutil.which("chromium")
HOSTILE = "<script>document.title='owned'</script> <!channel> `x` <http://evil.example|click> =cmd()"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Path]:
    """A page with one message, in which every text that a stranger controls is hostile."""
    finding = Finding("payments/api", "naming", Severity.HIGH, FindingState.OPEN, Mode.AUDIT, HOSTILE, (), T0)
    change = Change("payments/api", T0, Trigger("PutImage", HOSTILE), "abc", discovered=True, created=True, opened=(finding,))
    told = Told("payments/api", 1, "change", change_as_data(change))
    slack = Slack()
    slack.start()
    try:
        body = json.dumps(message(announce([told], None, Severity.LOW), ACCOUNT, REGION)).encode()
        request = urllib.request.Request(slack.webhook_url, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == b"ok"
        path = tmp_path / "slack.html"
        path.write_text(slack.export_html())
        yield path
    finally:
        slack.stop()


def chromium(tmp_path: Path, *options: str) -> str:
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    command = [str(CHROMIUM), *quiet, f"--user-data-dir={tmp_path / 'profile'}", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def pixels(png: Path) -> tuple[int, int, bytes]:
    """Width, height and the unpacked scan lines of a picture."""
    data = png.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    position, packed = 8, b""
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        if data[position + 4 : position + 8] == b"IDAT":
            packed += data[position + 8 : position + 8 + length]
        position += 12 + length
    return width, height, zlib.decompress(packed)


def test_hostile_text_is_shown_as_text_and_does_nothing(page: Path, tmp_path: Path) -> None:
    dom = chromium(tmp_path, "--dump-dom", f"file://{page}")
    assert "owned</title>" not in dom
    assert "&lt;script&gt;" in dom
    assert "<script>document" not in dom
    assert 'href="http://evil' not in dom
    assert "New repository needs attention: payments/api" in dom


def test_the_page_asks_nobody_for_anything(page: Path) -> None:
    text = page.read_text()
    assert "<script src" not in text
    assert "stylesheet" not in text
    assert 'src="http' not in text
    assert "url(http" not in text
    assert "@import" not in text


def test_it_has_a_face_in_light_and_another_in_dark(page: Path, tmp_path: Path) -> None:
    faces = {}
    for name, scheme in (("light", 1), ("dark", 0)):
        picture = tmp_path / f"{name}.png"
        chromium(
            tmp_path,
            f"--blink-settings=preferredColorScheme={scheme}",
            # Narrow enough to show the channel alone.
            "--window-size=640,600",
            f"--screenshot={picture}",
            f"file://{page}",
        )
        width, height, lines = pixels(picture)
        assert (width, height) == (640, 600)
        # The first pixel stands as it is, whatever filter its line has: it is the page's background.
        faces[name] = sum(lines[1:4])
        assert len(set(lines)) > 50, "the page is blank"
    assert faces["light"] > 3 * 200
    assert faces["dark"] < 3 * 60


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_readmes_pictures_are_pictures(mode: str) -> None:
    picture = Path(__file__).parents[2] / "docs" / "images" / f"slack-{mode}.png"
    width, height, _ = pixels(picture)
    assert width == 1000
    assert height >= 600


def test_buttons_the_form_and_what_one_person_is_told_show_hostile_text_as_text(tmp_path: Path) -> None:
    slack = Slack()
    slack.start()
    try:
        slack.interaction.request_url = "http://127.0.0.1:9/"
        slack.interaction.patience = 0.2
        button = {"type": "button", "action_id": "keep", "text": {"type": "plain_text", "text": HOSTILE[:75]}, "value": HOSTILE}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {slack.bot_token}"}

        def call(method: str, **arguments: Any) -> dict[str, Any]:
            request = urllib.request.Request(f"{slack.api_url}{method}", data=json.dumps(arguments).encode(), headers=headers)
            with urllib.request.urlopen(request) as answer:
                said = dict(json.loads(answer.read()))
            assert said["ok"]
            return said

        call("chat.postMessage", channel="C0LOCAL0001", text="x", blocks=[{"type": "actions", "elements": [button]}])
        call("chat.postEphemeral", channel="C0LOCAL0001", user="U0LOCAL0001", text=f"{plain(HOSTILE)} <https://a.example/x|Open it>")
        slack.press(slack.posted[0]["ts"], "keep")
        form = exemption_form(Subject("payments/api", T0, days=180, rules=("naming",)), HOSTILE, date(2027, 1, 31))
        assert isinstance(slack.interaction.open({"trigger_id": "1.0.local", "view": form}), dict)
        view = slack.interaction.of("U0LOCAL0001")
        assert view is not None
        view.errors, view.values = {"reason": HOSTILE}, {"reason": HOSTILE, "until": "2027-01-31"}
        dom = chromium(tmp_path, "--dump-dom", slack.url)
    finally:
        slack.stop()
    assert "owned</title>" not in dom
    assert "<script>document" not in dom
    assert '<form class="press" method="post" action="/press">' in dom
    assert '<dialog open="" class="modal">' in dom
    assert dom.count("&lt;script&gt;") >= 4
    assert "Only visible to you" in dom
    assert dom.count('href="https://a.example/x"') == 1
    assert 'name="until" value="2027-01-31"' in dom
