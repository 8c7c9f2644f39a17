"""The form and its answer, used as a person would: typed, dragged, by keyboard alone, shared by address."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import Opened, serving
from tests.page.models import HOSTILE_CLASSES, HOSTILE_FEATURES, document
from thimble.inference import classifier
from thimble.inference.batch import Batch
from thimble.store import Folder
from thimble_infra import publishing


def answered(name: str, row: list[Any]) -> tuple[str, float]:
    """The label and its probability, by the model itself."""
    model = classifier.load(document(name))
    [scores] = model.predict(Batch.of(model.features, [[value] for value in row])).outputs
    k = int(scores.labels[0])
    return model.heads[0].texts[k], float(scores.probabilities[k, 0])


def shows(page: Page, label: str) -> None:
    expect(page.locator(".verdict .label")).to_have_text(label)


def asked(opened: Opened) -> list[dict[str, Any]]:
    """The bodies that were sent to be classified."""
    return [json.loads(r.post_data or "{}") for r in opened.asked if r.method == "POST"]


def test_it_opens_on_an_example_with_its_answer(opened: Opened) -> None:
    page = opened("penguins")
    example = json.loads(document("penguins"))["examples"]["rows"][0]
    label, probability = answered("penguins", example)
    shows(page, label)
    expect(page.locator(".verdict .sure")).to_have_text("> 99.9 %")
    assert probability > 0.9995
    assert page.get_by_label("bill_length_mm").input_value() == "39.1"
    assert page.get_by_role("radio", name="Torgersen").is_checked()
    expect(page.locator("h1").first).to_be_hidden()
    expect(page.locator("#sentence")).to_have_text(
        "penguins tells Adelie, Chinstrap and Gentoo apart, from six values."
    )


def test_the_answer_moves_as_one_types(opened: Opened) -> None:
    page = opened("penguins")
    page.get_by_role("button", name="Gentoo").click()
    shows(page, "Gentoo")
    page.get_by_label("bill_length_mm").fill("38,5")  # a decimal comma
    page.get_by_label("bill_depth_mm").fill("19")
    page.get_by_label("flipper_length_mm").fill("180")
    page.get_by_label("body_mass_g").fill("3300")
    row = ["Biscoe", 38.5, 19, 180, 3300, "female"]
    label, probability = answered("penguins", row)
    shows(page, label)
    expect(page.locator(".bar.won .value")).to_have_text(re.compile(rf"{100 * probability:.1f}\s%"))
    assert asked(opened)[-1] == {"instance": row}


def test_the_answer_moves_while_one_drags_and_one_request_goes_at_a_time(opened: Opened) -> None:
    page = opened("penguins")
    before = len(asked(opened))
    track = page.locator(".slide input").nth(2).bounding_box()
    assert track
    y = track["y"] + track["height"] / 2
    page.mouse.move(track["x"] + 40, y)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(track["x"] + 40 + step * 4, y)
        page.wait_for_timeout(10)
    during = len(asked(opened)) - before
    page.mouse.up()
    assert 2 <= during < 40  # neither frozen nor a request a move
    value = page.get_by_label("flipper_length_mm").input_value()
    assert re.fullmatch(r"\d{3}(\.\d)?", value)
    expect(page).to_have_url(re.compile(f",{value},"))
    assert asked(opened)[-1]["instance"][3] == float(value)
    spans = [
        (r.timing["startTime"], r.timing["startTime"] + r.timing["responseEnd"])
        for r in opened.asked
        if r.method == "POST"
    ]
    assert all(end <= start + 1 for (_, end), (start, _) in pairwise(spans))


def test_a_slider_stays_with_the_decimals_of_the_training_data(opened: Opened) -> None:
    page = opened("fraud")
    for slider in page.locator(".slide input").all():
        box = slider.bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] / 3, box["y"] + 10)
    assert re.fullmatch(r"\d+(\.\d{1,2})?", page.get_by_label("amount").input_value())
    assert re.fullmatch(r"\d+", page.get_by_label("hour").input_value())


def test_the_keyboard_alone_is_enough(opened: Opened) -> None:
    page = opened("penguins")
    page.get_by_role("button", name="Gentoo").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")  # Chinstrap
    stops = []
    for _ in range(6):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert stops == ["f0", "f1", "f2", "f3", "f4", "f5"]  # one stop a value
    page.keyboard.press("ArrowRight")
    page.get_by_label("flipper_length_mm").focus()
    before = page.get_by_label("flipper_length_mm").input_value()
    page.keyboard.press("ArrowUp")
    assert float(page.get_by_label("flipper_length_mm").input_value()) == float(before) + 1
    page.keyboard.press("PageDown")
    assert float(page.get_by_label("flipper_length_mm").input_value()) == float(before) - 9
    expect(page.locator("#say")).to_contain_text(re.compile("Gentoo|Adelie|Chinstrap"))


def test_a_value_outside_the_training_range_is_marked_at_its_field_and_beside_the_answer(
    opened: Opened,
) -> None:
    page = opened("penguins")
    page.get_by_label("bill_length_mm").fill("75")
    expect(page.locator(".ends .out")).to_have_text(re.compile("above training"))
    expect(page.locator(".outside")).to_have_text("Outside what it was trained on: bill_length_mm.")
    page.get_by_label("bill_length_mm").fill("10")
    expect(page.locator(".ends .out")).to_have_text(re.compile("below training"))
    page.get_by_label("bill_length_mm").fill("45")
    expect(page.locator(".outside")).to_have_text("")


@pytest.mark.parametrize(
    ("typed", "said"), [("", "is needed"), ("12 mm", "is not a number"), ("1,2,3", "is not a number")]
)
def test_what_cannot_be_asked_is_said_and_not_asked(opened: Opened, typed: str, said: str) -> None:
    page = opened("iris")
    before = len(asked(opened))
    page.get_by_label("petal width (cm)").fill(typed)
    expect(page.locator(".problem")).to_have_text(f"petal width (cm) {said}.")
    assert page.get_by_label("petal width (cm)").get_attribute("aria-invalid") == "true"
    assert len(asked(opened)) == before
    page.get_by_label("petal width (cm)").fill("0.2")
    expect(page.locator(".problem")).to_have_text("")


def test_a_value_may_be_missing_where_the_model_allows_it_and_comes_back(opened: Opened) -> None:
    page = opened("penguins")
    page.locator(".missing input").first.click()
    expect(page.get_by_label("bill_length_mm")).to_have_value("")
    expect(page).to_have_url(re.compile(",~,"))
    page.locator(".missing input").first.click()
    expect(page.get_by_label("bill_length_mm")).to_have_value("39.1")
    page.get_by_role("radio", name="missing").last.click()
    expect(page).to_have_url(re.compile("~$"))
    assert [*asked(opened)[-1]["instance"]][-1] is None
    assert opened("iris").locator(".missing").count() == 0


@pytest.mark.parametrize("model", ["penguins", "hostile", "worded", "wide"])
def test_a_colleague_who_opens_the_address_sees_the_same(opened: Opened, model: str) -> None:
    page = opened(model)
    page.locator(".entry .field, select.field").last.focus()
    page.locator("#examples button").last.click()
    page.wait_for_timeout(600)
    answer = page.locator(".verdict").inner_text()
    values = "[...document.querySelectorAll('#form .field, #form select')].map((field) => field.value)"
    other = opened(page.url.split("#model=")[1])
    assert other.evaluate(values) == page.evaluate(values)
    expect(other.locator(".verdict")).to_have_text(re.compile(re.escape(answer.split("\n")[0])))
    assert not any("row=" in request.url for request in opened.asked if "#" not in request.url)


@pytest.mark.parametrize(
    "model", ["penguins", "hostile", "worded", "before", "tags", "several", "scores", "thousand", "fraud"]
)
def test_the_code_for_what_is_on_the_screen_gives_the_same_answer(opened: Opened, model: str) -> None:
    page = opened(model)
    page.locator(".entry .field, select.field").first.focus()
    copied = {}
    for kind in ("curl", "Python", "JavaScript"):
        page.locator(".copies").get_by_role("button", name=kind).click()
        expect(page.locator(".copies")).to_contain_text("copied")
        copied[kind] = page.evaluate("navigator.clipboard.readText()")
    by_curl = subprocess.run(["bash", "-c", copied["curl"]], capture_output=True, check=True).stdout
    [answer] = json.loads(by_curl)["predictions"]
    script = copied["Python"].replace(
        'print(answer.json()["predictions"][0])',
        "import json; print(json.dumps(answer.json()['predictions'][0]))",
    )
    by_python = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert json.loads(by_python) == answer
    in_browser = copied["JavaScript"].replace("console.log(", "return JSON.stringify(")
    assert json.loads(page.evaluate(f"async () => {{ {in_browser} }}")) == answer
    found = answer["outputs"]["colour"] if "outputs" in answer else answer
    labels = found.get("labels", [found.get("label")])
    shown = page.locator(".verdict .label").first.text_content() or ""
    assert all(str(label).split("\u202e")[0] in shown for label in labels)


def test_classes_whose_names_are_digits_or_keys_keep_their_order_and_numbers(opened: Opened) -> None:
    page = opened("hostile")
    names = page.locator("#answer .bars:not(.parts) .what").all_text_contents()
    assert names == [text.replace("\u202e", "\\u202e") for text in sorted(HOSTILE_CLASSES)]
    labels = page.locator("#form .name").all_text_contents()
    assert labels == [text.replace("\u202e", "\\u202e") for text in HOSTILE_FEATURES]
    shares = [
        text.replace("\xa0%", "").lstrip("<> \xa0")
        for text in page.locator("#answer .bars:not(.parts) .value").all_text_contents()
    ]
    assert sum(map(float, shares)) == pytest.approx(100, abs=0.6)


def test_two_classes_show_the_threshold_and_many_labels_each_theirs(opened: Opened) -> None:
    page = opened("fraud")
    expect(page.locator(".threshold")).to_have_count(1)
    expect(page.locator(".legend")).to_have_text(re.compile(r"above 50\.0\s% the answer is fraud"))
    page = opened("tags")
    expect(page.locator(".threshold")).to_have_count(3)
    expect(page.locator(".legend")).to_contain_text("do not sum to 100 %")


def test_scores_stand_around_zero_and_are_no_percentages(opened: Opened) -> None:
    page = opened("scores")
    assert page.locator(".bars:not(.parts) .rail.around").count() == 3
    assert not re.search("%", page.locator("#answer").inner_text())


def test_of_a_thousand_classes_the_likeliest_are_shown(opened: Opened) -> None:
    page = opened("thousand")
    assert page.locator("#answer .bars:not(.parts) .bar").count() == 10
    expect(page.locator(".legend")).to_have_text("The 10 likeliest of 1,000 classes.")
    bars = "[...document.querySelectorAll('#answer .bars:not(.parts) .rail i')]"
    shares = page.evaluate(f"{bars}.map((bar) => new DOMMatrix(getComputedStyle(bar).transform).a)")
    assert shares == sorted(shares, reverse=True)


def test_a_wide_model_is_folded_and_what_lies_outside_in_the_fold_is_named(opened: Opened) -> None:
    page = opened("wide")
    rest = page.locator("#rest")
    assert rest.get_attribute("hidden") == "until-found"
    assert page.locator("#form .feature").count() == 300
    page.get_by_role("button", name="Show the other 286 values").click()
    page.get_by_label("band_299_reflectance").fill("99")
    page.get_by_role("button", name="Show the first 14 values only").click()
    expect(page.locator(".outside")).to_have_text("Outside what it was trained on: band_299_reflectance.")


def test_a_document_of_before_has_values_without_names_and_sliders(opened: Opened) -> None:
    page = opened("before")
    assert page.locator("#form .name").all_text_contents() == [f"value {i}" for i in range(1, 5)]
    assert page.locator(".slide").count() == 0
    page.get_by_label("value 3").fill("5.5")
    shows(page, answered("before", [0, 0, 5.5, 0])[0])
    expect(page.locator("#learned")).to_have_text(re.compile("not recorded"))


def test_a_category_that_the_model_does_not_list_can_be_typed(opened: Opened) -> None:
    page = opened("worded")
    page.get_by_role("radio", name="another").check()
    page.get_by_label("another كلمات عربية").fill("Ωμέγα")
    expect(page).to_have_url(re.compile(quote("Ωμέγα")))
    assert asked(opened)[-1]["instance"][3] == "Ωμέγα"


def test_models_are_picked_and_versions_say_which_answers(opened: Opened) -> None:
    page = opened("iris")
    page.get_by_label("Model", exact=True).select_option("fraud")
    expect(page.locator("#sentence")).to_have_text("fraud tells fair and fraud apart, from two values.")
    assert urlsplit(page.url).fragment.startswith("model=fraud")
    page.go_back()
    expect(page.locator("#sentence")).to_have_text(re.compile("^iris"))


def test_a_canary_is_named_and_any_version_can_be_shown(browser: Browser) -> None:
    store = Folder("memory://page/models")
    for data in (document("iris"), document("iris") + b"\n"):
        publishing.publish(store, publishing.publication(store, "iris", data, replace=True))
    current, *others = [found.digest for found in publishing.versions(store, "iris")]
    publishing.carry_out(store, publishing.trial(store, "iris", others[0], percent=10))
    with serving(MODELS_URI="memory://page/models", MODEL_NAME="iris") as service:
        opened = Opened(browser, service)
        page = opened("iris")
        expect(page.locator("#version")).to_contain_text("a canary that answers 10 % of the requests")
        picker = page.get_by_label("Version", exact=True)
        assert picker.locator("option").all_text_contents() == [
            f"{current[:12]} · answers",
            f"{others[0][:12]} · canary, 10 %",
        ]
        picker.select_option(others[0])
        expect(page.locator("#version code").first).to_have_text(others[0][:12])
        expect(page.locator("#version")).to_contain_text("This version is on trial")
        assert "version=" in page.url.split("#")[1]
        opened.check()
        page.context.close()
