"""The same rows through every protocol: the same bits. And what holds for all: limits, codings, errors."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import door
from tests.door import LENGTH, get, post, refusal, served, told
from thimble.inference.classifier import Classifier, load
from thimble.web import media
from thimble.web.app import Response

RNG = np.random.default_rng(3)
TWO = {
    "feature_names_in": ["a", "b"],
    "coefs": [[[1.0, -1.0, 0.5], [0.3, 0.2, -0.7]]],
    "intercepts": [[0, 0.1, 0]],
}
BINARY = {"coefs": [[[1.5], [-0.5]]], "intercepts": [[0.1]], "out_activation": "logistic"}
MODELS: dict[str, bytes] = {
    **{name: (door.MODELS / f"{name}.json").read_bytes() for name in ("iris", "penguins", "digits", "sexes")},
    "integers": json.dumps(TWO | {"classes": [1, 2, -3], "out_activation": "softmax"}).encode(),
    "booleans": json.dumps(BINARY | {"classes": [False, True], "n_features_in": 2}).encode(),
    "multilabel": json.dumps(TWO | {"classes": ["x", "y", "z:1"], "out_activation": "logistic"}).encode(),
    "scores": json.dumps(
        TWO | {"classes": ["x", "y", "z"], "out_activation": "identity", "decision": "scores"}
    ).encode(),
    "several": json.dumps(
        {
            "feature_names_in": ["a", "b"],
            "outputs": [
                {**BINARY, "name": "first", "classes": ["no", "yes"]},
                {**TWO, "name": "second", "classes": [1, 2, 3], "out_activation": "softmax"},
            ],
        }
    ).encode(),
}
del (outputs := json.loads(MODELS["several"]))["outputs"][1]["feature_names_in"]
MODELS["several"] = json.dumps(outputs).encode()

Numbers = NDArray[np.float64]  # (rows, all classes of all outputs)


def rows(name: str, model: Classifier) -> list[list[Any]]:
    examples = model.document.examples
    if name in ("penguins", "sexes") and examples:
        return [[None if value != value else value for value in row] for row in examples.rows]
    spread = RNG.normal(2, 3, size=(37, model.n_features))
    return (spread.round() if name == "digits" else spread).tolist()  # type: ignore[no-any-return]


class Served:
    def __init__(self, name: str) -> None:
        self.model = load(MODELS[name])
        self.rows = rows(name, self.model)
        self.app = served(MODELS[name])

    def post(self, path: str, body: Any, **headers: str) -> Response:
        answer = door.post(path, body, self.app, **headers)
        assert answer.status == 200, answer.body
        return answer

    def objects(self) -> list[dict[str, Any]]:
        names = self.model.feature_names
        assert names is not None
        return [dict(zip(names[::-1], row[::-1], strict=True)) for row in self.rows]

    @property
    def named(self) -> bool:
        return self.model.feature_names is not None

    @property
    def numeric(self) -> bool:
        return self.model.document.preprocessing is None


def of_answers(found: list[dict[str, Any]]) -> Numbers:
    """The numbers of JSON answers, the outputs side by side."""

    def numbers(answer: dict[str, Any]) -> list[float]:
        if "outputs" in answer:
            return [p for output in answer["outputs"].values() for p in numbers(output)]
        return list((answer.get("probabilities") or answer["scores"]).values())

    return np.array([numbers(answer) for answer in found])


def of_json(answer: Response) -> Numbers:
    return of_answers(json.loads(answer.body)["predictions"])


def of_columns(columns: dict[str, Any]) -> Numbers:
    return np.hstack([v for k, v in columns.items() if k.rpartition(".")[2] in ("probabilities", "scores")])


def of_tensors(answer: Response) -> Numbers:
    data, found = answer.body[int(answer.headers.get(LENGTH, len(answer.body))) :], []
    for output in told(answer)["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        if output["datatype"] == "FP64":
            values = np.frombuffer(data[:size]) if size else np.array(output["data"])
            found.append(values.reshape(output["shape"]))
        data = data[size:]
    assert not data
    return np.hstack(found)


def of_csv(answer: Response) -> Numbers:
    table = list(csv.reader(io.StringIO(answer.body.decode())))
    kept = [i for i, name in enumerate(table[0]) if name.rpartition(".")[2].startswith(("p_", "score_"))]
    return np.array([[float(row[i]) for i in kept] for row in table[1:]])


def of_npy(answer: Response) -> Numbers:
    return np.load(io.BytesIO(answer.body), allow_pickle=False)  # type: ignore[no-any-return]


def tensors(served: Served, binary: bool) -> tuple[bytes, dict[str, str]]:
    """A column a feature where the model has names, else one tensor; NaN or empty for what is missing."""
    inputs, data = [], b""
    n = len(served.rows)
    if not served.named:
        columns = [("input", "FP64", [n, served.model.n_features], [v for row in served.rows for v in row])]
    else:
        columns = [
            (f.name, "BYTES", [n, 1], [row[i] or "" for row in served.rows])
            if f.type == "text"
            else (f.name, "FP64", [n], [np.nan if row[i] is None else row[i] for row in served.rows])
            for i, f in enumerate(served.model.features)
        ]
    for name, datatype, shape, values in columns:
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if binary:
            part = (
                b"".join(struct.pack("<I", len(v.encode())) + v.encode() for v in values)
                if datatype == "BYTES"
                else np.array(values, "<f8").tobytes()
            )
            tensor["parameters"], data = {"binary_data_size": len(part)}, data + part
        else:
            tensor["data"] = values
        inputs.append(tensor)
    asked = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": binary}}).encode()
    return asked + data, {LENGTH: str(len(asked))} if binary else {}


def infer(served: Served, binary: bool) -> Numbers:
    body, headers = tensors(served, binary)
    return of_tensors(served.post("/v2/models/default/infer", body, **headers))


def as_csv(served: Served) -> bytes:
    text = io.StringIO()
    names = served.model.feature_names or [f"x{i}" for i in range(served.model.n_features)]
    csv.writer(text).writerows([names, *served.rows])
    return text.getvalue().encode()


def as_lines(served: Served) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in served.rows)


def npy(served: Served) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(served.rows))
    return stream.getvalue()


def columns(served: Served) -> dict[str, list[Any]]:
    names = served.model.feature_names or ()
    return {name: [row[i] for row in served.rows] for i, name in reversed(list(enumerate(names)))}


def split(served: Served) -> dict[str, Any]:
    names = served.model.feature_names or ()
    return {"columns": names[::-1], "data": [row[::-1] for row in served.rows]}


WAYS: dict[str, Callable[[Served], Numbers]] = {
    "classify, lists": lambda s: of_json(s.post("/classify", {"instances": s.rows})),
    "classify, one by one": lambda s: np.vstack(
        [of_json(s.post("/classify", {"instance": row})) for row in s.rows]
    ),
    "classify, csv": lambda s: of_csv(s.post("/classify", as_csv(s), content_type="text/csv")),
    "classify, json lines": lambda s: of_answers(
        [*map(json.loads, s.post("/classify", as_lines(s), content_type=media.LINES).body.splitlines())]
    ),
    "v2, json": lambda s: infer(s, binary=False),
    "v2, binary": lambda s: infer(s, binary=True),
    "v1, instances": lambda s: of_json(s.post("/v1/models/default:predict", {"instances": s.rows})),
    "v1, tensor": lambda s: of_columns(
        json.loads(s.post("/v1/models/default:predict", {"inputs": s.rows}).body)["outputs"]
    ),
    "sagemaker, features": lambda s: of_json(
        s.post("/endpoints/default/invocations", {"instances": [{"features": row} for row in s.rows]})
    ),
    "mlflow, inputs": lambda s: of_json(s.post("/invocations", {"inputs": s.rows})),
}
BY_NAME: dict[str, Callable[[Served], Numbers]] = {
    "classify, objects": lambda s: of_json(s.post("/classify", {"instances": s.objects()})),
    "v1, columns": lambda s: of_columns(
        json.loads(s.post("/v1/models/default:predict", {"inputs": columns(s)}).body)["outputs"]
    ),
    "mlflow, split": lambda s: of_json(s.post("/invocations", {"dataframe_split": split(s)})),
    "mlflow, records": lambda s: of_json(s.post("/invocations", {"dataframe_records": s.objects()})),
    "mlflow, columns": lambda s: of_json(s.post("/invocations", {"inputs": columns(s)})),
}
OF_NUMBERS: dict[str, Callable[[Served], Numbers]] = {
    "sagemaker, npy": lambda s: of_npy(s.post("/invocations", npy(s), content_type=media.NPY)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_same_rows_get_the_same_bits_by_every_protocol(name: str) -> None:
    asked = Served(name)
    ways = WAYS | (BY_NAME if asked.named else {}) | (OF_NUMBERS if asked.numeric else {})
    expected = ways["classify, lists"](asked)
    assert expected.shape[0] == len(asked.rows)
    for way, ask in ways.items():
        assert ask(asked).tobytes() == expected.tobytes(), way


ROWS = Served("iris").rows


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "gzip in two members"])
def test_a_packed_body_is_the_same_body(coding: str) -> None:
    body = json.dumps({"instances": ROWS}).encode()
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "raw deflate": raw.compress(body) + raw.flush(),
        "gzip in two members": gzip.compress(body[:50]) + gzip.compress(body[50:]),
    }[coding]
    header = "gzip" if "gzip" in coding else "deflate"
    assert post("/classify", packed, content_encoding=header) == post("/classify", body)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [("gzip, deflate", "gzip"), ("deflate", "deflate"), ("gzip;q=0, deflate;q=0.5", "deflate"), ("br", "")],
)
def test_an_answer_is_packed_on_request(accept: str, coding: str) -> None:
    plain = post("/classify", {"instances": ROWS})
    packed = post("/classify", {"instances": ROWS}, accept_encoding=accept)
    assert packed.headers.get("content-encoding", "") == coding
    unpack: Any = {"gzip": gzip.decompress, "deflate": zlib.decompress, "": bytes}[coding]
    assert unpack(packed.body) == plain.body
    assert "content-encoding" not in post("/classify", {"instance": ROWS[0]}, accept_encoding=accept).headers


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_unpacks_to_too_much_is_refused_before_it_does(coding: str) -> None:
    packed = (gzip if coding == "gzip" else zlib).compress(bytes(50_000_000))
    answer = post("/v2/models/iris/infer", packed, content_encoding=coding)
    assert refusal(answer, 413) == "the body unpacks to more than 6000000 bytes, which is the most"


ELEVEN = [[1, 2, 3, 4]] * 11
TENSOR = {"name": "x", "shape": [11, 4], "datatype": "INT8", "data": [1] * 44}


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/classify", "5,2,3,4\n" * 11, "text/csv"),
        ("/classify", "[1,2,3,4]\n" * 11, media.LINES),
        ("/v1/models/iris:predict", {"instances": ELEVEN}, ""),
        ("/invocations", {"inputs": ELEVEN}, ""),
        ("/v2/models/iris/infer", {"inputs": [TENSOR]}, ""),
    ],
)
def test_the_limits_are_settings_and_hold_for_every_protocol(path: str, body: Any, kind: str) -> None:
    app = served(MAX_ROWS="10", MAX_BODY_BYTES="500")
    told = refusal(post(path, body, app, content_type=kind), 413)
    assert told == "there are 11 rows; the most in one request is 10: drop a file instead"
    told = refusal(post(path, "x" * 501, app, content_type=kind), 413)
    assert told == "the body has 501 bytes; the most is 500"


def test_without_a_model_every_protocol_is_unready_and_the_server_lives() -> None:
    away = served(b"{}")
    assert get("/v2/health/live", away).status == 200
    for path in ("/v2/health/ready", "/ping", "/health", "/v1/models/default"):
        assert get(path, away).status == 503


def test_a_404_says_where_to_look() -> None:
    assert "/openapi.json" in refusal(get("/v3"), 404)
