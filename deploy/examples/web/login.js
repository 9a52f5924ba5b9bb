const phone = document.querySelector("#phone");
const code = document.querySelector("#code");
const status = document.querySelector("[role=status]");
let waiting = new AbortController();

async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    status.textContent = (await answer.json()).said;
    return answer.ok;
  } catch {
    status.textContent = "No connection. Please try again.";
    return false;
  }
}

/** The code of the next message that is for this page's domain; null where the browser cannot tell. */
export async function codeFromMessage(signal) {
  if (!("OTPCredential" in window)) return null;
  try {
    return (await navigator.credentials.get({ otp: { transport: ["sms"] }, signal })).code;
  } catch {
    return null; // aborted, or the person declined: it is typed instead
  }
}

async function fillIn() {
  waiting.abort();
  waiting = new AbortController();
  const found = await codeFromMessage(waiting.signal);
  if (found === null) return;
  code.elements.code.value = found;
  code.requestSubmit();
}

// One for each number: who clicks twice, or again on a bad network, gets one message.
let attempt = crypto.randomUUID();
phone.addEventListener("input", () => { attempt = crypto.randomUUID(); });

phone.addEventListener("submit", async (event) => {
  event.preventDefault();
  const sent = await post("/login", { number: phone.elements.number.value, attempt });
  if (!sent) return;
  phone.hidden = true;
  code.hidden = false;
  code.elements.code.focus();
  fillIn();
});

code.addEventListener("submit", async (event) => {
  event.preventDefault();
  waiting.abort();
  code.hidden = await post("/login/code", { code: code.elements.code.value });
});

code.elements.again.addEventListener("click", async () => {
  if (await post("/login/again", {})) fillIn();
});
