"""Door one: from API Gateway's event to the answer of a protocol, and back.

gateway    the event;  `http` requests, routes and errors' statuses;  `routes` the application
protocols  a module each, imported when it is first spoken;  `media`, `bodies`, `codings` what bodies are in
tables     rows from whatever was sent, `tensors` among it;  `serving` the one place that classifies them
"""
