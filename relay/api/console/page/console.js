// Console: signs in, follows the address, and keeps what is shown fresh as events arrive.

import {remember} from "./history.js";
import {Refused, call, key, listen} from "./relay.js";
import * as views from "./views.js";

const FRESH_MS = 1000; // at most one refresh a second, however many events come
const IDLE_MS = 3000; // budgets move without events, and the operator hears none of the clients

const part = (id) => document.getElementById(id);
let streaming = null;
let refreshing = null;

const routes = {
  "": showOverview,
  registrations: showRegistrations,
  dead: showDead,
  registration: showRegistration,
};

async function show({quiet = false} = {}) {
  if (!key.get()) return showSignIn();
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, argument] = path.split("/");
  const view = routes[name] || showOverview;
  const asked = location.hash;
  try {
    const shown = await view(argument, new URLSearchParams(query));
    if (asked === location.hash && key.get()) place(shown, quiet);
  } catch (error) {
    fail(error, quiet);
  }
  for (const link of part("navigation").querySelectorAll("a")) {
    const here = link.getAttribute("href").replace(/^#\/?/, "") === name;
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
}

function place(shown, quiet) {
  const focused = quiet && part("main").contains(document.activeElement);
  if (focused && document.activeElement.matches("select, input, button")) return; // somebody is about to use it
  part("main").replaceChildren(shown);
  if (!quiet) part("main").focus({preventScroll: true});
}

function fail(error, quiet) {
  if (!(error instanceof Refused)) throw error;
  if (error.status === 401) return signOut("This key is not known.");
  if (!quiet || error.status === 0) tell(error.message);
}

function tell(text) {
  const notice = part("notice");
  notice.textContent = text;
  notice.hidden = false;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { notice.hidden = true; }, 6000);
}

// ---------------------------------------------------------------- views

function showSignIn(complaint) {
  chrome(false);
  part("main").replaceChildren(views.signIn(enter, complaint));
  part("key").focus();
}

async function showOverview() {
  const counts = await call("GET", "/v1/overview");
  const operator = counts.scopes.includes("admin");
  if (operator) await recall(); // no stream tells it what the clients' streams tell them
  return views.overview(counts, operator ? (await call("GET", "/v1/accounts")).accounts : null);
}

async function showRegistrations(_, query) {
  const wanted = Object.fromEntries([...query].filter(([, value]) => value));
  return views.registrations(await page(wanted), wanted, (next) => go("registrations", next));
}

async function showDead(_, query) {
  const [found, counts] = await Promise.all([page({...Object.fromEntries(query), state: "dead"}), call("GET", "/v1/overview")]);
  const count = counts.registrations.dead;
  return views.deadLetters(found, count, () => redeliverAll(count), (next) => go("dead", next));
}

async function showRegistration(id) {
  const [one, timeline] = await Promise.all([
    call("GET", `/v1/registrations/${encodeURIComponent(id)}`),
    call("GET", `/v1/registrations/${encodeURIComponent(id)}/events`),
  ]);
  const act = (method, path) => async () => {
    try {
      await call(method, path);
    } catch (error) {
      fail(error, false);
    }
    document.activeElement.blur();
    show({quiet: true});
  };
  const path = `/v1/registrations/${encodeURIComponent(one.id)}`;
  return views.registration(one, timeline.events, {redeliver: act("POST", `${path}/redeliver`), cancel: act("DELETE", path)});
}

function page(wanted) {
  return call("GET", `/v1/registrations?${new URLSearchParams({limit: "50", ...wanted})}`);
}

function go(name, wanted) {
  location.hash = `#/${name}?${new URLSearchParams(Object.entries(wanted).filter(([, value]) => value))}`;
}

async function redeliverAll(count) {
  if (!confirm(`Redeliver all ${count} dead letters? Each is delivered with the webhook-id and bytes it had.`)) return;
  let done = 0;
  const refused = new Set();
  for (;;) {
    const found = await page({state: "dead", limit: "50"});
    const left = found.registrations.filter((one) => !refused.has(one.id));
    if (!left.length || done >= count) break;
    for (const one of left) {
      try {
        await call("POST", `/v1/registrations/${one.id}/redeliver`);
      } catch {
        refused.add(one.id);
      }
      done += 1;
    }
    tell(`${done} of ${count} are due again.`);
  }
  document.activeElement.blur();
  show({quiet: true});
}

// ---------------------------------------------------------------- signing in and out

async function enter(text) {
  if (!/^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(text)) return showSignIn("A key has only visible characters.");
  key.set(text);
  try {
    await call("GET", "/v1/overview");
  } catch (error) {
    key.forget();
    return showSignIn(error.status === 401 ? "This key is not known." : error.message);
  }
  chrome(true);
  show();
}

function signOut(complaint) {
  key.forget();
  showSignIn(typeof complaint === "string" ? complaint : undefined);
}

function chrome(signedIn) {
  for (const id of ["navigation", "search", "sign-out", "live"]) part(id).hidden = !signedIn;
  if (streaming) streaming.abort();
  streaming = null;
  clearInterval(refreshing);
  if (!signedIn) return;
  recall();
  streaming = new AbortController();
  refreshing = setInterval(() => { if (!document.hidden) show({quiet: true}); }, IDLE_MS);
  listen(streaming.signal, heard, (on) => {
    part("live").className = on ? "on" : "";
    part("live").textContent = on ? "live" : "reconnecting";
  });
}

async function recall() {
  try {
    (await page({state: "delivered", limit: "200"})).registrations.forEach(remember);
  } catch {
    // the plots begin empty, and fill as callbacks are delivered
  }
}

function heard(name, registration) {
  if (name === "delivered") remember(registration);
  if (heard.timer) return;
  heard.timer = setTimeout(() => {
    heard.timer = null;
    if (!document.hidden) show({quiet: true});
  }, FRESH_MS);
}

// ---------------------------------------------------------------- start

part("sign-out").addEventListener("click", signOut);
part("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = part("search").elements.request_id.value.trim();
  if (/^reg_[0-9a-f]{34}$/.test(text)) location.hash = `#/registration/${text}`;
  else if (text) go("registrations", {request_id: text});
});
addEventListener("hashchange", () => show());
if (key.get()) chrome(true);
show();
