"""Predictions as people get them: labels with their own type, and a probability for each class."""

from __future__ import annotations

from typing import Any

from thimble.classifier import Classifier, Predictions


def answers(classifier: Classifier, predictions: Predictions) -> list[dict[str, Any]]:
    """One answer a row, in order."""
    if classifier.multilabel:
        return _multilabel_answers(classifier, predictions)
    classes, texts = classifier.classes, classifier.class_texts
    return [
        {"label": classes[k], "probability": p[k], "probabilities": dict(zip(texts, p, strict=True))}
        for k, p in zip(predictions.label_indices.tolist(), predictions.probabilities.T.tolist(), strict=True)
    ]


def _multilabel_answers(classifier: Classifier, predictions: Predictions) -> list[dict[str, Any]]:
    texts = classifier.class_texts
    return [
        {"labels": labels, "probabilities": dict(zip(texts, p, strict=True))}
        for labels, p in zip(
            label_sets(classifier, predictions), predictions.probabilities.T.tolist(), strict=True
        )
    ]


def label_sets(classifier: Classifier, predictions: Predictions) -> list[list[Any]]:
    """Of each row of a multilabel model, the labels that apply, in the classes' order."""
    classes = classifier.classes
    return [
        [label for label, applies in zip(classes, row, strict=True) if applies]
        for row in predictions.label_mask.T.tolist()
    ]


def card(classifier: Classifier) -> dict[str, Any]:
    """What the model is: names, features, labels, layers, training history."""
    document = classifier.document
    return {
        "name": classifier.name,
        "digest": classifier.digest,
        "classes": list(classifier.classes),
        "multilabel": classifier.multilabel,
        "n_features_in": classifier.n_features,
        "feature_names_in": list(classifier.feature_names) if classifier.feature_names else None,
        "layers": [document.n_features_in, *(len(b) for b in document.intercepts)],
        "activation": document.activation,
        "out_activation": document.out_activation,
        "training": {**document.training, **document.history},
    }


def identity(classifier: Classifier) -> dict[str, str]:
    """What every answer says of the model that gave it."""
    return {"name": classifier.name, "digest": classifier.digest}
