// The device: one P-256 key that this browser made and that cannot leave it. Its RFC 7638 thumbprint is what the
// owner approves; every request is signed with it (RFC 9449).

import { base64url, base64urlText, sha256 } from "doorward/encoding.js";
import { read, writeOnce } from "doorward/storage.js";

const NAME = "key";
const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };

export async function deviceKey() {
  let pair = await read(NAME);
  if (!pair) {
    pair = await writeOnce(NAME, await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]));
  }
  const { crv, kty, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const thumbprint = base64url(await sha256(JSON.stringify({ crv, kty, x, y })));
  return { privateKey: pair.privateKey, jwk: { kty, crv, x, y }, thumbprint };
}

export async function deviceId() {
  return writeOnce("device-id", crypto.randomUUID());
}

// A proof of possession for one request. `url` must carry neither query nor fragment; `clockOffset` in milliseconds
// corrects this browser's clock to the verifier's.
export async function proofOfPossession(key, { method, url, accessToken, clockOffset = 0 }) {
  const claims = {
    htm: method,
    htu: url,
    jti: crypto.randomUUID(),
    iat: Math.floor((Date.now() + clockOffset) / 1000),
  };
  if (accessToken !== undefined) claims.ath = base64url(await sha256(accessToken));
  const head = base64urlText(JSON.stringify({ typ: "dpop+jwt", alg: "ES256", jwk: key.jwk }));
  const signed = `${head}.${base64urlText(JSON.stringify(claims))}`;
  const signature = await crypto.subtle.sign(SIGNATURE, key.privateKey, new TextEncoder().encode(signed));
  return `${signed}.${base64url(signature)}`;
}
