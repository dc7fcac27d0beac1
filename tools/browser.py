"""See that Chromium is on this machine, for the tests of the site; install Debian's package where that is possible."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")

if not any(shutil.which(name) for name in NAMES):
    if os.geteuid() or not shutil.which("apt-get"):
        sys.exit("The tests of the site need Chromium.\nInstall it with your package manager, for example: sudo apt-get install chromium")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-qq", *step], check=True, stdout=subprocess.DEVNULL, env=quiet)
