"""Schemathesis, which nobody here wrote, reads /openapi.json of a running relay and tries to prove it wrong."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.stand import stand

KEY = "everything"
EXAMPLES = 15
ROOT = Path(__file__).parents[2]
CHECKS = {"SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis_checks", "PYTHONPATH": str(ROOT)}
OUR_OWN = "positive_data_acceptance,use_after_free"  # in their place are those of schemathesis_checks.py
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.timeout(400)
async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    keys = f"tester[register+read+admin]:{KEY}"
    async with stand("--durations", "fixed:0.1", RELAY_API_KEYS=keys) as site:
        api, _ = await site.start("api"), await site.start("worker")
        trial = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(CONFIG),
            "run", f"{api.url}/openapi.json",
            "--header", f"Authorization: Bearer {KEY}", "--header", f"x-api-key: {KEY}",
            "--checks", "all", "--exclude-checks", OUR_OWN, "--max-examples", str(EXAMPLES),
            "--request-timeout", "10", "--no-color", "--warnings", "off", "--report-dir", str(tmp_path),
            cwd=tmp_path, env=os.environ | CHECKS, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        told, _ = await trial.communicate()
    assert trial.returncode == 0, told.decode()
