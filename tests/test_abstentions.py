"""Where no label is better than a wrong one: a model's own `abstain_below`, a request's, a file's."""

from __future__ import annotations

import csv
import io
from decimal import Context, Decimal
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from obstore.store import MemoryStore
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.svm import LinearSVC

from tests.door import post, refusal, served, told
from thimble import store, telemetry
from thimble.errors import InvalidInput
from thimble.files import pipeline
from thimble.files.jobs import Job, result_paths
from thimble.files.options import FileOptions
from thimble.inference.asked import Asked
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import Predictions
from thimble_model import export

RNG = np.random.default_rng(5)
X = RNG.normal(size=(120, 3))
Y = np.where(X[:, 0] + RNG.normal(size=120) > 0, "yes", "no")
NAMES = ["a", "b", "c"]
TABLE = pl.DataFrame(X, schema=NAMES, orient="row").to_pandas()
PLAIN = export(LogisticRegression().fit(TABLE, Y), TABLE, Y, name="plain")
ROWS = X[:20].tolist()
BELOW = 0.8
OWN = orjson.dumps(orjson.loads(PLAIN) | {"abstain_below": BELOW})
V2 = {"inputs": [{"name": "x", "shape": [20, 3], "datatype": "FP64", "data": ROWS}]}
BODIES: dict[str, Any] = {
    "/classify": {"instances": ROWS},
    "/v1/models/plain:predict": {"instances": ROWS},
    "/v2/models/plain/infer": V2,
    "/invocations": {"instances": ROWS},
    "/endpoints/plain/invocations": {"inputs": ROWS},
}


def plain() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told(post("/classify", {"instances": ROWS}, served(PLAIN)))["predictions"]
    return found


def shortened(number: float, below: float) -> str:
    """In four significant digits, or in more where these would not be below the bar."""
    decimal, digits = Decimal(number), 4
    while True:
        text = Context(prec=digits).create_decimal(decimal)
        if float(text) < below:
            return f"{float(text):.{digits}g}"
        digits += 1


def expected(below: float = BELOW) -> list[tuple[str | None, str | None]]:
    """The labels and the reasons."""
    return [
        (None, f"the probability {shortened(answer['probability'], below)} is below {below!r}")
        if answer["probability"] < below
        else (answer["label"], None)
        for answer in plain()
    ]


def answered(found: Any) -> list[tuple[Any, Any]]:
    if "outputs" in found:
        data = {one["name"]: [text or None for text in one["data"]] for one in found["outputs"]}
        return list(zip(data["label"], data["abstained"], strict=True))
    return [(answer["label"], answer["abstained"]) for answer in found["predictions"]]


@pytest.mark.parametrize(
    ("number", "below", "said"),
    [
        (0.5588573431945136, 0.8, "0.5589"),
        (0.79996, 0.8, "0.79996"),
        (0.799949, 0.8, "0.7999"),
        (0.5, 0.8, "0.5"),
        (0.99999, 1.0, "0.99999"),
        (float(np.nextafter(0.8, 0.0)), 0.8, "0.7999999999999999"),
        (float(np.nextafter(1e-7, 0.0)), 1e-7, "9.999999999999998e-08"),
        (-0.30000000000000004, -0.3, "-0.30000000000000004"),
    ],
)
def test_a_reason_is_short_and_never_untrue(number: float, below: float, said: str) -> None:
    from thimble.inference.further import _shortened

    assert _shortened(number, below) == said


def test_some_rows_are_answered_and_some_are_not() -> None:
    labels = [label for label, _ in expected()]
    assert 3 < labels.count(None) < 17


@pytest.mark.parametrize("path", BODIES)
def test_a_request_s_rule_decides_by_every_protocol(path: str) -> None:
    found = told(post(f"{path}?abstain_below={BELOW}", BODIES[path], served(PLAIN)))
    assert answered(found) == expected()
    assert "abstained" not in orjson.dumps(told(post(path, BODIES[path], served(PLAIN)))).decode()


@pytest.mark.parametrize("path", BODIES)
def test_the_model_s_own_rule_decides_until_a_request_says_another(path: str) -> None:
    assert answered(told(post(path, BODIES[path], served(OWN)))) == expected()
    other = told(post(f"{path}?abstain_below=0.6", BODIES[path], served(OWN)))
    assert answered(other) == expected(0.6)
    none = told(post(f"{path}?abstain_below=0", BODIES[path], served(OWN)))
    assert answered(none) == [(answer["label"], None) for answer in plain()]


def test_nothing_else_of_an_answer_changes() -> None:
    found = told(post(f"/classify?abstain_below={BELOW}", BODIES["/classify"], served(PLAIN)))["predictions"]
    for answer, before in zip(found, plain(), strict=True):
        assert {**before, "label": answer["label"], "abstained": answer["abstained"]} == answer


def test_protocols_with_a_place_of_their_own_for_parameters_take_it_there() -> None:
    v2 = post("/v2/models/plain/infer", V2 | {"parameters": {"abstain_below": BELOW}}, served(PLAIN))
    assert answered(told(v2)) == expected()
    header = {"x-amzn-sagemaker-custom-attributes": f"trace=1, abstain_below = {BELOW}"}
    assert answered(told(post("/invocations", {"instances": ROWS}, served(PLAIN), **header))) == expected()
    twice = post("/v2/models/plain/infer?abstain_below=1", V2 | {"parameters": {"abstain_below": 1}})
    assert refusal(twice) == "abstain_below is in the URL and among the parameters of the body: send one"


def test_v2_answers_texts_where_a_label_may_be_left_out() -> None:
    described = {one["name"]: one for one in told(served(OWN)(get("/v2/models/plain")))["outputs"]}
    assert described["label"]["datatype"] == described["abstained"]["datatype"] == "BYTES"
    asked = V2 | {"outputs": [{"name": "abstained", "parameters": {"classification": 1}}]}
    found = post("/v2/models/plain/infer", asked, served(OWN))
    assert refusal(found) == "classification is of probabilities or scores, not of abstained"


def get(path: str) -> Any:
    from thimble.web.app import Request

    return Request("GET", path)


def test_v1_s_columns_have_it_too() -> None:
    body = {"inputs": {name: X[:20, k].tolist() for k, name in enumerate(NAMES)}}
    found = told(post(f"/v1/models/plain:predict?abstain_below={BELOW}", body, served(PLAIN)))["outputs"]
    assert list(zip(found["label"], found["abstained"], strict=True)) == expected()


def table(text: str) -> list[tuple[str | None, str | None]]:
    return [(row["label"] or None, row["abstained"] or None) for row in csv.DictReader(io.StringIO(text))]


def in_csv() -> bytes:
    lines = [",".join(NAMES), *(",".join(map(repr, row)) for row in ROWS)]
    return "".join(f"{line}\n" for line in lines).encode()


def in_lines() -> bytes:
    rows = (dict(zip(NAMES, row, strict=True)) for row in ROWS)
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


@pytest.mark.parametrize("query", ["", "&rejected=report"])
def test_tables_of_a_request_have_a_column_for_the_reason(query: str) -> None:
    path = f"/classify?abstain_below={BELOW}{query}"
    found = post(path, in_csv(), served(PLAIN), **{"content-type": "text/csv"})
    assert table(found.body.decode()) == expected()
    lines = post(path, in_lines(), served(PLAIN), **{"content-type": "application/jsonlines"})
    answers = list(map(orjson.loads, lines.body.splitlines()))
    assert [(answer["label"], answer["abstained"]) for answer in answers] == expected()


def test_a_report_counts_them_apart() -> None:
    body = {"instances": [*ROWS, ["no number", 1, 2]]}
    found = told(post(f"/classify?rejected=report&abstain_below={BELOW}", body, served(PLAIN)))
    given = sum(one["rows"] for one in found["classes"])
    assert found["abstained"] == [label for label, _ in expected()].count(None)
    assert given + found["abstained"] + len(found["rejected"]) == found["rows"] == 21
    assert "abstained" not in told(post("/classify?rejected=report", body, served(PLAIN)))


def test_top_leaves_the_reason_alone() -> None:
    found = told(post(f"/classify?top=1&abstain_below={BELOW}", BODIES["/classify"], served(PLAIN)))
    assert answered(found) == expected()
    assert all(len(answer["probabilities"]) == 1 for answer in found["predictions"])


def test_the_log_and_a_metric_count_them(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.flush()
    capsys.readouterr()
    post(f"/classify?abstain_below={BELOW}", BODIES["/classify"], served(PLAIN))
    logged = capsys.readouterr().out
    n = [label for label, _ in expected()].count(None)
    assert f'"abstained_rows":{n}' in logged
    assert f'"RowsAbstained":[{n:.1f}]' in logged
    post("/classify", BODIES["/classify"], served(PLAIN))
    assert "bstained" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("document", "query", "why"),
    [
        (PLAIN, "abstain_below=1.5", "abstain_below is 1.5; it is of a probability, from 0 to 1"),
        (
            PLAIN,
            "abstain_below=much",
            "abstain_below is a number, such as 0.8: where the label has less, none is answered",
        ),
        (
            export(MultiOutputClassifier(LogisticRegression()).fit(X, X > 0), X, X > 0),
            "abstain_below=0.5",
            None,
        ),
    ],
)
def test_what_it_cannot_be_is_refused(document: bytes, query: str, why: str | None) -> None:
    found = post(f"/classify?{query}", {"instances": ROWS}, served(document))
    if why is None:  # several outputs, each of which abstains by itself
        first = told(found)["predictions"][0]["outputs"]
        assert all("abstained" in answer for answer in first.values())
    else:
        assert refusal(found) == why


def test_a_multilabel_model_has_no_one_label_to_leave_out() -> None:
    from sklearn.neural_network import MLPClassifier

    several = (X > 0).astype(int)
    model = export(
        MLPClassifier((3,), solver="lbfgs", max_iter=5000, random_state=0).fit(X, several), X, several
    )
    found = post("/classify?abstain_below=0.5", {"instances": ROWS}, served(model))
    assert refusal(found) == "abstain_below leaves out one label; the model answers with any number of labels"


def test_scores_are_compared_as_they_are_shown() -> None:
    classifier = load(export(LinearSVC(random_state=0).fit(X, Y), X, Y))
    found = predicted(classifier.asking(Asked(abstain_below=0.4)))
    (scores,) = found.outputs
    assert scores.abstained is not None
    assert scores.abstained.tolist() == (scores.winning < 0.4).tolist()
    assert 0 < scores.abstained.sum() < 20


def predicted(classifier: Classifier) -> Predictions:
    return classifier.predict(Batch.of(classifier.features, X[:20].T))


def test_rows_are_answered_in_parts_as_they_are_together() -> None:
    classifier = load(PLAIN).asking(Asked(abstain_below=BELOW))
    whole, parts = predicted(classifier), predicted(classifier._replace(chunk=7))
    assert [values.tolist() for values in parts.further] == [values.tolist() for values in whole.further]
    assert parts.outputs[0].answered.tolist() == whole.outputs[0].answered.tolist()


def test_a_refusal_comes_before_the_work() -> None:
    with pytest.raises(InvalidInput):
        load(PLAIN).asking(Asked(abstain_below=2.0))


# Files.


def classified(
    data: bytes, name: str, document: bytes = PLAIN, **options: Any
) -> tuple[dict[str, Any], bytes]:
    inputs, results = MemoryStore(), MemoryStore()
    inputs.put(name, data)
    source = store.current(inputs, name)
    paths = result_paths(name, name[name.index(".") :])
    job = Job("inbox", source, load(document), results, paths, FileOptions.of(**options))
    summary = pipeline.run(job)
    return summary, bytes(results.get(paths.result).bytes()) if "result" in summary else b""


def in_parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame(X[:20], schema=NAMES, orient="row").write_parquet(out)
    return out.getvalue()


def read(name: str, result: bytes) -> list[tuple[Any, Any]]:
    if name.endswith("csv"):
        return list(table(result.decode()))
    if name.endswith("parquet"):
        frame = pl.read_parquet(io.BytesIO(result))
        return list(zip(frame["label"].to_list(), frame["abstained"].to_list(), strict=True))
    rows = orjson.loads(result) if name.endswith("json") else map(orjson.loads, result.splitlines())
    return [(row["label"], row["abstained"]) for row in rows]


FILES = {
    "a.csv": in_csv(),
    "a.jsonl": in_lines(),
    "a.json": b"[" + b",".join(in_lines().splitlines()) + b"]",
    "a.parquet": in_parquet(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("document", "options"), [(PLAIN, {"abstain_below": BELOW}), (OWN, {})])
def test_files_have_no_label_and_a_column_for_the_reason(
    name: str, document: bytes, options: dict[str, Any]
) -> None:
    summary, result = classified(FILES[name], name, document, **options)
    assert read(name, result) == expected()
    assert summary["abstained"] == [label for label, _ in expected()].count(None)
    given = sum(summary["classes"].values())
    assert given + summary["abstained"] + summary["rejections"] == summary["rows"] == 20


@pytest.mark.parametrize("name", FILES)
def test_files_without_it_are_as_before(name: str) -> None:
    summary, result = classified(FILES[name], name)
    assert "abstained" not in summary
    assert "abstain_below" not in summary["options"]
    assert b"abstained" not in result


def test_a_file_with_a_column_of_that_name_is_refused() -> None:
    data = in_csv().replace(b"a,b,c\n", b"a,b,c,abstained\n").replace(b"\n-", b",x\n-")
    summary, _ = classified(data, "a.csv", abstain_below=BELOW)
    assert 'already has "abstained"' in summary["error"] or "already has abstained" in summary["error"]


def test_a_file_whose_model_cannot_is_refused_with_the_option_s_name() -> None:
    summary, _ = classified(in_csv(), "a.csv", abstain_below=1.5)
    assert summary["error"] == (
        "abstain_below is 1.5; it is of a probability, from 0 to 1; change ABSTAIN_BELOW, or leave it out"
    )
