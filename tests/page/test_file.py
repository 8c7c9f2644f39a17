"""A file, dropped or chosen: answered at once, its rejected rows named, its answers downloaded."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.conftest import Opened
from tests.page.models import HOSTILE_CLASSES, SCRIPT, document
from thimble.inference import classifier
from thimble.inference.batch import Batch

HEAD = "island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,note"
ROW = "Biscoe,46.1,13.2,211,4500,female"
GOOD = f"{HEAD}\n{ROW},first\nDream,46.5,17.9,192,3500,female,second\n"
DROP = """([name, text]) => {
  const data = new DataTransfer()
  data.items.add(new File([text], name))
  const options = { dataTransfer: data, bubbles: true, cancelable: true }
  for (const type of ['dragover', 'drop']) dispatchEvent(new DragEvent(type, options))
}"""


def give(page: Page, text: str, name: str = "file.csv") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": text.encode()})


def downloaded(page: Page, button: str = "Download the answers") -> str:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return Path(waiting.value.path()).read_text()


def counted(page: Page) -> dict[str, str]:
    bars = page.locator("#result .counts .bar")
    return dict(
        zip(
            bars.locator(".what").all_text_contents(), bars.locator(".value").all_text_contents(), strict=True
        )
    )


def labels(name: str, rows: list[list[Any]]) -> list[str]:
    model = classifier.load(document(name))
    predicted = model.predict(Batch.of(model.features, [*map(list, zip(*rows, strict=True))]))
    return [model.heads[0].texts[k] for k in predicted.outputs[0].labels]


def test_a_dropped_file_is_answered_at_once(opened: Opened) -> None:
    page = opened("penguins")
    page.evaluate(DROP, ["dropped.csv", GOOD])
    expect(page.locator("#result .lead").first).to_have_text("dropped.csv: 2 rows answered.")
    expected = labels(
        "penguins", [["Biscoe", 46.1, 13.2, 211, 4500, "female"], ["Dream", 46.5, 17.9, 192, 3500, "female"]]
    )
    assert page.locator("#result tbody td:first-child").all_text_contents() == expected
    assert counted(page) == {text: str(expected.count(text)) for text in ("Adelie", "Chinstrap", "Gentoo")}
    expect(page.locator("#say")).to_have_text("2 answered, 0 rejected")


def test_rejected_rows_are_named_with_their_reasons_and_nothing_is_lost(opened: Opened) -> None:
    page = opened("penguins")
    give(page, f'{GOOD}Biscoe,tall,1,2,3,male,"a\nb"\n{ROW},third\nMars,1,2,3\n')
    expect(page.locator("#result .lead").first).to_have_text("file.csv: 3 rows answered, 2 rejected.")
    reasons = page.locator(".reasons li").all_text_contents()
    assert reasons[0] == "Line 4: bill_length_mm is not a number."
    assert reasons[1].startswith("Line 7: ")
    rows = list(csv.DictReader(io.StringIO(downloaded(page))))
    assert [row["note"] for row in rows][:4] == ["first", "second", "a\nb", "third"]
    assert [bool(row["rejected"]) for row in rows] == [False, False, True, False, True]


def test_the_download_is_what_the_service_answers(opened: Opened) -> None:
    page = opened("penguins")
    give(page, GOOD)
    text = downloaded(page)
    answer = page.request.post(
        f"{opened.service}/classify?model=penguins&rejected=report",
        data=GOOD,
        headers={"content-type": "text/csv"},
    )
    assert text == answer.text()


def test_what_the_model_can_tell_is_asked_with_each_answer(opened: Opened) -> None:
    page = opened("sure")
    asked = page.locator("#asked")
    assert [text.strip() for text in asked.locator("label").all_text_contents()] == [
        "why, by what each value adds",
        "the labels that hold the truth in",
        "in every class",
        "the smallest change that gives another",
    ]
    for name in ("why", "in every class", "the smallest change"):
        asked.get_by_label(name).check()
    expect(asked.get_by_label("the labels that hold the truth")).to_be_checked()
    asked.get_by_label("How often").select_option("90 %")
    rows = "east,north\n0.1,0.2\n1.5,0.3\nx,1\n"
    give(page, rows)
    told = "rejected=report&explain=2&coverage=0.9&by_class=true&what_if=true"
    answer = page.request.post(
        f"{opened.service}/classify?model=sure&{told}", data=rows, headers={"content-type": "text/csv"}
    )
    assert downloaded(page) == answer.text()
    assert "why_1_contribution" in answer.text().splitlines()[0]
    asked.get_by_label("the labels that hold the truth").uncheck()
    expect(asked.get_by_label("in every class")).not_to_be_checked()


def test_what_the_model_cannot_tell_is_not_offered(opened: Opened) -> None:
    expect(opened("iris").locator("#asked")).to_be_empty()


def test_cells_that_a_spreadsheet_would_run_are_disarmed_and_it_is_said(opened: Opened) -> None:
    page = opened("penguins")
    notes = ['"=HYPERLINK(""http://x"",""a"")"', "+1+cmd", "@SUM(A1)", "-12.5", "-x", "plain"]
    give(page, "\n".join([HEAD, *(f"{ROW},{note}" for note in notes)]) + "\n")
    expect(page.locator("#result")).to_contain_text("A spreadsheet would run 4 cells that begin with")
    safe = [row["note"] for row in csv.DictReader(io.StringIO(downloaded(page)))]
    assert safe == ['\'=HYPERLINK("http://x","a")', "'+1+cmd", "'@SUM(A1)", "-12.5", "'-x", "plain"]
    plain = [
        row["note"] for row in csv.DictReader(io.StringIO(downloaded(page, "Download the cells as they are")))
    ]
    assert plain == ['=HYPERLINK("http://x","a")', "+1+cmd", "@SUM(A1)", "-12.5", "-x", "plain"]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "ROWS.NDJSON"])
def test_json_is_taken_too(opened: Opened, name: str) -> None:
    page = opened("iris")
    names = json.loads(document("iris"))["feature_names_in"]
    rows = [dict(zip(names, row, strict=True)) for row in ([5.1, 3.5, 1.4, 0.2], [7, 3.2, 4.7, 1.4])] + [
        {names[0]: "x"}
    ]
    text = json.dumps(rows) if name.endswith(".json") else "".join(json.dumps(row) + "\n" for row in rows)
    give(page, text, name)
    expect(page.locator("#result .lead").first).to_have_text(re.compile(r": 2 rows answered, 1 rejected\."))
    assert page.locator("#result tbody td:first-child").all_text_contents() == ["setosa", "versicolor"]
    lines = [json.loads(line) for line in downloaded(page).splitlines()]
    assert [line.get("label") for line in lines] == ["setosa", "versicolor", None]
    assert "rejected" in lines[2]


def test_hostile_names_and_cells_show_as_themselves(opened: Opened) -> None:
    opened.forgiven += ("status of 422",)  # of the file whose name is markup
    page = opened("hostile")
    page.get_by_role("button", name="try the examples").click()
    expect(page.locator("#result tbody tr").first).to_be_visible()
    shown = page.locator("#result tbody").inner_text()
    assert SCRIPT in page.locator("#result").inner_text()
    assert "\u202e" not in shown
    assert set(counted(page)) == {text.replace("\u202e", "\\u202e") for text in HOSTILE_CLASSES}
    give(page, "a,b\n1,2\n", "<img src=x onerror=window.hacked=1>.csv")
    expect(page.locator("#result .lead")).to_contain_text("<img src=x onerror=window.hacked=1>.csv")


def test_how_far_the_rows_moved_is_drawn_with_a_word_on_each_feature(opened: Opened) -> None:
    page = opened("penguins")
    random = np.random.default_rng(1)
    rows = [
        f"Biscoe,{39 + random.normal() * 5:.1f},17,200,{6800 + random.normal():.0f},male,x"
        for _ in range(300)
    ]
    give(page, "\n".join([HEAD, *rows]) + "\n")
    expect(page.locator("#result .beside .lead")).to_contain_text(
        "The rows have much moved from the training data"
    )
    heavy = page.locator("#result .drift", has_text="body_mass_g")
    expect(heavy.locator(".word")).to_have_text("much moved")
    expect(heavy.locator(".sr")).to_contain_text("above: 0 % in training, 100 % now")
    assert heavy.locator("svg path").count() == 2
    give(page, GOOD)
    expect(page.locator("#result")).to_contain_text("is told from 200 rows on")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("empty.csv", "", "is empty"),
        ("page.html", "<p>", "This page sends CSV, JSON Lines and JSON."),
        ("rows.parquet", "PAR1", "thimble drop rows.parquet"),
        ("wrong.csv", "a,b\n1,2\n", "cannot be classified"),
        ("wrong.json", "{", "cannot be classified"),
        ("big.csv", "x" * 4_500_001, "4.5 MB are more than a request takes"),
    ],
)
def test_a_file_that_cannot_be_taken_is_said_in_words(
    opened: Opened, name: str, text: str, said: str
) -> None:
    opened.forgiven += ("Failed to load resource",)
    page = opened("penguins")
    give(page, text, name)
    expect(page.locator("#result")).to_contain_text(said)


def test_several_labels_and_outputs_are_counted_apart(opened: Opened) -> None:
    page = opened("tags")
    give(page, "length,links,images,age_days\n2,2,2,2\n-2,-2,-2,-2\n")
    expect(page.locator("#result .lead").first).to_have_text("file.csv: 2 rows answered.")
    assert page.locator("#result tbody td:first-child").all_text_contents() == ["0, 1", "2"]
    page = opened("several")
    give(page, "red,green,blue\n2,2,2\n")
    expect(page.locator("#result tbody tr")).to_have_count(1)
    assert page.locator("#result thead th").all_text_contents()[:3] == [
        "colour.label",
        "colour.probability",
        "brightness.label",
    ]
    assert page.locator("#result .counts h3").all_text_contents() == ["colour", "brightness"]


def test_the_scores_of_all_classes_stay_in_the_download(opened: Opened) -> None:
    page = opened("scores")
    give(page, "north,east,up,s_hill,p_hill\n1,2,3,4,5\n")
    expect(page.locator("#result tbody tr")).to_have_count(1)
    titles = page.locator("#result thead th").all_text_contents()
    assert titles == ["label", "score", "north", "east", "up", "s_hill", "p_hill"]
    assert "score_hill" in downloaded(page).splitlines()[0]


def test_an_answer_that_comes_after_a_switch_of_models_is_not_drawn(opened: Opened) -> None:
    page = opened("penguins")
    held: list[Route] = []
    page.route(re.compile("rejected=report$"), lambda route: held.append(route))  # the second of two requests
    with page.expect_request(re.compile("rejected=report$")):
        give(page, GOOD)
    page.evaluate("location.hash = '#model=iris'")
    expect(page.locator("#sentence")).to_contain_text("iris")
    expect(page.locator("#result")).to_be_empty()
    with page.expect_response(re.compile("rejected=report$")):
        held[0].continue_()
    page.wait_for_timeout(300)
    expect(page.locator("#result")).to_be_empty()


def test_a_network_that_breaks_is_said_and_the_newest_file_wins(opened: Opened) -> None:
    opened.forgiven += ("Failed to load resource",)
    page = opened("penguins")
    page.route(re.compile("rejected=report"), lambda route: route.abort())
    give(page, GOOD)
    expect(page.locator("#result")).to_contain_text("The service cannot be reached.")
    page.unroute(re.compile("rejected=report"))
    give(page, GOOD, "first.csv")
    give(page, GOOD, "second.csv")
    expect(page.locator("#result .lead").first).to_have_text("second.csv: 2 rows answered.")
