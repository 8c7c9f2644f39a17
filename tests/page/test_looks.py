"""The page as it looks: to axe in light and dark, on a telephone and a wide screen, and without jumps."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.conftest import NARROW, WIDE, Opened
from tests.page.models import DOCUMENTS

SHIFTS = """new PerformanceObserver((list) => { for (const entry of list.getEntries())
  if (!entry.hadRecentInput) window.shifted = (window.shifted ?? 0) + entry.value
}).observe({ type: 'layout-shift', buffered: true })"""
MOST_SHIFT = 0.01  # a tenth of what counts as good


def findings(page: Page) -> list[str]:
    found: Any = Axe().run(page, options={"resultTypes": ["violations"]})
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found.response["violations"]]


def everything(page: Page) -> None:
    """Open and fill whatever the page can show."""
    for summary in page.locator("#whole summary").all():
        summary.click()
    ask = page.get_by_role("button", name="What would change")
    if ask.count():
        ask.first.click()  # of several outputs all are asked for
        page.locator(".change b, .change:has-text('No change')").first.wait_for()
    if page.locator("#kinds button").count():
        page.locator("#kinds button").click()
        page.locator("#result .lead").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "model", ["penguins", "fraud", "hostile", "tags", "several", "scores", "thousand", "worded"]
)
def test_axe_finds_nothing(opened: Opened, model: str, scheme: str) -> None:
    page = opened(model, color_scheme=scheme, bypass_csp=True)
    everything(page)
    assert findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_telephone_and_in_the_documents(opened: Opened, scheme: str) -> None:
    page = opened("penguins", color_scheme=scheme, bypass_csp=True, viewport=NARROW)
    page.get_by_label("bill_length_mm").fill("99")
    everything(page)
    assert findings(page) == []
    page.goto(f"{opened.service}/docs")
    page.locator("#operations section").first.wait_for()
    assert findings(page) == []


@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("model", [*DOCUMENTS])
def test_nothing_is_wider_than_the_screen(opened: Opened, model: str, viewport: dict[str, int]) -> None:
    page = opened(model, viewport=viewport)
    everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    overlaps = page.evaluate(
        """[...document.querySelectorAll('.feature')].filter((row, i, all) => i &&
        row.getBoundingClientRect().top < all[i - 1].getBoundingClientRect().bottom - 1).length"""
    )
    assert overlaps == 0


@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("model", ["penguins", "tags", "thousand"])
def test_nothing_jumps(opened: Opened, model: str, viewport: dict[str, int]) -> None:
    page = opened(model, ready=False, viewport=viewport)
    page.evaluate(SHIFTS)
    page.locator("#whole").wait_for()
    field = page.locator(".entry .field").first
    for text in ("1", "12", "123456", "", "x", "3"):
        field.fill(text)
        page.wait_for_timeout(600)  # past what is forgiven after an input
    assert page.evaluate("window.shifted ?? 0") < MOST_SHIFT


def test_on_a_telephone_the_answer_stays_in_sight_and_hides_no_field(opened: Opened) -> None:
    page = opened("penguins", viewport=NARROW)
    for field in page.locator("#form .field").all():
        field.focus()
        page.wait_for_timeout(50)
        expect(page.locator(".verdict .label")).to_be_in_viewport()
        inner, answer = field.bounding_box(), page.locator(".verdict").bounding_box()
        assert inner
        assert answer
        assert inner["y"] + inner["height"] <= answer["y"] + 1


def test_who_reads_with_their_ears_is_told_the_answer_once(opened: Opened) -> None:
    page = opened("penguins")
    expect(page.locator("#say")).to_contain_text("Adelie")
    page.get_by_role("button", name="Gentoo").click()
    expect(page.locator("#say")).to_contain_text("Gentoo")
    assert page.locator("[aria-live]").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("main").count() == page.get_by_role("banner").count() == 1
