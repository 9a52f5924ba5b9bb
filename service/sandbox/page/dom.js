// Texts come from anybody: what is shown is only ever set as text, never as markup.

export const $ = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

// Bring a parent's children into the given order; what stays is not touched, so that its focus,
// its fold and its animation stay too.
export function arrange(parent, nodes) {
  const focused = document.activeElement;
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus();
}

export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not on a secure origin, as when the sandbox runs on another machine.
    const field = el("textarea", { class: "unseen" });
    field.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  toast(`Copied ${text.length > 24 ? "to the clipboard" : text}`);
}

let fading;
export function toast(text) {
  $("toast").textContent = text;
  $("toast").dataset.shown = "";
  clearTimeout(fading);
  fading = setTimeout(() => delete $("toast").dataset.shown, 1800);
}

export async function post(path, body) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
  } catch {
    throw new Error("The sandbox does not answer.");
  }
  if (!answer.ok) {
    const { error } = await answer.json().catch(() => ({}));
    throw new Error(error ?? `The sandbox answered ${answer.status}.`);
  }
}

export const prettyNumber = (number) =>
  number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, "+1 $1 $2 $3");

const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const SHORT = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });
const DATE = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });

const isToday = (at) => new Date(at).toDateString() === new Date().toDateString();

export const clock = (at) => CLOCK.format(new Date(at));
export const day = (at) => (isToday(at) ? "Today" : DAY.format(new Date(at)));
export const brief = (at) => (isToday(at) ? SHORT : DATE).format(new Date(at));

export function span(from, to) {
  const ms = new Date(to) - new Date(from);
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

// A code has 4 to 10 digits; after # it is the repetition that browsers read (WebOTP).
const CODE = /(?<![\d#])\d{4,10}(?!\d)/;

export function splitCode(text) {
  const found = CODE.exec(text);
  if (!found) return [text, "", ""];
  const end = found.index + found[0].length;
  return [text.slice(0, found.index), found[0], text.slice(end)];
}
