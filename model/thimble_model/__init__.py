"""The scientist's side: export a fitted scikit-learn estimator as a model document, and check it.

    from thimble import export, load
    Path("model.json").write_bytes(export(classifier, X, y, name="iris"))
    load("model.json").predict(X)

`thimble` finds these two functions by this package's entry points, so it need not import the package. Nothing
here ships to Lambda.
"""

from thimble_model.exporter import export
from thimble_model.loaded import Model, load
from thimble_model.unsupported import Unsupported

__all__ = ["Model", "Unsupported", "export", "load"]
