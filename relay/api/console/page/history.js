// History: what the stream of events has told of each account, in steps of five seconds, and its two small plots.

import {element, seconds} from "./elements.js";

const STEP_MS = 5000;
const STEPS = 180; // fifteen minutes
const KEPT = 10000; // registrations that are due and not delivered yet

const due = new Map(); // registration -> since when its callback has been due
const accounts = new Map(); // account -> step -> {lags: [seconds from due to delivered]}

export const begins = () => Date.now() - STEPS * STEP_MS;

export function forget() {
  due.clear();
  accounts.clear();
}

export function remember(name, event) {
  const at = Date.parse(event.at);
  if (name === "final" || name === "redelivered") due.set(event.id, at);
  if (due.size > KEPT) due.delete(due.keys().next().value);
  if (name === "delivered") delivered(event, at);
  if (name === "delivered" || name === "dead" || name === "cancelled") due.delete(event.id);
}

function delivered(event, at) {
  const first = Math.floor(begins() / STEP_MS);
  const steps = accounts.get(event.account) || new Map();
  for (const old of steps.keys()) if (old < first) steps.delete(old);
  const step = Math.floor(at / STEP_MS);
  const bucket = steps.get(step) || {count: 0, lags: []};
  bucket.count += 1;
  if (due.has(event.id)) bucket.lags.push((at - due.get(event.id)) / 1000);
  accounts.set(event.account, steps.set(step, bucket));
}

// The plots of one account, or of all together. The step that is still going on is left out.
export function plots(account) {
  const last = Math.floor(Date.now() / STEP_MS) - 1;
  const chosen = account === undefined ? [...accounts.values()] : [accounts.get(account) || new Map()];
  const buckets = Array.from({length: STEPS}, (_, index) =>
    chosen.map((steps) => steps.get(last - STEPS + 1 + index)).filter(Boolean));
  const counts = buckets.map((some) => some.reduce((sum, one) => sum + one.count, 0) / (STEP_MS / 1000));
  const lags = buckets.map((some) => median(some.flatMap((one) => one.lags)));
  return element("div", {class: "plots"},
    plot("Delivered a second", counts, (value) => value.toFixed(1)),
    plot("Final to delivered, median", lags, seconds));
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
}

function plot(title, values, shown) {
  const highest = Math.max(0, ...values.filter((value) => value !== null));
  const top = highest || 1;
  const lines = runs(values).map((run) => run.map(([index, value]) =>
    `${((index / (STEPS - 1)) * 100).toFixed(2)},${(38 - (value / top) * 36).toFixed(2)}`));
  const latest = values.findLast((value) => value !== null);
  const told = latest === undefined ? "nothing yet" : `${values.at(-1) === null ? "last" : "now"} ${shown(latest)}, top ${shown(highest)}`;
  return element("figure", {},
    element("figcaption", {}, title, element("span", {class: "soft"}, told)),
    element("svg", {class: "plot", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img"},
      element("title", {}, `${title}, the last fifteen minutes: ${told}`),
      element("path", {class: "ground", d: "M0,38H100"}),
      lines.map((points) => element("path", {class: "area", d: `M${points[0].split(",")[0]},38L${points.join("L")}V38Z`})),
      lines.map((points) => element("path", {d: points.length > 1 ? `M${points.join("L")}` : `M${points[0]}h0`}))));
}

// Where there is nothing to show, as no lag was seen, the line has a gap.
function runs(values) {
  const found = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index && values[index - 1] !== null) found[found.length - 1].push([index, value]);
    else found.push([[index, value]]);
  });
  return found;
}
