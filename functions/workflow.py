"""The entry for large files: the tasks that Step Functions asks for. Wiring only."""

from functools import partial

from thimble import settings
from thimble.files.jobs import Options
from thimble.files.pipeline import Pipeline
from thimble.models import registry
from thimble.split import workflow

_settings = settings.from_environment()
_models = registry.models(_settings)
_pipeline = Pipeline(
    models=partial(registry.for_key, _models),
    results_uri=_settings.results_uri,
    options=Options(_settings.max_rejected_share, _settings.delimiter, _settings.quote, _settings.header),
)
_workflow = workflow.Workflow(
    _pipeline,
    documents=lambda key, version: _models.document(registry.name_for(_models, key), version),
    parts_uri=_settings.parts_uri,
    range_bytes=_settings.range_bytes,
)
handler = workflow.handler(_workflow)
