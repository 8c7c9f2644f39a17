"""What the `thimble` command starts: the command line, or a sentence that says how to install it."""

import sys

EXTRA = "thimble-ml[cli]"


def main() -> None:
    try:
        from thimble_infra.cli import app
    except ModuleNotFoundError as error:
        sys.exit(missing(error))
    app()


def missing(error: ModuleNotFoundError) -> str:
    return f"thimble: the command needs {error.name}, which is not installed: pip install '{EXTRA}'"


if __name__ == "__main__":
    main()
