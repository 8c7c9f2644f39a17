"""The schema and the reader say the same of what one value alone can show."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from thimble.errors import InvalidModel
from thimble.inference.classifier import load
from thimble.inference.document import KEYS
from thimble.inference.steps.arithmetic import FUNCTIONS
from thimble.inference.steps.ops import OPS
from thimble_model.estimators import CLASSIFIERS
from thimble_model.transformers import NESTS, TRANSFORMERS

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "model/schema.json").read_bytes())
VALIDATOR = Draft202012Validator(SCHEMA)
DOCUMENTS = sorted([*(ROOT / "model").glob("*.json"), *(ROOT / "tests/documents").glob("*.json")])
SETS = {"rows": 50, "levels": [0.9], "thresholds": [0.2], "by_class": [[0.1, 0.2, 0.3]]}
IRIS: dict[str, Any] = json.loads((ROOT / "model/iris.json").read_bytes())


def reader_accepts(document: Any) -> bool:
    try:
        load(json.dumps(document).encode())
    except InvalidModel:
        return False
    return True


def changed(**keys: Any) -> dict[str, Any]:
    return {**deepcopy(IRIS), **keys}


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in IRIS.items() if key not in keys}


def weight(value: Any) -> dict[str, Any]:
    document: dict[str, Any] = deepcopy(IRIS)
    document["coefs"][1][2][0] = value
    return document


def bias(value: Any) -> dict[str, Any]:
    document: dict[str, Any] = deepcopy(IRIS)
    document["intercepts"][0][3] = value
    return document


GOOD: dict[str, Any] = {
    "whole": IRIS,
    "smallest": {key: IRIS[key] for key in ("classes", "coefs", "intercepts", "out_activation")},
    "before the format": without("format", "format_version"),
    "before the format, with keys of others": {**without("format", "format_version"), "solver": "adam"},
    "no activation": without("activation"),
    "no names": without("feature_names_in"),
    "null names": changed(feature_names_in=None),
    "null examples": changed(examples=None),
    "integer weights": {k: v for k, v in weight(3).items() if k != "examples"},
    "integer labels": changed(classes=[3, 1, 2]),
    "float labels": changed(classes=[0.5, 1.5, 2.5]),
    "logits": changed(decision="logits"),
    "multilabel": {**without("examples"), "out_activation": "logistic"},
    "several logistic outputs for one label": {
        **without("examples"),
        "out_activation": "logistic",
        "multilabel": False,
    },
    "an abstention": changed(abstain_below=0.8),
    "thresholds of sets": changed(conformal=SETS),
    "thresholds of sets with a class that is always in": changed(
        conformal=SETS | {"by_class": [[0.1, None, 0]]}
    ),
    "training of any kind": changed(training={"by": 3, "labels": "many", "held_out": 0.2, "scores": None}),
    "a card": changed(training={"card": {"use": "Sorting irises.", "link": "https://example.com"}}),
    "an empty card": changed(training={"card": {}}),
    "histograms": changed(training={"features": [{"low": 0, "high": 1, "counts": [1]}, None, None, None]}),
    "history of any kind": changed(loss_curve=None, t="?", label_binarizer={"classes": []}),
    "unicode": changed(name="\u5c71\u7f8a \N{GOAT}"),
}
PENGUINS: dict[str, Any] = json.loads((ROOT / "model/penguins.json").read_bytes())


def prepared(*steps: Any, **keys: Any) -> dict[str, Any]:
    """One number and one text, and what the steps make of them; the network takes three columns."""
    preprocessing = {"types": ["number", "text"], "missing": [1], "steps": list(steps), "outputs": [0, 0, 2]}
    network = {
        "classes": ["a", "b"],
        "coefs": [[[0.5]] * 3],
        "intercepts": [[0.1]],
        "out_activation": "logistic",
    }
    return {"format": "thimble", "format_version": 1, **network, "preprocessing": {**preprocessing, **keys}}


OPTIONAL = {"codes", "unknown", "missing", "subtract", "divide", "multiply", "add", "minimum", "maximum"}
ENCODE = {"op": "encode", "column": 1, "categories": ["x", None], "unknown": 0}
STEPS: dict[str, dict[str, Any]] = {
    "impute": {"columns": [0], "values": [1.5]},
    "encode": {"column": 0, "categories": [1, 2.5, None], "codes": [0, None, 4], "unknown": None},
    "one_hot": {"columns": [0, 0], "sizes": [2, 0]},
    "embed": {"columns": [0, 0], "tables": [[[1], [2.5]], [[3]]]},
    "coalesce": {"columns": [0], "others": [0]},
    "spline": {"columns": [0], "knots": [[0, 1, 2, 2]], "degree": 1, "outside": "edge"},
    "bins": {"columns": [0], "edges": [[1, 2, 2]]},
    "scale": {"columns": [0], "subtract": [1], "divide": [2], "minimum": [0]},
    "linear": {"columns": [0, 0], "coefs": [[1, 2], [3, 4]], "intercepts": [0, 1]},
    "normalize": {"columns": [0, 0], "norm": "l2"},
    "product": {"left": [0], "right": [0]},
    "constant": {"values": [1]},
    "quantiles": {"columns": [0], "quantiles": [[0, 1, 1]], "distribution": "normal"},
    "power": {"columns": [0], "method": "box-cox", "lambdas": [0.5]},
    "interpolate": {"columns": [0], "x": [[0, 1]], "y": [[1, 0]]},
    "function": {"columns": [0], "name": "log1p"},
    "require": {"columns": [0]},
}


def step(op: str, **changes: Any) -> dict[str, Any]:
    """The step with changes; ... takes a key away."""
    keys = {"op": op, **STEPS[op], **changes}
    return prepared(ENCODE, {key: value for key, value in keys.items() if value is not ...})


def outputs(*changes: dict[str, Any], **keys: Any) -> dict[str, Any]:
    network = {"coefs": [[[0.5]] * 4], "intercepts": [[0.1]], "out_activation": "logistic"}
    both = [{"name": "one", "classes": ["a", "b"], **network}, {"name": "two", "classes": [0, 1], **network}]
    return {"outputs": [one | change for one, change in zip(both, changes or ({}, {}), strict=True)], **keys}


def reference(document: dict[str, Any], *path: Any) -> dict[str, Any]:
    """The document with the last of the path at the others."""
    document = deepcopy(document)
    at: Any = document["reference"]
    *way, key, value = path
    for step in way:
        at = at[step]
    at[key] = value
    return document


GOOD |= {
    "penguins": PENGUINS,
    "null preprocessing": changed(preprocessing=None),
    "no steps": prepared(outputs=[0, 0, 0]),
    "nothing missing": prepared(ENCODE, missing=[]),
    **{f"step {op}": step(op) for op in STEPS},
    "impute another value": step("impute", missing=-1),
    "interpolate in single precision": step("interpolate", input_type="float32"),
    "two outputs": outputs(),
    "two outputs, one of scores": outputs({}, {"out_activation": "identity", "decision": "scores"}),
    "multilabel scores": {
        **without("examples", "activation"),
        "out_activation": "identity",
        "decision": "scores",
        "multilabel": True,
    },
    "normalized": {**without("examples"), "out_activation": "logistic", "normalize": "zero"},
    "null reference": changed(reference=None),
    "a feature not watched": reference(PENGUINS, "features", 1, None),
}
BAD: dict[str, Any] = {
    "preprocessing a list": changed(preprocessing=[]),
    "preprocessing without types": changed(preprocessing={"outputs": [0, 1, 2, 3]}),
    "preprocessing without outputs": changed(preprocessing={"types": ["number"] * 4}),
    "an unknown key of preprocessing": prepared(ENCODE, columns=[0]),
    "an unknown type": prepared(ENCODE, types=["number", "string"]),
    "a negative index": prepared(ENCODE, outputs=[0, 0, -1]),
    "a fractional index": prepared(ENCODE, outputs=[0, 0, 1.5]),
    "a boolean index": prepared(ENCODE, outputs=[0, 0, False]),
    "a step as text": prepared("impute"),
    "a step without op": prepared({"columns": [0], "values": [1]}),
    "an unknown op": prepared(ENCODE, {"op": "eval", "columns": [0]}),
    **{f"{op} with an unknown key": step(op, code="x") for op in STEPS},
    **{
        f"{op} without {key}": step(op, **{key: ...})
        for op in STEPS
        for key in STEPS[op]
        if key not in OPTIONAL
    },
    "impute with text": step("impute", values=["x"]),
    "impute with null": step("impute", values=[None]),
    "impute null": step("impute", missing=None),
    "encode with an object": step("encode", categories=[{}]),
    "encode with a boolean": step("encode", categories=[True]),
    "encode doubled": step("encode", categories=[1, 1], codes=[0, 1]),
    "encode a text code": step("encode", codes=["a", "b", "c"]),
    "encode without categories": step("encode", categories=[], codes=[]),
    "one_hot of negative size": step("one_hot", sizes=[2, -1]),
    "embed without tables": step("embed", tables=[]),
    "spline of degree 0": step("spline", degree=0),
    "spline with an unknown outside": step("spline", outside="nearest"),
    "bins without edges": step("bins", edges=[[]]),
    "interpolate in half precision": step("interpolate", input_type="float16"),
    "scale without anything": step("scale", subtract=..., divide=..., minimum=...),
    "an unknown norm": step("normalize", norm="l3"),
    "an unknown distribution": step("quantiles", distribution="cauchy"),
    "an unknown method": step("power", method="log"),
    "an unknown function": step("function", name="system"),
    "scores with softmax": changed(decision="scores"),
    "an unknown normalization": changed(normalize="l1"),
    "multilabel as text": changed(multilabel="yes"),
    "no outputs": outputs() | {"outputs": []},
    "outputs beside classes": outputs(classes=["a", "b"]),
    "an output without a name": outputs({"name": ""}, {}),
    "an output with an unknown key": outputs({"clases": []}, {}),
    "an output without weights": {"outputs": [{"name": "one", "classes": ["a", "b"]}]},
    "an abstention as text": changed(abstain_below="0.8"),
    "an abstention null": changed(abstain_below=None),
    "thresholds of sets null": changed(conformal=None),
    "sets without thresholds": changed(conformal={k: v for k, v in SETS.items() if k != "thresholds"}),
    "sets with an unknown key": changed(conformal=SETS | {"alpha": [0.1]}),
    "a level of 1": changed(conformal=SETS | {"levels": [1]}),
    "a level of 0": changed(conformal=SETS | {"levels": [0]}),
    "no level": changed(conformal=SETS | {"levels": [], "thresholds": [], "by_class": []}),
    "a level twice": changed(
        conformal=SETS | {"levels": [0.9, 0.9], "thresholds": [0, 0], "by_class": [[0, 0, 0]] * 2}
    ),
    "a threshold null": changed(conformal=SETS | {"thresholds": [None]}),
    "a class's threshold as text": changed(conformal=SETS | {"by_class": [[0, 0, "0"]]}),
    "half a row of sets": changed(conformal=SETS | {"rows": 0.5}),
    "an unknown key of a card": changed(training={"card": {"price": "free"}}),
    "an empty text of a card": changed(training={"card": {"use": ""}}),
    "a long text of a card": changed(training={"card": {"use": "x" * 2001}}),
    "a link that is a script": changed(training={"card": {"link": "javascript:alert(1)"}}),
    "a card as a list": changed(training={"card": ["use"]}),
    "a histogram without its ends": changed(training={"features": [{"counts": [1]}, None, None, None]}),
    "a histogram of 65 bins": changed(
        training={"features": [{"low": 0, "high": 1, "counts": [1] * 65}, None, None, None]}
    ),
    "a histogram of less than nothing": changed(
        training={"features": [{"low": 0, "high": 1, "counts": [-1]}, None, None, None]}
    ),
    "reference a list": changed(reference=[]),
    "reference without rows": changed(reference={"features": [None] * 4, "outputs": [None]}),
    "an unknown key of the reference": reference(PENGUINS, "mean", 3.5),
    "a feature without counts": reference(PENGUINS, "features", 1, {"edges": [0, 1], "missing": 0}),
    "a text feature with edges": reference(PENGUINS, "features", 0, "edges", [0, 1]),
    "an edge as text": reference(PENGUINS, "features", 1, "edges", 0, "1"),
    "one edge": reference(PENGUINS, "features", 1, "edges", [1]),
    "a negative count": reference(PENGUINS, "features", 1, "counts", 0, -1),
    "a doubled category": reference(PENGUINS, "features", 0, "categories", ["a", "a", "b"]),
    "no output of the reference": reference(PENGUINS, "outputs", []),
    "classes not counted": reference(PENGUINS, "outputs", 0, "classes", None),
    "a list": [IRIS],
    "null": None,
    "no classes": without("classes"),
    "no coefs": without("coefs"),
    "no intercepts": without("intercepts"),
    "no out_activation": without("out_activation"),
    "another format": changed(format="pickle"),
    "a version to come": changed(format_version=2),
    "a version as text": changed(format_version="1"),
    "version true": changed(format_version=True),
    "format without version": without("format_version"),
    "version without format": without("format"),
    "an unknown key": changed(activaton="tanh"),
    "name null": changed(name=None),
    "name a number": changed(name=3),
    "one class": changed(classes=["setosa"]),
    "doubled labels": changed(classes=["a", "b", "a"]),
    "mixed labels": changed(classes=["a", 1, 2]),
    "booleans among numbers": changed(classes=[True, 0, 5]),
    "null label": changed(classes=["a", "b", None]),
    "list label": changed(classes=["a", "b", ["c"]]),
    "classes an object": changed(classes={"a": 0, "b": 1, "c": 2}),
    "string weight": weight("0.1"),
    "null weight": weight(None),
    "boolean weight": weight(True),
    "list weight": weight([0.1]),
    "object weight": weight({"re": 1}),
    "string bias": bias("0.1"),
    "boolean bias": bias(False),
    "null bias": bias(None),
    "no layers": changed(coefs=[], intercepts=[]),
    "coefs an object": changed(coefs={"0": IRIS["coefs"][0]}),
    "empty matrix": changed(coefs=[[], IRIS["coefs"][1]]),
    "empty row": changed(coefs=[[[], [], [], []], IRIS["coefs"][1]]),
    "too many layers": changed(coefs=[[[1.0]]] * 65, intercepts=[[1.0]] * 65),
    "unknown activation": changed(activation="gelu"),
    "activation null": changed(activation=None),
    "unknown out_activation": changed(out_activation="exp"),
    "unknown decision": changed(decision="maximum"),
    "doubled names": changed(feature_names_in=["a", "b", "c", "a"]),
    "empty name": changed(feature_names_in=["a", "b", "c", ""]),
    "numbers for names": changed(feature_names_in=[0, 1, 2, 3]),
    "names an object": changed(feature_names_in={"a": 0}),
    "no names at all": changed(feature_names_in=[]),
    "examples a list": changed(examples=[]),
    "examples without rows": changed(examples={"probabilities": [[0, 0, 1]]}),
    "examples without probabilities": changed(examples={"rows": [[1, 2, 3, 4]]}),
    "no example": changed(examples={"rows": [], "probabilities": []}),
    "example probability as text": changed(examples={"rows": [[1, 2, 3, 4]], "probabilities": [["0", 0, 1]]}),
    "training null": changed(training=None),
    "count as text": changed(n_features_in="4"),
    "count zero": changed(n_layers=0),
    "count true": changed(n_outputs=True),
}
INCONSISTENT: dict[str, Any] = {  # only the reader can tell
    "an abstention beyond 1": changed(abstain_below=1.5),
    "an abstention of any number of labels": {
        **without("examples"),
        "out_activation": "logistic",
        "abstain_below": 0.5,
    },
    "sets of any number of labels": {**without("examples"), "out_activation": "logistic", "conformal": SETS},
    "levels that fall": changed(
        conformal=SETS | {"levels": [0.9, 0.8], "thresholds": [0, 0], "by_class": [[0, 0, 0]] * 2}
    ),
    "thresholds too few": changed(conformal=SETS | {"levels": [0.8, 0.9], "by_class": [[0, 0, 0]] * 2}),
    "a class too few in a set": changed(conformal=SETS | {"by_class": [[0, 0]]}),
    "a list of classes too few": changed(conformal=SETS | {"levels": [0.8, 0.9], "thresholds": [0, 0]}),
    "a column to come": prepared(ENCODE, outputs=[0, 0, 3]),
    "a step reads itself": prepared({**ENCODE, "column": 2}),
    "text among the outputs": prepared(ENCODE, outputs=[0, 0, 1]),
    "text in arithmetic": step("impute", columns=[1]),
    "a number for a text": step("encode", column=1),
    "outputs too few": prepared(ENCODE, outputs=[0, 2]),
    "names too few for the types": {**prepared(ENCODE), "feature_names_in": ["one"]},
    "a feature that is not there": prepared(ENCODE, missing=[2]),
    "values too few": step("impute", values=[1, 2]),
    "codes too few": step("encode", codes=[0, 1]),
    "sizes too few": step("one_hot", sizes=[2]),
    "one_hot of nothing": step("one_hot", sizes=[0, 0]),
    "tables too few": step("embed", tables=[[[1]]]),
    "tables of other widths": step("embed", tables=[[[1]], [[1, 2]]]),
    "others too few": step("coalesce", others=[0, 0]),
    "knots too few": step("spline", knots=[[0, 1, 2]]),
    "knots that fall": step("spline", knots=[[0, 2, 1, 3]]),
    "knots too few for a period": step("spline", outside="period", knots=[[0, 1, 2, 2, 3, 4]], degree=2),
    "edges that fall": step("bins", edges=[[2, 1]]),
    "x and y of other lengths": step("interpolate", y=[[1]]),
    "a point beyond single precision": step("interpolate", y=[[1, 1e300]], input_type="float32"),
    "one quantile": step("quantiles", quantiles=[[1]]),
    "intercepts too few": step("linear", intercepts=[1]),
    "left and right of other lengths": step("product", right=[0, 0]),
    "an output's name again": outputs({}, {"name": "one"}),
    "outputs of other widths": outputs({}, {"coefs": [[[0.5]] * 3]}),
    "multilabel softmax": changed(multilabel=True),
    "ragged matrix": changed(coefs=[[[1.0] * 10, [1.0] * 9, [1.0] * 10, [1.0] * 10], IRIS["coefs"][1]]),
    "layers that do not fit": changed(coefs=IRIS["coefs"][::-1]),
    "a bias too few": changed(intercepts=[IRIS["intercepts"][0], IRIS["intercepts"][1][:2]]),
    "a layer of biases too few": changed(intercepts=IRIS["intercepts"][:1]),
    "a label too few": changed(classes=["a", "b"]),
    "a name too few": changed(feature_names_in=["a", "b", "c"]),
    "another count": changed(n_features_in=5),
    "a short example": changed(examples={"rows": [[1, 2, 3]], "probabilities": [[0, 0, 1]]}),
}


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD.keys())
def test_both_accept_a_good_document(document: Any) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert reader_accepts(document)


@pytest.mark.parametrize("document", BAD.values(), ids=BAD.keys())
def test_both_refuse_a_bad_document(document: Any) -> None:
    assert not VALIDATOR.is_valid(document)
    assert not reader_accepts(document)


@pytest.mark.parametrize("document", INCONSISTENT.values(), ids=INCONSISTENT.keys())
def test_only_the_reader_sees_what_does_not_fit_together(document: Any) -> None:
    assert VALIDATOR.is_valid(document)
    assert not reader_accepts(document)


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.name != "schema.json"], ids=lambda path: path.name
)
def test_every_document_that_we_keep_validates(path: Path) -> None:
    document = json.loads(path.read_bytes())
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert reader_accepts(document)


def test_the_schema_is_one_and_knows_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    properties = {*SCHEMA["properties"], *SCHEMA["$defs"]["head"]["properties"]}
    assert properties == KEYS == set(SCHEMA["$defs"]["key"]["enum"])


def test_the_schema_knows_every_step() -> None:
    steps = {
        one["properties"]["op"]["const"]: set(one["properties"]) for one in SCHEMA["$defs"]["step"]["oneOf"]
    }
    assert steps == {op: {"op", *kind.KEYS} for op, kind in OPS.items()}
    functions = next(
        one for one in SCHEMA["$defs"]["step"]["oneOf"] if one["properties"]["op"]["const"] == "function"
    )
    assert set(functions["properties"]["name"]["enum"]) == set(FUNCTIONS)


def test_the_readme_explains_every_step() -> None:
    readme = (ROOT / "model/README.md").read_text()
    assert [op for op in OPS if f"| `{op}` |" not in readme] == []


def test_the_readme_names_all_that_exports() -> None:
    readme = (ROOT / "model/README.md").read_text()
    kinds = (*CLASSIFIERS, *TRANSFORMERS, *NESTS)
    assert [kind.__name__ for kind in kinds if f"`{kind.__name__}`" not in readme] == []


def test_the_readme_explains_every_key() -> None:
    readme = (ROOT / "model/README.md").read_text()
    assert [key for key in sorted(KEYS) if f"`{key}`" not in readme] == []
