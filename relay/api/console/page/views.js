// Views: what the page shows, each a function from documents of the API to elements.

import {button, element, instant, pairs, seconds, state, table} from "./elements.js";
import {plots} from "./history.js";

const STATES = ["pending", "delivering", "delivered", "dead", "cancelled"];

export function signIn(enter, complaint) {
  const input = element("input", {type: "password", id: "key", required: true, autocomplete: "off"});
  const submit = (event) => {
    event.preventDefault();
    enter(input.value.trim());
  };
  return element("form", {id: "sign-in", submit},
    element("h2", {}, "Sign in"),
    element("label", {for: "key"}, "A client key, or the admin key"),
    input,
    complaint ? element("p", {role: "alert", class: "state dead"}, complaint) : null,
    element("button", {class: "strong"}, "Sign in"),
    element("p", {class: "soft"}, "relay run prints its client key when it starts; elsewhere it is one of RELAY_API_KEYS, or RELAY_ADMIN_KEY. It is kept in this tab alone, until you sign out or close it."));
}

export function refused(reason) {
  return element("div", {}, element("h2", {}, "That cannot be shown"), element("p", {class: "empty"}, reason.charAt(0).toUpperCase() + reason.slice(1)));
}

export function overview(counts, accounts) {
  const tiles = STATES.map((name) => element("li", {},
    element("a", {href: `#/registrations?state=${name}`},
      element("strong", {}, String(counts.registrations[name] ?? 0)), state(name))));
  const nothing = STATES.every((name) => !counts.registrations[name]);
  const several = accounts === null || accounts.length > 1; // else the account's own plots say it all
  return element("div", {},
    element("h2", {}, counts.client === null ? "Everybody's registrations" : `Registrations of ${counts.client}`),
    element("ul", {class: "tiles"}, tiles),
    nothing ? firstSteps() : several ? element("div", {class: "card"}, plots()) : null,
    accounts === null ? null : [element("h3", {}, "Accounts"),
      accounts.length ? element("div", {class: "cards"}, accounts.map(account))
        : element("p", {class: "empty"}, "There is no account: set RELAY_UPSTREAM_URL, or add one with relay account add.")]);
}

function account(one) {
  const [calls, window] = (one.limit_in_use || "0/1").split("/");
  const used = Math.min(one.calls_in_use, Number(calls));
  return element("div", {class: "card", "data-key": one.name},
    element("h4", {}, one.name, state(one.state)),
    element("meter", {min: 0, max: calls, value: used, "aria-label": `Budget of ${one.name} in use`}),
    element("p", {class: "soft"}, `${used} of ${calls} calls in ${window} s in use`),
    element("p", {class: "soft"}, `${one.pending} ${one.pending === 1 ? "task" : "tasks"} pending, ${one.delivering} ${one.delivering === 1 ? "callback" : "callbacks"} due`),
    one.limit_learned ? element("p", {class: "state waiting"}, `The upstream says that its limit is ${one.limit_learned}: the relay keeps to it.`) : null,
    one.pause ? element("p", {class: "state dead"}, `Every call is refused (${one.pause.reason}): mend its key or URL. It is tried once a minute; nothing is lost.`) : null,
    plots(one.name));
}

function firstSteps() {
  const origin = location.origin;
  return element("div", {class: "empty"},
    element("p", {}, "Nothing is registered yet. Start a receiver with ", element("code", {}, "relay listen"), ", then register a RequestID:"),
    element("pre", {}, `curl -sS ${origin}/v1/registrations \\
  -H "authorization: Bearer $KEY" -H 'content-type: application/json' \\
  -d '{"request_id": "7ba60ab0-7054-4856-8590-1b5a9f904ad1",
       "callback_url": "http://127.0.0.1:9000/"}'`));
}

export function registrations(page, wanted, go) {
  const select = element("select", {id: "state", change: () => go({state: select.value})},
    element("option", {value: ""}, "every state"),
    STATES.map((name) => element("option", {value: name, selected: wanted.state === name}, name)));
  return element("div", {},
    element("h2", {}, wanted.request_id ? `Registrations for ${wanted.request_id}` : "Registrations"),
    element("div", {class: "actions"}, element("label", {}, "State", select)),
    rows(page, wanted),
    more(page, wanted, go));
}

export function deadLetters(page, count, redeliverAll, go) {
  const all = count ? button(`Redeliver all ${count}`, redeliverAll, {class: "strong", "data-key": "all"}) : null;
  return element("div", {},
    element("h2", {}, "Dead letters"),
    element("p", {class: "soft"}, "Callbacks given up after the last attempt, or because the receiver answered 410. They are kept for 30 days; a redelivery has the same webhook-id and the same bytes."),
    element("div", {class: "actions"}, all),
    rows(page, {state: "dead"}),
    more(page, {state: "dead"}, go));
}

function rows(page, wanted) {
  if (!page.registrations.length) {
    const what = wanted.state ? `No registration is ${wanted.state}.` : "There is no such registration.";
    return element("p", {class: "empty"}, what);
  }
  return table("Registrations", ["RequestID", "State", "Type", "Account", "Registered", "Polls", "Attempts"],
    page.registrations.map((one) => element("tr", {"data-key": one.id},
      element("td", {class: "wide"}, element("a", {href: `#/registration/${one.id}`, class: "id"}, one.request_id),
        one.client ? element("div", {class: "soft"}, one.client) : null),
      element("td", {}, state(one.state), one.death ? element("div", {class: "soft"}, one.death) : null),
      element("td", {}, one.type || ""),
      element("td", {}, one.account),
      element("td", {}, instant(one.registered_at)),
      element("td", {}, String(one.task.polls)),
      element("td", {}, String(one.attempts.length)))));
}

function more(page, wanted, go) {
  if (!page.next_cursor) return null;
  return element("div", {class: "actions"}, button("Older", () => go({...wanted, cursor: page.next_cursor})));
}

export function registration(one, timeline, acts) {
  const settled = ["delivered", "dead", "cancelled"].includes(one.state);
  const again = ["delivered", "dead"].includes(one.state);
  return element("div", {},
    element("h2", {}, element("span", {class: "id"}, one.request_id), " ", state(one.state)),
    element("div", {class: "actions"},
      again ? button("Redeliver", acts.redeliver, {class: "strong"}) : null,
      settled ? null : button("Cancel", acts.cancel, {class: "danger"})),
    pairs([
      ["Registration", element("span", {class: "id"}, one.id)],
      ["Client", one.client],
      ["Account, operation", `${one.account}, ${one.operation}`],
      ["Callback URL", element("span", {class: "id"}, one.callback_url)],
      ["Registered", instant(one.registered_at)],
      ["Expected to end", instant(one.task.eta_at)],
      ["Next poll", instant(one.task.next_poll_at)],
      ["Deadline", one.final_at ? null : instant(one.deadline_at)],
      ["Final", one.final_at ? element("span", {}, instant(one.final_at), one.type ? ` ${one.type}` : "", one.reason ? ` (${one.reason})` : "") : null],
      ["Next attempt", instant(one.next_attempt_at)],
      ["Delivered", instant(one.delivered_at)],
      ["Given up", one.death],
    ]),
    element("h3", {}, "Timeline"),
    element("ol", {class: "timeline", id: "timeline"}, timeline.map(happened)),
    one.attempts.length ? attempts(one.attempts) : null,
    element("h3", {}, "Last TaskStatus"),
    one.task.status ? element("pre", {}, JSON.stringify(summary(one.task.status), null, 2)) : element("p", {class: "soft"}, "None has been seen yet."),
    Object.keys(one.metadata || {}).length ? [element("h3", {}, "Metadata"), element("pre", {}, JSON.stringify(one.metadata, null, 2))] : null);
}

// The request's body echoes personal data: it stays out of the page.
function summary(status) {
  return Object.fromEntries(Object.entries(status).filter(([name]) => name !== "RequestBody"));
}

function happened(event) {
  const {at, event: name, number, status_code: status, duration_s: took, excerpt, ...more} = event; // what it answered is below
  const told = [
    number ? `number ${number}` : null,
    ...Object.values(more).filter((value) => value !== null && typeof value !== "object"),
    status ? `HTTP ${status}` : null,
    took === undefined ? null : `after ${seconds(took)}`,
  ].filter(Boolean).join(", ");
  return element("li", {class: STATES.includes(name) ? name : null}, instant(at), element("strong", {}, name),
    told ? element("span", {class: "soft"}, ` ${told}`) : null);
}

function attempts(made) {
  return [element("h3", {}, "Attempts"),
    table("Attempts", ["#", "At", "Outcome", "Status", "Took", "Answer"], made.map((one) => element("tr", {},
      element("td", {}, String(one.number)),
      element("td", {}, instant(one.at)),
      element("td", {}, element("span", {class: one.outcome === "delivered" ? "state delivered" : "state dead"}, one.outcome)),
      element("td", {}, one.status_code ? String(one.status_code) : ""),
      element("td", {}, seconds(one.duration_s)),
      element("td", {class: "wide"}, one.excerpt ? element("code", {}, one.excerpt) : ""))))];
}
