"""Where the checkout and what tests read of it lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
FRONTENDS = ROOT / "tests" / "frontend"
