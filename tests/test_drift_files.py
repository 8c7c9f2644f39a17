"""`thimble drift`: results in, a table and a page out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from tests.examples import EXAMPLES
from thimble.errors import InvalidInput
from thimble.files.options import FileOptions
from thimble_infra import classifying, drift_files, drift_page
from thimble_infra.cli import app
from thimble_infra.stacks import registry

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

ROOT = Path(__file__).parents[1]
TABLE: Any = EXAMPLES["penguins"]()[0]


def classify(folder: Path, output: str, table: Any, name: str = "rows.csv", model: str = "penguins") -> None:
    table.to_csv(folder / name, index=False)
    path = str(ROOT / f"model/{model}.json")
    classifying.classify(
        [str(folder / name)],
        output=output,
        model=path,
        registry=registry(None, None, None),
        options=FileOptions.of(),
    )


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["drift", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three results, one of them of another model."""
    here = tmp_path_factory.mktemp("rows")
    output = f"{here / 'answers'}/"
    heavy = TABLE.sample(400, replace=True, random_state=0).assign(
        body_mass_g=lambda t: t["body_mass_g"] * 1.2
    )
    classify(here, output, heavy, "monday.csv")
    classify(here, output, heavy[:150], "tuesday.csv")
    classify(here, output, EXAMPLES["iris"]()[0], "flowers.csv", "iris")
    return here / "answers"


def test_a_result_and_its_summary_and_their_folder_tell_the_same(answers: Path) -> None:
    folder = answers / "monday.csv"
    told = {invoke(str(place)) for place in (folder, folder / "result.csv", folder / "summary.json")}
    assert len(told) == 1
    assert "Drift: body_mass_g" in told.pop()


def test_a_result_of_ones_own_name_has_its_summary_beside_it(tmp_path: Path) -> None:
    classify(tmp_path, str(tmp_path / "out.csv"), TABLE)
    assert "344 rows against 344" in invoke(str(tmp_path / "out.csv"))


def test_files_of_one_model_are_added_up_and_models_stand_apart(answers: Path) -> None:
    found = {one.model: one for one in drift_files.reports([str(answers)])}
    assert found["penguins"].report["rows"] == 550
    assert found["penguins"].report["drifted"] == ["body_mass_g"]
    assert set(found["penguins"].files) == {"monday.csv", "tuesday.csv"}
    assert found["iris"].report["verdict"] is None  # of 150 rows


def test_results_in_a_bucket_are_found_below_a_prefix(s3: "S3Client", tmp_path: Path) -> None:
    classify(tmp_path, "s3://thimble-results/2024/", TABLE)
    [whole] = drift_files.reports(["s3://thimble-results/2024"])
    assert whole.report["rows"] == 344
    for place in ("2024/rows.csv/result.csv", "2024/rows.csv/summary.json", ""):
        assert drift_files.reports([f"s3://thimble-results/{place}"])[0].report == whole.report


def test_what_was_rejected_is_said_beside_it(tmp_path: Path) -> None:
    table = EXAMPLES["iris"]()[0].astype(object)
    table.iloc[:30, 2] = ""
    classify(tmp_path, f"{tmp_path / 'out'}/", table, model="iris")
    page = tmp_path / "report.html"
    sentence = "Rejected, and not counted here: 30 of 150 records (20.0%)."
    assert sentence in invoke(str(tmp_path / "out"), "--html", str(page))
    assert sentence in page.read_text()


def test_a_page_that_cannot_be_written_is_a_sentence_before_the_table(answers: Path) -> None:
    done = CliRunner().invoke(app, ["drift", str(answers), "--html", str(answers / "none" / "r.html")])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"thimble: there is no folder {answers / 'none'}\n"


def test_the_table_says_what_chance_explains(answers: Path) -> None:
    assert re.search(r"PSI +Jensen-Shannon +chance +missing +out of range", invoke(str(answers)))


def test_nothing_to_compare_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no summary of"):
        drift_files.reports([str(tmp_path)])
    (tmp_path / "summary.json").write_text('{"error": "the file is empty"}')
    with pytest.raises(InvalidInput, match="nothing to compare"):
        drift_files.reports([str(tmp_path)])


@pytest.fixture(scope="module")
def page(answers: Path) -> str:
    invoke(str(answers), "--html", str(answers / "report.html"))
    return (answers / "report.html").read_text()


def test_the_page_needs_no_other_host_and_no_script(page: str) -> None:
    assert not re.findall(r"https?:|src=|href=|url\(|@import|<script", page)
    assert "prefers-color-scheme: dark" in page


def svgs(page: str) -> Iterator[ElementTree.Element]:
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        yield ElementTree.fromstring(svg)


def test_every_feature_has_a_plot_of_both_distributions(page: str) -> None:
    plots = list(svgs(page))
    assert len(plots) == page.count("<figure>") == (6 + 2) + (4 + 2)
    for plot in plots:
        behind = sum(float(bar.get("height", "")) for bar in plot.iter("rect"))
        lines = [line for line in plot.iter("line") if line.get("class") == "rows"]
        in_front = sum(drift_page.TOP + drift_page.TALL - float(line.get("y1", "")) for line in lines)
        assert behind == pytest.approx(in_front, abs=1.0)  # shares, both of all rows


def test_what_a_file_says_is_text_and_never_markup(tmp_path: Path) -> None:
    entry = {
        "categories": ["<b>&"],
        "reference": [0, 0, 10],
        "observed": [0, 4, 6],
        "psi": 0.5,
        "js": 0.5,
        "chance": 0.1,
        "verdict": "large",
        "missing": 0.0,
        "out_of_range": 0.4,
    }
    report = {"rows": 10, "reference_rows": 10, "verdict": "drift", "drifted": ["<i>"], "predictions": []}
    page = drift_page.page([("<u>", "ab" * 32, ("<s>.csv",), {**report, "features": {"<i>": entry}})])
    assert not re.findall(r"<[biu]>|<s>", page)
    [svg] = svgs(page)
    assert "<b>&" in [text.text for text in svg.iter("text")]
