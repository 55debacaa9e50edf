// The machine's own calls, all on this origin and all proved with the device's key.

import { proofOfPossession } from "doorward/device-key.js";
import { request } from "doorward/http.js";
import { forget, read, write } from "doorward/storage.js";

const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";
const BOOTSTRAP = "urn:t3:params:oauth:token-type:environment-bootstrap";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const LEAST_LEFT = 60_000; // milliseconds a kept session must still have to be worth a hop
const LONG_POLL = 40_000;

let offset = 0;

// Milliseconds to add to this browser's clock to get the machine's.
export const clockOffset = () => offset;

export async function fetchConfiguration() {
  const { answer, response } = await request("/gate/configuration.json", { method: "GET" });
  const serverTime = Date.parse(response.headers.get("date") ?? "");
  // A clock within a few seconds is as good as the header, which has whole seconds only.
  if (Number.isFinite(serverTime) && Math.abs(serverTime - Date.now()) > 4000) offset = serverTime - Date.now();
  return answer;
}

// `purpose` keeps a session for opening services apart from one that may manage the machine.
export async function keptSession(key, purpose) {
  const session = await read(`session.${purpose}`);
  if (!session || session.thumbprint !== key.thumbprint) return null;
  return session.expiresAt - (Date.now() + offset) > LEAST_LEFT ? session : null;
}

export const keepSession = (purpose, session) => write(`session.${purpose}`, session);
export const forgetSession = (purpose) => forget(`session.${purpose}`);

export async function exchangeCredential(key, credential, device, scope) {
  const form = {
    grant_type: GRANT,
    subject_token: credential,
    subject_token_type: BOOTSTRAP,
    requested_token_type: ACCESS_TOKEN,
    client_label: device.label,
    client_device_type: device.type,
    client_os: device.os,
  };
  if (scope) form.scope = scope;
  const { answer } = await proved(key, "/oauth/token", { form });
  return {
    accessToken: answer.access_token,
    scope: answer.scope,
    expiresAt: Date.now() + offset + answer.expires_in * 1000,
    thumbprint: key.thumbprint,
  };
}

// A single-use code for one service host; answers the callback URL that spends it.
export async function serviceCallback(key, session, { service, nonce, returnPath }) {
  const { answer } = await proved(key, "/gate/code", {
    accessToken: session.accessToken,
    json: { service, nonce, return: returnPath },
  });
  return answer.callback;
}

// Long-polls the machine's decision about this very key; answers at once when it is not what the page shows.
export async function waitForDecision(key, seen) {
  const { answer } = await proved(key, "/gate/wait", { json: { seen }, timeout: LONG_POLL });
  return answer.status;
}

export async function proved(key, path, { method = "POST", accessToken, ...rest } = {}) {
  const url = location.origin + path;
  const headers = { dpop: await proofOfPossession(key, { method, url, accessToken, clockOffset: offset }) };
  if (accessToken !== undefined) headers.authorization = `DPoP ${accessToken}`;
  return request(url, { method, headers, ...rest });
}
