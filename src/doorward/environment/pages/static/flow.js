// How a device gets in, step by step. Each step tells `screen` what is happening; nothing here touches the page.
//
//   kept session? ──────────────────────────────────────────────► go on
//        │ no
//   sign in (another page) ─► relay token ─► connect ─┬─ credential ─► exchange ─► go on
//                                  ▲                  ├─ pending ──► wait ─► approved: connect again
//                                  └── token ran out ◄┘               └──► rejected: say so, keep listening

import { describeDevice } from "doorward/this-device.js";
import { deviceKey } from "doorward/device-key.js";
import { Refused, Unreachable } from "doorward/http.js";
import * as machine from "doorward/machine.js";
import * as relay from "doorward/relay.js";
import { startSignIn } from "doorward/sign-in.js";

export const STANDARD_SCOPE =
  "orchestration:read orchestration:operate terminal:operate review:write relay:read";

const FIRST_DELAY = 1000;
const LONGEST_DELAY = 16_000;
const FRESH = 300_000; // a sign-in this young has not run out

// Ends the flow with a screen that has its own way out.
export class Stopped extends Error {
  constructor(state, details = {}) {
    super(state);
    this.state = state;
    this.details = details;
  }
}

// A goal is {purpose: "service", service, nonce, returnPath} or {purpose: "manage"}.
export async function enter(goal, configuration, screen, { signedIn = null } = {}) {
  const key = await deviceKey();
  const kept = await machine.keptSession(key, goal.purpose);
  if (kept) {
    screen.show("opening", { account: kept.account });
    try {
      return await goOn(goal, key, kept);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      await machine.forgetSession(goal.purpose); // revoked or restarted machine: start over with a fresh session
    }
  }
  if (!signedIn) {
    screen.show("signing-in");
    return startSignIn(configuration, goal);
  }
  screen.show("connecting", { account: signedIn.account });
  const device = await describeDevice();
  const credential = await beLetIn(configuration, key, signedIn, device, goal, screen);
  screen.show("opening", { account: signedIn.account });
  const scope = goal.purpose === "service" ? STANDARD_SCOPE : undefined;
  const session = await machine.exchangeCredential(key, credential, device, scope);
  session.account = signedIn.account;
  await machine.keepSession(goal.purpose, session);
  return goOn(goal, key, session);
}

async function goOn(goal, key, session) {
  if (goal.purpose === "manage") return session;
  location.replace(await machine.serviceCallback(key, session, goal));
  return new Promise(() => {}); // the page is being left
}

// Asks until the machine hands out a credential. Only the machine decides; only this key is asked about.
async function beLetIn(configuration, key, signedIn, device, goal, screen) {
  let token = await tokenFor(configuration, key, signedIn, goal);
  for (;;) {
    let reply;
    try {
      reply = await relay.connect(configuration, key, token, device);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      token = await tokenFor(configuration, key, signedIn, goal); // it lasts half an hour; an owner may take longer
      reply = await relay.connect(configuration, key, token, device);
    }
    if (reply.credential !== undefined) return reply.credential;
    const details = { thumbprint: key.thumbprint, account: signedIn.account, device };
    screen.show(reply.approvalStatus === "rejected" ? "rejected" : "waiting", details);
    await decisionToLetIn(key, reply.approvalStatus, screen, details);
    screen.show("connecting", { account: signedIn.account });
  }
}

// The relay knows whose machine this is: it refuses everybody else's sign-in, and a sign-in that ran out.
async function tokenFor(configuration, key, signedIn, goal) {
  try {
    return await relay.relayToken(configuration, key, signedIn);
  } catch (error) {
    if (!(error instanceof Refused) || error.reason !== "invalid_bearer") throw error;
    if (Date.now() - signedIn.at > FRESH) return startSignIn(configuration, goal);
    throw new Stopped("not-owner", { account: signedIn.account });
  }
}

// Returns when asking again makes sense: approved, or forgotten by the machine. A rejected device keeps listening,
// because the owner may have changed their mind.
async function decisionToLetIn(key, shown, screen, details) {
  let delay = FIRST_DELAY;
  for (;;) {
    let status;
    try {
      status = await machine.waitForDecision(key, shown);
      screen.connection(true);
      delay = FIRST_DELAY;
    } catch (error) {
      if (error instanceof Unreachable) screen.connection(false);
      else if (error.status !== 429) throw error;
      await pause(error.retryAfter ? error.retryAfter * 1000 : delay);
      delay = Math.min(delay * 2, LONGEST_DELAY);
      continue;
    }
    if (status === "approved" || status === "unknown") return;
    if (status !== shown) {
      shown = status;
      screen.show(status === "rejected" ? "rejected" : "waiting", details);
    }
  }
}

// A step that nobody answered is tried again, less and less often, while the page says so.
export async function keepTrying(step, screen) {
  let delay = FIRST_DELAY;
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      screen.show("unreachable", {});
      await Promise.race([pause(delay), screen.retryPressed()]);
      delay = Math.min(delay * 2, LONGEST_DELAY);
    }
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
