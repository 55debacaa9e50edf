// How the Connections page speaks to the machine: on the machine with its session in two halves, from outside with
// the device's key. Both answer the same calls.

import { deviceKey, proofOfPossession } from "doorward/device-key.js";
import { request } from "doorward/http.js";
import * as machine from "doorward/machine.js";
import { startSignIn } from "doorward/sign-in.js";

const PAGE_KEY = "doorward.page-key";

// The cookie travels by itself; this origin's storage, which unlike cookies belongs to this port alone, holds the rest.
export function onTheMachine() {
  const headers = () => ({ "doorward-page": localStorage.getItem(PAGE_KEY) ?? "" });
  return {
    hasSession: () => localStorage.getItem(PAGE_KEY) !== null,
    post: (path, json) => request(path, { json, headers: headers(), credentials: "same-origin" }),
    open: (path, signal) => fetch(path, { headers: headers(), credentials: "same-origin", cache: "no-store", signal }),
    forget: () => localStorage.removeItem(PAGE_KEY),
    // This browser forgets first: whatever becomes of the request, nobody decides here with what was kept.
    signOut: () => {
      const sent = headers();
      localStorage.removeItem(PAGE_KEY);
      return request("/connections/sign-out", { json: {}, headers: sent, credentials: "same-origin" });
    },
  };
}

export async function openWithLink(token) {
  const headers = { "doorward-page": localStorage.getItem(PAGE_KEY) ?? "" };
  const { answer } = await request("/connections/open", { json: { token }, headers, credentials: "same-origin" });
  localStorage.setItem(PAGE_KEY, answer.pageKey);
}

export async function fromOutside() {
  const configuration = await machine.fetchConfiguration();
  const key = await deviceKey();
  const session = await machine.keptSession(key, "manage");
  if (!session) return startSignIn(configuration, { purpose: "manage" });
  const accessToken = session.accessToken;
  return {
    hasSession: () => true,
    post: (path, json) => machine.proved(key, path, { accessToken, json }),
    open: async (path, signal) => {
      const dpop = await proofOfPossession(key, {
        method: "GET",
        url: location.origin + path,
        accessToken,
        clockOffset: machine.clockOffset(),
      });
      return fetch(path, { headers: { authorization: `DPoP ${accessToken}`, dpop }, cache: "no-store", signal });
    },
    forget: () => machine.forgetSession("manage"),
    signOut: async () => {
      await machine.forgetSession("manage");
      return machine.proved(key, "/connections/sign-out", { accessToken, json: {} });
    },
  };
}
