// The machine's services and its sessions.

import { element, moment, status } from "doorward/doorward.js";
import { actButton } from "doorward/device-rows.js";

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
      element(
        "p",
        { className: "row-title" },
        service.name,
        service.isAnswering ? status("Running", "good") : status("Not running", "bad"),
      ),
      element("p", { className: service.url ? "address" : "" }, address),
      element(
        "p",
        { className: "small soft" },
        service.isAnswering
          ? `Leads to ${service.local} on this machine`
          : `Nothing listens at ${service.local} on this machine. Start the service; this page notices.`,
      ),
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
