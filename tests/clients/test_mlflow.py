"""MLflow's ScoringServerClient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import Served
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


@pytest.fixture
def client(served: Served) -> ScoringServerClient:
    host, _, port = served.host.partition(":")
    return ScoringServerClient(host, port)


def test_ping_and_version(client: ScoringServerClient) -> None:
    client.wait_server_ready(timeout=5)
    assert client.get_version()


def test_a_data_frame(client: ScoringServerClient, served: Served) -> None:
    frame = pd.DataFrame(served.rows, columns=served.names)
    answer = client.invoke(frame[served.names[::-1]], params={"any": 1})
    found = answer.get_predictions()
    assert found["label"].tolist() == served.labels
    probabilities = np.array([list(row.values()) for row in found["probabilities"]])
    np.testing.assert_array_equal(probabilities, served.probabilities)


@pytest.mark.parametrize("served", ["iris"], indirect=True)
def test_an_array(client: ScoringServerClient, served: Served) -> None:
    assert client.invoke(np.array(served.rows)).get_predictions()["label"].tolist() == served.labels


def test_errors_are_sentences(client: ScoringServerClient) -> None:
    with pytest.raises(Exception, match="is missing"):
        client.invoke(pd.DataFrame({"other": [1.0]}))
