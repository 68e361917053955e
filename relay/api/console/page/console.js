// Console: signs in, follows the address, and shows anew what is looked at whenever the stream of events says something.

import {patch} from "./elements.js";
import * as history from "./history.js";
import {Refused, call, key, listen} from "./relay.js";
import * as views from "./views.js";

const FRESH_MS = 1000; // at most one refresh a second, however many events come

const part = (id) => document.getElementById(id);
let streaming = null;
let accounts = null; // as the admin's stream told last how they stand
let asked = 0; // how often something was asked for to be shown, and the last that is shown
let shown = 0;

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
  const hash = location.hash;
  const turn = ++asked;
  try {
    const made = await view(argument, new URLSearchParams(query));
    if (hash === location.hash && key.get() && turn > shown) place(made, quiet, turn);
  } catch (error) {
    if (quiet || !(error instanceof Refused) || error.status === 401) fail(error, quiet);
    else if (hash === location.hash) place(views.refused(error.message), quiet, turn);
  }
  for (const link of part("navigation").querySelectorAll("a")) {
    const here = link.getAttribute("href").replace(/^#\/?/, "") === (name === "registration" ? "registrations" : name);
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
}

function place(made, quiet, turn) {
  shown = turn;
  const [old] = part("main").children;
  if (quiet && old) return patch(old, made);
  part("main").replaceChildren(made);
  part("main").focus({preventScroll: true});
  scrollTo(0, 0);
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
  if (counts.scopes.includes("admin")) accounts ??= (await call("GET", "/v1/accounts")).accounts;
  return views.overview(counts, accounts);
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
  const refused = [];
  let done = 0;
  let cursor = "";
  try {
    do {
      const found = await page({state: "dead", ...(cursor ? {cursor} : {})});
      for (const one of found.registrations) {
        try {
          await call("POST", `/v1/registrations/${one.id}/redeliver`);
          done += 1;
        } catch (error) {
          if (![404, 409].includes(error.status)) throw error; // it is not this one that is refused
          refused.push(error.message);
        }
      }
      tell(`${done} of ${count} are due again${refused.length ? `; ${refused.length} were refused: ${refused[0]}` : ""}.`);
      cursor = found.next_cursor;
    } while (cursor);
  } catch (error) {
    fail(error, false);
  }
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
  history.forget();
  accounts = null;
  if (!signedIn) return;
  streaming = new AbortController();
  listen(streaming.signal, `${history.begins()}-0`, heard, (on) => {
    part("live").className = on ? "on" : "";
    part("live").textContent = on ? "live" : "reconnecting";
  });
}

// Polls are no events, so a mere sign of life has the page look again, too.
function heard(name, told) {
  if (name === "accounts") accounts = told.accounts;
  else if (told) history.remember(name, told);
  heard.timer ??= setTimeout(freshen, FRESH_MS);
}

function freshen() {
  heard.timer = null;
  if (!document.hidden && key.get()) show({quiet: true});
}

// ---------------------------------------------------------------- start

part("sign-out").addEventListener("click", signOut);
part("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = part("search").elements.request_id.value.trim();
  if (/^reg_[0-9a-f]{34}$/.test(text)) location.hash = `#/registration/${text}`;
  else if (text) go("registrations", {request_id: text});
});
part("skip").addEventListener("click", (event) => {
  event.preventDefault(); // its address would be taken for a view's
  part("main").focus();
});
addEventListener("hashchange", () => show());
document.addEventListener("visibilitychange", freshen);
if (key.get()) chrome(true);
show();
