"""The scientist's side: a fitted scikit-learn estimator becomes a model document, and is checked.

    from model import export
    Path("model.json").write_bytes(export(classifier, X, y, name="iris"))

Nothing here ships to Lambda.
"""

from model.exporter import export
from model.support import Unsupported

__all__ = ["Unsupported", "export"]
