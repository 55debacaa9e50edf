// Shows what is sent to this browser, and opens the page it was asked on. Which page that is, the scope says: a message
// carries words and nothing else.

const PAGE = new URL(self.registration.scope).pathname.replace(/\/$/, "");

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  // A push that shows nothing would be shown by the browser, in its own words, or cost the subscription.
  const { title, body, tag } = read(event.data);
  event.waitUntil(
    self.registration.showNotification(title ?? "Doorward", {
      body: body ?? "Open the page to see what happened.",
      tag: tag ?? "doorward",
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
