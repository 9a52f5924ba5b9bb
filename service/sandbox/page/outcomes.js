// What can happen to a message, and the two dialogs that choose it.

import { $, el, post, prettyNumber, toast } from "./dom.js";
import { kindWords } from "./message.js";

export const OUTCOMES = [
  ["0001", "Delivered", "Accepted, sent and delivered, with a webhook for each step. Any ordinary number does this."],
  ["0100", "Fails", "Accepted, then delivery_failed. By its number a phone fails only the first sender that tries it, so that a fallback arrives; set here it fails all."],
  ["0101", "Sending fails", "Accepted, then sending_failed: it never left for the carrier."],
  ["0102", "Unconfirmed", "It arrives, but the carrier never confirms: delivery_unconfirmed."],
  ["0103", "Silence after sent", "It arrives and message.sent is reported, then nothing more."],
  ["0104", "No webhooks", "Delivered without any webhook. Only asking for the message tells."],
  ["0105", "Opted out", "Refused with 409 and code 40300, as Telnyx refuses who sent STOP."],
  ["0106", "Not a mobile", "Refused with 400 and code 40001: a landline, or not routable."],
  ["0107", "Busy twice", "429 with Retry-After for the first two sends, then accepted."],
  ["0108", "Error, yet sent", "Answered with 500 after it was accepted. The message does arrive."],
  ["0109", "No answer", "The send gets no answer for 60 seconds, and nothing arrives."],
  ["0110", "Webhooks in disorder", "Delivered; each webhook comes twice and the final one first."],
  ["0111", "Wrongly failed", "It arrives, but the report says delivery_failed."],
  ["0112", "Long code fails", "A long code ends in delivery_failed, every other sender delivers."],
  ["0113", "Wrongly delivered", "The report says delivered, but nothing arrives."],
];
const TITLES = new Map(OUTCOMES.map(([digits, title]) => [digits, title]));

export const outcomeTitle = (digits) =>
  digits === "0100" ? "First sender fails" : TITLES.get(digits) ?? "Delivered";

export function describe(outcome) {
  const title = outcome.byHand ? TITLES.get(outcome.digits) ?? "Delivered" : outcomeTitle(outcome.digits);
  const count = outcome.others.length;
  return count ? `${title}, ${count} exception${count === 1 ? "" : "s"}` : title;
}

export function setUpPhoneDialog(open) {
  const dialog = $("phone-dialog"), number = $("phone-number"), choice = $("phone-outcome");
  for (const [digits, title] of OUTCOMES) {
    const shown = digits === "0100" ? "First sender fails" : title;
    choice.append(el("option", { value: digits }, `${shown} (${digits === "0001" ? "00…" : digits})`));
  }
  // 555-01xx is reserved for fiction; so far 00xx of it delivers and 01xx is magic.
  const plain = () => String(1 + Math.floor(Math.random() * 99)).padStart(4, "0");
  choice.addEventListener("change", () => {
    const digits = choice.value === "0001" ? plain() : choice.value;
    number.value = (number.value.slice(0, -4) || "+1202555") + digits;
  });
  dialog.addEventListener("close", () => { if (dialog.returnValue === "open") open(number.value); });
  $("new-phone").addEventListener("click", () => {
    choice.value = "0001";
    number.value = `+1202555${plain()}`;
    dialog.returnValue = "";
    dialog.showModal();
    number.select();
  });
}

export function setUpOutcomeDialog(current) {
  const dialog = $("outcome-dialog"), kind = $("outcome-kind"), list = $("outcomes");
  for (const [digits, title, text] of OUTCOMES) {
    const radio = el("input", { type: "radio", name: "outcome", value: digits, "aria-describedby": `about-${digits}` });
    list.append(el("label", {}, radio, el("code", {}, digits),
      el("span", {}, el("strong", {}, title), el("small", { id: `about-${digits}` }, text))));
  }
  const mark = (outcome) => {
    const its = outcome.others.find((one) => one.kind === kind.value)?.outcome ?? outcome.digits;
    list.querySelector(`[value="${TITLES.has(its) ? its : "0001"}"]`).checked = true;
  };
  kind.addEventListener("change", () => mark(current().outcome));
  $("outcome-open").addEventListener("click", () => {
    const { number, outcome, kinds } = current();
    $("outcome-number").textContent = prettyNumber(number);
    kind.replaceChildren(el("option", { value: "" }, "every sender"),
      ...kinds.map((one) => el("option", { value: one }, kindWords(one))));
    mark(outcome);
    dialog.returnValue = "";
    dialog.showModal();
    list.querySelector(":checked").focus();
  });
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "set") return;
    const outcome = list.querySelector(":checked").value;
    try {
      await post("/sandbox/scenarios", { to: current().number, kind: kind.value || null, outcome });
      toast(`From now on: ${TITLES.get(outcome)}`);
    } catch (error) { toast(error.message); }
  });
}
