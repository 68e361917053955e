"""Broken relays, for the negative controls: copies of the package with a promise taken out, run as real processes."""

import shutil
from pathlib import Path

import relay

FENCE, VERSIONS = "return {'fenced'}", "if conflict then return current end"


def unfenced(folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return how to start a worker whose commits ask neither who holds the lane nor what has changed meanwhile."""
    copy = folder / "unfenced"
    shutil.copytree(Path(relay.__file__).parent, copy / "relay")
    script = copy / "relay" / "store" / "commit.lua"
    sound = script.read_text()
    assert FENCE in sound
    assert VERSIONS in sound
    script.write_text(sound.replace(FENCE, "local fence_is_off = true").replace(VERSIONS, ""))
    return ("-P", "-m", "relay", "worker"), {"PYTHONPATH": str(copy)}
