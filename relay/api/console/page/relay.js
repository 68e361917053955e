// Relay: the API as this page calls it. The key stays in this tab's session storage and goes nowhere but to this origin.

const STORED = "relay-key";
const SILENCE_MS = 45000; // the relay says something on a stream each 15 s
const RESUME_MS = 2000;

export class Refused extends Error {
  constructor(status, problem) {
    const wrong = (problem.errors || []).map((one) => `${one.pointer.slice(1)}: ${one.detail}`);
    super([problem.detail || `HTTP ${status}`, ...wrong].join("\n"));
    this.status = status;
    this.code = problem.code || "";
  }
}

export const key = {
  get: () => sessionStorage.getItem(STORED),
  set: (value) => sessionStorage.setItem(STORED, value),
  forget: () => sessionStorage.removeItem(STORED),
};

export async function call(method, path) {
  let answer;
  try {
    answer = await fetch(path, {method, headers: headers(), cache: "no-store"});
  } catch {
    throw new Refused(0, {detail: "The relay does not answer.", code: "unreachable"});
  }
  const text = await answer.text();
  let document = {};
  try {
    document = text ? JSON.parse(text) : {};
  } catch {
    throw new Refused(answer.status, {});
  }
  if (!answer.ok) throw new Refused(answer.status, document);
  return document;
}

function headers(more = {}) {
  return {authorization: `Bearer ${key.get()}`, ...more};
}

// Calls heard(name, document) for each event after the id `after` until `signal` ends it, heard("", null) for each sign of
// life, and told(true or false) as the stream comes and goes.
export async function listen(signal, after, heard, told) {
  while (!signal.aborted) {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    signal.addEventListener("abort", end, {once: true});
    let silence = setTimeout(end, SILENCE_MS);
    try {
      const answer = await fetch("/v1/events", {headers: headers({"last-event-id": after}), signal: attempt.signal, cache: "no-store"});
      if (answer.ok) {
        told(true);
        for await (const event of eventsOf(answer.body)) {
          clearTimeout(silence);
          silence = setTimeout(end, SILENCE_MS);
          if (event.id) after = event.id;
          heard(event.name, event.data ? JSON.parse(event.data) : null);
        }
      }
    } catch {
      // it broke: told below, and tried again
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", end);
    }
    told(false);
    await new Promise((resolve) => setTimeout(resolve, RESUME_MS));
  }
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n\r?\n/);
    rest = lines.pop();
    for (const block of lines) yield parsed(block);
  }
}

function parsed(block) {
  const event = {id: "", name: "", data: ""};
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "id") event.id = value;
    else if (field === "event") event.name = value;
    else if (field === "data") event.data += value;
  }
  return event;
}
