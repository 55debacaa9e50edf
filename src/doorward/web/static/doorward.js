// What every page needs. Pages work without it where the browser allows; it only spares people a step.
// Page modules import it as "doorward/doorward.js".

// A form on its way says so on the button that sent it, keeps its label in words, and cannot be sent twice.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented) return;
  if (button.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  if (button.dataset.busy) setBusy(button, true);
});

// Coming back with the browser's Back button shows the page as it was left: let it be sent again.
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("[data-busy]")) setBusy(button, false);
});

/** Show that `button` is at work, with the words of its `data-busy`, or that it is done. */
export function setBusy(button, busy) {
  if (busy === (button.getAttribute("aria-disabled") === "true")) return;
  if (busy) {
    button.dataset.label = button.textContent;
    button.textContent = button.dataset.busy ?? button.textContent;
    button.setAttribute("aria-disabled", "true");
  } else {
    button.textContent = button.dataset.label;
    button.removeAttribute("aria-disabled");
  }
}

document.addEventListener("click", (event) => {
  const copier = event.target.closest?.("[data-copy]");
  if (copier) copy(copier);
  const reveal = event.target.closest?.("[data-reveal]");
  if (reveal) toggleReveal(reveal);
});

async function copy(button) {
  const label = button.firstChild;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    label.data = "Copied";
  } catch {
    // No clipboard without permission: select the text, so that the next keystroke can copy it.
    getSelection().selectAllChildren(button.previousElementSibling);
    label.data = "Selected";
  }
  announce(label.data);
  setTimeout(() => { label.data = "Copy"; }, 2000);
}

function toggleReveal(button) {
  const input = document.getElementById(button.dataset.reveal);
  const shown = input.type === "text";
  input.type = shown ? "password" : "text";
  button.setAttribute("aria-pressed", String(!shown));
}

/** Make an element. `properties` go to the element, `attributes` of the form "aria-…"/"data-…" are set as such. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (key in made && !key.includes("-")) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** The key phrase, in the same markup as the template component of that name. */
export function keyPhrase(phrase, label = "Key phrase") {
  const words = phrase.split(" ");
  if (words.length !== 6) throw new Error("A key phrase has six words.");
  return element("ol", { className: "key-phrase", "aria-label": label, translate: false },
    ...words.map((word) => element("li", {}, word)));
}

/** A dot and its words; `kind` is good, warn, bad or idle. */
export function status(text, kind = "idle") {
  return element("span", { className: `status ${kind}` }, text);
}

let announcer;

/** Tell screen readers, politely, what changed without a page load. */
export function announce(text) {
  if (!announcer) {
    announcer = element("div", { className: "unseen", role: "status" });
    document.body.append(announcer);
  }
  announcer.textContent = text;
}

const SPANS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** "3 minutes ago" for a moment in milliseconds since the epoch. */
function relativeTime(milliseconds, now = Date.now()) {
  const seconds = Math.round((milliseconds - now) / 1000);
  for (const [unit, length] of SPANS) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return seconds > 5 ? "in a moment" : "just now";
}

/** A `<time>` that stays right. */
export function moment(milliseconds) {
  const made = element("time", { dateTime: new Date(milliseconds).toISOString(), "data-relative": "" });
  tell(made);
  return made;
}

function tell(time) {
  const milliseconds = Date.parse(time.dateTime);
  time.textContent = relativeTime(milliseconds);
  time.title = new Date(milliseconds).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

function relativeTimes() {
  for (const time of document.querySelectorAll("time[data-relative]")) tell(time);
}

relativeTimes();
setInterval(relativeTimes, 30000);
for (const hidden of document.querySelectorAll("[data-copy][hidden], [data-reveal][hidden]")) hidden.hidden = false;
// The first field that is wrong is where the reader wants to be.
document.querySelector("[aria-invalid=true]")?.focus();
