"""Read rows from bytes and write answers as bytes: one reader and one writer for each format."""
