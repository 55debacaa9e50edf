// One device, as its owner sees it: large with its key phrase while it waits for a decision, a row afterwards.

import { element, keyPhrase, moment, status } from "doorward/doorward.js";

export function actButton(label, kind, act, { context, key, words = null, small = false, describe = "" }) {
  const isActing = words !== null && context.busy?.key === key && context.busy.words === words;
  const made = element(
    "button",
    { type: "button", className: `button ${kind}${small ? " small" : ""}`, "data-act": label },
    isActing ? words : label,
    describe ? element("span", { className: "unseen" }, ` ${describe}`) : null,
  );
  made.disabled = context.busy !== null || !context.isOnline;
  made.addEventListener("click", act);
  return made;
}

export function deviceCard(device, context) {
  const name = nameOf(device);
  return element(
    "li",
    { className: "card doorway", "data-key": device.thumbprint, tabIndex: -1 },
    element("div", { className: "card-head" }, element("h3", {}, name), status("Waiting for approval", "warn")),
    keyPhrase(device.keyPhrase, `Key phrase of ${name}`),
    element("p", { className: "soft" }, "Approve it only if the device shows the same six words."),
    factsOf(device, context),
    element("div", { className: "actions" }, ...decisions(device, context)),
  );
}

export function deviceRow(device, context) {
  const name = nameOf(device);
  const phrase = element(
    "details",
    { className: "small" },
    element("summary", {}, "Key phrase and details"),
    keyPhrase(device.keyPhrase, `Key phrase of ${name}`),
    factsOf(device, context),
    element("div", { className: "actions" }, administratorButton(device, context)),
  );
  const title = element(
    "p",
    { className: "row-title" },
    name,
    device.status === "approved" ? status("Approved", "good") : status("Rejected", "bad"),
    device.role === "administrator" ? status("Administrator", "warn") : null,
  );
  return element(
    "li",
    { "data-key": device.thumbprint, tabIndex: -1 },
    element("div", { className: "row-text" }, title, element("p", { className: "small soft" }, ...timeOf(device), ...placeOf(device)), phrase),
    element("div", { className: "actions" }, ...decisions(device, context, true)),
  );
}

export function nameOf(device) {
  return device.label ?? device.os ?? `Device ${device.thumbprint.slice(0, 8)}`;
}

function timeOf(device) {
  if (device.status === "rejected") return ["Rejected ", moment(device.rejectedAt)];
  if (device.lastSeenAt !== null) return ["Last connected ", moment(device.lastSeenAt)];
  return ["Approved ", moment(device.approvedAt)];
}

function placeOf(device) {
  return [kindOf(device), device.address ? `from ${device.address}` : null].filter(Boolean).map((words) => ` · ${words}`);
}

const kindOf = (device) =>
  [device.deviceType === "unknown" ? null : capitalised(device.deviceType), device.os].filter(Boolean).join(", ");

function factsOf(device, { state }) {
  const rows = [
    ["Kind", kindOf(device) || "Not said"],
    ["Asked", moment(device.requestedAt)],
    ["From", device.address ?? "Not known yet"],
    ["Account", state.link?.account === device.account ? `${device.account} (linked this machine)` : device.account],
    ["Device id", device.deviceId ?? "Not said"],
  ];
  return element(
    "dl",
    { className: "facts small" },
    ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

function decisions(device, context, small = false) {
  const { may, verbs, confirmed } = context;
  const name = nameOf(device);
  const options = (words) => ({ context, key: device.thumbprint, words, small, describe: name });
  const buttons = [];
  if (device.status !== "approved" && may("approve")) {
    buttons.push(actButton("Approve", small ? "secondary" : "primary", () => verbs.approve(device), options("Approving…")));
  }
  if (device.status === "pending" && may("reject")) {
    buttons.push(actButton("Reject", "secondary", () => verbs.reject(device), options("Rejecting…")));
  }
  if (device.status !== "pending" && may("revoke")) {
    buttons.push(actButton("Revoke", "danger", () => confirmed(revokeQuestion(device), () => verbs.revoke(device)), options("Revoking…")));
  }
  if (device.status === "pending") buttons.push(administratorButton(device, context));
  return buttons.filter(Boolean);
}

function administratorButton(device, context) {
  const { may, verbs, confirmed } = context;
  if (device.role === "administrator" || device.status === "rejected" || !may("approve-administrator")) return null;
  const ask = () => confirmed(administratorQuestion(device), () => verbs.approveAdministrator(device));
  const options = { context, key: device.thumbprint, small: device.status !== "pending", describe: nameOf(device) };
  return actButton("Approve as administrator", "quiet", ask, options);
}

const revokeQuestion = (device) => ({
  title: `Revoke ${nameOf(device)}?`,
  text: device.status === "rejected"
    ? "It still has no access, but is no longer refused: it may ask again, and waits for approval then."
    : "It loses access at once and everything it has open is closed. It may ask again, and waits for approval then.",
  action: "Revoke",
});

const administratorQuestion = (device) => ({
  title: `Let ${nameOf(device)} decide for this machine?`,
  text: "An administrator device can approve, reject and revoke other devices from anywhere. Compare the key phrase first:",
  phrase: keyPhrase(device.keyPhrase),
  action: "Approve as administrator",
});

const capitalised = (word) => word[0].toUpperCase() + word.slice(1);
