// History: what this page has seen pass by, in steps of ten seconds, and its two small plots.

import {element, seconds} from "./elements.js";

const STEP_MS = 10000;
const STEPS = 90; // fifteen minutes

const steps = new Map(); // step -> {ids: of what was delivered then, lags: [seconds from registration to callback]}

export function remember(registration) {
  if (!registration.delivered_at) return;
  const at = Date.parse(registration.delivered_at);
  const step = Math.floor(at / STEP_MS);
  const first = Math.floor(Date.now() / STEP_MS) - STEPS;
  for (const old of steps.keys()) if (old < first) steps.delete(old);
  const bucket = steps.get(step) || {ids: new Set(), lags: []};
  if (step < first || bucket.ids.has(registration.id)) return;
  bucket.ids.add(registration.id);
  bucket.lags.push((at - Date.parse(registration.registered_at)) / 1000);
  steps.set(step, bucket);
}

export function plots() {
  const last = Math.floor(Date.now() / STEP_MS);
  const buckets = Array.from({length: STEPS}, (_, index) => steps.get(last - STEPS + 1 + index));
  const rates = buckets.map((bucket) => (bucket ? bucket.ids.size / (STEP_MS / 1000) : 0));
  const lags = buckets.map((bucket) => (bucket ? median(bucket.lags) : 0));
  return element("div", {class: "cards"},
    plot("Delivered a second", rates, (value) => value.toFixed(1)),
    plot("Registration to callback, median", lags, seconds));
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}

function plot(title, values, shown) {
  const top = Math.max(...values, 0.001);
  const points = values.map((value, index) => `${(index / (STEPS - 1)) * 100},${38 - (value / top) * 36}`);
  const line = `M${points.join("L")}`;
  return element("div", {class: "card"},
    element("h4", {}, title, element("span", {class: "soft"}, `now ${shown(values[STEPS - 1])}, top ${shown(Math.max(...values))}`)),
    element("svg", {class: "plot", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img"},
      element("title", {}, `${title}, the last fifteen minutes`),
      element("path", {class: "area", d: `${line}L100,38L0,38Z`}),
      element("path", {d: line})));
}
