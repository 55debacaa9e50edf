// Who let whom in: the newest entries come with every state, older ones when somebody asks.

import { element, moment, setBusy } from "doorward/doorward.js";
import { KeyedList } from "doorward/keyed-list.js";

const DONE = {
  "client.approve": (device, { detail }) => `Approved ${device}${detail === "administrator" ? " as administrator" : ""}`,
  "client.reject": (device) => `Rejected ${device}`,
  "client.revoke": (device) => `Revoked ${device}`,
  "security_mode.set": (mode) => (mode === "account" ? "Let in every device of the account" : "Required approval of new devices"),
  "pairing.create": () => "Made a one-time link",
  "pairing.revoke": () => "Withdrew a one-time link",
  "session.issue": () => "Made a session",
  "session.end": () => "Ended a session",
  "session.end_others": (_, { detail }) => `Ended all other sessions (${detail})`,
  "link.want": () => "Asked for this machine to be linked",
  "link.apply": (account) => `Linked this machine to ${account}`,
  "link.remove": () => "Unlinked this machine",
  "service.add": (name) => `Exposed ${name}`,
  "service.remove": (name) => `Stopped exposing ${name}`,
  "service.publish": (name, { detail }) => `Published ${name} at ${detail}`,
  "service.withdraw": (name) => `Withdrew ${name}`,
  "notifications.subscribe": (service) => `Asked for notifications, by ${service}`,
  "notifications.unsubscribe": () => "Stopped notifications of a browser",
};

// Who and from where, in one phrase.
const ACTORS = {
  machine: () => "on the machine itself",
  loopback: ({ by, address }) => `by ${by ?? "a browser"} on the machine’s own page${address ? ` (${address})` : ""}`,
  tunnel: ({ by, address }) => `by ${by ?? "a device"} from outside${address ? ` (${address})` : ""}`,
};

export class AuditList {
  constructor(part, access) {
    this.part = part;
    this.access = access;
    this.entries = [];
    this.hasOlder = false;
    this.rows = new KeyedList(part("audit"), (entry) => entry.id);
    part("audit-older").addEventListener("click", () => this.fetchOlder());
  }

  // The newest entries may have moved on past the ones shown; then only they are sure to be without a gap.
  update(newest) {
    const known = this.entries.findIndex((entry) => entry.id === newest.entries.at(-1)?.id);
    if (known >= 0) this.entries = [...newest.entries, ...this.entries.slice(known + 1)];
    else {
      this.entries = newest.entries;
      this.hasOlder = newest.hasOlder;
    }
    this.render();
  }

  async fetchOlder() {
    const button = this.part("audit-older");
    if (button.getAttribute("aria-disabled") === "true") return;
    setBusy(button, true);
    try {
      const before = encodeURIComponent(this.entries.at(-1).id);
      const response = await this.access().open(`/connections/audit?before=${before}`);
      if (!response.ok) throw new Error(`answered ${response.status}`);
      const { entries, hasOlder } = await response.json();
      const last = this.entries.at(-1)?.id;
      this.entries = [...this.entries, ...entries.filter((entry) => !this.entries.some(({ id }) => id === entry.id))];
      this.hasOlder = hasOlder;
      this.render();
      this.rowAfter(last)?.focus();
      this.part("audit-problem").hidden = true;
    } catch {
      this.part("audit-problem").hidden = false;
    } finally {
      setBusy(button, false);
    }
  }

  rowAfter(id) {
    const at = this.entries.findIndex((entry) => entry.id === id);
    return this.part("audit").children[at + 1];
  }

  render() {
    this.rows.show(this.entries, auditRow, "");
    this.part("no-audit").hidden = this.entries.length > 0;
    this.part("audit-older").hidden = !this.hasOlder;
  }
}

function auditRow(entry) {
  const device = entry.device ?? "a device that gave no name";
  const words = DONE[entry.action]?.(entry.keyPhrase ? device : entry.object, entry) ?? `${entry.action} ${entry.object}`;
  return element(
    "li",
    { "data-key": entry.id, tabIndex: -1 },
    element(
      "div",
      { className: "row-text" },
      element("p", {}, words),
      entry.keyPhrase ? element("p", { className: "small", translate: false, "aria-label": `Key phrase: ${entry.keyPhrase}` }, entry.keyPhrase) : null,
      element("p", { className: "small soft" }, moment(entry.happenedAt), `, ${(ACTORS[entry.door] ?? (() => entry.door))(entry)}`),
    ),
  );
}
