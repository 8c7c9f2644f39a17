"""`make bench`: medians, ratios and goals are what they say, and the pages have its figures and no others."""

import platform
import re
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from xgboost import XGBClassifier

from tests.benchmarks import bench, explanations, file_job, files, generated, pages, report
from tests.benchmarks.machine import Conditions
from tests.benchmarks.report import AtLeast, AtMost, Bounds, Case, Contender, Figure, Goal
from thimble.inference.batch import Batch
from thimble.inference.classifier import load
from thimble_infra import page_blocks
from thimble_infra.figures import FIGURES, PRICES_FILE
from thimble_model import export

ROWS = 2000  # of a file
EXACT = {
    **dict.fromkeys(product(["sklearn"], ["csv", "parquet"]), 1e-12),
    **dict.fromkeys(product(["polars_sklearn"], ["csv", "jsonl", "parquet"]), 1e-12),
    **dict.fromkeys(product(["polars_onnx"], ["csv", "jsonl", "parquet"]), 1e-5),  # float32
    ("sklearn", "jsonl"): 1e-10,  # pandas writes ten decimals
    **dict.fromkeys(product(["onnx"], ["csv", "jsonl", "parquet"]), 1e-5),  # float32
}


def gives(name: str, *amounts: float, goal: Goal | None = None) -> Contender:
    """Gives these figures in turn."""
    figures: Iterator[Figure] = cycle(report.duration(amount) for amount in amounts)
    return Contender(name, lambda: next(figures), goal)


def broken(name: str, error: str = "no\nsuch thing") -> Contender:
    def run() -> Figure:
        raise OSError(error)

    return Contender(name, run, AtMost(1))


def case(ours: Contender, *others: Contender, pairs: int = 3) -> Case:
    made = Case("a case", ours, list(others), pairs)
    made.run(Bounds())
    return made


def rows(lines: Iterable[str]) -> list[tuple[str, ...]]:
    """Of a table in Markdown, less its head and the line below that."""
    split = [
        tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines if line[:2] == "| "
    ]
    return split[1:]


@pytest.mark.parametrize(
    ("ratio", "goal", "met"),
    [
        (0.22, AtMost(0.22), True),
        (0.2201, AtMost(0.22), False),
        (15.0, AtLeast(15), True),
        (14.99, AtLeast(15), False),
        (1.4, AtMost(1.4), True),
        (1.0, AtLeast(0.7), True),
    ],
)
def test_a_goal_is_met_on_its_own_side_and_at_its_bound(ratio: float, goal: Goal, met: bool) -> None:
    assert goal.met(ratio) is met
    other = Contender("the other", lambda: Figure(1.0, "1"), goal)
    [_, row] = case(Contender("Thimble", lambda: Figure(ratio, "x")), other).rows()
    assert row[3:] == (str(goal), "met" if met else "MISSED")


def test_a_figure_and_its_ratio_to_the_others_are_medians_of_the_rounds() -> None:
    [ours, row] = case(gives("Thimble", 0.9, 0.1, 0.2), gives("the other", 1.0)).rows()
    assert ours == ("**a case**", "**200 ms**", "3 rounds", "", "")
    assert row == ("the other", "1,000 ms", "0.200 (0.150 to 0.550)", "", "")


def test_all_take_turns_and_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def named(name: str) -> Contender:
        def run() -> Figure:
            order.append(name)
            return Figure(1.0, "1")

        return Contender(name, run)

    case(named("a"), named("b"), named("c"))
    assert "".join(order) == "abccbaabc"


def test_one_that_is_in_the_first_round_alone_is_compared_with_that() -> None:
    once = Contender("the other", gives("the other", 1.0, 50.0).run, rounds=1)
    [_, row] = case(gives("Thimble", 0.1, 0.2, 0.9), once).rows()
    assert row == ("the other", "1,000 ms", "0.100", "", "")


def test_a_rehearsal_is_not_counted_and_who_fails_in_it_is_left_out() -> None:
    made = Case("a case", gives("Thimble", 9.0, 1.0), [broken("the other")], rehearsed=True)
    made.run(Bounds(pairs=1))
    assert [row[1] for row in made.rows()] == ["**1,000 ms**", ""]
    assert made.failed == {"the other": "OSError: no such thing"}


def test_a_case_stops_at_its_rounds_or_when_its_time_is_used_up() -> None:
    def run() -> Figure:
        time.sleep(0.02)
        return Figure(1.0, "1")

    slow = Contender("Thimble", run)
    made = Case("a case", slow, [], pairs=1000)
    made.run(Bounds(seconds=0.1))
    assert 1 < len(made.rounds) < 10
    made = Case("a case", slow, [], pairs=1000)
    made.run(Bounds(pairs=2))
    assert len(made.rounds) == 2


def test_one_that_fails_is_said_to_have_failed_and_the_others_go_on() -> None:
    made = case(gives("Thimble", 1.0), broken("the broken one"), gives("the other", 2.0))
    assert [row[4] for row in made.rows()] == ["", "FAILED", ""]
    assert len(made.rounds) == 3
    assert report.explained([made]) == ["- Failed: OSError: no such thing", "  - a case: the broken one"]


def test_a_case_that_fails_is_in_the_table() -> None:
    made = case(broken("Thimble"), gives("the other", 2.0))
    assert list(made.rows()) == [("**a case**", "", "", "", "FAILED")]
    assert len(made.rounds) == 1


def test_contenders_of_a_case_differ_in_name() -> None:
    with pytest.raises(ValueError, match="a case: two contenders have one name"):
        Case("a case", gives("a", 1.0), [gives("b", 1.0), gives("b", 2.0)])


def test_a_missed_goal_has_its_reason_and_one_without_shows_that() -> None:
    made = case(
        gives("Thimble", 1.0),
        gives("a", 0.5, goal=AtMost(1, "It is so.")),
        gives("b", 0.25, goal=AtMost(1)),
        gives("c", 0.2, goal=AtMost(1, "It is so.")),
        gives("d", 2.0, goal=AtMost(1, "It is not so.")),
    )
    assert report.explained([made]) == [
        *("- It is so.", "  - a case, beside a: 2.00", "  - a case, beside c: 5.00"),
        *(f"- {report.UNKNOWN}", "  - a case, beside b: 4.00"),
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (1e-6, "1.00 us"),
        (90.84e-6, "90.8 us"),
        (0.00999, "9.99 ms"),
        (0.000999, "999 us"),
        (0.145, "145 ms"),
        (2.745, "2,745 ms"),
    ],
)
def test_times_have_three_digits(seconds: float, shown: str) -> None:
    assert report.duration(seconds).shown == shown


def test_a_part_that_cannot_be_set_up_is_said_to_have_failed_and_the_next_one_follows() -> None:
    def half() -> Iterator[Case]:
        yield Case("the first", gives("Thimble", 1.0), [])
        raise RuntimeError("no python3.13")

    def whole() -> list[Case]:
        return [Case("the second", gives("Thimble", 1.0), []), Case("left out", gives("Thimble", 1.0), [])]

    cases = list(bench.measured({"half": half, "whole": whole}, "", Bounds(pairs=1)))
    assert [case.name for case in cases] == ["the first", "half", "the second", "left out"]
    assert [bool(case.failed) for case in cases] == [False, True, False, False]
    assert report.explained(cases)[0] == "- Failed: RuntimeError: no python3.13"
    [case] = bench.measured({"whole": whole}, "second", Bounds(pairs=1))
    assert case.name == "the second"


def test_the_page_says_what_ran_where_and_why_what_is_missed_is() -> None:
    cases = [case(gives("Thimble", 1.0), gives("the other", 0.5, goal=AtMost(1, "It is so.")))]
    lines = pages.results(cases, ["- the machine"])
    assert {"- the machine", "- It is so."} <= set(lines)
    assert [row for row in rows(lines) if row[-1] == "MISSED"] == [
        ("the other", "500 ms", "2.00", "at most 1", "MISSED")
    ]
    met = pages.results([case(gives("Thimble", 1.0), gives("the other", 2.0, goal=AtMost(1)))], [])
    assert not [line for line in met if "missed" in line]


def test_what_costs_are_computed_from_is_what_was_measured() -> None:
    text = PRICES_FILE.read_text()
    cold = FIGURES["measured"]["cold_seconds"]["case"]
    made = Case(cold, gives("Thimble", 0.1234), [])
    made.run(Bounds(pairs=1))
    changed = pages.priced(text, [made])
    assert changed == re.sub(r'("cold_seconds": {"is": )[^,]+', r"\g<1>0.123", text)
    failed = Case(cold, broken("Thimble"), [])
    failed.run(Bounds(pairs=1))
    assert pages.priced(text, [failed]) == text


def test_what_a_command_writes_into_a_page_leaves_the_rest_of_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- end of a -->\nafter\n")
    for lines in (["new", "er"], ["newest"]):
        page_blocks.write(page, "a", lines)
        assert page_blocks.read(page, "a") == lines
        assert page.read_text().startswith("before\n<!-- a -->\n")
        assert page.read_text().endswith("\n<!-- end of a -->\nafter\n")
    with pytest.raises(ValueError, match=r"page.md has no <!-- b -->"):
        page_blocks.write(page, "b", ["new"])


def test_the_conditions_name_the_machine_and_the_versions() -> None:
    command, machine, pythons, packages = Conditions().lines()
    assert re.fullmatch(r"- `make bench.*`, 20\d\d-\d\d-\d\d \d\d:\d\d UTC, 0 min", command)
    assert re.search(r"\d+ processors .*load of the last minute [\d.]+ before and [\d.]+ after", machine)
    assert pythons.startswith(f"- Python {platform.python_version()}; ")
    assert f"numpy {np.__version__}, " in packages


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--write files", "--write keeps a run of everything"),
        ("--write --only CSV", "--write keeps a run of everything"),
        ("speed", "there is no part speed: service, "),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_runs(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench.asked(arguments.split())
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("rival", "kind"), EXACT)
def test_whoever_is_timed_over_a_file_gives_the_same_answers(rival: str, kind: str, folder: Path) -> None:
    ours, theirs = (answered(folder, f"rows.{kind}", contender) for contender in ("thimble", rival))
    assert ours.columns == theirs.columns
    assert ours.height == theirs.height == ROWS
    assert _probabilities(ours) == pytest.approx(_probabilities(theirs), rel=0, abs=EXACT[rival, kind])
    assert (ours["label"] == theirs["label"]).all()


def _probabilities(frame: pl.DataFrame) -> NDArray[np.float64]:
    return frame.select(pl.col("^p_.*$")).to_numpy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of iris, and the same rows in every format."""
    path = tmp_path_factory.mktemp("files")
    files.Folder(path, 0).models(generated.IRIS)
    frame = next(generated.IRIS.frames()).head(ROWS)
    frame.write_csv(path / "rows.csv")
    frame.write_ndjson(path / "rows.jsonl")
    frame.write_parquet(path / "rows.parquet")
    return path


def answered(folder: Path, name: str, contender: str) -> pl.DataFrame:
    out = folder / f"{name}-{contender}"
    out.mkdir(exist_ok=True)
    job = file_job.CONTENDERS[contender](folder / generated.IRIS.model, folder / name, out)
    assert job() == ROWS
    suffix = name.partition(".")[2]
    [found] = [path for path in out.rglob(f"*.{suffix}") if path.is_file() and path.stem != "rejections"]
    if suffix == "csv":
        return pl.read_csv(found)
    return pl.read_ndjson(found) if suffix == "jsonl" else pl.read_parquet(found)


def test_whoever_is_timed_explains_the_same_score() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32).astype(np.float64)
    estimator = XGBClassifier(n_estimators=20, max_depth=3, n_jobs=1).fit(X, X[:, 0] * X[:, 1] > 0)
    classifier = load(export(estimator, X))
    [ours] = explanations.explained(classifier, Batch.of(classifier.features, X.T))
    theirs = explanations.by_xgboost(estimator, X)  # of the second class
    signs = np.where(ours.classes == 0, -1, 1)
    np.testing.assert_allclose((signs * ours.features).T, theirs[:, :-1], rtol=0, atol=1e-5)


RESULTS, README = pages.RESULTS.read_text(), pages.README.read_text()


def test_the_readme_has_rows_of_the_table() -> None:
    shown = rows(page_blocks.read(pages.README, pages.MARK))
    assert len(shown) > len(pages.IN_README)
    assert set(shown) <= set(rows(RESULTS.splitlines()))


def test_the_readme_has_no_figure_of_speed_but_those_rows() -> None:
    table = "\n".join(page_blocks.read(pages.README, pages.MARK))
    assert figures(README.replace(table, "")) == []
    how_fast = README.partition("## How fast")[2].partition("\n## ")[0]
    assert not re.search(r"\b\d", without_code(how_fast.replace(table, "")))


def figures(text: str) -> list[str]:
    """Times, speeds, and how many times or per cent something is of another."""
    return re.findall(r"\b[\d.,]*\d(?:k\b| ms\b| [uµ]s\b| times\b| %)", without_code(text))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", FIGURES["measured"])
def test_what_costs_are_computed_from_is_in_the_table(name: str) -> None:
    figure = FIGURES["measured"][name]
    table = rows(RESULTS.splitlines())
    at = next(k for k, row in enumerate(table) if row[0] == f"**{figure['case']}**")
    below = next(row for row in table[at:] if figure["of"] in ("Thimble", row[0]))
    assert amount(below[1]) == pytest.approx(figure["is"], rel=0.006)


def amount(shown: str) -> float:
    """Of a figure in the table."""
    found = re.match(r"\**([\d.,]+)( ms| us|k rows/s)", shown)
    assert found, shown
    return float(found[1].replace(",", "")) * {" ms": 1e-3, " us": 1e-6, "k rows/s": 1e3}[found[2]]
