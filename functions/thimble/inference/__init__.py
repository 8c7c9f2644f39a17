"""The document and what it computes: pure, of numpy and orjson alone."""
