// Whether the machine is linked and can be reached, and the two buttons that change it.

import { element, status } from "doorward/doorward.js";

const STATES = {
  connected: ["good", "Reachable from outside"],
  connecting: ["warn", "Connecting to the outside"],
  linking: ["warn", "Being linked"],
  unlinked: ["idle", "Not linked"],
  superseded: ["bad", "Another copy of this machine took over"],
  refused: ["bad", "The server refused this machine"],
};

const WHAT = {
  connected: "Devices that are let in reach its services from anywhere.",
  connecting: "Its services are reached from outside as soon as the tunnel stands.",
  linking: "It asks the relay for a public address, and again by itself until it has one.",
  unlinked: "Nothing outside reaches it. Linked, its services get public addresses, for the devices let in here.",
  superseded: "Its services are reached through that other copy now.",
  refused: "Its services are not reached from outside.",
};

// What the machine said last is not what is so: while it does not answer, nobody here knows.
export function linkStatus(link, isOnline) {
  const [kind, words] = isOnline ? STATES[link.state] : ["idle", "Not known now"];
  return status(words, kind);
}

// `part` finds the page's places by name; `press` is the button's state while a change is under way.
export function renderLink(part, link, { may, busy, isOnline }) {
  part("link-section").hidden = !link;
  part("reach").replaceChildren(...(link ? [linkStatus(link, isOnline)] : []));
  if (!link) return;
  part("link-state").replaceChildren(linkStatus(link, isOnline));
  part("link-text").textContent = WHAT[link.state];
  part("link-text").hidden = !isOnline;
  part("link-problem").textContent = link.problem ?? "";
  part("link-problem").hidden = !link.problem;
  const facts = Object.entries({ Address: link.address, Account: link.account }).filter(([, value]) => value);
  part("link-facts").hidden = facts.length === 0;
  part("link-facts").replaceChildren(
    ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
  renderInstallation(part, link.relayClient);
  const isInstalling = Boolean(link.relayClient?.stage);
  // Until the relay has answered too, the change is under way, though this machine is unlinked already.
  const isUnlinking = busy?.key === "unlink";
  const isLinked = link.state !== "unlinked" || isUnlinking;
  part("sign-in-first").hidden = isLinked || link.canLink;
  press(part("link-button"), "Link this machine", "Linking…", busy?.key === "link", !isLinked && link.canLink && may("link"));
  press(part("unlink-button"), link.state === "linking" ? "Stop linking" : "Unlink", "Unlinking…", isUnlinking, isLinked && may("unlink"));

  function press(button, words, busyWords, isActing, isShown) {
    button.hidden = !isShown;
    button.disabled = busy !== null || isInstalling || !isOnline;
    const shown = isActing ? busyWords : words;
    if (button.textContent !== shown) button.textContent = shown;
  }
}

const STAGES = {
  checking: "Checking current installation",
  waiting_for_lock: "Waiting for installer",
  downloading: "Downloading relay client",
  verifying: "Verifying download",
  installing: "Installing relay client",
  validating: "Validating executable",
  activating: "Activating installation",
};

function renderInstallation(part, client) {
  const isRunning = Boolean(client?.stage);
  part("install").hidden = !isRunning;
  part("install-failure").hidden = !client?.failure;
  part("install-failure").textContent = client?.failure ?? "";
  if (!isRunning) return;
  part("install-step").textContent = `${STAGES[client.stage]}, ${client.step} of ${client.steps}`;
  part("install-progress").max = client.steps;
  part("install-progress").value = client.step;
}

export const installQuestion = ({ version }) => ({
  title: "Install the relay client?",
  text: `This machine's relay reaches it through Cloudflare, which takes cloudflared ${version}. It is downloaded, checked and put into Doorward's own folder. Without it, nothing is linked.`,
  action: "Download and install",
});

export const unlinkQuestion = (label) => ({
  title: `Unlink ${label}?`,
  text: "Nothing outside reaches it any more, and everything open is closed at once. What was decided about devices stays, and it can be linked again here.",
  action: "Unlink",
});

// What became of the relay's record; the machine's own side is undone whatever it is.
export const unlinkOutcome = (relay) =>
  relay === "revoked" || relay === "not_linked"
    ? "This machine is not linked any more."
    : "This machine is not linked any more. The relay could not be told: your list of machines shows it as offline until you unlink it there too.";
