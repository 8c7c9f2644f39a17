"""The entry point for large files: the tasks of the Step Functions workflow. Wiring only."""

from thimble import processors, settings
from thimble.files.options import FileOptions
from thimble.files.pipeline import Pipeline
from thimble.registry import lookup
from thimble.split import tasks

processors.keep_to_share()
_settings = settings.from_environment()
_models = lookup.folders(_settings)
_pipeline = Pipeline(
    models=_models.get,
    results_uri=_settings.results_uri,
    options=FileOptions.of(**_settings.files),
)
_workflow = tasks.Workflow(
    _pipeline,
    documents=_models.document,
    parts_uri=_settings.parts_uri,
    range_bytes=_settings.range_bytes,
)
handler = tasks.handler(_workflow)
