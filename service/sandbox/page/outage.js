// The switch that takes Telnyx away, and the banner that says so.

import { $, post, toast } from "./dom.js";

const WORDS = {
  down: ["Telnyx is down.", "Every call is answered with 503, and webhooks wait."],
  slow: ["Telnyx is slow.", "Every call waits some seconds for its answer."],
};
const buttons = document.querySelectorAll(".outage [data-mode]");
let end = 0, ticking = 0;

export function setUpOutage() {
  for (const button of buttons) button.addEventListener("click", () => begin(button.dataset.mode));
  $("outage-end").addEventListener("click", () => begin("none"));
}

export function showOutage({ mode, seconds_left }) {
  for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.mode === mode);
  document.body.dataset.outage = mode;
  $("outage-banner").hidden = mode === "none";
  [$("outage-title").textContent, $("outage-text").textContent] = WORDS[mode] ?? ["", ""];
  end = performance.now() + 1000 * seconds_left;
  clearInterval(ticking);
  if (mode !== "none") {
    tick();
    ticking = setInterval(tick, 250);
  }
}

function tick() {
  const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
  const minutes = Math.floor(left / 60), seconds = String(left % 60).padStart(2, "0");
  $("outage-left").textContent = minutes ? `Back in ${minutes}:${seconds} min` : `Back in ${left} s`;
}

async function begin(mode) {
  try {
    await post("/sandbox/outages", { mode, seconds: Number($("outage-seconds").value) });
  } catch (error) { toast(error.message); }
}
