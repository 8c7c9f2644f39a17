"""Bytes to rows, and answers to bytes: one reader and one writer a format."""
