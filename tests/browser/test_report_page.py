"""The report in a real browser: found, sorted, linked to, printed; readable without JavaScript, and by those who do not see it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from benchmarks.reports import NOW, sources
from ecr_governor.core.report.build import report_of, worst
from ecr_governor.rendering.report import rendered

CHROMIUM = shutil.which("chromium")
REPORT = report_of(sources(260), NOW)
FEW = 200
"""Rows that are shown at first."""

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(rendered(REPORT, "html"))
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, which must not have complained of anything nor asked for anything by the end of the test."""
    trouble: list[str] = []

    def said(message: ConsoleMessage) -> None:
        trouble.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith("file:"):
            trouble.append(request.url)

    context = browser.new_context(viewport={"width": 1240, "height": 1000}, reduced_motion="reduce")
    page = context.new_page()
    page.on("console", said)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", asked)
    page.goto(address)
    yield page
    context.close()
    assert trouble == []


def names(page: Page) -> list[str]:
    """The repositories that are shown, in their order."""
    return page.locator("#list > tbody > tr > th > a").all_text_contents()


def test_at_first_the_gravest_are_shown_and_all_at_a_click(page: Page) -> None:
    assert names(page) == [repository.name for repository in REPORT.repositories[:FEW]]
    assert page.inner_text("#told") == "260 repositories"
    page.click("text=Show all 260")
    assert len(names(page)) == 260
    assert page.is_hidden("#rest")


def test_words_narrow_the_list_and_are_counted_aloud(page: Page) -> None:
    page.fill("#find", "Payments NAMING")
    wanted = {
        repository.name
        for repository in REPORT.repositories
        if "payments" in f"{repository.name} {repository.owner}" and any(finding.rule == "naming" for finding in repository.findings)
    }
    assert wanted
    assert wanted <= set(names(page))
    assert page.inner_text("#told") == f"{len(names(page))} of 260 repositories"
    assert page.get_attribute("#told", "role") == "status"
    page.fill("#find", "there is no such thing")
    assert names(page) == []


@pytest.mark.parametrize(
    ("choice", "holds"),
    [
        ("violating", lambda repository: bool(repository.open_findings)),
        ("critical", lambda repository: any(finding.severity == "critical" for finding in repository.open_findings)),
        ("unused", lambda repository: repository.unused is True),
        ("without an owner", lambda repository: repository.owner is None),
        ("exempt", lambda repository: any(finding.state == "exempt" for finding in repository.findings)),
    ],
)
def test_a_choice_narrows_the_list(page: Page, choice: str, holds: object) -> None:
    assert callable(holds)
    page.select_option("#show", label=choice)
    wanted = [repository.name for repository in REPORT.repositories if holds(repository)]
    assert wanted
    assert names(page) == wanted[:FEW]


def test_an_owners_name_shows_what_that_owner_has(page: Page) -> None:
    page.click("#owners a >> text=team-search")
    assert page.input_value("#find") == "team-search"
    shown = names(page)
    assert set(shown) >= {repository.name for repository in REPORT.repositories if repository.owner == "team-search"}
    page.click("#owners a >> text=nobody")
    assert set(names(page)) == {repository.name for repository in REPORT.repositories if repository.owner is None}


def test_the_list_is_sorted_by_keyboard_and_says_how(page: Page) -> None:
    header = page.locator("#list thead th", has_text="Size")
    page.focus("#list thead th:nth-child(5) button")
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    heaviest = sorted(REPORT.repositories, key=lambda repository: -(repository.size_bytes or 0))
    assert names(page)[:10] == [repository.name for repository in heaviest[:10]]
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(page)[0] == heaviest[-1].name
    page.click("#list thead >> text=Last pull")
    assert header.get_attribute("aria-sort") is None
    page.click("text=Show all 260")
    pulls = [cell for row in page.locator("#list > tbody > tr:first-child > td:last-child").all_text_contents() if (cell := row.strip())]
    assert pulls == sorted(pulls, reverse=True)
    assert page.locator("#list > tbody > tr:first-child > td:last-child").last.inner_text() == ""


def test_findings_are_sorted_by_what_they_matter(page: Page) -> None:
    page.click("#list thead >> text=Findings")
    severities = [worst(next(each for each in REPORT.repositories if each.name == name)) for name in names(page)[:60]]
    order = ["critical", "high", "medium", "low", None]
    assert severities == sorted(severities, key=order.index)


def test_a_link_to_a_repository_opens_it_wherever_it_is(page: Page, address: str) -> None:
    last = next(repository for repository in reversed(REPORT.repositories) if repository.findings)
    assert last.name not in names(page)
    page.goto(f"{address}#repository={last.name}")
    page.reload()
    details = page.locator("#list .found details")
    assert details.get_attribute("open") is not None
    assert details.locator("li").first.is_visible()
    assert page.evaluate("document.activeElement.textContent") == last.name


def test_without_javascript_everything_can_be_read(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1240, "height": 1000})
    page = context.new_page()
    first = next(repository for repository in REPORT.repositories if repository.findings)
    page.goto(f"{address}#repository={first.name}")
    assert len(names(page)) == 260
    assert page.locator("#filter").is_hidden()
    # The browser itself opens what the address points into.
    assert page.locator("#list details[open]").count() == 1
    assert page.get_by_text(first.findings[0].fix, exact=True).locator("visible=true").first.is_visible()
    page.locator("#list details").nth(3).locator("summary").click()
    assert page.locator("#list details").nth(3).locator("div").is_visible()
    context.close()


def test_on_paper_everything_is_open(page: Page, tmp_path: Path) -> None:
    page.fill("#find", "payments")
    closed = page.pdf(format="A4")
    path = tmp_path / "report.pdf"
    path.write_bytes(closed)
    assert closed.startswith(b"%PDF")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    page.emulate_media(media="print")
    assert page.locator("#filter").is_hidden()
    assert page.locator("nav").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_those_who_do_not_see_it(page: Page, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(rendered(report_of(sources(40), NOW), "html"))
    page.goto(path.as_uri())
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.locator("#list details summary").first.click()
    page.click("#trends summary")
    page.click("#list thead >> text=Owner")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_nothing_is_wider_than_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("width", [360, 700, 1000])
def test_of_no_repository_anything_is_cut_on_a_narrow_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("#list summary").first.click()
    inside, wide = page.evaluate(
        "(() => { const box = document.querySelector('.wide:has(#list)'); return [box.clientWidth, box.scrollWidth]; })()"
    )
    assert wide <= inside


@pytest.mark.parametrize("picture", ["report-light.png", "report-dark.png", "report-large-light.png", "report-large-dark.png"])
def test_the_pictures_are_there_and_of_reasonable_size(picture: str) -> None:
    path = Path(__file__).parents[2] / "docs" / "images" / picture
    assert 20_000 < path.stat().st_size < 400_000
