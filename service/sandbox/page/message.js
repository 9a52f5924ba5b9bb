// One bubble: what the phone got or wrote, with its life below.

import { brief, clock, copy, el, icon, span, splitCode } from "./dom.js";

const KINDS = {
  short_code: "Short code", long_code: "Long code", alphanumeric: "Alphanumeric",
  number_pool: "Pool", whatsapp: "WhatsApp",
};
const STATUSES = {
  queued: "Queued", sending: "Sending", sent: "Sent", delivered: "Delivered", scheduled: "Scheduled", cancelled: "Cancelled",
  delivery_failed: "Delivery failed", sending_failed: "Sending failed", delivery_unconfirmed: "Unconfirmed",
};
const UNDER_WAY = new Set(["scheduled", "queued", "sending", "sent"]);
const words = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

export const kindWords = (kind) => KINDS[kind] ?? words(kind);
export const statusWords = (status) => STATUSES[status] ?? words(status);

export function mood(entry) {
  if (entry.status.endsWith("failed")) return "bad";
  if (entry.status === "delivery_unconfirmed" || entry.status === "cancelled") return "odd";
  return entry.status === "delivered" ? "good" : "open";
}

export function makeBubble(entry) {
  return entry.type === "reply" ? makeReply(entry) : new MessageBubble(entry);
}

function makeReply(entry) {
  const facts = el("p", { class: "facts" }, el("span", {}, `To ${entry.to}`), time(entry.created_at));
  return { node: el("li", { class: "reply" }, el("p", { class: "bubble" }, entry.text), facts), update() {}, head() {} };
}

class MessageBubble {
  #sender; #bubble; #absent; #life; #reports; #summary; #list;

  constructor(entry) {
    const kind = el("span", { class: "kind", "data-kind": entry.kind }, kindWords(entry.kind));
    this.#sender = el("p", { class: "sender" }, el("strong", {}, entry.from), kind);
    this.#bubble = el("p", { class: "bubble" }, ...textNodes(entry.text));
    this.#absent = el("p", { class: "absent-note" });
    this.#life = el("ol", { class: "life", "aria-label": "Its life" });
    this.#summary = el("summary");
    this.#list = el("ul");
    this.#reports = el("details", { class: "reports" }, this.#summary, this.#list);
    const foot = el("div", { class: "foot" }, this.#life, this.#reports);
    this.node = el("li", { class: "message", "data-id": entry.id }, this.#sender, this.#bubble, this.#absent, foot);
    this.update(entry);
  }

  // The sender is named when it is another one than before.
  head(shown) { this.#sender.hidden = !shown; }

  update(entry) {
    const wasPending = this.node.dataset.phase === "pending";
    const phase = entry.arrived ? "arrived" : UNDER_WAY.has(entry.status) ? "pending" : "absent";
    this.node.dataset.phase = phase;
    if (wasPending && phase === "arrived") this.node.classList.add("landing");
    this.#absent.hidden = phase !== "absent";
    this.#absent.textContent = "This never reached the phone.";
    this.#life.replaceChildren(...steps(entry));
    this.#reports.hidden = entry.reports.length === 0;
    const lost = entry.reports.filter((report) => !report.taken).length;
    const count = `${entry.reports.length} webhook${entry.reports.length === 1 ? "" : "s"}`;
    this.#summary.textContent = lost ? `${count}, ${lost} not taken` : count;
    this.#summary.classList.toggle("bad", lost > 0);
    this.#list.replaceChildren(...entry.reports.map((report) => reportLine(entry, report)), idLine(entry));
  }
}

function textNodes(text) {
  const [before, code, after] = splitCode(text);
  if (!code) return [before];
  const button = el("button", { type: "button", class: "code", "aria-label": `Copy code ${code}`, title: "Copy" }, code, icon("copy"));
  button.addEventListener("click", async () => {
    await copy(code);
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1200);
  });
  return [before, button, after];
}

function steps(entry) {
  const { created_at: start, sent_at: sent, completed_at: completed } = entry;
  const found = [["queued", start]];
  if (sent) found.push(["sent", sent]);
  if (entry.status !== found.at(-1)[0]) found.push([entry.status, completed]);
  return found.map(([status, at], index) => el("li", { "data-mood": mood({ status }) },
    el("span", {}, statusWords(status)),
    index === 0 ? time(at) : at ? el("time", { datetime: at, title: clock(at) }, `+${span(start, at)}`) : null));
}

function reportLine(entry, report) {
  const fate = report.taken ? "taken" : "nobody took it";
  return el("li", { class: report.taken ? "" : "bad" }, el("code", {}, report.event_type), el("span", {}, fate),
    el("time", { datetime: report.at, title: clock(report.at) }, `+${span(entry.created_at, report.at)}`));
}

function idLine(entry) {
  return el("li", { class: "id" }, el("code", {}, entry.id));
}

function time(at) {
  return el("time", { datetime: at, title: brief(at) }, clock(at));
}
