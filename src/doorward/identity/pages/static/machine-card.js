// One machine of the account: how it is, what it lets open, where its link came from and how to undo it.

import { element, moment, status } from "doorward/doorward.js";
import { shownName } from "doorward/look-alike.js";

export function machineCard(machine, context) {
  const { environmentId, label, connected, services = [] } = machine;
  const warning = context.looks.get(environmentId);
  return element("li", { className: "card", id: `card-${environmentId}`, tabIndex: -1 },
    element("div", { className: "card-head" }, element("h2", {}, shownName(label)), presence(connected)),
    context.isNews(machine) ? question(machine, context) : null,
    warning ? element("div", { className: "notice warn" }, element("p", { className: "notice-title" }, "Look closely"), element("p", {}, warning)) : null,
    services.length
      ? element("ul", { className: "rows" }, ...services.map((one) => service(one, environmentId)))
      : element("p", { className: "soft" }, "No service is exposed yet. On this machine: ", element("code", {}, "doorward expose 8888")),
    details(machine, context));
}

function presence(connected) {
  if (connected === undefined) return status("Not known", "idle");
  return connected ? status("Online", "good") : status("Offline", "idle");
}

const origin = ({ madeAt, linkedAt, madeFrom }) => [moment(Date.parse(madeAt ?? linkedAt)), madeFrom ? ` from ${madeFrom}` : ""];

// A link that somebody else made is undone here before anything is opened.
function question(machine, context) {
  return element("div", { className: "notice" },
    element("p", { className: "notice-title" }, "Newly linked. Was it you?"),
    element("p", {}, "Linked ", ...origin(machine), ". If it was not you, do not open it: whoever linked it would see what you type there."),
    element("div", { className: "actions" },
      button("It was me", "secondary", `known-${machine.environmentId}`, machine, context, () => context.actions.recognise(machine)),
      unlinkButton(machine, context, "unlink-new")));
}

function unlinkButton(machine, context, id) {
  const isActing = context.unlinking === machine.environmentId;
  return button(isActing ? "Unlinking…" : "Unlink", "danger", `${id}-${machine.environmentId}`, machine, context, () => context.actions.askToUnlink(machine));
}

function button(words, kind, id, machine, context, act) {
  const made = element("button", { type: "button", className: `button ${kind} small`, id },
    words, element("span", { className: "unseen" }, ` ${shownName(machine.label)}`));
  made.disabled = context.unlinking !== null;
  made.addEventListener("click", act);
  return made;
}

// An account approves nothing, so this page has no button for it: it leads to the machine's own page.
function details(machine, context) {
  const { environmentId, endpoint } = machine;
  const address = addressOf(endpoint);
  return element("details", { className: "small", id: `details-${environmentId}` },
    element("summary", { id: `about-${environmentId}` }, "Devices, address and link"),
    element("div", { className: "stack" },
      element("p", { className: "soft" },
        "Who gets in is decided at the machine, on its ",
        address ? element("a", { id: `page-${environmentId}`, href: new URL("/connections", address).href }, "Connections page") : "Connections page",
        " or in its terminal with ", element("code", {}, "doorward connect security clients"), "."),
      element("dl", { className: "facts" },
        fact("Address", element("span", { className: "address" }, address?.host ?? "Not one a browser can open")),
        fact("Linked", ...origin(machine)),
        fact("Machine id", element("span", { className: "address" }, environmentId))),
      context.isNews(machine) ? null : element("div", { className: "actions" }, unlinkButton(machine, context, "unlink"))));
}

// A machine may have named its own endpoint: whatever is not an address of the web leads nowhere.
function addressOf({ httpBaseUrl }) {
  const address = URL.canParse(httpBaseUrl) ? new URL(httpBaseUrl) : null;
  return address && ["http:", "https:"].includes(address.protocol) ? address : null;
}

const fact = (name, ...value) => element("div", {}, element("dt", {}, name), element("dd", {}, ...value));

function service({ name, url }, environmentId) {
  return element("li", {},
    element("div", { className: "row-text" },
      element("span", { className: "row-title" }, name),
      element("span", { className: "soft small address" }, url)),
    element("a", { id: `open-${environmentId}-${name}`, href: url, className: "button secondary" },
      "Open", element("span", { className: "unseen" }, ` ${name}`)));
}
