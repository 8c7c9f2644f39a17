"""The scientist's side: a fitted scikit-learn estimator becomes a model document, and is checked.

    from thimble import export, load
    Path("model.json").write_bytes(export(classifier, X, y, name="iris"))
    load("model.json").predict(X)

`thimble` has the two by an entry point of this package, so that it need not import it. Nothing here ships to
Lambda.
"""

from thimble_model.exporter import export
from thimble_model.loaded import Model, load
from thimble_model.unsupported import Unsupported

__all__ = ["Model", "Unsupported", "export", "load"]
