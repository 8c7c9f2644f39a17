"""A forest whose sums become columns, for an ensemble of forests, such as a calibrated one."""

from __future__ import annotations

from thimble.inference.arrays import FloatArray
from thimble.inference.network import OUT_ACTIVATIONS
from thimble.inference.steps.columns import Step, StepFields, Table, selection


class Forest(Step):
    KEYS = ("columns", "forest", "out_activation", "temperature")

    def __init__(self, fields: StepFields) -> None:
        from thimble.inference import forest_keys  # few pipelines need it

        columns = fields.columns()
        self.scorer = forest_keys.parse(fields.value("forest"), fields.at("forest"))
        fields.check_length("columns", len(columns), self.scorer.n_inputs)
        self.card = self.scorer.card
        self._reads = selection(columns)
        activation = fields.choice("out_activation", OUT_ACTIVATIONS)
        self._activate = OUT_ACTIVATIONS[activation]
        self.adds_up = activation == "identity" and "temperature" not in fields
        self._temperature = fields.finite("temperature") or 1.0
        self._declare([columns], self.scorer.n_outputs, self.scorer.cost)

    def fill(self, table: Table, out: FloatArray) -> None:
        out[:] = self.scorer.scores(table.numbers[self._reads])
        if self._temperature != 1.0:
            out /= self._temperature
        self._activate(out)
