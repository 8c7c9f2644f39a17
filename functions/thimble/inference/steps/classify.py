"""A classifier whose answers become columns, such as a member of an ensemble."""

from __future__ import annotations

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference import cost, outputs
from thimble.inference.arrays import FloatArray
from thimble.inference.cost import Cost
from thimble.inference.fields import Fields, check_distinct
from thimble.inference.steps.columns import Step, StepFields, Table, no_number, selection

GIVES = ("label", "probabilities", "logits")


class Classify(Step):
    """Append the answers of a classifier: `label`, the index of the winning class, or in a multilabel output
    1 or 0 per class; `probabilities`, or scores, one per class; `logits`, its numbers before the activation.
    """

    KEYS = ("columns", "classifier", "gives")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        self.output = outputs.one(Fields(fields.value("classifier"), fields.at("classifier")))
        head, scorer = self.output
        fields.check_length("columns", len(columns), scorer.n_inputs)
        self.gives = _gives(fields)
        self.reads, self.names = selection(columns), [fields.names[column] for column in columns]
        n_classes = len(head.classes)
        widths = {
            "label": n_classes if head.multilabel else 1,
            "probabilities": n_classes,
            "logits": scorer.n_outputs,
        }
        width = sum(widths[kind] for kind in self.gives)
        own = Cost(cost.OUTPUT + cost.COLUMN * (len(columns) + width), len(columns) + n_classes)
        self._declare([columns], width, cost.in_turn((own, cost.beside(scorer.cost, len(columns)))))

    def fill(self, table: Table, out: FloatArray) -> None:
        head, scorer = self.output
        X = table.numbers[self.reads]
        if not scorer.takes_missing:
            table.reject_where(np.isnan(X), lambda i: no_number(self.names[i]))
        logits = scorer.scores(X)
        kept = logits.copy() if "logits" in self.gives else logits  # deciding overwrites them
        scores, faults = head.decide(logits, X.shape[1])
        answers = {
            "label": scores.mask if head.multilabel else scores.labels[np.newaxis],
            "probabilities": scores.probabilities,
            "logits": kept,
        }
        np.concatenate([answers[kind] for kind in self.gives], out=out, casting="unsafe")
        for row, fault in faults.items():
            table.reject(row, fault)
            out[:, row] = 0.0  # later steps would take NaN for a missing value


def _gives(fields: StepFields) -> tuple[str, ...]:
    found, path = fields.items("gives"), fields.at("gives")
    for i, kind in enumerate(found):
        if not isinstance(kind, str) or kind not in GIVES:
            raise InvalidModel(f"{path}[{i}] is not one of {', '.join(GIVES)}")
    check_distinct(found, path)
    return tuple(found)
