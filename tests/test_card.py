"""The model's card: what a page draws it from, and what a document may not put there."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import confusion_matrix
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from typer.testing import CliRunner

from tests.door import IRIS, PENGUINS, get, iris, served
from tests.examples import EXAMPLES
from thimble.errors import InvalidInput, InvalidModel, Unavailable
from thimble.inference.asked import ALL, Asked
from thimble.inference.classifier import load
from thimble.registry.lookup import OneModel
from thimble.registry.published import Serving
from thimble.settings import from_environment
from thimble.tables import card
from thimble.web import routes
from thimble.web.app import Request
from thimble_infra.cli import app
from thimble_model import export
from thimble_model.histograms import DRAWN_BINS, _histogram

X, Y = load_iris(return_X_y=True, as_frame=True)
TRAINED, HELD_OUT = (X[::2], Y[::2]), (X[1::2], Y[1::2])


def shown(document: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get("/model", served(document)).body)
    return found


def exported(estimator: Any, X: Any, y: Any, **more: Any) -> dict[str, Any]:
    return shown(export(estimator.fit(X, y), X, y, **more))


def changed(**training: Any) -> bytes:
    document = json.loads(PENGUINS)
    return orjson.dumps({**document, "training": {**document["training"], **training}})


def test_held_out_rows_are_shown_beside_always_guessing_the_commonest_class() -> None:
    estimator = LogisticRegression(max_iter=1000).fit(*TRAINED)
    found = shown(export(estimator, *TRAINED, held_out=HELD_OUT))["scores"]
    [told], [trained] = found["held_out"]["outputs"], found["training"]["outputs"]
    answers = estimator.predict(HELD_OUT[0])
    assert found["held_out"]["rows"] == len(HELD_OUT[1])
    assert found["held_out"]["scores"]["accuracy"] == estimator.score(*HELD_OUT)
    assert told["confusion"] == confusion_matrix(HELD_OUT[1], answers).tolist()
    assert told["labels"] == np.bincount(HELD_OUT[1]).tolist()
    assert told["commonest"] == {"class": 0, "share": 25 / 75}
    assert trained["labels"] == np.bincount(TRAINED[1]).tolist()
    assert trained["confusion"] is None


def test_a_calibration_is_the_one_that_scikit_learn_draws() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 2)), rng.integers(0, 2, 600)
    estimator = LogisticRegression().fit(X, y ^ (X[:, 0] > 0))
    found = shown(export(estimator, X, held_out=(X, y)))["scores"]["held_out"]["outputs"][0]["calibration"]
    p, right = estimator.predict_proba(X).max(axis=1), estimator.predict(X) == y
    shares, means = calibration_curve(right, p, n_bins=10)
    filled = [k for k, n in enumerate(found["rows"]) if n]
    assert sum(found["rows"]) == 600
    assert [found["right"][k] / found["rows"][k] for k in filled] == pytest.approx(shares)
    assert [found["probability"][k] for k in filled] == pytest.approx(means)
    assert all(found["probability"][k] is None for k in range(10) if k not in filled)


def test_several_outputs_are_judged_each_by_itself() -> None:
    both = pd.DataFrame(
        {"species": Y.map(dict(enumerate("abc"))), "long": np.where(X.iloc[:, 0] > 5.8, "yes", "no")}
    )
    estimator = MultiOutputClassifier(LogisticRegression(max_iter=1000)).fit(X, both)
    found = shown(export(estimator, X, both, held_out=(X, both)))
    answers = estimator.predict(X)
    for k, output in enumerate(found["scores"]["held_out"]["outputs"]):
        true = both.iloc[:, k].to_numpy()
        assert output["confusion"] == confusion_matrix(true, answers[:, k]).tolist()
        assert sum(output["labels"]) == len(X)
    assert found["output_names"] == ["species", "long"]
    assert found["outputs"]["long"]["class_texts"] == ["no", "yes"]


def test_labels_that_may_all_apply_are_counted_each_and_have_no_commonest() -> None:
    X, y = make_multilabel_classification(80, n_classes=3, random_state=0)
    estimator = OneVsRestClassifier(LogisticRegression()).fit(X, y)
    found = shown(export(estimator, X, y, held_out=(X, y)))
    [held_out] = found["scores"]["held_out"]["outputs"]
    assert len(held_out.pop("calibration_by_class")) == 3
    assert held_out == {
        "labels": y.sum(axis=0).tolist(),
        "commonest": None,
        "confusion": None,
        "calibration": None,
    }
    assert found["threshold"] == 0.5


def test_a_label_that_an_output_does_not_know_is_wrong_and_in_no_row_of_the_matrix() -> None:
    both = np.column_stack([Y, Y == 1]).astype(int)
    estimator = MultiOutputClassifier(Perceptron()).fit(X[Y < 2], both[Y < 2])
    first, second = shown(export(estimator, X[Y < 2], held_out=(X, both)))["scores"]["held_out"]["outputs"]
    assert np.sum(first["confusion"]) == (Y < 2).sum()
    assert np.sum(second["confusion"]) == len(Y)
    assert first["calibration"] is None  # there are no probabilities


@pytest.mark.parametrize("name", EXAMPLES)
def test_histograms_are_of_equal_width_and_count_every_row(name: str) -> None:
    X, y, estimator = EXAMPLES[name]()
    found = shown(export(estimator, X, y))
    for feature, column in zip(found["features"], X.columns, strict=True):
        seen, values = feature["seen"], X[column].dropna()
        if feature["type"] == "text":
            assert seen["low"] is seen["histogram"] is seen["decimals"] is None
            assert (
                dict(zip(seen["categories"], seen["counts"], strict=True)) == values.value_counts().to_dict()
            )
            continue
        if feature["type"] == "free_text":  # its lengths are counted, and nothing is drawn of them
            assert (seen["histogram"], seen["decimals"], sum(seen["counts"])) == (None, None, len(X))
            continue
        assert sum(seen["histogram"]) + seen["missing"] == len(X)
        assert (seen["low"], seen["high"]) == (values.min(), values.max())
        assert seen["decimals"] == max(len(str(value).rstrip("0").partition(".")[2]) for value in values)
        assert len(seen["histogram"]) <= DRAWN_BINS


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(allow_infinity=False, width=64)))
def test_any_numbers_have_a_histogram_that_a_document_may_hold(column: Any) -> None:
    found = _histogram(column)
    if np.isnan(column).all():
        assert found is None
        return
    assert found is not None
    assert sum(found["counts"]) == np.count_nonzero(~np.isnan(column))
    document = json.loads(IRIS)
    document["training"]["features"] = [found, None, None, None]
    assert load(orjson.dumps(document)).name == "iris"


@given(st.lists(st.integers(-300, 300), min_size=2, max_size=500), st.integers(0, 3))
def test_values_of_few_decimals_share_their_bins_evenly(values: list[int], decimals: int) -> None:
    """Else the bins that hold one value more stand out, and tell of nothing."""
    found = _histogram(np.array(values) / 10**decimals)
    assert found is not None
    if found["low"] == found["high"]:
        return
    every = np.arange(min(values), max(values) + 1)
    even = _histogram(every / 10**decimals)
    assert even is not None
    assert found["decimals"] <= decimals
    *full, last = even["counts"]
    assert len(set(full)) <= 1
    assert not full or last <= full[0]


def test_categories_say_how_many_rows_had_them_and_whether_others_are_accepted() -> None:
    table = pd.DataFrame({"island": ["a", "b", "b", "c"] * 9, "size": [1.0, 2.0, 2.0, 4.0] * 9})
    y = [0, 1, 1, 0] * 9
    strict = make_pipeline(OneHotEncoder(), LogisticRegression())
    lenient = make_pipeline(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), LogisticRegression()
    )
    for pipeline, accepts in ((strict, False), (lenient, True)):
        island, size = exported(pipeline, table, y)["features"]
        counts = [{"value": text, "count": n} for text, n in (("a", 9), ("b", 18), ("c", 9))]
        assert (island["categories"], island["categories_in_all"]) == (counts, 3)
        assert [value["value"] for value in size["categories"]] == [1, 2, 4]
        assert [value["count"] for value in size["categories"]] == [9, 18, 9]
        assert island["accepts_unknown"] is size["accepts_unknown"] is accepts
    plain = exported(LogisticRegression(), table[["size"]], y)["features"][0]
    assert plain["categories"] is plain["accepts_unknown"] is None


def test_of_many_categories_some_are_listed_and_all_are_counted() -> None:
    table = pd.DataFrame({"code": [f"c{k:04}" for k in range(600)]})
    [code] = exported(make_pipeline(OneHotEncoder(), LogisticRegression()), table, [0, 1] * 300)["features"]
    assert (len(code["categories"]), code["categories_in_all"]) == (card.CATEGORIES, 600)
    assert code["categories"][199]["count"] is None  # only the most frequent are counted


def test_class_texts_keep_their_order_where_a_browser_would_reorder_keys() -> None:
    y = np.array([10, 9, 2] * 50)
    found = exported(LogisticRegression(), X, y)
    assert found["class_texts"] == ["2", "9", "10"]
    answer = found["examples"][0]["answer"]
    assert sorted(answer["probabilities"]) == sorted(found["class_texts"])


def test_the_examples_are_rows_with_the_answers_that_they_get() -> None:
    app_ = served(PENGUINS)
    for example in json.loads(get("/model", app_).body)["examples"]:
        body = orjson.dumps({"instance": example["row"]})
        answer = json.loads(app_(Request("POST", "/classify", body)).body)
        assert answer["predictions"] == [example["answer"]]


@pytest.mark.parametrize(
    ("estimator", "threshold"),
    [
        (LogisticRegression(), 0.5),
        (Perceptron(), 0.0),
        (MLPClassifier((3,), max_iter=20, random_state=0), 0.5),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_threshold_is_in_the_unit_of_the_answer(estimator: Any, threshold: float) -> None:
    rows = Y < 2
    assert exported(estimator, X[rows], Y[rows])["threshold"] == threshold
    assert exported(estimator, X, Y)["threshold"] is None  # the largest of three wins


QUESTIONS: dict[str, Callable[[Any], list[Asked]]] = {
    "explain": lambda _: [Asked(explain=ALL)],
    "coverage": lambda levels: [Asked(coverage=level) for level in levels or [0.9]],
    "what_if": lambda _: [Asked(what_if=True)],
}


@pytest.mark.parametrize("kind", ["of before", "linear", "calibrated", "network"])
@pytest.mark.filterwarnings("ignore")
def test_what_a_card_says_can_be_asked_is_answered_and_the_rest_refused_in_its_words(kind: str) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    estimator = MLPClassifier((3,), max_iter=5) if kind == "network" else LogisticRegression(max_iter=500)
    rows = (X, y) if kind == "calibrated" else None
    model = load(IRIS if kind == "of before" else export(estimator.fit(X, y), X, y, calibration=rows))
    found = card.card(model)
    assert {*found["can"], *found["cannot"]} == {*QUESTIONS}
    assert not {*found["can"]} & {*found["cannot"]}
    assert (len(found["can"]) == len(QUESTIONS)) == (kind == "calibrated")
    for key, questions in QUESTIONS.items():
        for asked in questions(found["can"].get(key)):
            if key in found["can"]:
                assert model.asking(asked).further
            else:
                with pytest.raises(InvalidInput, match=re.escape(found["cannot"][key])):
                    model.asking(asked)


def test_the_loss_curve_is_apart() -> None:
    history = json.loads(IRIS)["loss_curve"]
    assert "loss_curve" not in json.loads(get("/model").body)["training"]
    assert json.loads(get("/model/history").body)["history"]["loss_curve"] == history


class Broken(OneModel):
    """A model whose current version cannot be had."""

    def serving(self, name: str = "", version: str = "") -> Serving:
        raise Unavailable("it cannot be read")


def test_the_loss_curve_of_a_version_takes_no_other_one() -> None:
    broken = routes.app(Broken("any", lambda uri: IRIS), from_environment({}))
    version = load(IRIS).digest
    assert get(f"/model/history?version={version}", broken).body == get("/model/history").body


def test_who_has_the_card_already_gets_no_other() -> None:
    first = get("/model")
    etag = first.headers["etag"]
    for said in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = iris(Request("GET", "/model", headers={"if-none-match": said}))
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
    assert iris(Request("GET", "/model", headers={"if-none-match": '"other"'})).body == first.body
    assert get("/model", served(PENGUINS)).headers["etag"] != etag
    assert iris(Request("GET", "/model/history", headers={"if-none-match": etag})).status == 200


def test_a_document_of_an_earlier_time_has_a_card_with_gaps() -> None:
    document = {key: json.loads(IRIS)[key] for key in ("classes", "coefs", "intercepts", "out_activation")}
    found = shown(orjson.dumps(document))
    assert (found["scores"], found["about"]) == ({"training": None, "held_out": None}, {})
    assert (found["examples"], found["reference"]) == ([], None)
    assert {feature["seen"] for feature in found["features"]} == {None}


@pytest.mark.parametrize("nonsense", ["many", [1], {"rows": "x", "scores": {"accuracy": "<b>"}}, 7])
def test_what_people_wrote_for_people_is_shown_only_where_it_is_a_count_or_a_score(nonsense: Any) -> None:
    found = shown(changed(labels=nonsense, held_out=nonsense))["scores"]
    assert found["held_out"] is None
    assert found["training"]["outputs"][0]["labels"] is None


HISTOGRAM = {"low": 0, "high": 1, "counts": [1, 2], "decimals": 1}
MATRIX = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"card": []}, "training.card is not an object"),
        ({"card": {"cost": "none"}}, 'training.card."cost" is not a key of a card, which has summary, use'),
        ({"card": {"use": 3}}, "training.card.use is 3, not a string"),
        ({"card": {"use": "x" * 2001}}, "training.card.use has 2001 characters; 1 to 2000 are shown"),
        ({"card": {"link": "javascript:alert(1)"}}, "training.card.link is .*; it begins with https://"),
        ({"features": [None]}, "training.features has 1 entries; 6 are needed"),
        ({"features": [HISTOGRAM] + [None] * 5}, r"training.features\[0\] must be null: the feature is no"),
        (
            {"features": [None, {**HISTOGRAM, "counts": [1] * 65}] + [None] * 4},
            r"training.features\[1\].counts has 65 bins; the most is 64",
        ),
        (
            {"features": [None, {**HISTOGRAM, "low": 2}] + [None] * 4},
            r"training.features\[1\] needs low and high, and low is not above high",
        ),
        (
            {"features": [None, {**HISTOGRAM, "high": 0}] + [None] * 4},
            r"training.features\[1\].counts has 2 bins; the most is 1",
        ),
        (
            {"features": [None, {**HISTOGRAM, "decimals": 400}] + [None] * 4},
            r"training.features\[1\].decimals is more than 17",
        ),
        ({"held_out": {"confusion": [[1]]}}, "training.held_out.confusion has 1 entries; 3 are needed"),
        (
            {"held_out": {"confusion": [*MATRIX[:2], [1, "<b>", 1]]}},
            r'training.held_out.confusion\[2\]\[1\] is "<b>", not a count',
        ),
        (
            {"held_out": {"calibration": {"rows": [1]}}},
            "training.held_out.calibration.rows has 1 counts for 10",
        ),
    ],
)
def test_what_a_card_could_not_draw_is_refused_with_its_path(training: Any, sentence: str) -> None:
    with pytest.raises(InvalidModel, match=sentence):
        load(changed(**training))


def test_a_wide_model_s_card_fits_into_an_answer() -> None:
    n = 10_000
    document = {
        "classes": ["a", "b"],
        "out_activation": "softmax",
        "feature_names_in": [f"feature {k:05}" for k in range(n)],
        "coefs": [[[0.0, 0.0]] * n],
        "intercepts": [[0.0, 0.0]],
        "examples": {"rows": [[0.123456789] * n] * 9, "probabilities": [[0.5, 0.5]] * 9},
        "training": {"features": [{"low": 0, "high": 1, "counts": [1] * 20, "decimals": 0}] * n},
        "reference": {
            "rows": 20,
            "features": [{"edges": [0, 1], "counts": [20], "missing": 0}] * n,
            "outputs": [{"classes": [20, 0], "winning": {"edges": [0, 1], "counts": [20], "missing": 0}}],
        },
    }
    answer = get("/model", served(orjson.dumps(document)))
    found = json.loads(answer.body)
    assert answer.status == 200
    assert len(found["features"]) == n
    assert found["features"][0]["seen"]["rows"] == 20
    assert found["features"][-1]["seen"] is None
    assert 0 < len(found["examples"]) < 9


CARD = """
summary = "Tells three irises apart."  # the first line of the page
not_for = '''
Other flowers:
it answers with one of the three in any case.'''
owner = "Botany"
licence = "CC-BY-4.0"
link = "https://example.com/irises"
"""


def exporting(folder: Path, text: str | bytes) -> Any:
    import joblib

    joblib.dump(LogisticRegression(max_iter=1000).fit(X, Y), folder / "e.joblib")
    (folder / "card.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    files = ["export", folder / "e.joblib", "--card", folder / "card.toml", "-o", folder / "m.json"]
    return CliRunner().invoke(app, list(map(str, files)))


def test_the_file_of_a_card_fills_the_page(tmp_path: Path) -> None:
    ended = exporting(tmp_path, CARD)
    assert ended.exit_code == 0, ended.output
    about = shown((tmp_path / "m.json").read_bytes())["about"]
    assert about["not_for"] == "Other flowers:\nit answers with one of the three in any case."
    assert list(about) == ["summary", "not_for", "owner", "licence", "link"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('owners = "me"', 'owners is no key of a card; did you mean "owner"?'),
        ('license = "MIT"', 'license is no key of a card; did you mean "licence"?'),
        ("price = 3", "price is no key of a card, which has summary, use, not_for"),
        ("use = 3", "use is 3, not a string"),
        ('use = " "', "use has 0 characters; 1 to 2000 are shown"),
        ('link = "http://example.com"', "it begins with https://"),
        ("use: sorting", "is not TOML, lines such as owner = "),
        (b'use = "\xe9"', "is not UTF-8: save it as such"),
    ],
)
def test_a_card_that_is_none_is_a_sentence(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    ended = exporting(tmp_path, text)
    assert ended.exit_code == 1
    assert sentence in " ".join(ended.stderr.split())
    assert not (tmp_path / "m.json").exists()


def test_a_reader_of_before_takes_a_document_with_a_card() -> None:
    """All that is new is under `training`, which no reader ever looked into: the format's version stays."""
    found = json.loads(export(LogisticRegression(max_iter=1000).fit(X, Y), X, Y, card={"use": "irises"}))
    assert {"card", "features"} <= found["training"].keys()
    assert found["reference"]["features"][0].keys() == {"edges", "counts", "missing"}
