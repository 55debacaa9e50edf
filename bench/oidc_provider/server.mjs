// npm `oidc-provider`: opaque client-credentials tokens, and their introspection. Its tokens are kept in its own map in
// memory, or, where a file is named, in SQLite by an adapter below, in the settings of Doorward's own database.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, file] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: file ? await sqliteAdapter(file) : undefined,
  clients: [
    {
      client_id: "caller",
      client_secret: "a-secret-of-the-benchmark",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  scopes: ["m2m"],
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    devInteractions: { enabled: false },
  },
  ttl: { ClientCredentials: 3600 },
});
createServer(provider.callback()).listen(Number(port), "127.0.0.1");

async function sqliteAdapter(path) {
  const { default: Database } = await import("better-sqlite3");
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec("CREATE TABLE kept (kind TEXT, id TEXT, payload TEXT, expires INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID");
  const insert = database.prepare("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)");
  const select = database.prepare("SELECT payload, expires FROM kept WHERE kind = ? AND id = ?");
  const remove = database.prepare("DELETE FROM kept WHERE kind = ? AND id = ?");
  return class {
    constructor(kind) {
      this.kind = kind;
    }
    async upsert(id, payload, seconds) {
      insert.run(this.kind, id, JSON.stringify(payload), seconds ? Math.floor(Date.now() / 1000) + seconds : null);
    }
    async find(id) {
      const row = select.get(this.kind, id);
      return row && (row.expires === null || row.expires > Date.now() / 1000) ? JSON.parse(row.payload) : undefined;
    }
    async destroy(id) {
      remove.run(this.kind, id);
    }
  };
}
