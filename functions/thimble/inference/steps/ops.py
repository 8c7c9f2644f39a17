"""All steps by their name in a document: each op has a class, and a line in OPS. Imported when needed."""

from __future__ import annotations

from collections.abc import Mapping

from thimble.inference.steps import arithmetic, categories, classify, curves, splines, sums, text, trees
from thimble.inference.steps.columns import Step, StepFields

OPS: Mapping[str, type[Step]] = {
    "impute": arithmetic.Impute,
    "coalesce": arithmetic.Coalesce,
    "encode": categories.Encode,
    "one_hot": categories.OneHot,
    "embed": categories.Embed,
    "bins": curves.Bins,
    "scale": arithmetic.Scale,
    "linear": arithmetic.Linear,
    "normalize": arithmetic.Normalize,
    "product": arithmetic.Product,
    "quotient": arithmetic.Quotient,
    "constant": arithmetic.Constant,
    "quantiles": curves.Quantiles,
    "power": curves.Power,
    "spline": splines.Spline,
    "interpolate": curves.Interpolate,
    "function": arithmetic.Function,
    "require": arithmetic.Require,
    "forest": trees.Forest,
    "text": text.Text,
    "classify": classify.Classify,
    "sum": sums.Sum,
    "votes": sums.Votes,
}


def parse(fields: StepFields) -> Step:
    """Read a step of the document. Raises InvalidModel, which says what is wrong with it."""
    op = fields.choice("op", OPS)
    fields.require_known(("op", *OPS[op].KEYS), op)
    return OPS[op](fields)
