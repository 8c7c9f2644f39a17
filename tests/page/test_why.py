"""Why an answer, how sure, and what would change it, on the page: as the service says it of the same row."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.page.conftest import Opened


def said(opened: Opened, **more: str) -> dict[str, Any]:
    """What the service says of the row that was asked last, asked by another client."""
    request = [request for request in opened.asked if request.method == "POST"][-1]
    [page] = [page for context in opened.browser.contexts for page in context.pages]
    address = request.url + "".join(f"&{key}={value}" for key, value in more.items())
    response = page.request.post(
        address, data=request.post_data, headers={"content-type": "application/json"}
    )
    prediction: dict[str, Any] = response.json()["predictions"][0]
    return prediction


def settled(page: Page) -> None:
    """Until nothing is asked any more."""
    page.wait_for_timeout(250)
    page.wait_for_load_state("networkidle")


def test_an_answer_that_the_model_withholds_is_said_with_its_reason(opened: Opened) -> None:
    page = opened("sure")
    for example in page.locator("#examples button").all():
        example.click()
        settled(page)
        answer = said(opened)
        if reason := answer.get("abstained"):
            expect(page.locator(".verdict .label")).to_have_text("no answer")
            expect(page.locator(".unsure")).to_have_text(f"T{reason[1:]}.")
        else:
            expect(page.locator(".verdict .label")).to_have_text(answer["label"])
            expect(page.locator(".unsure")).to_be_hidden()


def test_of_a_file_the_rows_without_an_answer_are_counted_and_shown_as_such(opened: Opened) -> None:
    page = opened("sure")
    page.get_by_role("button", name="try the examples").click()
    expect(page.locator("#result .lead").first).to_contain_text("3 rows answered, 1 of them without a label.")
    assert page.locator("#result tbody tr td:first-child").all_text_contents()[0] == "no answer"
