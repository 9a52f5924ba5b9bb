// The stream of events. It begins with a snapshot of everything, so all that a lost connection
// needs is another one; we make it ourselves, since browsers give up after some kinds of failure.

import { $ } from "./dom.js";

const FIRST_RETRY = 250, LAST_RETRY = 4000;
// A hidden page lets go in time: browsers allow six connections to a host, over all tabs.
const HIDDEN_FOR = 5 * 60 * 1000;
const WORDS = { live: "Live", connecting: "Connecting", lost: "Reconnecting" };

export function connect(take) {
  let source = null, retry = FIRST_RETRY, timer = 0, hiding = 0;

  function show(state) {
    $("connection").dataset.state = state;
    $("connection").textContent = WORDS[state];
  }

  function open() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/sandbox/events");
    source.addEventListener("snapshot", (event) => {
      retry = FIRST_RETRY;
      show("live");
      take(JSON.parse(event.data), true);
    });
    source.addEventListener("change", (event) => take(JSON.parse(event.data), false));
    source.addEventListener("error", () => {
      close();
      show("lost");
      timer = setTimeout(open, retry);
      retry = Math.min(2 * retry, LAST_RETRY);
    });
  }

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(close, HIDDEN_FOR);
    else if (!source) open();
  });
  addEventListener("online", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  open();
}
