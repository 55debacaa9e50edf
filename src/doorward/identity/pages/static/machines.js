// The list of machines: a token for this session from our own origin, the list from the relay, again every few
// seconds while somebody looks.
import { announce, element, setBusy, status } from "doorward/doorward.js";

const EVERY = 5000;
const page = document.getElementById("machines");
const { session, relay } = page.dataset;
const retry = document.getElementById("retry");
let shown = null;
let timer = 0;
let isAsking = false;

class Problem extends Error {
  constructor(title, text) {
    super(text);
    this.title = title;
  }
}

function show(...states) {
  for (const part of page.querySelectorAll("[data-state]")) part.hidden = !states.includes(part.dataset.state);
}

async function token() {
  const path = `/v1/client/sessions/${encodeURIComponent(session)}/tokens/t3-relay`;
  const answer = await fetch(path, { method: "POST" }).catch(() => null);
  if (!answer) throw offline("This server does not answer");
  if (answer.status === 401 || answer.status === 404) {
    location.assign("/sign-in?redirect_url=/machines");
    return new Promise(() => {});
  }
  if (!answer.ok) throw new Problem("The list could not be fetched", "This server gave no token for the relay. Try again in a moment.");
  return (await answer.json()).jwt;
}

async function environments() {
  const jwt = await token();
  const answer = await fetch(`${relay}/v1/environments`, { headers: { authorization: `Bearer ${jwt}` } }).catch(() => null);
  if (!answer) throw offline("The relay does not answer");
  if (!answer.ok) throw new Problem("The relay gave no list", `It answered with status ${answer.status}. Its log says why.`);
  return (await answer.json()).environments;
}

function offline(title) {
  if (!navigator.onLine) return new Problem("You are offline", "The list is fetched as soon as there is a network again.");
  return new Problem(title, "It may be starting, or this network may not reach it.");
}

async function refresh() {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  try {
    const found = await environments();
    render(found.sort((one, other) => one.label.localeCompare(other.label)));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    page.querySelector("[data-problem-title]").textContent = problem.title;
    const stale = shown ? " What is below may be out of date." : "";
    page.querySelector("[data-problem-text]").textContent = problem.message + stale;
    show("problem", ...(shown ? [shown] : []));
  } finally {
    isAsking = false;
    setBusy(retry, false);
    timer = setTimeout(() => { if (!document.hidden) refresh(); }, EVERY);
  }
}

let drawn = "";

function render(found) {
  shown = found.length ? "list" : "empty";
  show(shown);
  const now = JSON.stringify(found);
  if (now === drawn) return;
  if (drawn) announce("The list of machines has changed.");
  drawn = now;
  const list = page.querySelector("[data-list]");
  const focused = list.contains(document.activeElement) ? document.activeElement.id : null;
  list.replaceChildren(...found.map(machine));
  if (focused) document.getElementById(focused)?.focus();
}

function machine({ environmentId, label, endpoint, connected, services = [] }) {
  return element("li", { className: "card" },
    element("div", { className: "card-head" }, element("h2", {}, label), presence(connected)),
    services.length
      ? element("ul", { className: "rows" }, ...services.map((one) => service(one, environmentId)))
      : element("p", { className: "soft" }, "No service is exposed yet. On this machine: ", element("code", {}, "doorward expose 8888")),
    approvals(environmentId, endpoint));
}

function presence(connected) {
  if (connected === undefined) return status("Not known", "idle");
  return connected ? status("Online", "good") : status("Offline", "idle");
}

// An account approves nothing, so this page has no button for it: it says where the machine's own page is.
function approvals(environmentId, endpoint) {
  return element("details", { className: "small" },
    element("summary", { id: `approvals-${environmentId}` }, "Where its devices are approved"),
    element("p", { className: "soft" },
      "On the machine: in a terminal with ", element("code", {}, "doorward connect security clients"),
      ", or on its Connections page. If remote administration is on, an administrator device also finds that page ",
      element("a", { id: `page-${environmentId}`, href: new URL("/connections", endpoint.httpBaseUrl).href }, "at the machine’s own address"),
      "."));
}

function service({ name, url }, environmentId) {
  return element("li", {},
    element("div", { className: "row-text" },
      element("span", { className: "row-title" }, name),
      element("span", { className: "soft small" }, url)),
    element("a", { id: `open-${environmentId}-${name}`, href: url, className: "button secondary" },
      "Open", element("span", { className: "unseen" }, ` ${name}`)));
}

retry.addEventListener("click", () => { setBusy(retry, true); refresh(); });
addEventListener("online", refresh);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
show("loading");
refresh();
