// One way to make a request and one kind of failure per way out.

// Nobody answered: no network, the relay or the machine is away. Trying again later helps.
export class Unreachable extends Error {}

// Somebody answered and refused. `status` and `reason` say why.
export class Refused extends Error {
  constructor(status, body, retryAfter) {
    super(`refused with ${status}`);
    this.status = status;
    this.reason = body?.reason ?? body?.error ?? body?.code ?? null;
    this.retryAfter = retryAfter;
  }
}

const TIMEOUT = 15_000;

export async function request(url, { method = "POST", headers = {}, form, json, credentials = "omit", timeout = TIMEOUT } = {}) {
  const sent = new Headers(headers);
  let body;
  if (form) body = new URLSearchParams(form);
  if (json) {
    body = JSON.stringify(json);
    sent.set("content-type", "application/json");
  }
  let response;
  let answer = null;
  try {
    response = await fetch(url, {
      method,
      headers: sent,
      body,
      credentials,
      redirect: "error",
      cache: "no-store",
      signal: AbortSignal.timeout(timeout),
    });
    const text = await response.text();
    if (text && (response.headers.get("content-type") ?? "").includes("json")) answer = JSON.parse(text);
  } catch (error) {
    throw new Unreachable(String(error));
  }
  if (response.ok && answer !== null) return { answer, response };
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  if (response.status >= 500) throw new Unreachable(`answered ${response.status}`);
  throw new Refused(response.status, answer, retryAfter);
}
