"""What each door says of a row beside its label: one explanation and one set, whatever the format."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tests.door import post, refusal, served, told
from tests.test_abstentions import BODIES, FILES, NAMES, ROWS, TABLE, V2, X, Y, classified, in_csv, in_lines
from thimble.inference import explained
from thimble.inference.asked import Asked
from thimble.inference.batch import Batch
from thimble.inference.classifier import load
from thimble.inference.explain import trees
from thimble.inference.preprocessing import Preprocessing
from thimble_model import export

RNG = np.random.default_rng(7)
MORE = pl.DataFrame(RNG.normal(size=(200, 3)), schema=NAMES, orient="row").to_pandas()
TRUE = np.where(MORE["a"] + RNG.normal(size=200) > 0, "yes", "no")
MODEL = export(LogisticRegression().fit(TABLE, Y), TABLE, Y, name="plain", calibration=(MORE, TRUE))
QUERY = "explain=true&coverage=0.9&what_if=true"


def answers(query: str = QUERY) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told(post(f"/classify?{query}", BODIES["/classify"], served(MODEL)))[
        "predictions"
    ]
    return found


def test_an_explanation_adds_up_to_the_score_of_the_probability() -> None:
    for answer, row in zip(answers(), ROWS, strict=True):
        why = answer["explanation"]
        parts = why["contributions"]
        assert why["class"] == answer["label"]
        assert why["base"] + sum(part["contribution"] for part in parts) == pytest.approx(
            why["score"], abs=1e-9
        )
        assert 1 / (1 + np.exp(-why["score"])) == pytest.approx(answer["probability"], abs=1e-9)
        assert {part["feature"]: part["value"] for part in parts} == dict(zip(NAMES, row, strict=True))
        sizes = [abs(part["contribution"]) for part in parts]
        assert sizes == sorted(sizes, reverse=True)


def test_the_largest_are_the_first_of_all() -> None:
    for few, all_ in zip(answers("explain=2"), answers(), strict=True):
        why, whole = few["explanation"], all_["explanation"]
        assert why["contributions"] == whole["contributions"][:2]
        assert why["rest"] == pytest.approx(whole["contributions"][2]["contribution"])
        assert "rest" not in whole
        assert "set" not in few


def test_a_class_can_be_named() -> None:
    for of_no, answer in zip(answers("explain=true&class=no"), answers(), strict=True):
        ours, theirs = of_no["explanation"], answer["explanation"]
        assert ours["class"] == "no"
        assert abs(ours["score"]) == abs(theirs["score"])
        assert (ours == theirs) == (answer["label"] == "no")


@pytest.mark.parametrize("path", BODIES)
def test_every_protocol_says_the_same(path: str) -> None:
    found = told(post(f"{path}?{QUERY}", BODIES[path], served(MODEL)))
    if "outputs" in found:
        data = {one["name"]: one["data"] for one in found["outputs"]}
        assert list(map(orjson.loads, data["explanation"])) == [answer["explanation"] for answer in answers()]
        assert list(map(orjson.loads, data["set"])) == [answer["set"] for answer in answers()]
        changes = [orjson.loads(text) if text else None for text in data["what_if"]]
        assert changes == [answer["what_if"] for answer in answers()]
    else:
        assert found["predictions"] == answers()


def test_options_go_where_a_protocol_has_them() -> None:
    parameters = {"explain": True, "coverage": 0.9, "what_if": True}
    found = told(post("/v2/models/plain/infer", V2 | {"parameters": parameters}, served(MODEL)))
    assert found == told(post(f"/v2/models/plain/infer?{QUERY}", V2, served(MODEL)))
    header = {"x-amzn-sagemaker-custom-attributes": "explain=true,coverage=0.9,what_if=true"}
    sagemaker = told(post("/invocations", BODIES["/invocations"], served(MODEL), **header))
    assert sagemaker["predictions"] == answers()


def test_a_row_alone_gets_what_it_gets_among_others() -> None:
    for row, answer in zip(ROWS, answers(), strict=True):
        found = told(post(f"/classify?{QUERY}", {"instance": row}, served(MODEL)))["predictions"]
        assert found == [answer]


def test_a_set_is_of_labels_and_grows_with_its_coverage() -> None:
    for some, most in zip(answers("coverage=0.9"), answers("coverage=0.99"), strict=True):
        assert some["label"] in some["set"]
        assert set(some["set"]) <= set(most["set"]) <= {"yes", "no"}
    by_class = answers("coverage=0.9&by_class=true")
    assert [one["set"] for one in by_class] != [one["set"] for one in answers("coverage=0.9")]


def test_a_change_gives_the_label_that_it_says() -> None:
    told_ = [answer["what_if"] for answer in answers()]
    assert any(told_)
    for one, answer, row in zip(told_, answers(), ROWS, strict=True):
        if one is not None:
            at = NAMES.index(one["feature"])
            assert one["from"] == row[at]
            other = [*row[:at], one["to"], *row[at + 1 :]]
            [found] = told(post("/classify", {"instance": other}, served(MODEL)))["predictions"]
            assert found["label"] == one["label"] != answer["label"]


def cells(answer: dict[str, Any], explain: str) -> dict[str, Any]:
    """The columns of a row."""
    why = answer["explanation"]
    found = {"why_base": why["base"]}
    if explain == "true":
        return found | {f"why_{part['feature']}": part["contribution"] for part in why["contributions"]}
    found |= {"why_class": why["class"], "why_rest": why["rest"]}
    for k, part in enumerate(why["contributions"], 1):
        found[f"why_{k}"] = part["feature"]
        found |= {f"why_{k}_value": part["value"], f"why_{k}_contribution": part["contribution"]}
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_file_s_columns_add_up_to_the_score_of_the_class_that_they_name(name: str) -> None:
    _, result = classified(FILES[name], name, MODEL, explain=2, abstain_below=1.0)
    for row in read(name, result):
        assert not row["label"]
        parts = (row[key] for key in ("why_base", "why_1_contribution", "why_2_contribution", "why_rest"))
        likely = float(row[f"p_{row['why_class']}"])
        assert likely == pytest.approx(1 / (1 + np.exp(-sum(map(float, parts)))), abs=1e-9)
        assert likely >= 0.5


def change(answer: dict[str, Any]) -> list[Any]:
    """The cells of what would change it, as text."""
    one = answer["what_if"]
    return ["", "", ""] if one is None else [one["feature"], repr(one["to"]), one["label"]]


def changed(row: dict[str, Any]) -> list[str]:
    cells = (row[f"what_if_{name}"] for name in ("feature", "value", "label"))
    return ["" if cell is None else str(cell) for cell in cells]


def of_csv(row: dict[str, str], wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] if isinstance(value, str) else float(row[name]) for name, value in wanted.items()}


@pytest.mark.parametrize("explain", ["true", "2"])
@pytest.mark.parametrize("more", ["", "&rejected=report"])
def test_tables_of_a_request_have_columns_for_it(explain: str, more: str) -> None:
    query = f"explain={explain}&coverage=0.9&what_if=true"
    found = post(f"/classify?{query}{more}", in_csv(), served(MODEL), **{"content-type": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(found.body.decode())))
    for row, answer in zip(rows, answers(query), strict=True):
        wanted = cells(answer, explain)
        assert of_csv(row, wanted) == wanted
        assert orjson.loads(row["set"]) == answer["set"]
        assert changed(row) == change(answer)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("explain", ["true", "2"])
def test_files_have_columns_for_it(name: str, explain: str) -> None:
    options = {"explain": -1 if explain == "true" else int(explain), "coverage": 0.9, "what_if": True}
    summary, result = classified(FILES[name], name, MODEL, **options)
    assert summary["options"] | options == summary["options"]
    query = f"explain={explain}&coverage=0.9&what_if=true"
    for row, answer in zip(read(name, result), answers(query), strict=True):
        wanted = cells(answer, explain)
        if name.endswith("csv"):
            row = row | of_csv(row, wanted) | {"set": orjson.loads(row["set"])}
        elif name.endswith("parquet"):
            numbers = {key for key in wanted if key.endswith("_value")}
            row = row | {key: float(row[key]) for key in numbers} | {"set": orjson.loads(row["set"])}
        assert {key: row[key] for key in wanted} == wanted
        assert row["set"] == answer["set"]
        assert changed(row) == change(answer)


def read(name: str, result: bytes) -> list[dict[str, Any]]:
    if name.endswith("csv"):
        return list(csv.DictReader(io.StringIO(result.decode())))
    if name.endswith("parquet"):
        return pl.read_parquet(io.BytesIO(result)).to_dicts()
    return (
        list(orjson.loads(result)) if name.endswith("json") else list(map(orjson.loads, result.splitlines()))
    )


@pytest.mark.parametrize("name", FILES)
def test_options_that_ask_for_nothing_change_no_result(name: str) -> None:
    plain, result = classified(FILES[name], name, MODEL)
    summary, same = classified(FILES[name], name, MODEL, explain=0, coverage=None, by_class=False)
    assert summary["options"] == plain["options"]
    assert {"explain", "coverage", "by_class", "abstain_below", "what_if"}.isdisjoint(summary["options"])
    assert result == same
    assert b"why_base" not in result


def test_lines_of_a_request_say_what_objects_of_json_do() -> None:
    found = post(f"/classify?{QUERY}", in_lines(), served(MODEL), **{"content-type": "application/jsonlines"})
    assert list(map(orjson.loads, found.body.splitlines())) == answers()


def test_an_abstention_is_explained_too() -> None:
    for answer, why in zip(answers("explain=true&abstain_below=1"), answers("explain=true"), strict=True):
        assert answer["label"] is None
        assert answer["explanation"] == why["explanation"]


def test_each_of_several_outputs_is_explained() -> None:
    several = np.column_stack((X[:, 0] > 0, X[:, 1] > 0))
    model = export(MultiOutputClassifier(LogisticRegression()).fit(TABLE, several), TABLE, several)
    found = told(post("/classify?explain=1", {"instances": ROWS}, served(model)))["predictions"]
    for one, feature in zip(found[0]["outputs"].values(), "ab", strict=True):
        assert one["explanation"]["class"] == one["label"]
        assert len(one["explanation"]["contributions"]) == 1
        assert feature in NAMES


@pytest.mark.parametrize("model", [LogisticRegression(), DecisionTreeClassifier(max_depth=3)], ids=str)
def test_each_of_several_outputs_gets_what_it_gets_alone(model: Any) -> None:
    several = np.column_stack((X[:, 0] > 0, X[:, 1] > 0.3))
    prepared = make_pipeline(StandardScaler(), MultiOutputClassifier(model)).fit(TABLE, several)
    together = load(export(prepared, TABLE, several))
    batch = Batch(np.array(ROWS).T.copy(), {})
    asked = together.asking(Asked(explain=2, what_if=True))
    ours = asked.predict(batch).further
    for k, output in enumerate(together.document.outputs):
        alone = together._replace(document=together.document._replace(outputs=(output,)))
        theirs = alone.asking(Asked(explain=2, what_if=True)).predict(batch).further
        mine = [values for one, values in zip(asked.further, ours, strict=True) if one.output == k]
        assert [values.tolist() for values in mine] == [values.tolist() for values in theirs]


def test_rows_are_prepared_once_for_all_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    several = np.column_stack((X[:, 0] > 0, X[:, 1] > 0.3, X[:, 2] > 0))
    times: list[int] = []
    prepare = Preprocessing.table

    def counted(self: Preprocessing, batch: Batch) -> Any:
        times.append(batch.rows)
        return prepare(self, batch)

    binned = KBinsDiscretizer(3, quantile_method="linear")
    pipeline = make_pipeline(binned, MultiOutputClassifier(LogisticRegression())).fit(TABLE, several)
    model = load(export(pipeline, TABLE, several)).asking(Asked(explain=1))
    monkeypatch.setattr(Preprocessing, "table", counted)
    model.predict(Batch(np.array(ROWS).T.copy(), {}))
    assert times == [len(ROWS)] * 2, "once to answer, once to explain"


NETWORK = export(MLPClassifier((3,), solver="lbfgs", max_iter=5000, random_state=0).fit(X, Y), X, Y)


@pytest.mark.parametrize(
    ("document", "query", "why"),
    [
        (MODEL, "explain=0", "explain is true (or all), false, or how many"),
        (MODEL, "explain=-1", "explain is true (or all), false, or how many"),
        (MODEL, "explain=some", "explain is true (or all), false, or how many"),
        (MODEL, "class=yes", "class says whose score is explained: send explain with it"),
        (
            MODEL,
            "explain=true&class=maybe",
            "class is 'maybe', which is none of the model's classes: no, yes",
        ),
        (MODEL, "by_class=true", "by_class is of sets of labels: ask for a coverage with it"),
        (MODEL, "coverage=0.9&by_class=1", "by_class is true or false"),
        (MODEL, "coverage=0.8", "the coverage is 0.8; the model has thresholds for 0.9, 0.95, 0.99"),
        (MODEL, "coverage=most", "coverage is a number, such as 0.95"),
        (MODEL, "what_if=3", "what_if is true or false"),
        (NETWORK, "coverage=0.9", "the model has no thresholds for sets"),
        (NETWORK, "explain=true", ""),
    ],
)
def test_what_cannot_be_is_refused_before_rows_are_read(document: bytes, query: str, why: str) -> None:
    body = {"instances": [["no", "row", "at all"]]}
    told_ = refusal(post(f"/classify?{query}", body, served(document)))
    assert told_.startswith(why)
    assert "instances" not in told_


def test_a_file_is_refused_with_the_option_s_name() -> None:
    summary, _ = classified(in_csv(), "a.csv", MODEL, coverage=0.8)
    assert summary["error"] == (
        "the coverage is 0.8; the model has thresholds for 0.9, 0.95, 0.99; change COVERAGE, or leave it out"
    )


def test_a_file_s_by_class_without_coverage_is_refused() -> None:
    summary, _ = classified(in_csv(), "a.csv", MODEL, by_class=True)
    assert summary["error"] == (
        "by_class is of sets of labels: ask for a coverage with it, such as 0.95; change BY_CLASS, or "
        "leave it out"
    )


def test_a_top_of_a_table_is_refused_before_rows_are_read() -> None:
    body = {"instances": [["no", "row", "at all"]]}
    for query in ("top=2", "top=some"):
        found = post(f"/classify?{query}", body, served(MODEL), accept="text/csv")
        assert refusal(found) == "top is for answers in JSON; a table has a column for every class"
    assert "whole number from 1" in refusal(post("/classify?top=some", body, served(MODEL)))


def test_top_leaves_an_explanation_whole() -> None:
    for answer, whole in zip(answers(f"{QUERY}&top=1"), answers(), strict=True):
        assert answer["explanation"] == whole["explanation"]
        assert len(answer["probabilities"]) == 1


def test_an_array_has_no_room_for_it() -> None:
    body, header = BODIES["/invocations"], {"accept": "application/x-npy"}
    found = post(f"/invocations?{QUERY}", body, served(MODEL), **header)
    assert refusal(found).startswith("an array holds the probabilities alone")
    assert post("/invocations?threshold=0.3", body, served(MODEL), **header).status == 200


def test_more_rows_than_are_explained_at_once_are_refused_in_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(explained, "PARTS", 21)
    for query in ("", "&rejected=report"):
        found = post(f"/classify?explain=true{query}", BODIES["/classify"], served(MODEL))
        assert refusal(found, 413) == (
            "there are 20 rows; the most that get explanation in one request are 7 of this model: send fewer "
            "at a time, or drop a file"
        )
    assert post("/classify", BODIES["/classify"], served(MODEL)).status == 200


def test_a_file_is_explained_in_parts_as_it_is_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole = classified(FILES["a.csv"], "a.csv", MODEL, explain=-1, coverage=0.9)
    monkeypatch.setattr(explained, "PARTS", 21)
    _, parts = classified(FILES["a.csv"], "a.csv", MODEL, explain=-1, coverage=0.9)
    assert parts == whole


def test_a_forest_says_how_many_rows_it_explains_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = export(RandomForestClassifier(5, max_depth=3, random_state=0).fit(TABLE, Y), TABLE, Y)
    found = told(post("/classify?explain=true", BODIES["/classify"], served(forest)))["predictions"]
    for answer in found:
        why = answer["explanation"]
        parts = sum(part["contribution"] for part in why["contributions"])
        assert why["base"] + parts == pytest.approx(why["score"], abs=1e-9)
        assert why["score"] == pytest.approx(answer["probability"], abs=1e-9)
    scorer: Any = load(forest).document.outputs[0].scorer
    monkeypatch.setattr(trees, "MOST", 3 * trees.row_cost(scorer).multiplications)
    refused = post("/classify?explain=true", BODIES["/classify"], served(forest))
    assert "are 3 of this model" in refusal(refused, 413)


BASED = export(
    LogisticRegression().fit(TABLE.rename(columns={"a": "base"}), Y),
    TABLE.rename(columns={"a": "base"}),
    Y,
    name="plain",
)
DOUBLED = (
    "two columns of the result would be called why_base: rename a feature or a class, or ask for a number of "
    "contributions"
)


@pytest.mark.parametrize("rejected", ["", "&rejected=report"])
def test_a_feature_called_base_is_explained_where_no_columns_are_written(rejected: str) -> None:
    found = told(post(f"/classify?explain=true{rejected}", {"instances": ROWS}, served(BASED)))
    for answer, same in zip(found["predictions"], answers("explain=true"), strict=True):
        ours, theirs = answer["explanation"], same["explanation"]
        assert ours["base"] == theirs["base"]
        named = [part["feature"].replace("base", "a") for part in ours["contributions"]]
        assert named == [part["feature"] for part in theirs["contributions"]]


@pytest.mark.parametrize("query", ["explain=true", "explain=true&rejected=report"])
def test_a_feature_called_base_is_refused_its_column(query: str) -> None:
    for body in ({"instances": ROWS}, {"instances": [["no", "row", "at all"]]}):  # before rows are read
        assert refusal(post(f"/classify?{query}", body, served(BASED), accept="text/csv")) == DOUBLED
    assert told(post("/classify?explain=2", {"instances": ROWS}, served(BASED)))["predictions"]


def test_sagemaker_s_csv_refuses_a_feature_called_base_its_column() -> None:
    header = {"content-type": "text/csv", "x-amzn-sagemaker-custom-attributes": "explain=true"}
    assert refusal(post("/invocations", b"no,row,at all", served(BASED), **header)) == DOUBLED


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("explain=2;coverage=0.9", "coverage"),
        ("explain=2; coverage=0.9", "coverage"),
        ("explain=2 coverage = 0.9", "coverage"),
        ("explain=2&what_if=true,coverage=0.9", "what_if"),
        ("trace=1;explain=2", "explain"),
    ],
)
def test_an_attribute_behind_another_separator_is_told_of_the_comma(sent: str, name: str) -> None:
    header = {"x-amzn-sagemaker-custom-attributes": sent}
    assert refusal(post("/invocations", BODIES["/invocations"], served(MODEL), **header)) == (
        f"{name} does not stand behind a comma: send the custom attributes as explain=2,coverage=0.95"
    )


@pytest.mark.parametrize("others", ["trace=1; span=2", "a b", "explained;why=1", "why; explain"])
def test_attributes_of_others_are_let_be(others: str) -> None:
    header = {"x-amzn-sagemaker-custom-attributes": f"{others}, explain=2 , coverage=0.9"}
    found = told(post("/invocations", BODIES["/invocations"], served(MODEL), **header))
    assert found["predictions"] == answers("explain=2&coverage=0.9")
