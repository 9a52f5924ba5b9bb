// Reads the page anew every few seconds while it is looked at, and puts in what changed.
const EVERY = 5000;
const parts = () => [...document.querySelectorAll("[data-part], [data-live]")];
const isBusy = (part) => part.contains(document.activeElement) || part.querySelector("details[open]");

async function look() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = [...fresh.querySelectorAll("[data-part], [data-live]")];
  parts().forEach((part, at) => {
    if (found[at] && !isBusy(part) && part.innerHTML !== found[at].innerHTML) {
      part.replaceChildren(...found[at].childNodes);
    }
  });
}

if (parts().length) {
  setInterval(() => {
    if (document.visibilityState !== "visible") return;
    look().then(
      () => document.body.classList.remove("lost"),
      () => document.body.classList.add("lost"),
    );
  }, EVERY);
}
