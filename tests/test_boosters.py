"""Bare boosters, and the files that trainers write themselves, give the trainer's own numbers."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from tests.test_forests import made, rows_around
from thimble.errors import ThimbleError
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble_infra import modelling
from thimble_infra.cli import app
from thimble_model import export
from thimble_model.check import card_as_json, check, facts, split_shares
from thimble_model.frames import as_batch

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
pytestmark = pytest.mark.filterwarnings("ignore")

Rows = NDArray[np.float64]
LABELS = ["no", "yes", "perhaps"]


def xgb(X: Any, y: Any, **keys: Any) -> Any:
    n = int(max(y)) + 1
    told = {"objective": "binary:logistic"} if n == 2 else {"objective": "multi:softprob", "num_class": n}
    rows = xgboost.DMatrix(X, y, enable_categorical=True)
    return xgboost.train({"nthread": 1, **told, **keys}, rows, 4)


def lgb(X: Any, y: Any, **keys: Any) -> Any:
    n = int(max(y)) + 1
    told = {"objective": "binary"} if n == 2 else {"objective": "multiclass", "num_class": n}
    return lightgbm.train({"verbose": -1, "num_threads": 1, **told, **keys}, lightgbm.Dataset(X, y), 4)


def cat(X: Any, y: Any, kind: str = "CatBoost", **keys: Any) -> Any:
    told = {"loss_function": "Logloss" if max(y) < 2 else "MultiClass", "iterations": 4, "depth": 3}
    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1}
    parameters = {**told, **quiet, **keys}
    model = catboost.CatBoost(parameters) if kind == "CatBoost" else getattr(catboost, kind)(**parameters)
    return model.fit(X, y)


def _xgboosts(booster: Any, X: Any) -> Any:
    return booster.predict(xgboost.DMatrix(X, enable_categorical=True))


def _catboosts(booster: Any, X: Any) -> Any:
    return booster.predict(X, prediction_type="Probability")


def _lightgbms(booster: Any, X: Any) -> Any:
    return booster.predict(X)


Train = Callable[..., Any]
Ask = Callable[[Any, Any], Any]
KINDS: dict[str, tuple[Train, Ask, tuple[str, ...], float]] = {
    "xgboost": (xgb, _xgboosts, (".json", ".ubj"), 0.0),
    "lightgbm": (lgb, _lightgbms, (".txt",), 2.3e-16),
    "catboost": (cat, _catboosts, (".cbm", ".json"), 2.3e-16),
}
FILES = [(name, extension) for name, (_, _, extensions, _) in KINDS.items() for extension in extensions]


def save(booster: Any, path: Path) -> Path:
    is_catboosts = isinstance(booster, catboost.CatBoost)
    booster.save_model(str(path), **({"format": path.suffix[1:]} if is_catboosts else {}))
    return path


def answers(classifier: Classifier, X: Rows) -> tuple[Rows, list[Any]]:
    found = classifier.predict(Batch.of(classifier.features, X.T))
    assert not found.rejected
    labels = [classifier.heads[0].classes[k] for k in found.outputs[0].labels]
    return found.outputs[0].probabilities.T, labels


def assert_answers(data: bytes, told: Any, X: Rows, within: float) -> None:
    """A booster of two classes tells the second's probability."""
    likely = np.column_stack([1 - told, told]) if told.ndim == 1 else told
    found, labels = answers(load(data), X)
    np.testing.assert_allclose(found, likely.astype(np.float64), rtol=0, atol=within)
    assert labels == [LABELS[k] for k in likely.argmax(axis=1)]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("n_classes", [2, 3])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), missing=st.booleans())
def test_a_bare_booster_answers_as_it_predicts(name: str, n_classes: int, seed: int, missing: bool) -> None:
    train, ask, _, within = KINDS[name]
    X, y, _weights = made(seed, n_classes, missing)
    booster = train(X, y)
    data = export(booster, X, classes=LABELS[:n_classes])
    rows = rows_around(orjson.loads(data), X.shape[1], seed, missing)
    assert_answers(data, ask(booster, rows), rows, within)


def test_the_label_itself_is_an_objective_too() -> None:
    X, y, _ = made(0, 3, False)
    booster, other = (xgb(X, y, objective=objective) for objective in ("multi:softmax", "multi:softprob"))
    data = export(booster, X, classes=LABELS)
    assert_answers(data, _xgboosts(other, X), X, 0.0)
    assert answers(load(data), X)[1] == [LABELS[int(k)] for k in _xgboosts(booster, X)]


def test_each_against_all_is_lightgbms_too() -> None:
    X, y, _ = made(0, 3, False)
    booster = lgb(X, y, objective="multiclassova")
    assert_answers(export(booster, X, classes=LABELS), booster.predict(X), X, 2.3e-16)


def test_a_booster_that_stopped_early_answers_with_its_best_iteration(tmp_path: Path) -> None:
    X, y, _ = made(3, 2, True)
    known, new = xgboost.DMatrix(X[:80], y[:80]), xgboost.DMatrix(X[80:], y[80:])
    told = {"objective": "binary:logistic", "nthread": 1}
    booster = xgboost.train(
        told, known, 60, evals=[(new, "new")], early_stopping_rounds=3, verbose_eval=False
    )
    best = booster.predict(xgboost.DMatrix(X), iteration_range=(0, booster.best_iteration + 1))
    assert booster.num_boosted_rounds() > booster.best_iteration + 1
    assert_answers(export(booster, X, classes=LABELS[:2]), best, X, 0.0)
    stopped = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=3)
    stopped.fit(X[:80], y[:80], eval_set=[(X[80:], y[80:])], verbose=False)
    data = exported(save(stopped, tmp_path / "stopped.json"), "--classes", "no,yes")
    assert_answers(data, stopped.predict_proba(X), X, 0.0)
    light = lightgbm.train(
        {"objective": "binary", "verbose": -1},
        lightgbm.Dataset(X[:80], y[:80]),
        60,
        valid_sets=[lightgbm.Dataset(X[80:], y[80:])],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
    )
    assert_answers(export(light, X, classes=LABELS[:2]), light.predict(X), X, 2.3e-16)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("in_file", [False, True])
def test_a_boosters_categories_are_the_texts_that_were_trained_on(
    name: str, in_file: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=300)})
    table["town"] = pd.Categorical(rng.choice(np.array(["Ulm", "Bonn", "Trier", "Kiel", None], object), 300))
    table["zone"] = pd.Categorical(rng.integers(3, 20, 300))
    y = np.asarray((table["town"].cat.codes + table["zone"].cat.codes + rng.integers(0, 4, 300)) % 3)
    train, ask, extensions, within = KINDS[name]
    booster = train(table, y)
    if in_file:
        data = exported(save(booster, tmp_path / f"m{extensions[0]}"), "--classes", ",".join(LABELS))
    else:
        data = export(booster, table, np.array(LABELS)[y], classes=LABELS)
    classifier = load(data)
    assert [feature.type for feature in classifier.features] == ["number", "text", "number"]
    assert list(classifier.feature_names or ()) == ["x", "town", "zone"]
    found = classifier.predict(as_batch(classifier.features, table))
    told = np.asarray(ask(booster, table), np.float64)
    np.testing.assert_allclose(found.outputs[0].probabilities.T, told, rtol=0, atol=within)


def thimble(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


def exported(path: Path, *arguments: str) -> bytes:
    """The document, written without a word of unpickling."""
    output = path.with_name("document.json")
    ended = thimble("export", str(path), *arguments, "-o", str(output))
    assert ended.exit_code == 0, ended.output
    assert "npickling" not in ended.output
    return output.read_bytes()


@pytest.mark.parametrize(("name", "extension"), FILES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_trainers_own_file_exports_with_its_classes_said(
    name: str, extension: str, n_classes: int, tmp_path: Path
) -> None:
    train, ask, _, within = KINDS[name]
    X, y, _ = made(5, n_classes, False)
    columns = [f"c{i}" for i in range(X.shape[1])]
    table = pd.DataFrame(X, columns=columns)
    booster = train(table, y)
    path, rows = save(booster, tmp_path / f"m{extension}"), tmp_path / "rows.csv"
    table.assign(answer=np.array(LABELS)[y]).to_csv(rows, index=False)
    said = ("--classes", ",".join(LABELS[:n_classes]))
    for more in ((), ("--data", str(rows), "--target", "answer")):
        data = exported(path, *said, *more)
        assert_answers(data, ask(booster, table), X, within)
        assert list(load(data).feature_names or ()) == columns
    assert orjson.loads(data)["training"]["rows"] == len(X)
    output = tmp_path / "document.json"
    given = thimble("export", "-", *said, "-o", str(output), given=path.read_bytes())
    assert given.exit_code == 0, given.output
    checked = thimble("check", str(output), "--estimator", str(path), "--data", str(rows))
    assert checked.exit_code == 0, checked.output
    assert "120 rows: the same labels" in checked.stdout


def test_a_pickled_booster_exports_with_its_classes_said(tmp_path: Path) -> None:
    X, y, _ = made(5, 2, False)
    booster = lgb(X, y)
    joblib.dump(booster, tmp_path / "m.joblib")
    ended = thimble(
        "export", str(tmp_path / "m.joblib"), "--classes", "no,yes", "-o", str(tmp_path / "m.json")
    )
    assert ended.exit_code == 0, ended.output
    assert_answers((tmp_path / "m.json").read_bytes(), booster.predict(X), X, 2.3e-16)


@pytest.mark.parametrize("extension", [".cbm", ".json"])
def test_catboosts_file_says_its_classes_itself(extension: str, tmp_path: Path) -> None:
    X, y, _ = made(5, 3, False)
    estimator = cat(X, y, "CatBoostClassifier").copy().fit(X, np.array(LABELS)[y])
    loaded = catboost.CatBoostClassifier().load_model(
        str(save(estimator, tmp_path / f"m{extension}")), format=extension[1:]
    )
    assert list(load(export(loaded)).heads[0].classes) == sorted(LABELS)
    data = exported(save(estimator, tmp_path / f"m{extension}"))
    assert list(load(data).heads[0].classes) == sorted(LABELS)
    found, labels = answers(load(data), X)
    np.testing.assert_allclose(found, estimator.predict_proba(X), rtol=0, atol=2.3e-16)
    assert labels == np.ravel(estimator.predict(X)).tolist()


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("no,yes", ["no", "yes"]),
        ("0,1,2", [0, 1, 2]),
        ("-1,2.5", [-1, 2.5]),
        ("false,true", [False, True]),
        ("01,02", ["01", "02"]),
        ("1,b", ["1", "b"]),
        ("1,true", ["1", "true"]),
        ("1,null", ["1", "null"]),
        ("1,NaN", ["1", "NaN"]),
        ('"a,b",c', ["a,b", "c"]),
    ],
)
def test_classes_are_said_as_a_line_of_a_table(text: str, labels: list[Any]) -> None:
    found = modelling.labels(text)
    assert (found, list(map(type, found))) == (labels, list(map(type, labels)))


def plain(n_classes: int = 2) -> tuple[Rows, Any]:
    X, y, _ = made(0, n_classes, False)
    return X, y


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: export(xgb(*plain())), r"a bare Booster knows .* classes=\[\.\.\.\], or --classes A,B"),
    (lambda: export(lgb(*plain())), r"a bare Booster knows .* classes=\[\.\.\.\], or --classes A,B"),
    (lambda: export(xgb(*plain()), classes=LABELS), "tells 2 classes apart, and 3 are said: name all 2"),
    (lambda: export(xgb(*plain(3)), classes=LABELS[:2]), "tells 3 classes apart, and 2 are said: name all 3"),
    (lambda: export(lgb(*plain(3)), classes=LABELS[:2]), "tells 3 classes apart, and 2 are said: name all 3"),
    (lambda: export(cat(*plain(3)), classes=LABELS[:1]), "tells 3 classes apart, and 1 are said: name all 3"),
    (lambda: export(xgb(*plain()), classes=["a", "a"]), "classes"),
    (lambda: export(xgb(*plain()), classes="no,yes"), "classes is 'no,yes': pass a list of labels"),
    (lambda: export(xgb(*plain()), classes=2), "classes is 2: pass a list of labels"),  # type: ignore[arg-type]
    (
        lambda: export(xgb(*plain(), objective="reg:squarederror"), classes=LABELS[:2]),
        "reg:squarederror; .*train",
    ),
    (lambda: export(lgb(*plain(), objective="regression"), classes=LABELS[:2]), "regression; .*train"),
    (lambda: export(cat(*plain(), loss_function="RMSE"), classes=LABELS[:2]), "RMSE; .*train"),
    (lambda: export(xgb(*plain(), booster="gblinear"), classes=LABELS[:2]), "gblinear; supported is gbtree"),
    (
        lambda: export(cat(*plain(), kind="CatBoostClassifier"), classes=LABELS[:2]),
        "CatBoostClassifier has its own: leave them out",
    ),
    (lambda: export(lgb(*plain()), plain()[0][:, :2], classes=LABELS[:2]), "X has 2 columns, .* fitted on 6"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_what_a_booster_cannot_be_is_said_with_what_to_do(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ThimbleError, match=sentence):
        call()


CONTENTS: list[tuple[bytes, str]] = [
    (b'{"learner": {}}', "is no whole file of xgboost's, .*: save it anew with save_model"),
    (b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", "is no whole file of xgboost's"),
    (b"tree\nversion=v4\n", "is no whole file of lightgbm's"),
    (b"CBM1rest", "is no whole file of catboost's"),
    (b'{"features_info": 3, "oblivious_trees": 3}', "is no whole file of catboost's"),
    (
        b'{"name": "tree"}',
        "is a JSON document, not an estimator .* nor what XGBoost, LightGBM or CatBoost save",
    ),
    (b'{"learner": ', "is a JSON document, not an estimator"),
]


@pytest.mark.parametrize(("content", "sentence"), CONTENTS, ids=[sentence for _, sentence in CONTENTS])
def test_a_file_that_no_trainer_reads_is_a_sentence(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(content)
    command = ["export", str(tmp_path / "m.model"), "--classes", "a,b", "-o", str(tmp_path / "m.json")]
    ended = thimble(*command)
    assert ended.exit_code == 1, ended.output
    assert re.search(sentence, " ".join(ended.stderr.split()))
    assert not (tmp_path / "m.json").exists()


def test_a_trainer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = save(lgb(*plain()), tmp_path / "m.txt")
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    ended = thimble("export", str(path), "--classes", "a,b", "-o", str(tmp_path / "m.json"))
    assert (ended.exit_code, "`pip install lightgbm`" in ended.stderr) == (1, True)


@pytest.mark.parametrize(("name", "extension"), FILES)
def test_a_trainers_own_file_is_read_without_unpickling(name: str, extension: str, tmp_path: Path) -> None:
    X, y = plain()
    path = save(KINDS[name][0](X, y), tmp_path / f"m{extension}")
    script = (
        "import pickle, sys; from pathlib import Path; from thimble_model import boosters\n"
        "def refuse(*arguments, **keys): raise SystemExit('unpickled')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = refuse\n"
        "found = boosters.opened(Path(sys.argv[1]).read_bytes(), 'm', ['no', 'yes'])\n"
        "print(found.n_features_in_)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.returncode) == ("6\n", 0), run.stderr


IMPORTANCE: dict[str, Callable[[Any], dict[str, dict[str, float]]]] = {
    "xgboost": lambda booster: {
        "splits": booster.get_score(importance_type="weight"),
        "gain": booster.get_score(importance_type="total_gain"),
    },
    "lightgbm": lambda booster: {
        "splits": dict(zip(booster.feature_name(), booster.feature_importance("split"), strict=True)),
        "gain": dict(zip(booster.feature_name(), booster.feature_importance("gain"), strict=True)),
    },
}


@pytest.mark.parametrize("name", IMPORTANCE)
def test_the_card_has_splits_and_gain_as_the_trainer_says_them(name: str) -> None:
    X, y, _ = made(5, 3, True)
    table = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    booster = KINDS[name][0](table, y)
    card = card_as_json(check(export(booster, table, classes=LABELS)))
    for key, theirs in IMPORTANCE[name](booster).items():
        (found,) = card[key]
        total = sum(theirs.values())
        assert found == pytest.approx({name: n / total for name, n in theirs.items() if n}, rel=2e-3)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_forest_without_gain_has_none_in_its_card() -> None:
    X, y, _ = made(5, 3, True)
    found = check(export(cat(X, y), X, classes=LABELS))
    assert card_as_json(found)["gain"] == [{}]
    assert "Gain" not in dict(facts(found))


def test_splits_are_of_the_features_behind_a_pipelines_columns() -> None:
    document = load((Path(__file__).parents[1] / "model/sexes.json").read_bytes()).document
    found = split_shares(document, document.outputs[0])
    assert set(found) <= set(document.schema.names or ())
    assert next(iter(found)) == "body_mass_g"
    assert sum(found.values()) == pytest.approx(1.0)
