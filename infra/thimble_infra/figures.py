"""The figures that costs are computed from: prices.json, by kind."""

import json
from pathlib import Path
from typing import Any

PRICES_FILE = Path(__file__).parent / "prices.json"
FIGURES: dict[str, dict[str, Any]] = json.loads(PRICES_FILE.read_bytes())
PRICES = FIGURES["prices"]
ASSUMED, MEASURED = (
    {name: figure["is"] for name, figure in FIGURES[kind].items()} for kind in ("assumed", "measured")
)
MONTH: int = ASSUMED["seconds_a_month"]
