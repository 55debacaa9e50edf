// "Notify me on this browser": a service worker, a subscription at the browser's own push service, and the server that
// is told of it.

import { announce, setBusy } from "doorward/doorward.js";

// Its folder is the worker's scope.
const WORKER = `${location.pathname}/notifier.js`;

const root = document.querySelector("[data-notify]");
const failure = root?.querySelector("[data-notify-failure]");

// `server` has key() → applicationServerKey or null where this session may not subscribe, subscribe(subscription as JSON)
// and unsubscribe(endpoint). Nothing is shown until it gave a key.
export async function offerNotifications(server) {
  if (!root || !isSupported()) return;
  const key = await server.key().catch(() => null);
  if (!key) return;
  const turn = { on: () => turnOn(server, key), off: () => turnOff(server) };
  for (const button of root.querySelectorAll("[data-notify-press]")) {
    button.addEventListener("click", () => press(button, turn[button.dataset.notifyPress]));
  }
  show(await resume(server, key));
}

const isSupported = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

// A browser that was subscribed stays it under the session this page has now: the one it had may have ended.
async function resume(server, key) {
  if (Notification.permission === "denied") return "blocked";
  const subscription = await (await registered())?.pushManager.getSubscription();
  if (!subscription || Notification.permission !== "granted") return "off";
  if (!isFor(subscription, key)) {
    await subscription.unsubscribe();
    return "off";
  }
  try {
    await server.subscribe(subscription.toJSON());
    return "on";
  } catch {
    return "off";
  }
}

async function turnOn(server, key) {
  const permission = await Notification.requestPermission();
  if (permission !== "granted") return permission === "denied" ? "blocked" : "off";
  const worker = await register();
  const former = await worker.pushManager.getSubscription();
  if (former && !isFor(former, key)) await former.unsubscribe();
  const subscription = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  await server.subscribe(subscription.toJSON());
  announce("Notifications are on.");
  return "on";
}

async function turnOff(server) {
  const worker = await registered();
  const subscription = await worker?.pushManager.getSubscription();
  if (subscription) {
    await server.unsubscribe(subscription.endpoint);
    await subscription.unsubscribe();
  }
  await worker?.unregister();
  announce("Notifications are off.");
  return "off";
}

async function press(button, act) {
  if (button.getAttribute("aria-disabled") === "true") return;
  failure.hidden = true;
  setBusy(button, true);
  try {
    show(await act());
  } catch (error) {
    failure.textContent = failureOf(error);
    failure.hidden = false;
  } finally {
    setBusy(button, false);
  }
}

function failureOf(error) {
  if (error?.name === "AbortError") return "This browser could not reach its push service. Try again when it is online.";
  return "That did not work. Nothing was changed.";
}

function show(state) {
  root.dataset.notifyState = state;
  root.hidden = false;
  for (const part of root.querySelectorAll("[data-notify-when]")) part.hidden = part.dataset.notifyWhen !== state;
}

const registered = () => navigator.serviceWorker.getRegistration(WORKER);

// The page's policy takes a script's URL from this and nothing else, and this knows one URL.
const trusted = window.trustedTypes?.createPolicy("doorward-notifier", { createScriptURL: () => WORKER });

async function register() {
  const worker = await navigator.serviceWorker.register(trusted?.createScriptURL("") ?? WORKER);
  await ready(worker);
  return worker;
}

// `navigator.serviceWorker.ready` would wait for a worker of this page, and the page lies outside the worker's scope.
function ready(registration) {
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  if (worker.state === "activated") return Promise.resolve();
  return new Promise((resolve, reject) => {
    worker.addEventListener("statechange", () => {
      if (worker.state === "activated") resolve();
      if (worker.state === "redundant") reject(new Error("the service worker was not taken"));
    });
  });
}

function isFor(subscription, key) {
  const bytes = new Uint8Array(subscription.options.applicationServerKey ?? new ArrayBuffer(0));
  const text = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return text === key;
}
