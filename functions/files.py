"""The entry for files: S3's events, through SQS or straight. Wiring only."""

from thimble import events, registry, settings
from thimble.pipeline import Options, Pipeline

_settings = settings.from_environment()
_models = registry.models(_settings)
_pipeline = Pipeline(
    models=lambda key: _models.get(),
    results_uri=_settings.results_uri,
    options=Options(_settings.max_rejected_share, _settings.delimiter, _settings.quote),
)
handler = events.handler(_pipeline.classify)
