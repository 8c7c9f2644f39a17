"""What `export` and `check` say of wrong arguments, and what the card says of right ones."""

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from thimble.errors import InvalidInput, ThimbleError
from thimble_infra import pickles
from thimble_infra.cli import app
from thimble_model import Unsupported, export
from thimble_model.check import check, facts

X = np.arange(40.0).reshape(20, 2)
Y = np.array([0, 1, 1, 1] * 5)
FRAME = pd.DataFrame(X, columns=["a", "b"])
PLAIN, NAMED = LogisticRegression().fit(X, Y), LogisticRegression().fit(FRAME, Y)

REFUSED: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: export(LogisticRegression),
        "is a class, not a fitted estimator: pass LogisticRegression(...)",
    ),
    (lambda: export(LogisticRegression()), "LogisticRegression is not fitted: call its fit(X, y) first"),
    (lambda: export("model.joblib"), "a path is no estimator: pass joblib.load(path)"),
    (lambda: export(Path("model.joblib")), "a path is no estimator: pass joblib.load(path)"),
    (lambda: export({"model": PLAIN}), "a dict is no estimator: pass the one under 'model'"),
    (lambda: export([PLAIN]), "a list is no estimator: export what is in it one by one"),
    (lambda: export(None), "None is no estimator: pass a fitted classifier"),
    (lambda: export(FRAME), "an object of the type DataFrame is no estimator: pass a fitted classifier"),
    (lambda: export(PLAIN.predict), "an object of the type method is no estimator: pass a fitted"),
    (lambda: export(PLAIN, None, Y), "y is given without X: pass the rows too"),
    (lambda: export(PLAIN, "train.csv"), "X is a path, not rows: pass pandas.read_csv(path)"),
    (lambda: export(PLAIN, 3), "X is an object of the type int, not rows: pass a DataFrame"),
    (lambda: export(PLAIN, []), "X has no rows: pass those that the estimator was fitted on"),
    (lambda: export(PLAIN, X[0]), "X has 1 dimensions, and rows with columns have 2: X.reshape(1, -1)"),
    (lambda: export(PLAIN, X[:, :1]), "X has 1 column, and the estimator was fitted on 2: pass the rows as"),
    (lambda: export(PLAIN, [[1.0, 2.0], [3.0]]), "have"),
    (lambda: export(NAMED, FRAME.rename(columns={"b": "c"})), "X lacks the column 'b', which the estimator"),
    (lambda: export(PLAIN, X, Y[:9]), "y has 9 labels for 20 rows: pass one for each row"),
    (lambda: export(PLAIN, X, 3), "y is 3, not labels: pass one for each row"),
    (
        lambda: export(PLAIN, X, ["a"] * 20),
        "y has the label 'a' in row 1, and the estimator's classes are 0",
    ),
    (lambda: export(PLAIN, X, [np.nan] * 20), "y has the label nan in row 1"),
    (lambda: export(PLAIN, X, np.eye(2)[Y]), "pass those that it was fitted on"),
    (lambda: export(PLAIN, X, Y, held_out=(X, Y[:9])), "y of held_out has 9 labels for 20 rows"),
    (lambda: export(PLAIN, X, Y, calibration=(X, Y[:9])), "y of calibration has 9 labels for 20 rows"),
    (lambda: export(PLAIN, X, Y, held_out=(X[:, :1], Y)), "held_out has 1 column, and the estimator"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_a_wrong_argument_of_export_is_a_sentence_that_says_what_to_do(
    call: Callable[[], Any], sentence: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ThimbleError) as refused:
            call()
    assert sentence in str(refused.value)


def test_right_arguments_of_every_form_give_the_same_document() -> None:
    same = [
        export(PLAIN, X, Y),
        export(PLAIN, X.tolist(), Y.tolist()),
        export(PLAIN, X, pd.Series(Y)),
        export(PLAIN, X, Y.reshape(-1, 1)),
    ]
    assert len(set(same)) == 1


class Stranger:
    """An estimator of a module that is not here."""


FILES: list[tuple[bytes, str]] = [
    (b"PK\x03\x04rest", "is a spreadsheet or another archive, not an estimator that joblib or pickle saved"),
    (b"\xd0\xcf\x11\xe0rest", "is a spreadsheet, not an estimator"),
    (b"PAR1rest", "is a Parquet table, not an estimator"),
    (b"a,b\n1,2\n", "is a text, such as a table, not an estimator"),
    (b'{"format": "thimble"}', "is a JSON document, not an estimator"),
    (b"\x80\x04\x95rest", "it is no whole joblib or pickle file"),
    (b"cnowhere_to_be_found\nModel\n.", "it needs the module nowhere_to_be_found: `pip install"),
    (b"csklearn.gone\nModel\n.", f"another version of scikit-learn than {sklearn.__version__} saved it"),
    (b"c__main__\nMine\n.", "it needs what the script that trained it defines"),
]


@pytest.mark.parametrize(("data", "sentence"), FILES, ids=[sentence for _, sentence in FILES])
def test_a_file_that_is_no_estimator_says_what_it_is_and_what_to_do(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    (tmp_path / "e.joblib").write_bytes(data)
    ended = CliRunner().invoke(app, ["export", str(tmp_path / "e.joblib"), "-o", str(tmp_path / "m.json")])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert sentence in ended.stderr
    assert not (tmp_path / "m.json").exists()


def saved_by(version: str) -> bytes:
    return pickle.dumps(PLAIN).replace(sklearn.__version__.encode(), version.encode())


def test_the_version_that_trained_is_the_pickles_own() -> None:
    other = "9" + sklearn.__version__[1:]  # as long, so that the pickle stays whole
    assert pickles.load(saved_by(other), "e")[1] == other
    assert pickles.load(pickle.dumps(PLAIN), "e")[1] is None


def test_a_pickle_of_another_version_that_cannot_be_read_says_which_to_install() -> None:
    other = "9" + sklearn.__version__[1:]
    broken = pickle.dumps([PLAIN, Stranger()]).replace(b"Stranger", b"Vanished")
    with pytest.raises(
        Unsupported, match=rf"scikit-learn {other} saved it, .*`pip install scikit-learn=={other}`"
    ):
        pickles.load(broken.replace(sklearn.__version__.encode(), other.encode()), "e")


def test_the_card_tells_trained_on_from_held_out_beside_always_guessing(tmp_path: Path) -> None:
    joblib.dump(NAMED, tmp_path / "e.joblib")
    FRAME.assign(churned=Y).to_csv(tmp_path / "train.csv", index=False)
    FRAME[:8].assign(churned=Y[:8]).to_csv(tmp_path / "test.csv", index=False)
    files = [str(tmp_path / name) for name in ("e.joblib", "train.csv", "test.csv", "m.json")]
    arguments = ["export", files[0], "--data", files[1], "--holdout", files[2], "-o", files[3]]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    card = dict(facts(check(Path(files[3]).read_bytes())))
    accuracy = NAMED.score(FRAME, Y)
    assert card["Label column"] == "churned"
    assert f"accuracy {accuracy:.4g}" in card["Scores"]
    assert "on the rows that it was trained on; always guessing 1 has accuracy 0.75" in card["Scores"]
    assert "on 8 rows that it has not seen; always guessing 1 has accuracy 0.75" in card["Held out"]
    assert card["Parity"] == "checked on 20 rows when it was exported"
    assert card["Trained"].startswith(json.loads(Path(files[3]).read_bytes())["training"]["time"])


def test_labels_are_counted_as_they_are_and_not_as_they_are_answered() -> None:
    training = json.loads(export(PLAIN, X, Y))["training"]
    assert training["labels"] == np.bincount(Y).tolist()
    assert np.bincount(PLAIN.predict(X), minlength=2).tolist() != training["labels"]


def test_a_document_that_counts_nonsense_has_no_baseline() -> None:
    document = json.loads(export(PLAIN, X, Y))
    for labels in ([1], [0, 0], ["a", "b"], {"0": 1}, [-1, 2], [True, 2.5]):
        document["training"]["labels"] = labels
        card = dict(facts(check(json.dumps(document).encode())))
        assert "always guessing" not in card["Scores"]


def test_a_holdout_without_labels_or_without_data_is_a_sentence(tmp_path: Path) -> None:
    joblib.dump(NAMED, tmp_path / "e.joblib")
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    rows, estimator = str(tmp_path / "rows.csv"), str(tmp_path / "e.joblib")
    alone = CliRunner().invoke(app, ["export", estimator, "--holdout", rows, "-o", str(tmp_path / "m.json")])
    assert "--holdout needs --data" in alone.stderr
    both = ["export", estimator, "--data", rows, "--holdout", rows, "-o", str(tmp_path / "m.json")]
    assert "has no column of labels to score: --target names it" in CliRunner().invoke(app, both).stderr


def test_sentences_of_refused_rows_do_not_depend_on_the_names_of_columns() -> None:
    with pytest.raises(InvalidInput, match="X lacks the columns 'a', 'b', which"):
        export(NAMED, pd.DataFrame(X, columns=["x", "y"]))
