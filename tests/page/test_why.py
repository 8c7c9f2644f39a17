"""Why an answer, how sure, and what would change it, on the page: as the service says it of the same row."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Opened

LINES = ".parts .bar:not([hidden])"


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


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").split()[0])


def lines(page: Page) -> list[tuple[str, float, float]]:
    """The name with its value, the number and the bar's length to the right, of each line."""
    found = page.locator(LINES).all()
    length = "line => new DOMMatrix(getComputedStyle(line.querySelector('.rail i')).transform).a"
    return [
        (
            line.locator(".what").inner_text(),
            number(line.locator(".value").inner_text()),
            line.evaluate(length),
        )
        for line in found
    ]


@pytest.mark.parametrize("model", ["fraud", "several", "thousand", "worded", "mail", "hostile", "wide"])
def test_what_each_value_adds_stands_largest_first_on_its_side_and_sums_to_the_score(
    opened: Opened, model: str
) -> None:
    page = opened(model)
    settled(page)
    prediction = said(opened)
    answers = [*prediction["outputs"].values()] if "outputs" in prediction else [prediction]
    shown, expected = lines(page), []
    for answer in answers:
        explanation = answer["explanation"]
        parts = [part["contribution"] for part in explanation["contributions"]]
        assert explanation["base"] + sum(parts) + explanation.get("rest", 0) == pytest.approx(
            explanation["score"]
        )
        expected += parts + (
            [explanation["rest"]] if model == "wide" else []
        )  # 300 values, of which 8 are shown
    assert [value for _, value, _ in shown] == pytest.approx(expected, abs=0.0051 * max(map(abs, expected)))
    assert all(length * value >= 0 for _, value, length in shown)
    assert max(abs(length) for *_, length in shown) == pytest.approx(1)
    heard = page.locator(f"{LINES} .value").all_text_contents()
    assert all(("for it" in text) == text.startswith("+") or number(text) == 0 for text in heard)


def test_the_bars_move_with_the_form_and_go_with_the_answer_in_one_request(opened: Opened) -> None:
    page = opened("fraud")
    settled(page)
    before, asked = lines(page), len(opened.asked)
    page.get_by_label("amount").fill("400")
    settled(page)
    assert lines(page) != before
    assert lines(page)[0][0] == "amount 400"
    assert len([request for request in opened.asked[asked:] if request.method == "POST"]) == 1


def test_another_class_than_the_answer_can_be_explained(opened: Opened) -> None:
    page = opened("fraud")
    settled(page)
    answered = said(opened)["label"]
    before = {name: value for name, value, _ in lines(page)}
    other = "fair" if answered == "fraud" else "fraud"
    page.get_by_label("The class that is explained").select_option(label=other)
    settled(page)
    assert said(opened)["explanation"]["class"] == other
    assert {
        name: -value for name, value, _ in lines(page)
    } == before  # of two classes the one is against the other
    expect(page.locator(".why")).to_contain_text(f"the score of {other}.")
    expect(page.locator(".verdict .label")).to_have_text(answered)


@pytest.mark.parametrize(
    "text",
    [
        "win money fast",
        "\U0001f427 win \U0001d4b3 money\n\U0001f427\U0001f427 meeting",
        "\u4f1a\u8bae \u660e\u5929 win",
    ],
)
def test_the_words_of_a_text_are_marked_where_they_stand(opened: Opened, text: str) -> None:
    page = opened("mail")
    page.get_by_label("subject").fill(text)
    settled(page)
    [part] = [part for part in said(opened)["explanation"]["contributions"] if part["feature"] == "subject"]
    most = max(abs(token["contribution"]) for token in part["tokens"])
    strong = [token for token in part["tokens"] if abs(token["contribution"]) > most / 40]
    marks = page.locator(".marked mark")
    assert marks.all_text_contents() == [text[token["start"] : token["end"]] for token in strong]
    sides = [mark.get_attribute("class") for mark in marks.all()]
    assert sides == ["for" if token["contribution"] > 0 else "against" for token in strong]
    assert (page.locator(".marked").text_content() or "").endswith(text)
    strongest = max(part["tokens"], key=lambda token: token["contribution"])
    if strongest["contribution"] > 0:
        expect(page.locator(".read")).to_contain_text(f"Most for it: {strongest['text']} +")


def test_the_set_of_labels_holds_the_truth_as_often_as_is_chosen(opened: Opened) -> None:
    page = opened("sure")
    settled(page)
    levels = page.get_by_role("group", name="How often the set holds the truth")
    sizes = []
    for level in levels.get_by_role("button").all():
        level.click()
        settled(page)
        expect(level).to_have_attribute("aria-pressed", "true")
        found = said(opened)["set"]
        assert re.split(", | or ", page.locator(".set").inner_text()) == found
        sizes.append(len(found))
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1


def test_the_set_holds_the_truth_of_each_class_where_that_is_ticked(opened: Opened) -> None:
    page = opened("sure")
    settled(page)
    assert "by_class" not in opened.asked[-1].url
    tick = page.get_by_role("checkbox", name="of each class")
    for ticked in (True, False):
        tick.set_checked(ticked)
        settled(page)
        assert ("by_class=true" in opened.asked[-1].url) is ticked
        for level in (
            page.get_by_role("group", name="How often the set holds the truth").get_by_role("button").all()
        ):
            level.click()
            settled(page)
            assert re.split(", | or ", page.locator(".set").inner_text()) == said(opened)["set"]
        assert tick.is_checked() is ticked


def test_what_would_change_the_answer_is_made_by_a_press(opened: Opened) -> None:
    page = opened("fraud")
    settled(page)
    assert not any("what_if" in request.url for request in opened.asked)
    page.get_by_role("button", name="What would change the answer?").click()
    settled(page)
    found = said(opened)["what_if"]
    expect(page.locator(".change")).to_contain_text(f"would make it {found['label']}.")
    page.locator(".change button").click()
    settled(page)
    expect(page.locator(".verdict .label")).to_have_text(found["label"])
    assert page.get_by_label(found["feature"]).input_value() == str(found["to"])


def test_an_answer_that_the_model_withholds_is_said_with_its_reason(opened: Opened) -> None:
    page = opened("sure")
    for example in page.locator("#examples button").all():
        example.click()
        settled(page)
        answer = said(opened)
        if reason := answer.get("abstained"):
            expect(page.locator(".verdict .label")).to_have_text("no answer")
            expect(page.locator(".unsure")).to_have_text(f"T{reason[1:]}.")
            assert example.inner_text() == "no answer"
            expect(page.locator(".why h3 option").first).to_have_text(
                re.compile("^(hill|plain|valley), the likeliest$")
            )
        else:
            expect(page.locator(".verdict .label")).to_have_text(answer["label"])
            expect(page.locator(".unsure")).to_be_hidden()


def test_of_a_file_the_rows_without_an_answer_are_counted_and_shown_as_such(opened: Opened) -> None:
    page = opened("sure")
    page.get_by_role("button", name="try the examples").click()
    expect(page.locator("#result .lead").first).to_contain_text("3 rows answered, 1 of them without a label.")
    assert page.locator("#result tbody tr td:first-child").all_text_contents()[0] == "no answer"


@pytest.mark.parametrize("model", ["before", "tags"])
def test_what_the_model_cannot_say_is_not_asked_and_said_once(opened: Opened, model: str) -> None:
    page = opened(model)
    settled(page)
    assert not any("explain" in request.url or "coverage" in request.url for request in opened.asked)
    assert page.locator(".parts, .set").count() == 0
    card = page.request.get(f"{opened.service}/model?model={model}").json()
    refusals = {*card["cannot"].values()}
    quiet = page.locator(".cannot").inner_text()
    assert refusals
    assert all(quiet.count(refusal[1:]) == 1 for refusal in refusals)
