"""KServe's InferenceRESTClient, V1 and V2."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
import pytest
from conftest import Served
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

T = TypeVar("T")


def ask(protocol: str, question: Callable[[InferenceRESTClient], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with InferenceRESTClient(RESTConfig(protocol=protocol, retries=0)) as client:
            return await question(client)

    return asyncio.run(asked())


def columns(served: Served) -> list[InferInput]:
    found = []
    for i, feature in enumerate(served.features):
        values = [row[i] for row in served.rows]
        text = feature["type"] == "text"
        data = values if text else [np.nan if value is None else float(value) for value in values]
        found.append(InferInput(feature["name"], [len(values)], "BYTES" if text else "FP64", data=data))
    return found


def test_v2_ready_and_live(served: Served) -> None:
    assert ask("v2", lambda client: client.is_server_live(served.url))
    assert ask("v2", lambda client: client.is_server_ready(served.url))
    assert ask("v2", lambda client: client.is_model_ready(served.url, served.name))
    assert not ask("v2", lambda client: client.is_model_ready(served.url, "nothing"))


@pytest.mark.parametrize("binary", [False, True])
def test_v2_infer(served: Served, binary: bool) -> None:
    found = columns(served)
    if binary:
        for tensor in found:
            if tensor.datatype == "FP64":
                tensor.set_data_from_numpy(np.array(tensor.data, np.float64), binary_data=True)
    request = InferRequest(served.name, found, request_id="7")
    answer = ask("v2", lambda client: client.infer(served.url, request, model_name=served.name))
    outputs = {output.name: output for output in answer.outputs}
    np.testing.assert_array_equal(outputs["probabilities"].as_numpy(), served.probabilities)
    assert list(outputs["label"].as_numpy()) == served.labels
    assert answer.id == "7"


def test_v1(served: Served) -> None:
    assert ask("v1", lambda client: client.is_server_live(served.url))
    assert ask("v1", lambda client: client.is_model_ready(served.url, served.name))
    body: dict[str, Any] = {"instances": served.rows}
    answer = ask("v1", lambda client: client.infer(served.url, body, model_name=served.name))
    assert isinstance(answer, dict)
    assert [prediction["label"] for prediction in answer["predictions"]] == served.labels
    found = np.array([list(prediction["probabilities"].values()) for prediction in answer["predictions"]])
    np.testing.assert_array_equal(found, served.probabilities)
