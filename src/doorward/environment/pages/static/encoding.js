// Base64url and SHA-256, as JOSE spells them.

export function base64url(bytes) {
  let binary = "";
  for (const byte of new Uint8Array(bytes)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function base64urlText(text) {
  return base64url(new TextEncoder().encode(text));
}

export function decodeBase64urlJson(part) {
  const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
}

export async function sha256(text) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

export function randomSecret(bytes = 32) {
  return base64url(crypto.getRandomValues(new Uint8Array(bytes)));
}
