"""The documentation's pictures of reports and of the dashboard's widget, of a made-up registry, and of the demo's messages in Slack.

Run it with `python -m benchmarks.pictures FOLDER SLACK`, where SLACK is the page that the demo has left. Needs Chromium.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.reports import NOW, sources
from ecr_governor.core.report.asking import Asked, part_of
from ecr_governor.core.report.build import report_of
from ecr_governor.core.report.glance import glance_of
from ecr_governor.rendering.report import rendered
from ecr_governor.rendering.report.widget import Frame, glance_as_html

WIDTH, HEIGHT = 1240, 1160
WIDGET_HEIGHT = 660
SLACK_WIDTH, SLACK_HEIGHT = 1000, 1100
LIFE = ": payments/gateway"
"""How the title of the message ends whose whole life is shown."""
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:ecr-governor-WidgetFunction"
CONSOLE = "https://eu-west-1.console.aws.amazon.com"


def main() -> None:
    """Take the pictures."""
    folder = Path(sys.argv[1])
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as place:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        _open(page, Path(place) / "report.html", 431)
        page.screenshot(path=folder / "report-light.png")
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=folder / "report-dark.png")
        page.emulate_media(color_scheme="light")
        _open(page, Path(place) / "large.html", 5_000)
        page.fill("#find", "payments")
        page.locator("#list summary").nth(2).click()
        page.locator("#repositories").evaluate("section => section.scrollIntoView()")
        page.mouse.move(0, 0)
        page.locator("h2", has_text="Repositories").focus()
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.screenshot(path=folder / f"report-large-{theme}.png")
        for theme, card in (("light", "#ffffff"), ("dark", "#161d26")):
            _open_widget(page, Path(place) / "widget.html", theme, card)
            page.locator(".card").screenshot(path=folder / f"widget-{theme}.png")
        page.set_viewport_size({"width": SLACK_WIDTH, "height": SLACK_HEIGHT})
        page.goto(Path(sys.argv[2]).resolve().as_uri())
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=folder / f"slack-{theme}.png")
            page.locator("article", has=page.locator("h3", has_text=LIFE)).screenshot(path=folder / f"slack-life-{theme}.png")
        browser.close()


def _open(page: Page, path: Path, repositories: int) -> None:
    path.write_bytes(rendered(report_of(sources(repositories), NOW), "html"))
    page.goto(path.as_uri())


def _open_widget(page: Page, path: Path, theme: str, card: str) -> None:
    glance = glance_of(report_of(sources(431), NOW))
    frame = Frame(ARN, "s3://ecr-governor-reports/reports/latest.html", CONSOLE, dark=theme == "dark", width=WIDTH, height=WIDGET_HEIGHT)
    html = glance_as_html(glance, Asked(), part_of(glance, Asked()), frame, NOW)
    path.write_text(f'<!doctype html><body style="margin:0"><div class="card" style="background:{card};padding:16px">{html}</div>')
    page.goto(path.as_uri())


if __name__ == "__main__":
    main()
