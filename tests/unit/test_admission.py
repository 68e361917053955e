"""Which deliveries may begin, and what their ends let begin."""

from relay.domain.admission import FEWEST, MAX_HOSTS, Admission, Delivery, Limits
from relay.domain.delivery import Outcome, Reply

OK = Reply(Outcome.DELIVERED, 200)
HUNG = Reply(Outcome.TIMEOUT, duration_s=15.0)
HOST = "https://receiver.example.com"
LIMITS = Limits(host=4, client=8, account=16, process=32)


def delivery(number: int, host: str = HOST, *, client: str = "alice", account: str = "default") -> Delivery:
    return Delivery(f"reg_{number}", host, client, account)


def hosts(count: int) -> list[str]:
    return [f"https://{number}.example.com" for number in range(count)]


def an_admission(*known: str) -> Admission:
    """Return an admission to which these hosts have answered."""
    admission = Admission(LIMITS)
    for number, host in enumerate(known):
        one = delivery(-number - 1, host)
        assert admission.begin(one, now=0.0) is None
        assert ended(admission, one) == []
    return admission


def ended(admission: Admission, one: Delivery, reply: Reply | None = OK, *, now: float = 0.0) -> list[Delivery]:
    return admission.ended(one, reply, pause_s=None, now=now)


def begun(admission: Admission, deliveries: list[Delivery]) -> list[Delivery]:
    """Offer them; return those that begin, the others wait."""
    started = []
    for one in deliveries:
        place = admission.begin(one, now=0.0)
        if place is None:
            started.append(one)
        else:
            admission.wait(one, place)
    return started


def test_a_new_host_gets_one_attempt_and_once_it_has_answered_four() -> None:
    admission, crowd = an_admission(), [delivery(number) for number in range(9)]
    assert begun(admission, crowd) == crowd[:1]
    assert ended(admission, crowd[0]) == crowd[1:5]
    assert ended(admission, crowd[1]) == crowd[5:6]


def test_a_host_that_failed_gets_one_attempt_at_a_time() -> None:
    admission, crowd = an_admission(HOST), [delivery(number) for number in range(9)]
    assert begun(admission, crowd) == crowd[:4]
    for one in crowd[:3]:
        assert ended(admission, one, HUNG) == []
    assert ended(admission, crowd[3], HUNG) == crowd[4:5]


def test_a_host_that_is_paused_gets_none_until_the_pause_is_over_and_then_one() -> None:
    admission, crowd = an_admission(HOST), [delivery(number) for number in range(9)]
    begun(admission, crowd)
    asked = Reply(Outcome.THROTTLED, 429)
    assert admission.ended(crowd[0], asked, pause_s=5.0, now=1.0) == []
    assert admission.slowed == {HOST}
    assert admission.next_resume_at() == 6.0
    assert [ended(admission, one, None, now=2.0) for one in crowd[1:4]] == [[], [], []]
    assert admission.resumed(now=5.9) == []
    assert admission.resumed(now=6.0) == crowd[4:5]
    assert ended(admission, crowd[4], now=6.0) == crowd[5:9]
    assert admission.slowed == set()


def test_unproven_hosts_hold_at_most_half_of_a_clients_room() -> None:
    known = hosts(8)
    admission = an_admission(*known)
    unknown = [delivery(number, f"https://hung{number}.example.com") for number in range(9)]
    assert begun(admission, unknown) == unknown[:4]
    well = [delivery(100 + number, host) for number, host in enumerate(known)]
    assert begun(admission, well) == well[:4]
    assert ended(admission, unknown[0], HUNG) == well[4:5]
    assert ended(admission, well[0]) == well[5:6]


def test_hosts_that_failed_last_leave_room_to_those_that_were_never_tried() -> None:
    admission = an_admission()
    for number in range(4):
        [one] = begun(admission, [delivery(number, f"https://hung{number}.example.com")])
        ended(admission, one, HUNG)
    failing = [delivery(10 + number, f"https://hung{number}.example.com") for number in range(4)]
    assert begun(admission, failing) == failing[:2]
    unknown = [delivery(20 + number, f"https://new{number}.example.com") for number in range(4)]
    assert begun(admission, unknown) == unknown[:2]
    assert ended(admission, unknown[0]) == unknown[2:3]
    assert ended(admission, failing[0], HUNG) == unknown[3:4]


def test_those_of_a_host_that_has_just_answered_wait_among_the_hung_no_more() -> None:
    admission = an_admission()
    hung = [delivery(number, f"https://hung{number}.example.com") for number in range(5)]
    assert begun(admission, hung) == hung[:4]
    crowd = [delivery(10 + number, client="bob" if number == 0 else "alice") for number in range(3)]
    assert begun(admission, crowd) == crowd[:1]
    assert ended(admission, crowd[0]) == crowd[1:]


def test_one_client_leaves_room_to_the_others() -> None:
    known = hosts(8)
    admission = an_admission(*known)
    flood = [delivery(number, known[number % 4]) for number in range(50)]
    assert len(begun(admission, flood)) == LIMITS.client
    other = [delivery(100 + number, known[4 + number % 4], client="bob") for number in range(4)]
    assert begun(admission, other) == other


def test_a_client_that_makes_the_others_run_late_has_less_room_until_its_own_run_in_time() -> None:
    *known, last = hosts(9)
    admission = an_admission(*known, last)
    crowd = [delivery(number, known[number % 8]) for number in range(40)]
    under_way = begun(admission, crowd)
    other = delivery(100, last, client="bob")
    assert (len(under_way), begun(admission, [other])) == (LIMITS.client, [other])

    admission.started(under_way[0], late_s=0.05)  # its own lateness is nobody else's
    [following] = ended(admission, under_way.pop())
    under_way.append(following)
    for _ in range(20):
        admission.started(other, late_s=0.05)
    while len(under_way) > FEWEST:
        assert ended(admission, under_way.pop()) == []
    under_way += ended(admission, under_way.pop())
    assert len(under_way) == FEWEST

    for _ in range(101):
        admission.started(under_way[0], late_s=0.001)
    under_way += ended(admission, under_way.pop())
    assert len(under_way) == FEWEST + 2


def test_whoever_waits_at_one_host_is_served_in_turn_whichever_lane_it_came_from() -> None:
    admission = an_admission(HOST)
    crowd = [delivery(number, client=str(number), account=f"a{number % 2}") for number in range(8)]
    begun(admission, crowd)
    assert [ended(admission, one) for one in crowd[:4]] == [[one] for one in crowd[4:]]


def test_a_freed_place_goes_first_to_those_whom_the_crowd_of_one_host_kept_waiting() -> None:
    known = hosts(3)
    admission = an_admission(*known)
    crowd = [delivery(number, known[number % 2]) for number in range(10)]
    begun(admission, crowd)
    kept = delivery(100, known[2])
    assert begun(admission, [kept]) == []
    assert ended(admission, crowd[0])[0] == kept


def test_what_an_ending_lane_withdraws_begins_no_more_and_the_others_keep_their_turn() -> None:
    admission = an_admission(HOST)
    crowd = [delivery(number, account=f"a{number % 2}") for number in range(8)]
    begun(admission, crowd)
    assert admission.waiting(HOST, "a0") == 2
    assert admission.withdraw("a0") == [(HOST, crowd[4]), (HOST, crowd[6])]
    assert (admission.waiting(HOST, "a0"), admission.waiting(HOST, "a1")) == (0, 2)
    assert [ended(admission, one) for one in crowd[:3]] == [[crowd[5]], [crowd[7]], []]


def test_an_attempt_that_was_broken_off_frees_its_place_and_says_nothing_of_the_host() -> None:
    admission = an_admission()
    first, second = delivery(1), delivery(2)
    begun(admission, [first, second])
    assert ended(admission, first, None) == [second]
    assert admission.slowed == set()


def test_only_so_many_hosts_are_remembered_and_those_in_use_are() -> None:
    admission = an_admission(HOST)
    busy = delivery(0)
    begun(admission, [busy])
    for number in range(MAX_HOSTS + 10):
        [one] = begun(admission, [delivery(number + 1, f"https://{number}.example.com")])
        ended(admission, one)
    assert len(admission._hosts) <= MAX_HOSTS + 1
    assert HOST in admission._hosts
