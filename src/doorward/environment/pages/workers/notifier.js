// Shows what the machine sends to this browser, and opens the Connections page. What to open is fixed here: a message
// carries words and nothing else.

const PAGE = "/connections";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  // A push that shows nothing would be shown by the browser, in its own words, or cost the subscription.
  const { title, body, tag } = read(event.data);
  event.waitUntil(
    self.registration.showNotification(title ?? "A device asks to be let in", {
      body: body ?? "Open the Connections page to decide.",
      tag: tag ?? "doorward-knock",
      renotify: true,
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(showPage());
});

async function showPage() {
  const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = open.find((client) => new URL(client.url).pathname === PAGE);
  if (page) return page.focus();
  return self.clients.openWindow(PAGE);
}

function read(data) {
  try {
    return data?.json() ?? {};
  } catch {
    return {};
  }
}
