"""The demo: a digest goes in, verdicts come out. Everything it makes goes into the folder build/demo."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MADE = ROOT / "build" / "demo"


def bakeoff(*words: str) -> None:
    """Run the command as a user would, after showing it."""
    print(f"\n$ bakeoff {' '.join(words)}", flush=True)
    subprocess.run([str(Path(sys.executable).parent / "bakeoff"), *words], check=True, cwd=ROOT)


if __name__ == "__main__":
    os.environ["BAKEOFF_HOME"] = str(MADE / "home")
    started = time.monotonic()
    jobs = str(min(2, os.cpu_count() or 1))
    bakeoff("read", "examples/digest.md")
    bakeoff("run", "tree_explainer", "--jobs", jobs)
    bakeoff("run", "siren", "--pairs", "8", "--jobs", jobs)
    bakeoff("run", "randomized_smoothing", "--data", "digits", "--jobs", jobs)
    print("\nThe verdicts:")
    bakeoff("verdicts")
    bakeoff("site", str(MADE / "site"))
    print(f"\nThat took {time.monotonic() - started:.0f} s. The site, with every curve and picture: {MADE / 'site' / 'index.html'}")
