// One Triplit client, driven by lines of JSON: {"do": "insert", "row": {…}}. Says what happens as lines of JSON:
// {"rows": […]} whenever the server's answer changes, {"refused": type} when it does not want this session.
// `node --experimental-websocket client.mjs URL [MS]` with the token as the first line of standard input, once it says
// {"ready": true}. With MS it asks for another token so often, {"wants": "token"}, and gets it by {"do": "token", "token": "…"}.
import { createInterface } from "node:readline";
import { TriplitClient } from "@triplit/client";

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
console.log = console.info = () => {}; // Triplit's own words stay out of the way
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
say({ ready: true });
const token = (await lines.next()).value;

const client = new TriplitClient({ serverUrl: process.argv[2], autoConnect: false });
client.onSessionError((type) => say({ refused: type }));
client.onFailureToSyncWrites(() => say({ writesRefused: true }));
client.onSyncMessageReceived(({ type, payload }) => type === "READY" && say({ clientId: payload.clientId }));
let give;
const refreshHandler = () => new Promise((resolve) => {
  give = resolve;
  say({ wants: "token" });
});
const interval = Number(process.argv[3]);
await client.startSession(token, true, interval ? { interval, refreshHandler } : undefined);
client.subscribe(
  client.query("notes").Order("id", "ASC"),
  (rows, info) => say({ rows, hasRemoteFulfilled: info?.hasRemoteFulfilled ?? null }),
  (error) => say({ error: error.name }),
);
for await (const line of { [Symbol.asyncIterator]: () => lines }) {
  const wish = JSON.parse(line);
  if (wish.do === "insert") await client.insert("notes", wish.row);
  if (wish.do === "token") give(wish.token);
  say({ done: wish.do });
}
process.exit(0);
