"""What exports and what is refused: `python -m thimble_infra.catalogue_page` writes it into the page."""

from pathlib import Path

from thimble_infra import page_blocks
from thimble_model import catalogue

PAGE = Path(__file__).parents[2] / "model/README.md"


def main() -> None:
    for name, lines in catalogue.tables().items():
        page_blocks.write(PAGE, name, lines)


if __name__ == "__main__":
    main()
