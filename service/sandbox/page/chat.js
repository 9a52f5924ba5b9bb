// The chat of one phone.

import { $, arrange, copy, day, el, icon, post, prettyNumber } from "./dom.js";
import { makeBubble } from "./message.js";
import { describe } from "./outcomes.js";
import { dress } from "./phones.js";

let open = null, bubbles = new Map(), days = new Map();

const scroller = $("scroller");
const isAtEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;

export function toEnd() {
  scroller.scrollTop = scroller.scrollHeight;
  $("latest").hidden = true;
}

export function showChat(store, number, isLive) {
  const phone = store.phone(number), other = number !== open;
  if (other) {
    open = number;
    bubbles = new Map();
    days = new Map();
    $("thread").replaceChildren();
    $("text").value = "";
    refuse("");
    dress($("who-badge"), number);
    $("who-number").textContent = prettyNumber(number);
    $("quiet").replaceChildren(...firstMessage(number));
  }
  const outcome = store.outcome(number);
  $("outcome-now").textContent = describe(outcome);
  $("outcome-open").setAttribute("aria-label", `What happens to messages: ${describe(outcome)}`);
  $("outcome-open").classList.toggle("set", outcome.byHand || outcome.others.length > 0);
  $("who-facts").textContent = facts(phone);
  $("blocked").hidden = !phone.blocked;
  $("quiet").hidden = phone.entries.length > 0;
  const stay = other || isAtEnd(), length = bubbles.size;
  arrange($("thread"), nodes(phone.entries, isLive && !other));
  if (stay) toEnd();
  else if (bubbles.size > length) $("latest").hidden = false;
}

export const latestCode = () => [...$("thread").querySelectorAll("[data-phase=arrived] .code")].at(-1);

export function setUpChat() {
  $("latest").addEventListener("click", toEnd);
  scroller.addEventListener("scroll", () => { if (isAtEnd()) $("latest").hidden = true; });
  $("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    write($("text").value, true);
  });
  for (const button of document.querySelectorAll(".quick button")) {
    button.addEventListener("click", () => write(button.dataset.text, false));
  }
}

async function write(text, typed) {
  try {
    await post("/sandbox/inbound", { from: open, text });
    refuse("");
    if (typed) $("text").value = "";
    toEnd();
  } catch (error) { refuse(error.message); }
}

function refuse(why) {
  $("refused").textContent = why;
  $("refused").hidden = !why;
}

function facts(phone) {
  const messages = phone.entries.filter((entry) => entry.type === "message");
  const count = `${messages.length} message${messages.length === 1 ? "" : "s"}`;
  return phone.blocked ? `${count} · opted out` : count;
}

function nodes(entries, isFresh) {
  const found = [];
  let date = null, sender = null;
  for (const entry of entries) {
    const its = day(entry.created_at);
    if (its !== date) found.push(separator(its));
    if (!bubbles.has(entry.id)) {
      bubbles.set(entry.id, { bubble: makeBubble(entry), entry });
      bubbles.get(entry.id).bubble.node.classList.toggle("fresh", isFresh);
    }
    const known = bubbles.get(entry.id);
    if (known.entry !== entry) {
      known.bubble.update(entry);
      known.entry = entry;
    }
    const from = entry.type === "message" ? `${entry.kind} ${entry.from}` : null;
    known.bubble.head(from !== sender || its !== date);
    found.push(known.bubble.node);
    date = its;
    sender = from;
  }
  if (bubbles.size > entries.length) {
    const kept = new Set(entries.map((entry) => entry.id));
    for (const id of [...bubbles.keys()]) if (!kept.has(id)) bubbles.delete(id);
  }
  return found;
}

function separator(date) {
  if (!days.has(date)) days.set(date, el("li", { class: "day" }, el("span", {}, date)));
  return days.get(date);
}

export function firstMessage(number) {
  const line = `. .countersign/dev.env
curl "$SANDBOX_URL/v2/messages/long_code" \\
  -H "Authorization: Bearer $TELNYX_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"from": "+18445550001", "to": "${number}",
       "text": "123456 is your code"}'`;
  const button = el("button", { type: "button", class: "copy" }, icon("copy"), "Copy");
  button.addEventListener("click", () => copy(line));
  return [
    el("h2", {}, "Nothing here yet"),
    el("p", {}, `Start a verification of ${prettyNumber(number)}, or send it a message yourself:`),
    el("div", { class: "shell" }, el("p", {}, el("span", {}, "Shell"), button), el("pre", { tabindex: "0", "aria-label": "A curl line that sends a message" }, line)),
  ];
}
