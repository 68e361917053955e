"""The scrape file, as Prometheus itself reads it: needs `promtool` of Debian's package `prometheus`."""

import subprocess
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "deploy" / "prometheus" / "prometheus.yml"


def test_prometheus_accepts_the_scrape_file() -> None:
    command = ["promtool", "check", "config", str(CONFIG)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
