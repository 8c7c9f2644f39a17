"""The model in words: what it is for, how well it does, and where it errs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.page.conftest import Opened, serving
from tests.page.models import SCRIPT, document
from thimble.store import Folder
from thimble_infra import publishing

CARD = {
    "summary": f"Marks payments {SCRIPT}",
    "use": "Ranking the payments of a day\nfor review",
    "not_for": "Blocking a payment without a person",
    "owner": "Payments \u202eteam",
    "link": "https://example.org/fraud",
}


def test_what_it_is_for_is_shown_only_where_it_is_given_and_as_text(browser: Browser) -> None:
    found = json.loads(document("fraud"))
    found["training"]["card"] = CARD
    store = Folder("memory://words/models")
    data = json.dumps(found).encode()
    publishing.publish(store, publishing.publication(store, "fraud", data, replace=True))
    with serving(MODELS_URI="memory://words/models", MODEL_NAME="fraud") as service:
        opened = Opened(browser, service)
        page = opened("fraud")
        expect(page.locator("#summary")).to_have_text(CARD["summary"])
        assert page.locator("#about dt").all_text_contents() == ["For", "Not for", "Owner", "More"]
        assert page.locator("#about dd").nth(0).text_content() == CARD["use"]
        assert page.locator("#about dd").nth(2).text_content() == "Payments \\u202eteam"
        assert page.locator("#about a").get_attribute("href") == CARD["link"]
        assert "noreferrer" in (page.locator("#about a").get_attribute("rel") or "")
        opened.check()
        page.context.close()


def test_how_well_it_does_is_said_of_rows_that_it_has_not_seen(opened: Opened) -> None:
    page = opened("fraud")
    held = json.loads(document("fraud"))["training"]["held_out"]
    labels, confusion = held["labels"], held["confusion"]
    right = sum(row[k] for k, row in enumerate(confusion)) / sum(labels)
    said = page.locator("#learned").inner_text().replace("\xa0", " ")
    assert f"Of {held['rows']} that it had not seen, it gets {100 * right:.1f} % of them right" in said
    assert f"always answering fair would get {100 * max(labels) / sum(labels):.1f} %" in said
    page.get_by_text("Where it errs").click()
    shown = page.locator(".confusion tbody td").all_text_contents()
    assert shown == [str(n) if n else "·" for row in confusion for n in row]


def test_what_is_not_recorded_is_not_made_up(opened: Opened) -> None:
    page = opened("before")
    expect(page.locator("#learned")).to_have_text(
        "What it learned from is not recorded. How well it does on others is not recorded."
    )
    assert page.locator("#about dt").count() == page.locator("#errs details").count() == 0
    page = opened("wide")
    expect(page.locator("#sentence")).to_have_text(
        "wide tells field, forest, town and water apart, from 300 values."
    )


def test_the_curve_of_its_probabilities_has_a_point_a_tenth_with_its_rows_and_says_how_far_it_is_off(
    opened: Opened,
) -> None:
    held = json.loads(document("fraud"))["training"]["held_out"]
    found = held["calibration"]
    tenths = [
        tenth for tenth in zip(found["probability"], found["right"], found["rows"], strict=True) if tenth[2]
    ]
    page = opened("fraud")
    page.get_by_text("Where it errs").click()
    points = page.locator(".curve circle").all()
    assert len(points) == len(tenths) > 2
    places = [
        (float(point.get_attribute("cx") or 0), float(point.get_attribute("cy") or 0)) for point in points
    ]
    expected = [(100 * said, 100 - 100 * right / rows) for said, right, rows in tenths]
    assert np.array(places) == pytest.approx(np.array(expected))
    sizes = [float(point.get_attribute("r") or 0) for point in points]
    assert np.argmax(sizes) == np.argmax([rows for *_, rows in tenths])
    shown = [text.split("\t") for text in page.locator(".curve tbody").inner_text().split("\n")]
    assert [row[2].strip() for row in shown] == [str(rows) for *_, rows in tenths]
    error = sum(abs(said * rows - right) for said, right, rows in tenths) / held["rows"]
    expect(page.locator(".calibration > .small")).to_contain_text(f"off by {100 * error:.1f}\xa0% on average")
    expect(page.locator(".calibration > .small")).to_contain_text(f"over {held['rows']} rows")


def test_without_rows_that_it_has_not_seen_there_is_no_curve(opened: Opened) -> None:
    page = opened("penguins")
    assert page.locator(".calibration").count() == 0
