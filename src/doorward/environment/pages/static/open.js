// The one-time link: its token is behind the #, so that no server log and no other page ever sees it.

import { announce } from "doorward/doorward.js";
import { Refused } from "doorward/http.js";
import { openWithLink } from "doorward/owner-access.js";

const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

function show(name) {
  for (const section of document.querySelectorAll("[data-screen]")) section.hidden = section.dataset.screen !== name;
  announce(document.querySelector(`[data-screen="${name}"] h1`).textContent.trim());
}

try {
  if (!token) throw new Refused(401, null);
  await openWithLink(token);
  location.replace("/connections");
} catch (error) {
  show(error instanceof Refused ? "spent" : "unreachable");
}
