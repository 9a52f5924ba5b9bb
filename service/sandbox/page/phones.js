// The list of phones at the left.

import { $, arrange, brief, el, isCalm, prettyNumber, splitCode } from "./dom.js";
import { mood, statusWords } from "./message.js";

const rows = new Map();

export function showPhones(store, open, search) {
  const wanted = search.trim().toLowerCase().replace(/(?<=\d)[ ()-]+(?=\d)/g, "");
  const listed = store.listed();
  const found = listed.filter((phone) => matches(phone, wanted));
  for (const number of [...rows.keys()]) if (!store.phones.has(number)) rows.delete(number);
  const nodes = found.map((phone) => row(phone, open));
  const before = new Map(nodes.map((node) => [node, node.isConnected ? node.offsetTop : null]));
  arrange($("phones"), nodes);
  glide(before);
  $("no-phone").hidden = found.length > 0;
  $("no-phone").textContent = listed.length ? "No phone has that." : "Phones appear here as soon as something is sent to them.";
}

export const phoneLink = (number) => rows.get(number)?.node.firstElementChild;

export function step(from, by) {
  const links = [...$("phones").querySelectorAll("a")];
  const at = links.indexOf(from);
  links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}

function matches(phone, wanted) {
  return !wanted || phone.number.includes(wanted) || phone.entries.some((e) => e.text.toLowerCase().includes(wanted));
}

function row(phone, open) {
  if (!rows.has(phone.number)) rows.set(phone.number, new Row(phone.number));
  const found = rows.get(phone.number);
  found.update(phone, phone.number === open);
  return found.node;
}

class Row {
  #link; #text; #time; #unread;

  constructor(number) {
    this.#time = el("time");
    this.#text = el("span", { class: "last" });
    this.#unread = el("span", { class: "unread" });
    this.#link = el("a", { href: `#${number}` }, avatar(number),
      el("span", { class: "name" }, prettyNumber(number)), this.#time, this.#text, this.#unread);
    this.node = el("li", {}, this.#link);
  }

  update(phone, isOpen) {
    const last = phone.last, unread = phone.unread;
    if (isOpen) this.#link.setAttribute("aria-current", "true");
    else this.#link.removeAttribute("aria-current");
    this.#time.textContent = brief(last.created_at);
    this.#time.dateTime = last.created_at;
    this.#text.replaceChildren(...preview(last));
    this.#unread.hidden = unread === 0;
    this.#unread.replaceChildren(String(unread), el("span", { class: "unseen" }, " unread"));
  }
}

function preview(entry) {
  if (entry.type === "reply") return [`You: ${entry.text}`];
  if (mood(entry) === "bad" && !entry.arrived) return [el("span", { class: "bad" }, `${statusWords(entry.status)} · `), entry.text];
  const [before, code, after] = splitCode(entry.text);
  return code ? [before, el("b", {}, code), after] : [before];
}

export function avatar(number) {
  const made = el("span", { class: "avatar", "aria-hidden": "true" });
  dress(made, number);
  return made;
}

export function dress(node, number) {
  node.textContent = number.slice(-2);
  const digits = [...number].reduce((sum, digit) => (sum * 31 + digit.charCodeAt(0)) % 997, 7);
  node.style.setProperty("--hue", String((digits * 47) % 360));
}

function glide(before) {
  if (isCalm()) return;
  for (const [node, top] of before) {
    const by = top === null ? 0 : top - node.offsetTop;
    if (by) node.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: 220, easing: "ease-out" });
  }
}
