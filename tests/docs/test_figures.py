"""The tool that measures the figures in decisions: it starts, and knows every figure they name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_figure_that_is_quoted_can_be_measured() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "figures.py")], capture_output=True, text=True, check=True
    )
    known = {line.split()[0] for line in done.stdout.splitlines()}
    texts = [path.read_text(encoding="utf-8") for path in [ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]]
    quoted = {name for text in texts for name in re.findall(r"python tools/figures\.py (\w+)", text)}
    assert quoted and quoted <= known
