"""Step Functions as a loop: what infra/workflow.asl.json does with the workflow's tasks."""

import json
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]
Task = Callable[[Answer], Answer]


def execute(call: Task, read: Callable[[str], bytes], bucket: str, key: str) -> list[Answer]:
    """All answers, the last of which is done or gone; `read` gives a manifest by its key."""
    answers = [call({"task": "plan", "bucket": bucket, "key": key})]
    while answers[-1]["outcome"] == "split":
        folder = answers[-1]["folder"]
        answers += finish(call, read, folder, answers[-1]["manifest"])
        if answers[-1]["outcome"] == "again":
            answers.append(call({"task": "plan", "bucket": bucket, "key": key}))
    return answers


def finish(
    call: Task, read: Callable[[str], bytes], folder: str, manifest: dict[str, str] | None
) -> list[Answer]:
    """Classify the ranges of a manifest, then assemble and repair for as long as it takes."""
    answers: list[Answer] = []
    while manifest:
        for item in json.loads(read(manifest["Key"])):
            answers.append(call(item))
            assert answers[-1] == {}
        answers.append(call({"task": "assemble", "folder": folder}))
        manifest = answers[-1].get("manifest")
    return answers
