// The machine's services, its sessions, and who let whom in.

import { element, moment, status } from "doorward/doorward.js";
import { actButton, nameOf } from "doorward/device-rows.js";

export function serviceRow(service) {
  const address = service.url
    ? element("a", { href: service.url, rel: "noreferrer" }, service.url)
    : status(service.problem ?? "No address yet", service.problem ? "bad" : "idle");
  return element(
    "li",
    { "data-key": service.name },
    element(
      "div",
      { className: "row-text" },
      element("p", { className: "row-title" }, service.name),
      element("p", {}, address),
      element("p", { className: "small soft" }, `Leads to ${service.local} on this machine`),
    ),
  );
}

export function sessionRow(session, context) {
  const { may, verbs } = context;
  const end = () => verbs.endSession(session);
  const options = { context, key: session.id, words: "Ending…", small: true, describe: session.name };
  return element(
    "li",
    { "data-key": session.id, tabIndex: -1 },
    element(
      "div",
      { className: "row-text" },
      element(
        "p",
        { className: "row-title" },
        session.name,
        session.isCurrent ? status("This page", "good") : null,
        session.isAdministrator ? status("May decide", "warn") : null,
      ),
      element("p", { className: "small soft" }, "Began ", moment(session.issuedAt), ", ends ", moment(session.expiresAt)),
    ),
    session.isCurrent || !may("end-sessions") ? null : actButton("End", "danger", end, options),
  );
}

const DONE = {
  "client.approve": (object, detail) => `Approved ${object}${detail === "administrator" ? " as administrator" : ""}`,
  "client.reject": (object) => `Rejected ${object}`,
  "client.revoke": (object) => `Revoked ${object}`,
  "security_mode.set": (object) =>
    object === "account" ? "Let in every device of the account" : "Required approval of devices",
  "pairing.create": () => "Made a one-time link",
  "pairing.revoke": () => "Withdrew a one-time link",
  "session.issue": () => "Made a session",
  "session.end": () => "Ended a session",
  "session.end_others": (_, detail) => `Ended all other sessions (${detail})`,
  "link.apply": (object) => `Linked this machine to ${object}`,
  "link.remove": () => "Unlinked this machine",
  "service.add": (object) => `Exposed ${object}`,
  "service.remove": (object) => `Stopped exposing ${object}`,
  "service.publish": (object, detail) => `Published ${object} at ${detail}`,
  "service.withdraw": (object) => `Withdrew ${object}`,
  "notifications.subscribe": (object) => `Asked for notifications, by ${object}`,
  "notifications.unsubscribe": () => "Stopped notifications of a browser",
};

const DOORS = { machine: "on this machine", loopback: "from this page", tunnel: "from outside" };

export function auditRow(entry, state) {
  const device = state.devices.find((known) => known.thumbprint === entry.object);
  const object = device ? nameOf(device) : entry.action.startsWith("client.") ? `device ${entry.object.slice(0, 8)}` : entry.object;
  const words = DONE[entry.action]?.(object, entry.detail) ?? `${entry.action} ${object}`;
  const [door, ...address] = entry.cameFrom.split(" ");
  const by = state.sessions?.find((session) => session.id === entry.actor)?.name;
  const where = [DOORS[door] ?? door, by ? `by ${by}` : null, address.length ? `(${address.join(" ")})` : null];
  return element(
    "li",
    { "data-key": `${entry.happenedAt}` },
    element(
      "div",
      { className: "row-text" },
      element("p", {}, words),
      element("p", { className: "small soft" }, moment(entry.happenedAt), `, ${where.filter(Boolean).join(" ")}`),
    ),
  );
}
