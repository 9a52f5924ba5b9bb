// What the sandbox told us, by phone.

const SEEN = "countersign-inbox-seen";

class Phone {
  entries = [];
  blocked = false;

  constructor(number, seen) {
    this.number = number;
    this.seen = seen;
  }

  get last() { return this.entries.at(-1); }

  get unread() {
    return this.entries.filter((e) => e.type === "message" && e.arrived && e.created_at > this.seen).length;
  }
}

export class Store {
  phones = new Map();
  scenarios = [];
  kinds = [];
  outage = { mode: "none", seconds_left: 0 };
  #entries = new Map();
  #shown = Infinity;
  #seen = read();

  // Gives the messages that have just arrived, none of a first or repeated snapshot.
  take(state, whole) {
    if (whole) {
      this.#shown = state.shown;
      this.kinds = state.kinds;
      const told = new Set(state.entries.map((entry) => entry.id));
      for (const id of [...this.#entries.keys()]) if (!told.has(id)) this.#forget(id);
    }
    const arrived = state.entries.filter((entry) => this.#put(entry) && !whole);
    if (state.outage) this.outage = state.outage;
    if (state.scenarios) this.scenarios = state.scenarios;
    while (this.#entries.size > 2 * this.#shown) this.#forget(this.#entries.keys().next().value);
    return arrived;
  }

  phone(number) {
    if (!this.phones.has(number)) this.phones.set(number, new Phone(number, this.#seen[number] ?? ""));
    return this.phones.get(number);
  }

  // Phones with something to show, the newest first.
  listed() {
    const found = [...this.phones.values()].filter((phone) => phone.last);
    return found.sort((a, b) => (a.last.created_at < b.last.created_at ? 1 : -1));
  }

  markSeen(number) {
    const phone = this.phones.get(number);
    if (!phone?.unread) return;
    phone.seen = this.#seen[number] = phone.last.created_at;
    const known = Object.entries(this.#seen).filter(([one]) => this.phones.has(one));
    try { localStorage.setItem(SEEN, JSON.stringify(Object.fromEntries(known))); } catch { /* private */ }
  }

  // What was set by hand for a number comes before what was set for a kind of sender, and that before
  // the number's own last four digits.
  outcome(number) {
    const whole = this.scenarios.find((one) => one.to === number && one.kind === null);
    const others = this.scenarios.filter((one) => one.kind && (one.to === number || (one.to === null && !whole)));
    return { digits: whole?.outcome ?? number.slice(-4), byHand: Boolean(whole), others };
  }

  #put(entry) {
    const phone = this.phone(entry.phone), before = this.#entries.get(entry.id);
    this.#entries.set(entry.id, entry);
    if (before) phone.entries[phone.entries.indexOf(before)] = entry;
    else insert(phone.entries, entry);
    if (entry.type === "reply") phone.blocked = entry.blocked;
    return entry.type === "message" && entry.arrived && !before?.arrived;
  }

  #forget(id) {
    const entry = this.#entries.get(id), phone = this.phones.get(entry.phone);
    this.#entries.delete(id);
    phone.entries.splice(phone.entries.indexOf(entry), 1);
    if (!phone.last) this.phones.delete(entry.phone);
  }
}

function insert(entries, entry) {
  let at = entries.length;
  while (at > 0 && entries[at - 1].created_at > entry.created_at) at -= 1;
  entries.splice(at, 0, entry);
}

function read() {
  try { return JSON.parse(localStorage.getItem(SEEN)) ?? {}; } catch { return {}; }
}
