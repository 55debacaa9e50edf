// Signing in at the accounts server: OAuth 2.1 authorization code with PKCE (RFC 7636), one token for this origin
// alone (RFC 8707). What is under way lives in this tab's sessionStorage and nowhere else.

import { base64url, decodeBase64urlJson, randomSecret, sha256 } from "./encoding.js";
import { request } from "./http.js";

const SCOPE = "openid profile email";
const UNDER_WAY = "doorward.sign-in.";
const FORGET_AFTER = 3_600_000;

// Thrown when the accounts server sent an error back, or the answer is not to a question of this tab.
export class SignInFailed extends Error {
  constructor(code) {
    super(code);
    this.code = code;
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

// Reads the answer in this URL once. Answers {accessToken, account, goal}.
export async function finishSignIn(configuration) {
  const query = new URLSearchParams(location.search);
  history.replaceState(null, "", location.pathname); // a reload must not spend the code twice
  const state = query.get("state") ?? "";
  const kept = sessionStorage.getItem(UNDER_WAY + state);
  sessionStorage.removeItem(UNDER_WAY + state);
  if (!state || !kept) throw new SignInFailed("not_started_here");
  const { verifier, goal } = JSON.parse(kept);
  const issuer = query.get("iss");
  if (issuer !== null && issuer !== configuration.accountsOrigin) throw withGoal("wrong_issuer", goal);
  if (query.has("error")) throw withGoal(query.get("error"), goal);
  const { answer } = await request(`${configuration.accountsOrigin}/oauth/token`, {
    form: {
      grant_type: "authorization_code",
      code: query.get("code") ?? "",
      redirect_uri: redirectUri(),
      client_id: configuration.clientId,
      code_verifier: verifier,
      resource: location.origin,
    },
  });
  return { accessToken: answer.access_token, account: accountName(answer.id_token), goal };
}

function withGoal(code, goal) {
  return Object.assign(new SignInFailed(code), { goal });
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
