// The inbox: phones at the left, the chat of one of them at the right. The fragment says which
// (#+12025550123), so a phone can be linked to.

import { firstMessage, latestCode, setUpChat, showChat, toEnd } from "./chat.js";
import { connect } from "./connection.js";
import { $, el, icon, prettyNumber } from "./dom.js";
import { setUpOutage, showOutage } from "./outage.js";
import { setUpOutcomeDialog, setUpPhoneDialog } from "./outcomes.js";
import { phoneLink, showPhones, step } from "./phones.js";
import { Store } from "./store.js";

const TITLE = document.title;
const narrow = matchMedia("(max-width: 47.99rem)");
const store = new Store();

const chosen = () => /^#(\+[0-9]{7,15})$/.exec(location.hash.replace("%2B", "+"))?.[1] ?? null;

// What comes while we watch moves in; what was there already does not.
function show(isLive = false) {
  const number = chosen();
  document.body.dataset.view = number ? "chat" : "phones";
  $("chat").hidden = !number;
  $("start").hidden = Boolean(number);
  if (number) {
    showChat(store, number, isLive);
    if (!document.hidden) store.markSeen(number);
  }
  showPhones(store, number, $("search").value);
  const unread = store.listed().reduce((sum, phone) => sum + phone.unread, 0);
  document.title = unread ? `(${unread}) ${TITLE}` : TITLE;
}

function take(state, whole) {
  const arrived = store.take(state, whole);
  // On a wide screen a chat is always open: the newest phone's, until another is chosen.
  if (!chosen() && !narrow.matches && store.listed().length) {
    history.replaceState(null, "", `#${store.listed()[0].number}`);
  }
  if (state.outage) showOutage(state.outage);
  show(!whole);
  if (arrived.length) announce(arrived.at(-1));
}

function announce(entry) {
  $("announce").textContent = `New message for ${prettyNumber(entry.phone)} from ${entry.from}: ${entry.text}`;
}

function choose(number) {
  if (chosen() === number) show();
  else location.hash = number;
  if (!narrow.matches) $("text").focus();
}

function leaveChat() {
  const number = chosen();
  if (narrow.matches) {
    history.pushState(null, "", location.pathname);
    show();
  }
  (phoneLink(number) ?? $("search")).focus();
}

const SHORTCUTS = {
  "/": () => $("search").focus(),
  n: () => $("new-phone").click(),
  c: () => latestCode()?.click(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && $("chat").contains(event.target)) leaveChat();
  const isTyping = event.target.matches("input, textarea, select");
  const action = isTyping ? null : SHORTCUTS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
}

function onListKey(event) {
  const link = event.target.closest("#phones a");
  const by = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
  if (by && (link || by === 1)) {
    event.preventDefault();
    if (link === $("phones").querySelector("a") && by === -1) $("search").focus();
    else step(link, by);
  } else if (event.key === "Enter" && !event.target.closest("button")) {
    event.preventDefault();
    const target = link ?? $("phones").querySelector("a");
    if (target) choose(target.hash.slice(1));
  } else if (event.key === "Escape" && event.target === $("search")) {
    event.target.value = "";
    show();
  }
}

$("search").addEventListener("input", () => show());
document.querySelector("nav").addEventListener("keydown", onListKey);
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => show());
for (const button of document.querySelectorAll(".cancel")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
addEventListener("hashchange", () => { show(); toEnd(); });
$("back").addEventListener("click", leaveChat);
$("start").replaceChildren(
  el("div", { class: "empty" }, el("span", { class: "mark" }, icon("logo")), ...firstMessage("+12025550123")));
setUpChat();
setUpOutage();
setUpPhoneDialog(choose);
setUpOutcomeDialog(() => ({ number: chosen(), outcome: store.outcome(chosen()), kinds: store.kinds }));
show();
connect(take);
