"""The image's health check: whether the process that this container runs answers, an API or a worker.

Its argument is the process to look at: 1 in a container, where nothing else runs.
"""  # noqa: INP001 - it is copied into the image, and belongs to no package

import os
import sys
import urllib.request
from pathlib import Path

command = Path(f"/proc/{sys.argv[1]}/cmdline").read_bytes().split(b"\0")
setting, usual = ("RELAY_METRICS_PORT", "9464") if b"worker" in command else ("RELAY_PORT", "8080")
urllib.request.urlopen(f"http://127.0.0.1:{os.environ.get(setting) or usual}/healthz", timeout=2)
