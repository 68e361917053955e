from relay.domain import circuit, registration, task
from tests.support.diagrams import PAGE, diagram, drawn


def test_the_state_diagrams_are_those_of_the_tables() -> None:
    page = PAGE.read_text()

    assert drawn(page) == page, "run `make docs`"
    assert diagram(task.MOVES) in page
    assert diagram(registration.MOVES) in page
    assert diagram(circuit.MOVES) in page
