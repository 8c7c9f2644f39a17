"""The scientist's side: a fitted scikit-learn estimator becomes a model document, and is checked.

    from thimble_model import export
    Path("model.json").write_bytes(export(classifier, X, y, name="iris"))

Nothing here ships to Lambda.
"""

from thimble_model.exporter import export
from thimble_model.unsupported import Unsupported

__all__ = ["Unsupported", "export"]
