"""A slow and a failing network, a service that is busy, and one that asks who is there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Request, Route, expect

from tests.page.conftest import Opened

CLASSIFY = re.compile("/classify")
MODEL = re.compile(r"/model(\?|$)")


def test_a_slow_service_is_asked_once_at_a_time_and_for_what_is_newest(opened: Opened) -> None:
    page = opened("penguins")
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    rates = {"downloadThroughput": -1, "uploadThroughput": -1}
    slow.send("Network.emulateNetworkConditions", {"offline": False, "latency": 300, **rates})
    running = most = total = 0

    def started(request: Request) -> None:
        nonlocal running, most, total
        if CLASSIFY.search(request.url):
            running, most, total = running + 1, max(most, running + 1), total + 1

    def ended(request: Request) -> None:
        nonlocal running
        running -= bool(CLASSIFY.search(request.url))

    page.on("request", started)
    page.on("requestfinished", ended)
    for mass in range(3000, 6000, 100):
        page.get_by_label("body_mass_g").fill(str(mass))
        page.wait_for_timeout(40)
    page.get_by_role("button", name="Gentoo").click()
    expect(page.locator(".verdict .label")).to_have_text("Gentoo")
    page.wait_for_timeout(800)
    expect(page.locator(".verdict .label")).to_have_text("Gentoo")
    assert most == 1
    assert 2 <= total < 30


def test_a_model_that_is_picked_right_after_a_change_stays_in_the_address(opened: Opened) -> None:
    page = opened("penguins")
    page.wait_for_timeout(500)
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    rates = {"downloadThroughput": -1, "uploadThroughput": -1}
    slow.send("Network.emulateNetworkConditions", {"offline": False, "latency": 900, **rates})
    page.get_by_label("body_mass_g").fill("5000")
    page.evaluate("location.hash = 'model=fraud'")
    page.wait_for_timeout(600)  # past what a change takes to reach the address
    assert page.evaluate("location.hash") == "#model=fraud"
    expect(page.locator("#sentence")).to_contain_text("fraud tells")


def test_a_network_that_fails_is_said_and_what_was_typed_stays(opened: Opened) -> None:
    opened.forgiven += ("Failed to load resource",)
    page = opened("penguins")
    page.route(CLASSIFY, lambda route: route.abort())
    page.get_by_label("body_mass_g").fill("5000")
    expect(page.locator(".problem")).to_have_text("The service cannot be reached.")
    page.unroute(CLASSIFY)
    page.get_by_label("body_mass_g").fill("5100")
    expect(page.locator(".problem")).to_have_text("")
    assert page.get_by_label("body_mass_g").input_value() == "5100"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (429, "The service is busy"),
        (503, "The service is not available"),
        (504, "takes too long"),
        (500, "failed"),
    ],
)
def test_a_service_that_cannot_says_so_in_words(opened: Opened, status: int, said: str) -> None:
    opened.forgiven += ("Failed to load resource",)
    page = opened("penguins")
    page.route(CLASSIFY, lambda route: route.fulfill(status=status, body="<html>gateway</html>"))
    page.get_by_label("body_mass_g").fill("5000")
    expect(page.locator(".problem")).to_contain_text(said)


def test_an_answer_that_breaks_off_is_said(opened: Opened) -> None:
    page = opened("penguins")
    page.route(CLASSIFY, lambda route: route.fulfill(status=200, body='{"predictions": [{"lab'))
    page.get_by_label("body_mass_g").fill("5000")
    expect(page.locator(".problem")).to_have_text("The answer broke off.")


def test_a_page_that_cannot_read_its_model_tries_again(opened: Opened) -> None:
    opened.forgiven += ("Failed to load resource",)
    page = opened("penguins")
    page.route(MODEL, lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("The service cannot be reached.")
    page.unroute(MODEL)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#sentence")).to_be_visible()


def test_an_unknown_model_is_said_and_leads_to_the_others(opened: Opened) -> None:
    opened.forgiven += ("Failed to load resource",)
    page = opened("nothing", ready=False)
    expect(page.get_by_role("heading", level=1)).to_contain_text("nothing")
    page.get_by_role("link", name="The model that answers").click()
    expect(page.locator("#sentence")).to_contain_text("penguins tells")


def test_a_token_is_asked_for_sent_and_kept_for_the_tab_alone(opened: Opened) -> None:
    opened.forgiven += ("Failed to load resource",)
    page = opened("penguins")
    seen = []

    def guarded(route: Route) -> None:
        seen.append(token := route.request.headers.get("authorization"))
        if token == "Bearer a.b.c":
            route.continue_()
        else:
            route.fulfill(status=401, body='{"message":"Unauthorized"}', content_type="application/json")

    page.route(re.compile(r"/(model|classify|v1/models|seen|uploads)(\?|/|$)"), guarded)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("The service asks for a token.")
    page.get_by_label(re.compile("Paste a token")).fill("Bearer a.b.c ")
    page.keyboard.press("Enter")
    expect(page.locator("#sentence")).to_be_visible()
    assert seen[-1] == "Bearer a.b.c"
    expect(page.locator("#code")).to_contain_text('"authorization: Bearer $TOKEN"')
    assert "a.b.c" not in page.content()
    page.reload()
    expect(page.locator("#sentence")).to_be_visible()
    assert page.evaluate("JSON.stringify(localStorage)").find("a.b.c") < 0
    other = opened("penguins")
    assert other.evaluate("sessionStorage.length") == 0


def test_where_requests_are_signed_it_says_how_to_call_instead(opened: Opened) -> None:
    opened.forgiven += ("Failed to load resource",)
    page = opened("penguins")
    page.route(MODEL, lambda route: route.fulfill(status=403, body='{"message":"Forbidden"}'))
    page.reload()
    expect(page.locator("#help pre")).to_contain_text("--aws-sigv4")
