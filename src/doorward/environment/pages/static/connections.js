// The Connections page: everything it shows comes from the machine's own stream; pressing a button only asks.

import { AuditList } from "doorward/audit-list.js";
import { confirmed } from "doorward/confirmation.js";
import { announce } from "doorward/doorward.js";
import { deviceCard, deviceRow } from "doorward/device-rows.js";
import { Refused } from "doorward/http.js";
import { KeyedList } from "doorward/keyed-list.js";
import { installQuestion, renderLink, unlinkOutcome, unlinkQuestion } from "doorward/link-card.js";
import { follow } from "doorward/live.js";
import { serviceRow, sessionRow } from "doorward/machine-rows.js";
import { knocks } from "doorward/knock-notifications.js";
import { offerNotifications } from "doorward/notify.js";
import { fromOutside, onTheMachine } from "doorward/owner-access.js";
import { Stopped } from "doorward/flow.js";

const root = document.querySelector("[data-connections]");
const part = (name) => root.querySelector(`[data-part="${name}"]`);

const lists = {
  pending: new KeyedList(part("pending"), (device) => device.thumbprint),
  devices: new KeyedList(part("devices"), (device) => device.thumbprint),
  services: new KeyedList(part("services"), (service) => service.name),
  sessions: new KeyedList(part("sessions"), (session) => session.id),
};
const audit = new AuditList(part, () => access);

let access = null;
let state = null;
let busy = null; // the one change under way: {key, words}
let isOnline = true;
let isSignedOut = false;

function show(name) {
  root.dataset.state = name;
  for (const section of root.querySelectorAll("[data-screen]")) section.hidden = section.dataset.screen !== name;
  const isOver = ["no-session", "ended", "signed-out"].includes(name);
  part("sign-out").hidden = isOver;
  part("reach").hidden = isOver;
}

// --- one change at a time -------------------------------------------------------------------------------------

// `tell` turns the machine's answer into a sentence, where there is something to say.
async function change(key, words, path, body, tell = () => null) {
  if (busy) return;
  busy = { key, words };
  say(null);
  render();
  try {
    const { answer } = await access.post(path, body);
    report(tell(answer));
  } catch (error) {
    say(failureOf(error));
  } finally {
    busy = null;
    render();
  }
}

function failureOf(error) {
  if (!(error instanceof Refused)) return "The machine did not answer. Nothing may have changed; look again in a moment.";
  if (error.reason === "unknown_device") return "That device is not in the list any more.";
  if (error.reason === "change_under_way") return "Another page is changing the link at this moment. Nothing was changed by this one.";
  if (error.reason === "machine_not_signed_in") return "This machine is signed in to no account. Run doorward connect login on it first.";
  if (error.reason === "not_allowed") return "This session may not do that.";
  if (error.status === 401) return "This page's session has ended. Open it again with a new link.";
  return "The machine refused. Nothing was changed.";
}

function say(text) {
  part("failure").hidden = !text;
  part("failure-text").textContent = text ?? "";
  report(null);
}

function report(text) {
  part("report").hidden = !text;
  part("report-text").textContent = text ?? "";
}

const decide = (decision, words) => (device) =>
  change(device.thumbprint, words, "/connections/decisions", { decision, thumbprint: device.thumbprint });

const verbs = {
  approve: decide("approve", "Approving…"),
  reject: decide("reject", "Rejecting…"),
  revoke: decide("revoke", "Revoking…"),
  approveAdministrator: decide("approve-administrator", "Approving…"),
  endSession: (session) =>
    change(session.id, "Ending…", "/connections/sessions/end", { sessionId: session.id }),
  link: () => change("link", "Linking…", "/connections/link", {}),
  install: () => change("link", "Installing…", "/connections/relay-client", {}),
  unlink: () =>
    change("unlink", "Unlinking…", "/connections/unlink", {}, ({ relay }) => unlinkOutcome(relay)),
  setMode: (mode) => change(`mode ${mode}`, "Changing…", "/connections/mode", { mode }),
};

// --- what is shown --------------------------------------------------------------------------------------------

function render() {
  if (!state) return;
  const may = (right) => state.rights.includes(right);
  const context = { may, busy, isOnline, verbs, confirmed, state };
  const pending = state.devices.filter((device) => device.status === "pending");
  const decided = state.devices.filter((device) => device.status !== "pending");
  lists.pending.show(pending, (device) => deviceCard(device, context), marks(context));
  lists.devices.show(decided, (device) => deviceRow(device, context), marks(context));
  part("pending-section").hidden = pending.length === 0 || !state.isReachableByDesign;
  part("no-devices").hidden = state.devices.length > 0;
  part("devices").hidden = decided.length === 0;
  part("all-waiting").hidden = decided.length > 0 || pending.length === 0;
  document.title = pending.length ? `(${pending.length}) Connections · Doorward` : "Connections · Doorward";
  renderMode(context);
  renderSections();
  renderLink(part, state.link, context);
  renderList("services", "services", (service) => serviceRow(service), "");
  renderList("sessions", "sessions", (session) => sessionRow(session, context), marks(context));
}

// Nothing of the outside on a machine that knows no relay. On one that lets in a whole account, a list of devices that
// can hold none is left out; where approval is the rule, or nobody knows what is, it is there.
function renderSections() {
  const { devices, link, mode, isReachableByDesign } = state;
  const isReached = link === null || link.state !== "unlinked";
  const holdsNone = mode === "account" && devices.length === 0 && !isReached;
  part("devices-section").hidden = !isReachableByDesign || holdsNone;
  part("how-devices-come").hidden = !isReached;
  part("link-first").hidden = isReached;
  part("notify-place").hidden = !isReachableByDesign;
  part("no-relay").hidden = isReachableByDesign;
}

// What a row depends on besides its own data: when it changes, the row is made anew.
const marks = ({ busy: change, isOnline: online }) => `${change?.key ?? ""} ${online} ${state.rights}`;

function renderList(name, member, make, mark) {
  const items = state[member];
  part(`${name}-section`).hidden = items === null;
  if (items === null) return;
  lists[name].show(items, make, mark);
  part(`no-${name}`).hidden = items.length > 0;
}

function renderMode({ may }) {
  const { mode, isReachableByDesign } = state;
  const mayChoose = may("require-approval") || may("trust-account");
  part("mode-section").hidden = !isReachableByDesign || (!mayChoose && mode !== null);
  for (const choice of root.querySelectorAll("[data-mode]")) choice.hidden = choice.dataset.mode !== (mode ?? "unreadable");
  part("mode-problem").textContent = state.modeProblem ?? "";
  for (const button of root.querySelectorAll("[data-set-mode]")) {
    const right = button.dataset.setMode === "account" ? "trust-account" : "require-approval";
    button.hidden = !may(right);
    button.disabled = busy !== null || !isOnline;
    const words = busy?.key === `mode ${button.dataset.setMode}` ? busy.words : button.dataset.label;
    if (button.textContent !== words) button.textContent = words;
  }
}

function connection(isUp) {
  if (isUp === isOnline) return;
  isOnline = isUp;
  part("offline").hidden = isUp;
  announce(isUp ? "The machine answers again." : "The machine does not answer.");
  render();
}

function newState(next) {
  const known = new Set(state?.devices.filter((device) => device.status === "pending").map((d) => d.thumbprint));
  const added = next.devices.filter((device) => device.status === "pending" && !known.has(device.thumbprint));
  const isFirst = state === null;
  state = next;
  show("ready");
  render();
  part("audit-section").hidden = !state.audit;
  if (state.audit) audit.update(state.audit);
  if (!isFirst && added.length) announce(`A device asks to be let in: ${added[0].label ?? "unnamed"}.`);
}

for (const button of root.querySelectorAll("[data-set-mode]")) {
  button.dataset.label = button.textContent.trim();
  button.addEventListener("click", () => {
    const mode = button.dataset.setMode;
    if (mode !== "account") return verbs.setMode(mode);
    return confirmed(
      {
        title: "Let in every device of the account?",
        text: "Whoever signs in to the account that linked this machine gets in then, on any device, without a decision of yours.",
        action: "Let them all in",
      },
      () => verbs.setMode(mode),
    );
  });
}
part("link-button").addEventListener("click", () => {
  const client = state.link.relayClient;
  return client ? confirmed(installQuestion(client), verbs.install) : verbs.link();
});
part("unlink-button").addEventListener("click", () => confirmed(unlinkQuestion(state.label), verbs.unlink));
part("sign-out").addEventListener("click", () => {
  isSignedOut = true;
  const leaving = access.signOut();
  show("signed-out");
  leaving.catch(() => {});
});

// --- start ----------------------------------------------------------------------------------------------------

async function run() {
  access = root.dataset.door === "loopback" ? onTheMachine() : await fromOutside();
  if (!access.hasSession()) throw new Stopped("no-session");
  offerNotifications(knocks(access));
  await follow((signal) => access.open("/connections/events", signal), { onState: newState, onConnection: connection });
  access.forget();
  throw new Stopped(state ? "ended" : "no-session");
}

try {
  await run();
} catch (error) {
  if (isSignedOut) show("signed-out");
  else if (error instanceof Stopped) show(error.state);
  else if (error instanceof Refused && error.status === 401) {
    access?.forget();
    if (root.dataset.door === "tunnel") location.reload();
    else show(state ? "ended" : "no-session");
  } else if (error instanceof Refused) show("not-allowed");
  else {
    console.error(error);
    show("failed");
  }
}
