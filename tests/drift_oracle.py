"""Drift on shifted penguins beside evidently and nannyml: `make oracle`, in an environment of their own.

Given the bins of our reference as categories, evidently's PSI and nannyml's distance have to be ours. Given
the columns as they are, each bins in its own way and leaves missing values out: what it says then is shown.
"""

import logging
from importlib.metadata import version
from typing import Any

from evidently.legacy.calculations.stattests import psi_stat_test
from evidently.legacy.core import ColumnType
from nannyml.chunk import DefaultChunker
from nannyml.drift.univariate.methods import FeatureType, MethodFactory
from nannyml.thresholds import ConstantThreshold

from tests.test_drift import PENGUINS, SHIFTS, TABLE, binned, reported

WITHIN = 1e-6  # reports are rounded to six places


def psi(reference: Any, now: Any, kind: ColumnType) -> float:
    return float(psi_stat_test(reference, now, kind, 0.1).drift_score)


def jensen_shannon(reference: Any, now: Any, kind: FeatureType) -> float:
    """The method alone: its calculator wants timestamps and chunks."""
    method = MethodFactory.create(
        "jensen_shannon", kind, chunker=DefaultChunker(), threshold=ConstantThreshold(upper=0.1)
    )
    return float(method.fit(reference.rename("x")).calculate(now.rename("x")))


def main() -> None:
    logging.disable()
    print(
        f"evidently {version('evidently')}, nannyml {version('nannyml')}; in brackets: each with its own bins"
    )
    print(f"{'shift':<20} {'feature':<18} {'PSI':>9} {'evidently':>21} {'JS':>9} {'nannyml':>21}  drifted")
    worst = 0.0
    for shift, table in SHIFTS.items():
        found = reported(PENGUINS, table)
        for name, entry in found["features"].items():
            ours = binned(entry, TABLE[name]).astype(str), binned(entry, table[name]).astype(str)
            same = psi(*ours, ColumnType.Categorical), jensen_shannon(*ours, FeatureType.CATEGORICAL)
            number = "edges" in entry
            raw = TABLE[name].dropna(), table[name].dropna()
            own = (
                psi(*raw, ColumnType.Numerical if number else ColumnType.Categorical),
                jensen_shannon(*raw, FeatureType.CONTINUOUS if number else FeatureType.CATEGORICAL),
            )
            worst = max(worst, abs(same[0] - entry["psi"]), abs(same[1] - entry["js"]))
            print(
                f"{shift:<20} {name:<18} {entry['psi']:9.6f} {same[0]:9.6f} ({own[0]:9.6f})"
                f" {entry['js']:9.6f} {same[1]:9.6f} ({own[1]:9.6f})  {name in found['drifted']}"
            )
    print(f"largest difference {worst:.1e}")
    if worst > WITHIN:
        raise SystemExit("the distances differ")


if __name__ == "__main__":
    main()
