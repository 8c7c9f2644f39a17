"""The entry point for files: S3 events, through SQS or directly. Wiring only."""

from functools import partial

from thimble import processors, settings
from thimble.files import events
from thimble.files.options import FileOptions
from thimble.files.pipeline import Pipeline, SplitPolicy
from thimble.registry import lookup
from thimble.split import execution

processors.keep_to_share()
_settings = settings.from_environment()
_models = lookup.folders(_settings)
_start = partial(execution.start, _settings.workflow_arn)
_pipeline = Pipeline(
    models=_models.get,
    results_uri=_settings.results_uri,
    options=FileOptions.of(**_settings.files),
    splitting=SplitPolicy(_settings.split_bytes, _start) if _settings.workflow_arn else None,
)
handler = events.handler(_pipeline.classify, partial(events.postpone, _settings.retry_seconds))
