// A Triplit server in memory: each user reads and writes their own notes only. `node --import ./loopback.mjs server.mjs KEY_FILE`
// prints the port it took. The key file's text is what EXTERNAL_JWT_SECRET would hold.
import { readFileSync } from "node:fs";
import { createServer, createTriplitStorageProvider } from "@triplit/server";
import { Schema as S } from "@triplit/client";

const mine = { filter: [["userId", "=", "$role.userId"]] };
const schema = {
  roles: { user: { match: { sub: "$userId" } } },
  collections: S.Collections({
    notes: {
      schema: S.Schema({ id: S.Id(), userId: S.String(), text: S.String() }),
      permissions: { user: { read: mine, insert: mine, update: mine, delete: mine } },
    },
  }),
};

// Without one of its own the server would print every token's claims.
const silent = { log() {}, startSpan: () => ({}), endSpan() {} };
const start = await createServer({
  storage: await createTriplitStorageProvider("memory"),
  jwtSecret: "an internal secret that no test uses",
  externalJwtSecret: readFileSync(process.argv[2], "utf8"),
  dbOptions: { schema },
  logHandler: silent,
});
start(0, ({ port }) => console.log(JSON.stringify({ port })));
