"""Every special address there is, in a network namespace where each of them answers: needs `ip` and `unshare`."""

import subprocess
import sys

import orjson


def test_no_callback_reaches_a_special_address_although_each_would_answer() -> None:
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-m", "tests.support.everywhere"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told = orjson.loads(done.stdout)

    assert told["addresses"] >= 50
    assert len(told["naive"]) >= 50  # who just connects does get there
    assert told["public"] == ["8.8.8.8"]  # and so does a callback to a public address
    assert told["forms"] >= 50
    assert (told["admitted"], told["reached"]) == ({}, [])
