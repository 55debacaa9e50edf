// The relay's two calls: a token bound to this device's key, and the request to be let in.

import { proofOfPossession } from "doorward/device-key.js";
import { request } from "doorward/http.js";

const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

export async function relayToken(configuration, key, signIn) {
  const url = `${configuration.relayOrigin}/v1/client/dpop-token`;
  const { answer } = await request(url, {
    headers: { dpop: await proofOfPossession(key, { method: "POST", url }) },
    form: {
      grant_type: GRANT,
      subject_token: signIn.accessToken,
      subject_token_type: ACCESS_TOKEN,
      requested_token_type: ACCESS_TOKEN,
      resource: configuration.relayOrigin,
      scope: "environment:connect",
      client_id: configuration.clientId,
    },
  });
  return answer.access_token;
}

// Answers {credential} or {approvalStatus}: the machine decided, the relay only carried it.
export async function connect(configuration, key, token, device) {
  const url = `${configuration.relayOrigin}/v1/environments/${encodeURIComponent(configuration.environmentId)}/connect`;
  const { answer } = await request(url, {
    headers: {
      authorization: `DPoP ${token}`,
      dpop: await proofOfPossession(key, { method: "POST", url, accessToken: token }),
    },
    json: {
      deviceId: device.id,
      clientProofKeyThumbprint: key.thumbprint,
      client: { label: device.label, deviceType: device.type, os: device.os },
    },
  });
  if (answer.status !== undefined) return { approvalStatus: answer.approvalStatus };
  return { credential: answer.credential };
}
