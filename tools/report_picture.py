"""Makes the picture of docs/report.md: `python tools/report_picture.py`. Needs a Chromium, which opens a report."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from fallline.cli import main
from fallline.report import write

OUT = Path(__file__).parent.parent / "docs" / "pictures" / "report.png"
# Pixels of the page, of which the picture has this share; the section at its top.
WIDTH, HEIGHT, SHARE, SECTION = 1110, 1500, 0.6, "curves"


def picture(out: Path) -> None:
    """Train on digits, report, and photograph the page. Errors: SystemExit where there is no browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        raise SystemExit(f"no browser: none of {', '.join(names)} is there")
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "digits"
        if main(["train", "digits", "--out", str(run)]):
            raise SystemExit("digits could not be trained on")
        page = write(run)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 f"--user-data-dir={scratch}/profile", f"--window-size={WIDTH},{HEIGHT}",
                 f"--force-device-scale-factor={SHARE}", f"--screenshot={out}"]  # fmt: skip
        # Of a long page only what is below the section's top is wanted.
        text = page.read_text(encoding="utf-8")
        hidden = f"<style>header, nav, section:not(#{SECTION}):not(#{SECTION} ~ section) {{ display: none; }}</style>"
        page.write_text(text.replace("</head>", hidden + "</head>"), encoding="utf-8")
        subprocess.run([browser, *flags, page.as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    picture(OUT)
