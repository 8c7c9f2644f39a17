"""A threshold between two classes: the document's own, a request's, a file's."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from obstore.store import MemoryStore
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from tests.door import PENGUINS, iris, post, refusal, served, told
from thimble import store
from thimble.errors import InvalidModel
from thimble.files import pipeline
from thimble.files.jobs import Job, result_paths
from thimble.files.options import FileOptions
from thimble.inference.asked import Asked
from thimble.inference.batch import Batch
from thimble.inference.classifier import load
from thimble_model import export
from thimble_model.check import card_as_json, check, facts

RNG = np.random.default_rng(5)
X = RNG.normal(size=(120, 3))
Y = np.where(X[:, 0] + RNG.normal(size=120) > 0, "yes", "no")
PLAIN = export(LogisticRegression().fit(X, Y), X, Y, name="plain")
SCORES = export(LinearSVC(random_state=0).fit(X, Y), X, Y)
ROWS = X[:20].tolist()
OWN = orjson.dumps(orjson.loads(PLAIN) | {"decision": "probabilities", "threshold": 0.7, "positive": "no"})


def labels(document: bytes, threshold: float | None = None) -> list[Any]:
    found = load(document) if threshold is None else load(document).asking(Asked(threshold))
    (scores,) = found.predict(Batch.of(found.features, np.array(ROWS).T)).outputs
    return [found.heads[0].classes[k] for k in scores.labels]


def expected(threshold: float, positive: str = "yes") -> list[str]:
    p = [answer["probabilities"][positive] for answer in _answers(PLAIN)]
    return [positive if v >= threshold else ({"yes", "no"} - {positive}).pop() for v in p]


def _answers(document: bytes, query: str = "") -> Any:
    return told(post(f"/classify{query}", {"instances": ROWS}, served(document)))["predictions"]


BODIES: dict[str, Any] = {
    "/classify": {"instances": ROWS},
    "/v1/models/plain:predict": {"instances": ROWS},
    "/v2/models/plain/infer": {"inputs": [{"name": "x", "shape": [20, 3], "datatype": "FP64", "data": ROWS}]},
    "/invocations": {"instances": ROWS},
    "/endpoints/plain/invocations": {"inputs": ROWS},
}


def answered(path: str, document: bytes, body: Any, **headers: str) -> list[Any]:
    found = told(post(path, body, served(document), **headers))
    if "outputs" in found:
        return next(one["data"] for one in found["outputs"] if one["name"] == "label")
    return [answer["label"] for answer in found["predictions"]]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_a_request_s_threshold_decides_by_every_protocol(path: str, threshold: float) -> None:
    assert answered(f"{path}?threshold={threshold}", PLAIN, BODIES[path]) == expected(threshold)
    assert answered(path, PLAIN, BODIES[path]) == labels(PLAIN)


def test_it_decides_where_rejected_rows_are_reported() -> None:
    body = {"instances": [*ROWS, ["no number", 1, 2]]}
    found = told(post("/classify?rejected=report&threshold=0.2", body, served(PLAIN)))
    answers = found["predictions"][: len(ROWS)]
    assert [answer["label"] for answer in answers] == expected(0.2)


def test_a_threshold_is_reached_by_equality() -> None:
    likeliest = max(answer["probabilities"]["yes"] for answer in _answers(PLAIN))
    above = float(np.nextafter(likeliest, 1.0))
    assert labels(PLAIN, likeliest).count("yes") == 1
    assert labels(PLAIN, above).count("yes") == 0


def test_protocols_with_a_place_of_their_own_for_parameters_take_it_there() -> None:
    v2, sagemaker = "/v2/models/plain/infer", "/invocations"
    assert answered(v2, PLAIN, BODIES[v2] | {"parameters": {"threshold": 0.2}}) == expected(0.2)
    for sent in ("threshold=0.2", "trace=1, threshold = 0.2"):
        header = {"x-amzn-sagemaker-custom-attributes": sent}
        assert answered(sagemaker, PLAIN, BODIES[sagemaker], **header) == expected(0.2)
    twice = post(f"{v2}?threshold=0.3", BODIES[v2] | {"parameters": {"threshold": 0.2}}, served(PLAIN))
    assert refusal(twice) == "threshold is in the URL and among the parameters of the body: send one"


def test_the_document_s_own_threshold_decides_until_a_request_says_another() -> None:
    assert labels(OWN) == expected(0.7, "no")
    assert [answer["label"] for answer in _answers(OWN, "?threshold=0.4")] == expected(0.4, "no")
    card = told(served(OWN)(post_less("/model")))
    assert card["own_threshold"] == {"of": "probability", "positive": "no", "value": 0.7}
    assert card["threshold"] == pytest.approx(0.3)  # above it the second class is the label
    assert "own_threshold" not in told(served(PLAIN)(post_less("/model")))


def post_less(path: str) -> Any:
    from thimble.web.app import Request

    return Request("GET", path)


def test_the_check_shows_it() -> None:
    assert ("Threshold", "no from a probability of 0.7 on") in facts(check(OWN))
    assert card_as_json(check(OWN))["outputs"][0]["own_threshold"]["value"] == 0.7
    assert "Threshold" not in dict(facts(check(PLAIN)))


def test_of_a_model_of_scores_it_is_a_score() -> None:
    scores = [answer["scores"]["yes"] for answer in _answers(SCORES)]
    for threshold in (-0.5, 0.0, 0.25):
        assert labels(SCORES, threshold) == ["yes" if score >= threshold else "no" for score in scores]


def test_labels_at_a_threshold_are_the_same_alone_and_in_company() -> None:
    together = labels(OWN)
    for k, row in enumerate(ROWS):
        answer = told(post("/classify", {"instance": row}, served(OWN)))["predictions"][0]
        assert answer["label"] == together[k]


def test_it_is_of_what_is_shown_where_predict_compares_other_numbers() -> None:
    raw = orjson.loads(PLAIN)
    [W], [b] = raw["coefs"], raw["intercepts"]
    apart = {
        "apart": True,
        "decision": "probabilities",
        "coefs": [[[w, -w] for (w,) in W]],
        "intercepts": [[b[0], -b[0]]],
        "n_outputs": 2,
    }
    document = orjson.dumps(raw | apart)
    assert labels(document) != labels(PLAIN)
    assert [answer["label"] for answer in _answers(document, "?threshold=0.4")] == expected(0.4)


def test_a_score_is_shown_divided_by_its_temperature() -> None:
    raw = {key: value for key, value in orjson.loads(SCORES).items() if key != "examples"}
    document = orjson.dumps(raw | {"temperature": 2.0})
    scores = [answer["scores"]["yes"] for answer in _answers(document)]
    bar = sorted(scores)[-3]
    assert labels(document, bar) == ["yes" if score >= bar else "no" for score in scores]


@pytest.mark.parametrize("value", ["a half", "nan", "inf", "1e999", "0,5", "1_0", "٣"])
def test_what_is_no_number_is_refused(value: str) -> None:
    body = BODIES["/invocations"]
    assert refusal(post(f"/invocations?threshold={value}", body, served(PLAIN))).startswith(
        "threshold is a number, such as 0.3"
    )


@pytest.mark.parametrize("value", [True, "high", [0.5], {}])
def test_so_is_it_in_a_body(value: Any) -> None:
    body = BODIES["/v2/models/plain/infer"] | {"parameters": {"threshold": value}}
    assert refusal(post("/v2/models/plain/infer", body, served(PLAIN))).startswith("threshold is a number")


def test_a_probability_is_from_0_to_1() -> None:
    for value in ("1.5", "-0.1"):
        told_ = refusal(post(f"/classify?threshold={value}", BODIES["/classify"], served(PLAIN)))
        assert told_ == f"the threshold is {value}; it is of a probability, from 0 to 1"


def test_three_classes_have_no_threshold() -> None:
    body = {"instances": [[1, 2, 3, 4]]}
    sentence = "a threshold chooses one of two classes; the model answers with one of 3 classes"
    assert refusal(post("/classify?threshold=0.5", body, iris)) == sentence
    assert "one of 3 classes" in refusal(
        post("/v1/models/penguins:predict?threshold=0.5", {"instances": [{}]}, served(PENGUINS))
    )


HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"threshold": "0.5"}, "threshold"),
    ({"threshold": True}, "threshold"),
    ({"threshold": None}, "threshold"),
    ({"threshold": 0.5, "positive": "maybe"}, 'positive is "maybe", which is not among classes'),
    ({"threshold": 0.5, "positive": ["no"]}, 'positive is ["no"], which is not among classes'),
    ({"positive": "no"}, "positive stands without a threshold"),
    ({"apart": True}, "apart is true, but the last layer has 1 outputs"),
    ({"apart": 1}, "apart is 1, not true or false"),
]


@pytest.mark.parametrize(("keys", "sentence"), HOSTILE)
def test_a_hostile_threshold_is_refused_with_its_path(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidModel) as raised:
        load(orjson.dumps(orjson.loads(PLAIN) | keys))
    assert str(raised.value).startswith(sentence)


def job(options: FileOptions, document: bytes = PLAIN) -> Job:
    memory = MemoryStore()
    lines = "\n".join(",".join(map(repr, row)) for row in ROWS)
    memory.put("rows.csv", f"{lines}\n".encode())
    return Job(
        "inbox",
        store.current(memory, "rows.csv"),
        load(document),
        memory,
        result_paths("rows.csv", ".csv"),
        options,
    )


def of_file(found: Job) -> list[str]:
    lines = bytes(found.results.get(found.paths.result).bytes()).decode().splitlines()
    return [line.split(",")[3] for line in lines]


def test_a_file_s_option_decides_and_the_result_names_it() -> None:
    with_option, without = (
        job(FileOptions.of(header="absent", threshold=0.2)),
        job(FileOptions.of(header="absent")),
    )
    summary, plain = pipeline.run(with_option), pipeline.run(without)
    assert of_file(with_option) == expected(0.2)
    assert of_file(without) == labels(PLAIN)
    assert summary["options"]["threshold"] == 0.2
    assert "threshold" not in plain["options"]  # so that results made before there was one stay as they are
    assert with_option.digest != without.digest


def test_a_file_for_another_model_is_refused_with_the_sentence() -> None:
    three = export(LogisticRegression().fit(X, [["a", "b", "c"][i % 3] for i in range(120)]), X)
    summary = pipeline.run(job(FileOptions.of(header="absent", threshold=0.2), three))
    assert summary["error"].startswith(
        "a threshold chooses one of two classes; the model answers with one of 3"
    )
