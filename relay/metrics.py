"""Every metric. Labels come only from closed sets and exist from the first scrape; never an id, never a URL."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from relay import __version__
from relay.collectors import KINDS, ByAccount, Waiting
from relay.domain.backlog import HintOutcome
from relay.domain.delivery import Outcome
from relay.domain.destination import Verdict
from relay.domain.registration import DeathReason

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


WAITING = Waiting()
REGISTRY.register(WAITING)
BY_ACCOUNT = ByAccount()
REGISTRY.register(BY_ACCOUNT)

_NETWORK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 8, 15)
_LAG_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600)
_LIFE_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 43_200)

REGISTRATIONS_TOTAL = Counter(
    "relay_registrations_total", "Registrations asked for, by what became of the wish.", ["outcome"], registry=REGISTRY
)
UPSTREAM_HINTS = Counter(
    "relay_upstream_hints_total",
    "Metrics calls, by whether they told more than the polls had.",
    ["outcome"],
    registry=REGISTRY,
)
UPSTREAM_DURATION = Histogram(
    "relay_upstream_request_duration_seconds",
    "Time from a call's send to its answer.",
    buckets=_NETWORK_S,
    registry=REGISTRY,
)
UPSTREAM_OVERSPENT = Counter(
    "relay_upstream_overspent_total",
    "Polls sent although the window was full by our own count: never, or a refusal for rate may be of our own making.",
    registry=REGISTRY,
)
GATE_WAIT = Histogram(
    "relay_upstream_gate_wait_seconds",
    "Time for which a poll that was due waited for its slot and for the account's gate.",
    buckets=_LAG_S,
    registry=REGISTRY,
)
POLLS_PER_TASK = Histogram(
    "relay_polls_per_task",
    "Usable answers until a task was settled.",
    buckets=(1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 233, 987),
    registry=REGISTRY,
)
DETECTION_LAG = Histogram(
    "relay_detection_lag_seconds",
    "Time between the last poll that said pending and the one that said final: an upper bound.",
    buckets=_LAG_S,
    registry=REGISTRY,
)
REGISTRATION_TO_FINAL = Histogram(
    "relay_registration_to_final_seconds",
    "Time from a task's first registration to its final answer.",
    buckets=_LIFE_S,
    registry=REGISTRY,
)
FINAL_TO_FIRST_ATTEMPT = Histogram(
    "relay_final_to_first_attempt_seconds",
    "Time from the final answer to the first attempt to deliver it: what the relay answers for, whatever receivers do.",
    buckets=_LAG_S,
    registry=REGISTRY,
)
FINAL_TO_DELIVERED = Histogram(
    "relay_final_to_delivered_seconds",
    "Time from the final answer, or from the registration if that came later, to the receiver's 2xx.",
    buckets=_LAG_S,
    registry=REGISTRY,
)
REGISTRATION_TO_DELIVERED = Histogram(
    "relay_registration_to_delivered_seconds",
    "Time from a registration to the receiver's 2xx.",
    buckets=_LIFE_S,
    registry=REGISTRY,
)
DELIVERY_ATTEMPTS = Counter(
    "relay_delivery_attempts_total", "Attempts to POST a callback, by how each ended.", ["outcome"], registry=REGISTRY
)
DELIVERY_DURATION = Histogram(
    "relay_delivery_attempt_duration_seconds",
    "Time that an attempt took, name resolution and answer included.",
    buckets=_NETWORK_S,
    registry=REGISTRY,
)
DELIVERIES_DEAD = Counter(
    "relay_deliveries_dead_total", "Registrations given up, by the reason.", ["reason"], registry=REGISTRY
)
DESTINATIONS_REFUSED = Counter(
    "relay_destinations_refused_total",
    "Callback URLs that the relay does not call, when registered and when due, by the verdict.",
    ["verdict"],
    registry=REGISTRY,
)
CONDEMNED = Counter(
    "relay_condemned_total",
    "Tasks and deliveries given up since three workers in a row died of trying them, by the lane's kind.",
    ["kind"],
    registry=REGISTRY,
)
UNREADABLE = Counter(
    "relay_unreadable_records_total",
    "Readings of a record that is damaged or missing: what waits for it rests, and everything else goes on.",
    ["kind"],
    registry=REGISTRY,
)
LANES_FAILED = Counter(
    "relay_lanes_failed_total",
    "Lanes that ended in an error that nobody expected, by kind.",
    ["kind"],
    registry=REGISTRY,
)
DELIVERIES_UNDER_WAY = Gauge(
    "relay_deliveries_under_way", "Attempts to POST a callback that this process has begun.", registry=REGISTRY
)
CIRCUITS_OPEN = Gauge(
    "relay_circuits_open",
    "Hosts that this process tries one at a time with pauses between, as they fail again and again or asked for it.",
    registry=REGISTRY,
)
LEASE_RECLAIMS = Counter(
    "relay_lease_reclaims_total", "Lanes taken over from a holder that did not hand them back.", registry=REGISTRY
)
FENCED_COMMITS = Counter(
    "relay_fenced_commits_total", "Writes refused because the lane had another holder by then.", registry=REGISTRY
)
STORE_ERRORS = Counter("relay_store_errors_total", "Calls of the store that failed.", registry=REGISTRY)
EVENT_LOOP_LAG = Gauge(
    "relay_event_loop_lag_seconds", "How late the event loop ran a timer, at worst in the last 30 s.", registry=REGISTRY
)
EVENT_LOOP_TASKS = Gauge(
    "relay_event_loop_tasks", "Tasks of the event loop: one that only grows is a leak.", registry=REGISTRY
)
LANES = Gauge("relay_lanes", "Lanes that this process holds, by kind.", ["kind"], registry=REGISTRY)
ACCOUNTS_PAUSED = Gauge(
    "relay_accounts_paused", "Accounts held by this process whose every call is refused.", registry=REGISTRY
)
BUILD_INFO = Info("relay_build", "The version that runs.", registry=REGISTRY)
BUILD_INFO.info({"version": __version__})

for _hint in HintOutcome:
    UPSTREAM_HINTS.labels(_hint)
for _outcome in ("created", "existing", "refused", "unavailable"):
    REGISTRATIONS_TOTAL.labels(_outcome)
for _attempt in Outcome:
    DELIVERY_ATTEMPTS.labels(_attempt)
for _reason in DeathReason:
    DELIVERIES_DEAD.labels(_reason)
for _verdict in set(Verdict) - {Verdict.ALLOWED}:
    DESTINATIONS_REFUSED.labels(_verdict)
for _kind in KINDS:
    CONDEMNED.labels(_kind)
    LANES.labels(_kind)
    LANES_FAILED.labels(_kind)
for _record in ("task", "registration", "body"):
    UNREADABLE.labels(_record)
