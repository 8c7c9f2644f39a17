"""Check a document for `thimble check`: load it, describe it, and compare it with its estimator."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thimble.inference.classifier import Classifier, load
from thimble.inference.document import Document
from thimble.inference.features import Feature
from thimble.inference.forest import Forest
from thimble.inference.head import Head, label_text
from thimble.inference.network import Network
from thimble.inference.outputs import Output
from thimble.inference.steps.columns import listed
from thimble.tables.card import abilities, measured
from thimble_model import wrappers
from thimble_model.describe import described, quoted
from thimble_model.frames import Table, as_table, called
from thimble_model.parity import Parity, parity
from thimble_model.sets import LEVELS, fewest
from thimble_model.unsupported import Unsupported

if TYPE_CHECKING:
    from rich.table import Table as Grid

BARS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 40
MOST_FEATURES = 20
MOST_SPLITS = 8
TOLD = {"explain": "why it answers so", "what_if": "what would change it"}


@dataclass(frozen=True)
class Check:
    """A loaded document, and its comparison with the estimator if there is one."""

    classifier: Classifier
    size: int
    pickle_size: int | None
    parity: Parity | None


def check(data: bytes, estimator: Any = None, table: Table | None = None) -> Check:
    """Load the document and compare it with the estimator on `table`, or else on the document's examples.

    Raises InvalidModel if the document does not load.
    """
    classifier = load(data)
    if estimator is None:
        return Check(classifier, len(data), pickle_size=None, parity=None)
    _require_pair(classifier, estimator)
    rows = example_rows(classifier.document)
    if table is None and rows is not None:
        table = as_table(estimator, rows)
    return Check(
        classifier,
        len(data),
        pickle_size=len(pickle.dumps(estimator)),
        parity=None if table is None else parity(classifier, estimator, table),
    )


def _require_pair(classifier: Classifier, estimator: Any) -> None:
    """Raise unless the two have the same features, outputs and classes, so that their answers compare."""
    names, classes = classifier.feature_names, wrappers.classes(estimator)
    if names:
        _require_same("features", called(estimator, names) or names, names)
    n_features = getattr(estimator, "n_features_in_", classifier.n_features)
    _require_same("features", range(n_features), range(classifier.n_features))
    outputs = [one.tolist() for one in (classes if isinstance(classes, list) else [classes])]
    _require_same("outputs", range(len(outputs)), range(len(classifier.heads)))
    for theirs, head in zip(outputs, classifier.heads, strict=True):
        _require_same("classes", theirs, head.classes)


def _require_same(kind: str, theirs: Sequence[Any], ours: Sequence[Any]) -> None:
    if len(theirs) != len(ours):
        raise Unsupported(
            f"The document is of another estimator: it has {len(ours)} {kind}, this one {len(theirs)}"
        )
    for one, other in zip(theirs, ours, strict=True):
        if one != other:
            raise Unsupported(
                f"The document is of another estimator: {other!r} among its {kind} is {one!r} in this one"
            )


def example_rows(document: Document) -> list[list[Any]] | None:
    """Return the examples as rows for an estimator, with NaN for a missing number; None if there are none."""
    if document.examples is None:
        return None
    return [
        [
            (np.nan if value is None else float(value)) if feature.numeric else value
            for feature, value in zip(document.schema.features, row, strict=True)
        ]
        for row in document.examples.rows
    ]


def card(found: Check) -> Grid:
    """Return the check as a table for the terminal."""
    from rich.table import Table as Grid  # only the command line has rich
    from rich.text import Text

    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for title, text in facts(found):
        grid.add_row(title, Text(text))  # rich would read brackets in names as markup
    return grid


def facts(found: Check) -> list[tuple[str, str]]:
    """Return the card's lines as (title, text); lines without a text are left out."""
    classifier, document, price = found.classifier, found.classifier.document, found.classifier.document.cost
    prepared = [("", line) for line in described(document)]
    lines = [
        ("Model", document.name or "(no name)"),
        ("Digest", classifier.digest),
        ("Size", _size(found)),
        ("Features", _features(classifier)),
        *([("Prepared", prepared[0][1]), *prepared[1:]] if prepared else []),
        *(_of(output.head, "Layers", _layers(output)) for output in document.outputs),
        *(_of(output.head, "Trees", _trees(output)) for output in document.outputs),
        *(_of(output.head, "Splits", _shares(split_shares(document, output))) for output in document.outputs),
        *(_of(output.head, "Gain", _shares(gain_shares(document, output))) for output in document.outputs),
        *(_of(head, "Labels", _labels(head)) for head in classifier.heads),
        *(_of(head, "Threshold", _threshold(head)) for head in classifier.heads),
        *(_of(head, "Abstains", _abstention(head)) for head in classifier.heads),
        *(_of(head, "Sets", _sets(head)) for head in classifier.heads),
        *(_of(output.head, "Can tell", _tells(document, output)) for output in document.outputs),
        ("Label column", ", ".join(map(quoted, document.training.get("target", [])))),
        ("Cost", f"{price.multiplications:,} multiplications and {price.numbers:,} numbers a row"),
        ("Trained", _trained(document)),
        ("Scores", _scores(classifier, document.training, "on the rows that it was trained on")),
        ("Held out", _held_out(classifier)),
        *(_of(head, "Calibration", _error(curve)) for head, curve in _calibrations(classifier)),
        ("Loss", _loss(document)),
        ("Examples", _examples(document)),
        ("Parity", _parity(found)),
    ]
    return [(title, text) for title, text in lines if text]


def card_as_json(found: Check) -> dict[str, Any]:
    """Return the content of the card for a script."""
    classifier, document = found.classifier, found.classifier.document
    return {
        "name": document.name,
        "digest": classifier.digest,
        "bytes": found.size,
        "features": [
            feature._asdict() | {"categories": sorted(feature.categories)} for feature in classifier.features
        ],
        "outputs": [
            {
                "name": output.head.name,
                "classes": list(output.head.classes),
                **output.head.card,
                **abilities(document, output),
            }
            for output in document.outputs
        ],
        "training": dict(document.training),
        "calibration": [
            {"output": head.name, "rows": sum(curve["rows"]), "error": curve["error"]}
            for head, curve in _calibrations(classifier)
        ],
        "baseline": _baselines(classifier),
        "splits": [split_shares(document, output) for output in document.outputs],
        "gain": [gain_shares(document, output) for output in document.outputs],
        "examples": len(document.examples.rows) if document.examples else 0,
        "parity": None if found.parity is None else asdict(found.parity) | {"holds": found.parity.holds},
    }


def _baselines(classifier: Classifier) -> dict[str, float]:
    """Return the share of the commonest label, which is the accuracy of always guessing it."""
    training = classifier.document.training
    parts = {"training": training, "held_out": training.get("held_out", {})}
    shares = {name: _commonest(classifier, part) for name, part in parts.items()}
    return {name: share[1] for name, share in shares.items() if share}


def _commonest(classifier: Classifier, measured: Mapping[str, Any]) -> tuple[str, float] | None:
    counts = _counts(measured.get("labels"), len(classifier.heads[0].classes))
    if len(classifier.heads) > 1 or not counts:
        return None
    most = max(range(len(counts)), key=counts.__getitem__)
    return classifier.heads[0].texts[most], counts[most] / sum(counts)


def _counts(found: Any, n: int) -> list[int]:
    """Return the counts of n classes; [] if the document has something else in their place."""
    whole = isinstance(found, list) and all(isinstance(count, int) and count >= 0 for count in found)
    return found if whole and len(found) == n and sum(found) else []


def _scores(classifier: Classifier, measured: Mapping[str, Any], of: str) -> str:
    scores = ", ".join(f"{key} {value:.4g}" for key, value in measured.get("scores", {}).items())
    if not scores or "rows" not in measured:
        return scores
    found = _commonest(classifier, measured)
    guess = f"; always guessing {quoted(found[0])} has accuracy {found[1]:.4g}" if found else ""
    return f"{scores} {of}{guess}"


def _held_out(classifier: Classifier) -> str:
    measured = classifier.document.training.get("held_out")
    if not isinstance(measured, dict) or "rows" not in measured:
        return ""
    return _scores(classifier, measured, f"on {measured['rows']:,} rows that it has not seen")


def _parity(found: Check) -> str:
    if found.parity is not None:
        return str(found.parity)
    rows = found.classifier.document.training.get("rows")
    return f"checked on {rows:,} rows when it was exported" if isinstance(rows, int) else ""


def _features(classifier: Classifier) -> str:
    if not classifier.feature_names:
        return f"{classifier.n_features}, by position"
    names = [_feature(feature) for feature in classifier.features]
    shown = names if len(names) <= MOST_FEATURES else [*names[: MOST_FEATURES - 2], "...", names[-1]]
    return f"{len(names)}: {', '.join(shown)}"


def _feature(feature: Feature) -> str:
    """A feature in words, such as: island [text, may be missing]."""
    about = [feature.type] if feature.type != "number" else []
    if feature.missing and feature.type != "unused":
        about.append("may be missing")
    name = quoted(feature.name)
    return f"{name} [{', '.join(about)}]" if about else name


def _size(found: Check) -> str:
    text = f"{found.size:,} bytes"
    if found.pickle_size is None:
        return text
    times = found.pickle_size / found.size
    return f"{text}; the estimator's pickle has {found.pickle_size:,}, {times:.1f} times as many"


def _of(head: Head, title: str, text: str) -> tuple[str, str]:
    return (title, f"{head.name}: {text}" if head.name else text)


def _labels(head: Head) -> str:
    return ", ".join(map(quoted, head.texts)) + (" (any number of them a row)" if head.multilabel else "")


def _threshold(head: Head) -> str:
    """The threshold in words, such as: yes from a probability of 0.3 on."""
    own = head.card.get("own_threshold")
    return f"{quoted(label_text(own['positive']))} from a {own['of']} of {own['value']:g} on" if own else ""


def _abstention(head: Head) -> str:
    """The abstention in words, such as: no label below a probability of 0.8."""
    of = "probability" if head.has_probabilities else "score"
    return "" if head.abstain_below is None else f"no label below a {of} of {head.abstain_below:g}"


def _sets(head: Head) -> str:
    """The sets in words, such as: hold the truth 90 % or 95 % of the time, by 60 rows (99 % takes 99)..."""
    known = head.conformal
    if known is None:
        return ""
    levels = [_percent(level) for level in known.levels]
    more = [f"{_percent(level)} takes {fewest(level)}" for level in LEVELS if level not in known.levels]
    always = [
        f"{', '.join(quoted(head.texts[k]) for k in classes)} at {level}"
        for level, classes in zip(levels, known.card["always"], strict=True)
        if classes
    ]
    rows = f"{known.rows:,} rows" + (f" ({', '.join(more)})" if more else "")
    but = f", but in every such set, of too few rows: {'; '.join(always)}" if always else ""
    return f"hold the truth {' or '.join(levels)} of the time, by {rows}; each class's too{but}"


def _tells(document: Document, output: Output) -> str:
    """The output's abilities in words: why it answers so (explain), what would change it (what_if)."""
    can = abilities(document, output)["can"]
    return ", ".join(f"{what} ({key})" for key, what in TOLD.items() if key in can)


def _percent(level: float) -> str:
    return f"{100 * level:g} %"


def _calibrations(classifier: Classifier) -> Iterator[tuple[Head, Mapping[str, Any]]]:
    """Yield each output's calibration curve on held-out rows, if it has one."""
    document = classifier.document
    found = measured(document, document.training.get("held_out"))
    for head, judged in zip(document.heads, found["outputs"] if found else (), strict=False):
        curve = judged["calibration"]
        if curve and curve["error"] is not None:
            yield head, curve


def _error(curve: Mapping[str, Any]) -> str:
    """The curve in words, such as: expected error 0.021, on 500 rows that it has not seen."""
    return f"expected error {curve['error']:.2g}, on {sum(curve['rows']):,} rows that it has not seen"


def _layers(output: Output) -> str:
    """The network in words, such as: 4 → 10 relu → 3 softmax; 83 parameters."""
    network = output.scorer
    if not isinstance(network, Network):
        return ""
    widths = [len(W) for W in network.weights]
    hidden = [f"{width} {network.activation}" for width in widths[:-1]]
    parameters = sum(W.size for W in network.weights) + sum(widths)
    last = f"{widths[-1]} {output.head.out_activation}"
    chain = " → ".join([str(network.n_inputs), *hidden, last])
    return f"{chain}; {parameters:,} parameters"


def _trees(output: Output) -> str:
    """The forest in words, such as: 100 trees, 5,034 nodes, 12 levels."""
    card = output.scorer.card
    if "trees" not in card:
        return ""
    return f"{card['trees']:,} trees, {card['nodes']:,} nodes, {card['depth']:,} levels"


def _shares(shares: Mapping[str, float]) -> str:
    """Shares in words, such as: body_mass_g 31 %, bill_depth_mm 25 %, island 2 %."""
    shown = [f"{quoted(name)} {share:.0%}".replace("%", " %") for name, share in shares.items()]
    more = [f"{len(shown) - MOST_SPLITS} more"] if len(shown) > MOST_SPLITS else []
    return ", ".join([*shown[:MOST_SPLITS], *more])


def split_shares(document: Document, output: Output) -> dict[str, float]:
    """Return each feature's share of a forest's splits, the largest first; {} if it is not a forest.

    A preprocessed column counts under the name of the features behind it.
    """
    forest = output.scorer
    return _by_name(document, forest.splits.tolist()) if isinstance(forest, Forest) else {}


def gain_shares(document: Document, output: Output) -> dict[str, float]:
    """Return each feature's share of the training gain likewise; {} if the trainer did not keep it."""
    forest = output.scorer
    if not isinstance(forest, Forest) or forest.gain is None:
        return {}
    return _by_name(document, forest.gain.tolist())


def _by_name(document: Document, amounts: Sequence[float]) -> dict[str, float]:
    program, found = document.preprocessing, defaultdict[str, float](float)
    inputs = [program.names[i] for i in listed(program.outputs)] if program else _names(document)
    for name, amount in zip(inputs, amounts, strict=True):
        found[name] += amount
    total, largest = sum(found.values()), sorted(found, key=found.__getitem__, reverse=True)
    return {name: found[name] / total for name in largest if found[name]} if total else {}


def _names(document: Document) -> list[str]:
    return [feature.name for feature in document.schema.features]


def _trained(document: Document) -> str:
    about = document.training
    versions = [f"{library} {version}" for library, version in about.get("versions", {}).items()]
    rows = [f"on {about['rows']:,} rows"] if "rows" in about else []
    epochs = [f"in {document.history['n_iter']:,} iterations"] if "n_iter" in document.history else []
    return ", ".join([*([about["time"]] if "time" in about else []), *rows, *epochs, *versions])


def _loss(document: Document) -> str:
    curve = [value for value in document.history.get("loss_curve") or () if isinstance(value, int | float)]
    return f"{sparkline(curve)} {curve[0]:.3g} to {curve[-1]:.3g}" if curve else ""


def sparkline(values: list[float]) -> str:
    """Return the curve as a line of block characters."""
    step = max(1, -(-len(values) // SPARKLINE_WIDTH))
    shown = values[::step]
    low, span = min(shown), max(shown) - min(shown)
    return "".join(BARS[int((value - low) / span * (len(BARS) - 1)) if span else 0] for value in shown)


def _examples(document: Document) -> str:
    return (
        f"{len(document.examples.rows)} rows, reproduced"
        if document.examples
        else "none: nothing proves the model"
    )
