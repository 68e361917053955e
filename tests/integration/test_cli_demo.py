"""`relay demo`, from one end to the other."""

import pytest

from tests.support.commands import ended


@pytest.mark.timeout(120)
def test_the_demo_delivers_each_callback_once_and_stays_within_the_limit() -> None:
    done = ended("demo", "--tasks", 20, "--json", port="not a port: the demo reads no settings")
    assert (done.code, done.err) == (0, "")
    figures = done.json
    assert (figures["ok"], figures["problems"]) == (True, [])
    assert (figures["delivered_once"], figures["delivered_again"], figures["not_delivered"]) == (20, 0, 0)
    assert (figures["refused"], figures["signatures_refused"]) == (0, 0)
    assert figures["worst_window"] <= 25
    one = figures["one"]
    assert one["submitted_at"] < one["final_at"] <= one["detected_at"] + 0.001 < one["delivered_at"] + 0.002


@pytest.mark.timeout(120)
def test_the_demo_tells_one_task_in_the_order_of_its_life() -> None:
    done = ended("demo", "--tasks", 1)
    assert (done.code, done.err) == (0, "")
    story = done.out.partition("At once")[0]
    words = ("submitted", "registered", "poll 1 ", "ended", "detected", "callback", "In all")
    places = [story.index(word) for word in words]
    assert places == sorted(places)
    assert done.out.endswith("All as promised.\n")
