// Server-sent events over fetch, because EventSource cannot carry a proof or a page key. Ends when the session does;
// anything else is a reason to connect again.

import { Refused } from "doorward/http.js";

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
const SILENCE = 20_000; // the machine says something every five seconds

// `open(signal)` answers a fetch response. Returns when the session has ended; throws Refused when it may not look.
export async function follow(open, { onState, onConnection }) {
  let delay = FIRST_DELAY;
  for (;;) {
    const stop = new AbortController();
    let timer = setTimeout(() => stop.abort(), SILENCE);
    try {
      const response = await open(stop.signal);
      if (response.status === 401 || response.status === 403 || response.status === 404) {
        throw new Refused(response.status, await response.json().catch(() => null));
      }
      if (!response.ok) throw new Error(`answered ${response.status}`);
      onConnection(true);
      delay = FIRST_DELAY;
      const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => stop.abort(), SILENCE);
      };
      for await (const { event, data } of eventsOf(response.body, alive)) {
        if (event === "ended") return;
        if (event === "state") onState(JSON.parse(data));
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    onConnection(false);
    await new Promise((resolve) => setTimeout(resolve, delay * (0.5 + Math.random() / 2)));
    delay = Math.min(delay * 2, LONGEST_DELAY);
  }
}

async function* eventsOf(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    rest += value;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const fields = { event: "message", data: "" };
      for (const line of rest.slice(0, end).split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
      }
      rest = rest.slice(end + 2);
      yield fields;
    }
  }
}
