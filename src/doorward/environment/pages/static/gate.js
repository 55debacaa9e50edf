// The gate page: reads where the person wants to go, and lets this device in.

import { enter, keepTrying, Stopped } from "doorward/flow.js";
import { fetchWords, keyPhrase } from "doorward/key-phrase.js";
import { fetchConfiguration } from "doorward/machine.js";
import { Screen } from "doorward/screen.js";
import { redeemAnswer, SignInFailed, startSignIn, takeAnswer } from "doorward/sign-in.js";

const NONCE_HASH = /^[A-Za-z0-9_-]{43}$/;

const screen = new Screen(document.querySelector("[data-gate]"), {
  phraseOf: async (thumbprint) => keyPhrase(thumbprint, await fetchWords("/gate/words.txt")),
});
let configuration = null;
let goal = null;

async function run() {
  if (!globalThis.crypto?.subtle || !globalThis.indexedDB) throw new Stopped("unsupported");
  configuration = await keepTrying(fetchConfiguration, screen);
  const signedIn = location.pathname === "/gate/callback" ? await comeBack() : null;
  goal ??= goalOfThisPage();
  screen.fill("service", serviceName());
  await keepTrying(() => enter(goal, configuration, screen, { signedIn }), screen);
  location.replace("/connections"); // only a goal of managing returns; opening a service leaves this page
}

async function comeBack() {
  const answer = takeAnswer(configuration);
  goal = answer.goal;
  screen.fill("service", serviceName());
  screen.show("connecting");
  return keepTrying(() => redeemAnswer(configuration, answer), screen);
}

function goalOfThisPage() {
  const query = new URLSearchParams(location.search);
  const wanted = {
    purpose: "service",
    service: query.get("service") ?? "",
    nonce: query.get("nonce") ?? "",
    returnPath: query.get("return") ?? "/",
  };
  if (!wanted.service && !wanted.nonce) throw new Stopped("nowhere");
  if (!configuration.services.some((service) => service.host === wanted.service)) throw new Stopped("unknown-service");
  if (!NONCE_HASH.test(wanted.nonce)) throw new Stopped("nowhere");
  return wanted;
}

function serviceName() {
  if (goal.purpose === "manage") return configuration.label;
  return configuration.services.find((service) => service.host === goal.service)?.name ?? goal.service;
}

function startOver(options) {
  if (goal && configuration) startSignIn(configuration, goal, options);
  else location.reload();
}

// `consent` is the page that says who is signed in and lets them be somebody else, however fresh the sign-in.
screen.onPress("other-account", () => startOver({ prompt: "login consent" }));
screen.onPress("start-over", () => startOver());

addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // Back to a page that was about to leave
});

try {
  await run();
} catch (error) {
  if (error instanceof SignInFailed) {
    goal ??= error.goal;
    screen.show(error.code === "access_denied" ? "sign-in-declined" : "sign-in-failed", { code: error.code });
  } else if (error instanceof Stopped) {
    screen.show(error.state, error.details);
  } else {
    console.error(error);
    screen.show("failed", { code: error?.reason ?? error?.message ?? String(error) });
  }
}
