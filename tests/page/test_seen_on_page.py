"""What the service has seen, and a model that reads texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.page.conftest import Opened, serving
from tests.page.models import document

HEAVY = json.dumps({"instances": [["Biscoe", 46, 14, 211, 9000, "male"]] * 300})


def test_it_tells_what_it_has_seen_and_what_moved(browser: Browser, registry: Path) -> None:
    with serving(MODELS_URI=f"file://{registry}") as service:
        opened = Opened(browser, service)
        page = opened("penguins")
        expect(page.locator("#sees")).to_contain_text(re.compile(r"Nothing yet|1 request of 1 row"))
        page.request.post(f"{service}/classify", data=HEAVY, headers={"content-type": "application/json"})
        page.get_by_role("button", name="look again").click()
        expect(page.locator("#sees .lead").first).to_contain_text("have much moved from the training data: ")
        heavy = page.locator("#sees .drift", has_text="body_mass_g")
        expect(heavy.locator(".word")).to_have_text("much moved")
        expect(heavy.locator(".ends")).to_contain_text("> 6300")
        shares = page.locator("#sees .counts .value").all_text_contents()
        assert sum(float(text.split("\xa0")[-2]) for text in shares) == pytest.approx(100, abs=0.4)
        opened.check()
        page.context.close()


def test_before_the_first_request_no_time_is_said(opened: Opened) -> None:
    page = opened("iris")
    nothing: dict[str, Any] = {"view": "", "since": None, "requests": 0, "rows": 0, "models": []}
    page.route(re.compile("/seen"), lambda route: route.fulfill(json=nothing))
    page.get_by_role("button", name="look again").click()
    expect(page.locator("#sees .lead")).to_have_text("Nothing yet.")


def test_what_one_model_lacks_is_not_hidden_of_the_next(opened: Opened) -> None:
    opened.forgiven += ("status of 404",)
    page = opened("iris")
    page.route(re.compile("/seen"), lambda route: route.fulfill(status=404, json={"error": "none"}))
    page.get_by_role("button", name="look again").click()
    expect(page.locator("#seen")).to_be_hidden()
    page.unroute(re.compile("/seen"))
    page.evaluate("location.hash = '#model=digits'")
    expect(page.locator("#sees .lead")).to_contain_text(re.compile(r"Nothing yet|request"))
    expect(page.locator("#seen")).to_be_visible()


def test_an_error_that_comes_late_is_not_the_next_model_s(opened: Opened) -> None:
    opened.forgiven += ("status of 404",)
    page = opened("iris")
    held: list[Route] = []
    page.route(re.compile("/seen.*iris"), lambda route: held.append(route))
    with page.expect_request(re.compile("/seen.*iris")):
        page.get_by_role("button", name="look again").click()
    page.evaluate("location.hash = '#model=digits'")
    expect(page.locator("#sentence")).to_contain_text("digits")
    expect(page.locator("#sees .lead")).to_contain_text(re.compile(r"Nothing yet|request"))
    with page.expect_response(re.compile("/seen.*iris")):
        held[0].fulfill(status=404, json={"error": "too late"})
    page.wait_for_timeout(300)
    expect(page.locator("#sees")).not_to_contain_text("too late")
    expect(page.locator("#seen")).to_be_visible()


def test_a_text_is_an_area_and_moves_the_answer(opened: Opened) -> None:
    page = opened("mail")
    area = page.get_by_label("subject")
    assert area.evaluate("area => area.tagName") == "TEXTAREA"
    area.fill("win money fast")
    expect(page.locator(".verdict .label")).to_have_text("spam")
    area.fill("minutes of the\nmeeting 会议")
    expect(page.locator(".verdict .label")).to_have_text("ham")
    body = [request.post_data for request in opened.asked if request.method == "POST"][-1]
    assert json.loads(body or "")["instance"][0] == "minutes of the\nmeeting 会议"


def test_a_document_without_a_reference_says_nothing_of_training(opened: Opened) -> None:
    assert "reference" not in json.loads(document("before"))
    page = opened("before")
    expect(page.locator("#sees .drift")).to_have_count(0)
