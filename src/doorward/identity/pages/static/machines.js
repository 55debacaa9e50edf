// The list of machines: a token for this session from our own origin, the list from the relay, again every few
// seconds while somebody looks.
import { confirmed } from "doorward/confirmation.js";
import { announce, setBusy } from "doorward/doorward.js";
import { isNews, markKnown } from "doorward/known-links.js";
import { shownName, warnings } from "doorward/look-alike.js";
import { offerNotifications } from "doorward/notify.js";
import { agentsWork } from "doorward/work-notifications.js";
import { machineCard } from "doorward/machine-card.js";

const EVERY = 5000;
const page = document.getElementById("machines");
const { session, relay } = page.dataset;
const retry = document.getElementById("retry");
let machines = [];
let shown = null;
let timer = 0;
let isAsking = false;
let unlinking = null; // the one change under way: the id of its machine
let unlinked = 0; // how often: a list asked for before the last time still has that machine

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
  if (!answer.ok) throw new Problem("The relay could not be asked", "This server gave no token for the relay. Try again in a moment.");
  return (await answer.json()).jwt;
}

async function askRelay(path, method = "GET", json = undefined) {
  const headers = { authorization: `Bearer ${await token()}` };
  if (json) headers["content-type"] = "application/json";
  const body = json && JSON.stringify(json);
  const answer = await fetch(`${relay}${path}`, { method, headers, body }).catch(() => null);
  if (!answer) throw offline("The relay does not answer");
  if (!answer.ok) throw new Problem("The relay refused", `It answered with status ${answer.status}. Its log says why.`);
  return answer.json();
}

function offline(title) {
  if (!navigator.onLine) return new Problem("You are offline", "The list is fetched as soon as there is a network again.");
  return new Problem(title, "It may be starting, or this network may not reach it.");
}

async function refresh() {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  const before = unlinked;
  try {
    const { environments } = await askRelay("/v1/environments");
    if (before === unlinked) list(environments.sort((one, other) => one.label.localeCompare(other.label)));
  } catch (problem) {
    tell(problem, shown ? " What is below may be out of date." : "");
  } finally {
    isAsking = false;
    setBusy(retry, false);
    timer = setTimeout(() => { if (!document.hidden) refresh(); }, EVERY);
  }
}

function tell(problem, after = "") {
  if (!(problem instanceof Problem)) throw problem;
  page.querySelector("[data-problem-title]").textContent = problem.title;
  page.querySelector("[data-problem-text]").textContent = problem.message + after;
  show("problem", ...(shown ? [shown] : []));
}

function list(sorted) {
  machines = sorted;
  shown = machines.length ? "list" : "empty";
  show(shown);
  render();
}

let drawn = "";

function render() {
  const now = JSON.stringify([machines, machines.map(isNews), unlinking]);
  if (now === drawn) return;
  if (drawn) announce("The list of machines has changed.");
  drawn = now;
  const cards = page.querySelector("[data-list]");
  const focused = cards.contains(document.activeElement) ? document.activeElement.id : null;
  const opened = new Set([...cards.querySelectorAll("details[open]")].map((details) => details.id));
  const looks = warnings(machines);
  const context = { looks, isNews, unlinking, actions: { recognise, askToUnlink } };
  cards.replaceChildren(...machines.map((machine) => machineCard(machine, context)));
  for (const details of cards.querySelectorAll("details")) details.open = opened.has(details.id);
  if (focused) document.getElementById(focused)?.focus();
}

function recognise(machine) {
  markKnown(machine);
  render();
  document.getElementById(`card-${machine.environmentId}`)?.focus();
}

function askToUnlink(machine) {
  const name = shownName(machine.label);
  confirmed(
    {
      title: `Unlink ${name}?`,
      text: "Nobody reaches it from outside any more, and everything open is closed at once. It can be linked again from the machine. If it was not you who linked it, change your password next.",
      action: "Unlink",
    },
    () => unlink(machine),
  );
}

async function unlink(machine) {
  if (unlinking) return;
  unlinking = machine.environmentId;
  render();
  try {
    await askRelay(`/v1/client/environment-links/${encodeURIComponent(machine.environmentId)}`, "DELETE");
    unlinking = null;
    unlinked += 1;
    list(machines.filter((other) => other.environmentId !== machine.environmentId));
    announce(`${shownName(machine.label)} was unlinked.`);
    (page.querySelector("[data-list] > li") ?? document.getElementById("main")).focus();
  } catch (problem) {
    unlinking = null;
    render();
    tell(problem, " The machine is still linked.");
  }
}

retry.addEventListener("click", () => { setBusy(retry, true); refresh(); });
addEventListener("online", refresh);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
show("loading");
refresh();
offerNotifications(agentsWork(askRelay));
