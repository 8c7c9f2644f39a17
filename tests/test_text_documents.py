"""Documents that read texts: bounded, and refused with the place of what is wrong."""

import json
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.door import MODELS, post, served, told
from tests.text_corpora import texts
from thimble.errors import InvalidModel
from thimble.inference.batch import Batch
from thimble.inference.classifier import load
from thimble.inference.steps import text_keys, text_patterns

VALIDATOR = Draft202012Validator(json.loads((MODELS / "schema.json").read_bytes()))
WORDS: dict[str, Any] = {
    "op": "text",
    "column": 0,
    "analyzer": "word",
    "lowercase": True,
    "token_pattern": r"(?u)\b\w\w+\b",
    "ngram_range": [1, 2],
    "terms": ["good", "bad", "not good"],
    "weights": [[1, -1, -2.5]],
}
HASHED: dict[str, Any] = {
    **{key: value for key, value in WORDS.items() if key not in ("terms", "token_pattern")},
    "analyzer": "char_wb",
    "hashing": {"n_features": 8, "alternate_sign": True, "buckets": [0, 3, 7]},
    "idf": [1, 2, 3, 1.5],
    "norm": "l1",
}


def document(step: dict[str, Any], **keys: Any) -> dict[str, Any]:
    found = {"types": ["free_text"], "steps": [step], "outputs": [1]}
    network: dict[str, Any] = {"coefs": [[[1.0]]], "intercepts": [[0.0]], "out_activation": "logistic"}
    return {
        "format": "thimble",
        "format_version": 1,
        "classes": ["-", "+"],
        **network,
        "preprocessing": found | keys,
    }


def refusal(found: dict[str, Any]) -> str:
    with pytest.raises(InvalidModel) as refused:
        load(json.dumps(found).encode())
    return str(refused.value)


@pytest.mark.parametrize("step", [WORDS, HASHED], ids=["words", "hashed"])
def test_a_document_may_be_written_by_hand(step: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(document(step))
    classifier = load(json.dumps(document(step)).encode())
    predictions = classifier.predict(Batch.of(classifier.features, [["Not good", "", "good bad"]]))
    assert not predictions.rejected


STEP = "preprocessing.steps[0]"
SIZES = "it is two sizes from 1 to 20, in order"
NOT_FREE = f"{STEP}.column is column 0, which holds no free text"
OF_ONE_VALUE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (WORDS, {"analyzer": "sentence"}, f'{STEP}.analyzer is "sentence"; use one of word, char, char_wb'),
    (WORDS, {"token_pattern": ...}, f"{STEP}.token_pattern is missing"),
    (WORDS, {"token_pattern": 5}, f"{STEP}.token_pattern is 5, not a string"),
    (HASHED, {"token_pattern": "a"}, f"{STEP}.token_pattern is of words alone; analyzer is char_wb"),
    (HASHED, {"stop_words": ["a"]}, f"{STEP}.stop_words is of words alone; analyzer is char_wb"),
    (WORDS, {"lowercase": 1}, f"{STEP}.lowercase is 1, not true or false"),
    (WORDS, {"strip_accents": "all"}, f'{STEP}.strip_accents is "all"; use one of unicode, ascii'),
    (WORDS, {"ngram_range": [0, 1]}, f"{STEP}.ngram_range is [0,1]; {SIZES}"),
    (
        WORDS,
        {"ngram_range": [1, 21]},
        f"{STEP}.ngram_range is [1,21]; {SIZES}",
    ),
    (WORDS, {"ngram_range": [1]}, f"{STEP}.ngram_range has 1 entries; 2 are needed"),
    (
        WORDS,
        {"ngram_range": [1, 2.5]},
        f"{STEP}.ngram_range is [1,2.5]; {SIZES}",
    ),
    (WORDS, {"stop_words": [1]}, f"{STEP}.stop_words[0] is 1, not a string"),
    (WORDS, {"unicode_version": 14}, f"{STEP}.unicode_version is 14, not a string"),
    (WORDS, {"terms": []}, f"{STEP}.terms is not a list with entries"),
    (WORDS, {"terms": ["a", None, "b"]}, f"{STEP}.terms[1] is null, not a string"),
    (WORDS, {"terms": ...}, f"{STEP}.terms is missing"),
    (WORDS, {"hashing": HASHED["hashing"]}, f"{STEP}.terms stands beside hashing; a text has one of them"),
    (WORDS, {"idf": "1"}, f"{STEP}.idf is not a list with entries"),
    (WORDS, {"norm": "l3"}, f'{STEP}.norm is "l3"; use one of l1, l2, max'),
    (WORDS, {"above": -1}, f"{STEP}.above is -1; it is 0 or more: most terms are not there"),
    (WORDS, {"weights": []}, f"{STEP}.weights is not a list with entries"),
    (WORDS, {"weights": [[]]}, f"{STEP}.weights[0] is not a list with entries"),
    (WORDS, {"weights": [[1, "2", 3]]}, f"{STEP}.weights[0][1] is not a number"),
    (WORDS, {"colour": "red"}, f'{STEP}."colour" is not a key of text'),
    (HASHED, {"hashing": 5}, f"{STEP}.hashing is not an object"),
    (
        HASHED,
        {"hashing": {**HASHED["hashing"], "seed": 1}},
        f'{STEP}.hashing."seed" is not a key of hashing',
    ),
    (
        HASHED,
        {"hashing": {**HASHED["hashing"], "n_features": 2**31}},
        f"{STEP}.hashing.n_features is 2147483648; it is 1 to 2147483647",
    ),
    (
        HASHED,
        {"hashing": {**HASHED["hashing"], "buckets": [-1, 3]}},
        f"{STEP}.hashing.buckets has an entry that is no whole number from 0 to 7",
    ),
]
TOGETHER: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (WORDS, {"ngram_range": [2, 1]}, f"{STEP}.ngram_range is [2,1]; {SIZES}"),
    (WORDS, {"terms": ["a", "b", "a"]}, f'{STEP}.terms[2] repeats "a"'),
    (WORDS, {"idf": [1, 2]}, f"{STEP}.idf has 2 entries; 3 are needed"),
    (HASHED, {"idf": [1, 2, 3]}, f"{STEP}.idf has 3 entries; 4 are needed"),
    (WORDS, {"weights": [[1, 2, 3, 4]]}, f"{STEP}.weights[0] has 4 entries; the most is 3"),
    (WORDS, {"weights": [[1, 2], [3]]}, f"{STEP}.weights[1] has 1 numbers, but {STEP}.weights[0] has 2"),
    (WORDS, {"column": 1}, f"{STEP}.column[0] is 1; there are columns 0 to 0"),
    (
        HASHED,
        {"hashing": {**HASHED["hashing"], "buckets": [0, 8]}},
        f"{STEP}.hashing.buckets has an entry that is no whole number from 0 to 7",
    ),
    (
        HASHED,
        {"hashing": {**HASHED["hashing"], "buckets": [3, 3, 7]}},
        f"{STEP}.hashing.buckets[1] is not above the bucket before it",
    ),
    (WORDS, {"weights": [[0.0]] * 9000}, f"{STEP} costs "),
    (WORDS, {"token_pattern": "("}, f"{STEP}.token_pattern is no regular expression: "),
]


def changed(step: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    keys = {**deepcopy(step), **changes}
    return document({key: value for key, value in keys.items() if value is not ...})


@pytest.mark.parametrize(
    ("step", "changes", "sentence"), OF_ONE_VALUE, ids=[sentence[22:70] for *_, sentence in OF_ONE_VALUE]
)
def test_schema_and_reader_refuse_what_one_value_shows(
    step: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    assert refusal(changed(step, changes)) == sentence
    assert not VALIDATOR.is_valid(changed(step, changes))


@pytest.mark.parametrize(
    ("step", "changes", "sentence"), TOGETHER, ids=[sentence[22:70] for *_, sentence in TOGETHER]
)
def test_the_reader_refuses_what_does_not_fit_together(
    step: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    assert refusal(changed(step, changes)).startswith(sentence)
    assert VALIDATOR.is_valid(changed(step, changes))


def test_free_text_is_read_by_its_step_alone_and_never_missing() -> None:
    for type_ in ("number", "text"):
        assert refusal(document(WORDS, types=[type_])) == NOT_FREE
    scaled = {"op": "scale", "columns": [0], "add": [1]}
    assert refusal(document(scaled)) == f"{STEP}.columns[0] is column 0, which holds text"
    assert (
        refusal(document(WORDS, outputs=[0])) == "preprocessing.outputs has a column that is not of numbers"
    )
    sentence = "preprocessing.missing has 0, which is free text: it is never missing"
    assert refusal(document(WORDS, missing=[0])) == sentence


def test_a_vocabulary_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_keys, "MAX_TERMS", 2)
    assert refusal(document(WORDS)) == f"{STEP}.terms has 3 entries; the most is 2"


QUICK = [
    r"(?u)\b\w\w+\b",
    r"(?u)\b\w+\b",
    r"\b[a-zA-Z]{3,}\b",
    r"\b\w[\w']+\b",
    r"(?i)[a-z]+",
    r"\S+",
    r"[^\W\d_]+",
    r"\w+|[^\w\s]",
    r"(?:\w+|\$[\d.]+|\S+)",
    r"\w+(?:'\w+)?",
    r"#\w+|@\w+|\w+",
    r"\b(\w\w+)\b",
    r"(?:[A-Z]\.)+|\w+",
    r"\w{2,15}",
    r"[\u4e00-\u9fff]",
    r"(?s).",
    "",
]
SLOW = {
    r"(\w+)+": "a quantifier within a quantifier",
    r"(?:\w+\s?)*": "a quantifier within a quantifier",
    r"(?:a{1,9}){1,9}b": "a quantifier within a quantifier",
    r"(?:a|a)*b": "a repeat of alternatives",
    r"(?:a|ab)+": "a repeat of alternatives",
    r"(?:(?:a|b+)c)*": "a quantifier within a quantifier",
    r"(?:)*": "a repeat of alternatives, or of what may be empty",
    r"(\w)\1": "a backreference",
    r"(a)?(?(1)b|c)": "a backreference",
    r"\w+(?=x)": "lookaround",
    r"(?!x)\w+": "lookaround",
    r"(?<=x)\w+": "lookaround",
    r"(?<!x)\w+": "lookaround",
    r"\w+x": "a repeat without an end before what may fail",
    r"\w+@\w+": "a repeat without an end before what may fail",
    r".*.*.*x": "a repeat without an end before what may fail",
    r"\w*?x": "a repeat without an end before what may fail",
    r"[ab](?:b+x)?": "a repeat without an end before what may fail",
    r"\b[\w-]+x\b": "a repeat without an end before what may fail",
    r"(?:a|b)\w+\b": "a repeat without an end before what may fail",
    r"\w{1,900}x": "more than 100 ways through its repeats",
    r"\w{1,20}\w{1,20}x": "more than 100 ways through its repeats",
    r"\w{5000}": "alternatives that look at 5,001 characters",
    "|".join(["ab", "ac", "bc", "bd"] * 80): "more than 200 ways through its alternatives",
    r"(?>\w+)": "a construct that is not read",
    r"\w++": "a construct that is not read",
    "x" * 1001: "1,001 characters, and the most is 1,000",
    r"(\w)(\w)": "more than one group",
    "(?:a)?" * 160 + "x": "more than 100 ways through its repeats",
    "(?:" * 300 + "a+" + ")?" * 300 + "x": "",
}


@pytest.mark.parametrize("pattern", QUICK)
def test_patterns_of_a_time_in_proportion_to_the_text_are_read(pattern: str) -> None:
    assert text_patterns.compiled(pattern, "it").pattern == pattern


@pytest.mark.parametrize("pattern", SLOW, ids=[f"{pattern[:20]}" for pattern in SLOW])
def test_patterns_that_may_take_long_are_refused_unseen(pattern: str) -> None:
    step = {**WORDS, "token_pattern": pattern}
    assert refusal(document(step)).startswith(
        f"{STEP}.token_pattern has {SLOW[pattern]}" if SLOW[pattern] else STEP
    )


def test_a_model_that_reads_texts_is_served_with_its_card() -> None:
    app = served((MODELS / "messages.json").read_bytes())
    found = told(post("/classify", {"instances": ["my card was charged twice", *texts("emoji", 3)]}, app))
    assert found["predictions"][0]["label"] == "payment"
