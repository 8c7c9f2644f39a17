"""tritonclient, as it speaks to Triton: binary tensors by default, JSON, gzip, classification, asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import tritonclient.http as http
import tritonclient.http.aio as aio
from conftest import Served
from tritonclient.utils import InferenceServerException


def inputs(served: Served, binary: bool = True) -> list[http.InferInput]:
    """One tensor of numbers, or a column a feature."""
    if all(feature["type"] == "number" and not feature["may_be_missing"] for feature in served.features):
        tensor = http.InferInput("input", [len(served.rows), len(served.features)], "FP64")
        tensor.set_data_from_numpy(np.array(served.rows, np.float64), binary_data=binary)
        return [tensor]
    return [column(served, i, binary) for i in range(len(served.features))]


def column(served: Served, i: int, binary: bool) -> http.InferInput:
    name, values = served.names[i], [row[i] for row in served.rows]
    if served.features[i]["type"] == "text":
        tensor = http.InferInput(name, [len(values), 1], "BYTES")
        texts = np.array([(value or "").encode() for value in values], object).reshape(-1, 1)
        tensor.set_data_from_numpy(texts, binary_data=binary)
        return tensor
    tensor = http.InferInput(name, [len(values), 1], "FP64")
    tensor.set_data_from_numpy(np.array(values, np.float64).reshape(-1, 1), binary_data=binary)
    return tensor


def check(served: Served, result: Any) -> None:
    np.testing.assert_array_equal(result.as_numpy("probabilities"), served.probabilities)
    labels = [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("label").tolist()]
    assert labels == served.labels


@pytest.fixture
def client(served: Served) -> http.InferenceServerClient:
    return http.InferenceServerClient(served.host)


def test_health_and_metadata(client: http.InferenceServerClient, served: Served) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(served.name)
    assert not client.is_model_ready("nothing")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(served.name)
    assert client.is_model_ready(served.name, metadata["versions"][0])
    assert client.get_model_metadata(served.name, metadata["versions"][0])["name"] == served.name
    assert [entry["name"] for entry in client.get_model_repository_index()] == [served.name]


def test_its_default_is_binary_both_ways(client: http.InferenceServerClient, served: Served) -> None:
    result = client.infer(served.name, inputs(served), request_id="42")
    check(served, result)
    assert result.get_response()["id"] == "42"


@pytest.mark.parametrize("binary", [True, False])
def test_chosen_outputs(client: http.InferenceServerClient, served: Served, binary: bool) -> None:
    wanted = [http.InferRequestedOutput(n, binary_data=binary) for n in ("probabilities", "label")]
    check(served, client.infer(served.name, inputs(served, binary), outputs=wanted))
    only = client.infer(served.name, inputs(served, binary), outputs=wanted[:1])
    assert only.as_numpy("label") is None


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_both_ways(client: http.InferenceServerClient, served: Served, coding: str) -> None:
    codings = {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
    check(served, client.infer(served.name, inputs(served), **codings))


def test_classification(client: http.InferenceServerClient, served: Served) -> None:
    wanted = [http.InferRequestedOutput("probabilities", class_count=2)]
    found = client.infer(served.name, inputs(served), outputs=wanted).as_numpy("probabilities")
    assert found.shape == (len(served.rows), 2)
    score, _, label = found[0][0].decode().split(":", 2)
    assert (float(score), label) == (served.probabilities[0].max(), served.labels[0])


def test_errors_are_sentences(client: http.InferenceServerClient, served: Served) -> None:
    with pytest.raises(InferenceServerException, match="there is no model 'nothing'"):
        client.infer("nothing", inputs(served))
    with pytest.raises(InferenceServerException, match=r"outputs\[0\] is none of the model's"):
        client.infer(served.name, inputs(served), outputs=[http.InferRequestedOutput("other")])


def test_asyncio(served: Served) -> None:
    async def ask() -> Any:
        async with aio.InferenceServerClient(served.host) as client:
            assert await client.is_server_ready()
            return await asyncio.gather(*(client.infer(served.name, inputs(served)) for _ in range(5)))

    for result in asyncio.run(ask()):
        check(served, result)
