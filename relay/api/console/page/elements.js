// Elements: the only way in which this page makes or changes any. Text goes in as text, so nothing that anybody wrote is
// markup.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "title"]);
const HANDLERS = ["onclick", "onchange", "onsubmit"];

// element("a", {href: "#/", class: "soft"}, "text", anotherElement): attributes; functions become handlers
export function element(tag, attributes = {}, ...children) {
  const made = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") made[`on${name}`] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Makes what `old` shows into what `fresh` shows and leaves alone what is the same: whoever reads, selects, scrolls or is
// about to click keeps his place. Elements with a data-key are the same wherever they stand.
export function patch(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const {name} of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of HANDLERS) old[name] = fresh[name];
  patchChildren(old, fresh);
}

function patchChildren(old, fresh) {
  const keyed = new Map([...old.children].map((child) => [child.dataset.key, child]));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const twin = child.dataset?.key ? keyed.get(child.dataset.key) : alike(next, child) ? next : null;
    if (twin && twin === next) next = next.nextSibling; else old.insertBefore(twin || child, next);
    if (twin) patch(twin, child);
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

function alike(old, fresh) {
  return old !== null && old.nodeName === fresh.nodeName && !old.dataset?.key && (old.id || "") === (fresh.id || "");
}

// A button never becomes another one under somebody's finger: it is known by its label.
export function button(label, act, attributes = {}) {
  return element("button", {type: "button", click: act, "data-key": label, ...attributes}, label);
}

export function state(word) {
  return element("span", {class: `state ${/^[a-z]+$/.test(word) ? word : ""}`}, word);
}

export function table(caption, heads, rows) {
  const head = element("tr", {}, heads.map((name) => element("th", {scope: "col"}, name)));
  return element("div", {class: "table", tabindex: "0", role: "region", "aria-label": caption},
    element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, rows)));
}

export function pairs(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element("dl", {}, shown.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

export function instant(text) {
  if (!text) return "";
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString()} `;
  return element("time", {datetime: text, title: text}, day + at.toLocaleTimeString(undefined, {hour12: false}));
}

export function seconds(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value < 10) return `${value.toFixed(2)} s`;
  if (value < 120) return `${value.toFixed(0)} s`;
  return value < 7200 ? `${(value / 60).toFixed(0)} min` : `${(value / 3600).toFixed(1)} h`;
}
