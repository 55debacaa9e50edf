// Signing in at the accounts server: OAuth 2.1 authorization code with PKCE (RFC 7636), one token for this origin
// alone (RFC 8707). What is under way lives in this tab's sessionStorage and nowhere else.

import { base64url, decodeBase64urlJson, randomSecret, sha256 } from "doorward/encoding.js";
import { Refused, request } from "doorward/http.js";

const SCOPE = "openid profile email";
const UNDER_WAY = "doorward.sign-in.";
const FORGET_AFTER = 3_600_000;

// The accounts server sent an error back, or the answer is not to a question of this tab. `goal` is where the person
// was going, when that is known.
export class SignInFailed extends Error {
  constructor(code, goal = null) {
    super(code);
    this.code = code;
    this.goal = goal;
  }
}

export async function startSignIn(configuration, goal, { prompt } = {}) {
  const verifier = randomSecret();
  const state = randomSecret();
  forgetStale();
  sessionStorage.setItem(UNDER_WAY + state, JSON.stringify({ verifier, goal, startedAt: Date.now() }));
  const query = new URLSearchParams({
    response_type: "code",
    client_id: configuration.clientId,
    redirect_uri: redirectUri(),
    scope: SCOPE,
    state,
    code_challenge: base64url(await sha256(verifier)),
    code_challenge_method: "S256",
    resource: location.origin,
  });
  if (prompt) query.set("prompt", prompt);
  location.assign(`${configuration.accountsOrigin}/oauth/authorize?${query}`);
  return new Promise(() => {}); // the page is being left
}

// Takes the answer out of this URL, once: a reload must not spend the code again.
export function takeAnswer(configuration) {
  const query = new URLSearchParams(location.search);
  history.replaceState(null, "", location.pathname);
  const state = query.get("state") ?? "";
  const kept = sessionStorage.getItem(UNDER_WAY + state);
  sessionStorage.removeItem(UNDER_WAY + state);
  if (!state || !kept) throw new SignInFailed("not_started_here");
  const { verifier, goal } = JSON.parse(kept);
  const issuer = query.get("iss");
  if (issuer !== null && issuer !== configuration.accountsOrigin) throw new SignInFailed("wrong_issuer", goal);
  if (query.has("error")) throw new SignInFailed(query.get("error"), goal);
  return { code: query.get("code") ?? "", verifier, goal };
}

// Answers {accessToken, account, at}.
export async function redeemAnswer(configuration, { code, verifier, goal }) {
  try {
    const { answer } = await request(`${configuration.accountsOrigin}/oauth/token`, {
      form: {
        grant_type: "authorization_code",
        code,
        redirect_uri: redirectUri(),
        client_id: configuration.clientId,
        code_verifier: verifier,
        resource: location.origin,
      },
    });
    return { accessToken: answer.access_token, account: accountName(answer.id_token), at: Date.now() };
  } catch (error) {
    if (error instanceof Refused) throw new SignInFailed(error.reason ?? "refused", goal);
    throw error;
  }
}

function redirectUri() {
  return `${location.origin}/gate/callback`;
}

// Shown to the person, never decided upon: the machine checks the account itself.
function accountName(idToken) {
  if (!idToken) return null;
  const claims = decodeBase64urlJson(idToken.split(".")[1]);
  return claims.email ?? claims.preferred_username ?? claims.name ?? null;
}

function forgetStale() {
  for (const name of Object.keys(sessionStorage)) {
    if (!name.startsWith(UNDER_WAY)) continue;
    const startedAt = JSON.parse(sessionStorage.getItem(name)).startedAt ?? 0;
    if (Date.now() - startedAt > FORGET_AFTER) sessionStorage.removeItem(name);
  }
}
