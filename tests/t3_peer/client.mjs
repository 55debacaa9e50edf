// The client runtime of T3 Code, as its web application uses it, asked over lines of JSON.
//
//   node client.mjs <checkout> <relay URL>      (standard input: one command a line; standard output: one answer a line)
//
// Everything that speaks on the wire is T3 Code's own. Ours are the key (the web application keeps it in IndexedDB) and
// the name look-up: T3 Code leaves *.localhost to the resolver, and only browsers know by themselves that it is here.

import { createHash, randomUUID, webcrypto } from "node:crypto";
import dns from "node:dns";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [checkout, relayUrl] = process.argv.slice(2);
const runtime = `${checkout}/packages/client-runtime`;
const resolve = createRequire(`${runtime}/package.json`).resolve;
const peer = (path) => import(pathToFileURL(path.startsWith("effect/") ? resolve(path) : `${runtime}/src/${path}`));

const lookup = dns.lookup;
dns.lookup = (host, options, done) =>
  lookup(host.endsWith(".localhost") ? "127.0.0.1" : host, options, done);

const [Effect, Layer, Exit, Cause, Socket, ManagedRelay, remote, rpcHttp, session] = await Promise.all(
  [
    "effect/Effect", "effect/Layer", "effect/Exit", "effect/Cause", "effect/unstable/socket/Socket",
    "relay/managedRelay.ts", "authorization/remote.ts", "rpc/http.ts", "rpc/session.ts",
  ].map(peer),
);

const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
const { privateKey, publicKey } = await webcrypto.subtle.generateKey(
  { name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"],
);
const { crv, kty, x, y } = await webcrypto.subtle.exportKey("jwk", publicKey);
const thumbprint = base64url(createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest());

async function proof({ method, url, accessToken }) {
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const claims = {
    htm: method, htu: url, jti: randomUUID(), iat: Math.floor(Date.now() / 1000),
    ...(accessToken ? { ath: base64url(createHash("sha256").update(accessToken).digest()) } : {}),
  };
  const signed = [header, claims].map((part) => base64url(JSON.stringify(part))).join(".");
  const signature = await webcrypto.subtle.sign(
    { name: "ECDSA", hash: "SHA-256" }, privateKey, Buffer.from(signed),
  );
  return `${signed}.${base64url(signature)}`;
}

const signer = Layer.succeed(
  ManagedRelay.ManagedRelayDpopSigner,
  ManagedRelay.ManagedRelayDpopSigner.of({
    thumbprint: Effect.succeed(thumbprint),
    createProof: (input) => Effect.promise(() => proof(input)),
  }),
);
const http = rpcHttp.remoteHttpClientLayer(fetch);
const layers = Layer.mergeAll(
  ManagedRelay.layer({ relayUrl, clientId: "t3-web" }).pipe(Layer.provide(signer), Layer.provide(http)),
  http,
  session.layer.pipe(Layer.provide(Layer.succeed(Socket.WebSocketConstructor, (url) => new WebSocket(url)))),
);

const SCOPES = ["environment:connect", "environment:status"];
const STANDARD = [
  "orchestration:read", "orchestration:operate", "terminal:operate", "review:write", "relay:read",
];

const commands = {
  thumbprint: () => Effect.succeed(thumbprint),
  list: ({ clerkToken }) =>
    Effect.flatMap(ManagedRelay.ManagedRelayClient, (relay) => relay.listEnvironments({ clerkToken })),
  status: ({ clerkToken, environmentId }) =>
    Effect.flatMap(ManagedRelay.ManagedRelayClient, (relay) =>
      relay.getEnvironmentStatus({ clerkToken, scopes: SCOPES, environmentId })),
  connect: ({ clerkToken, environmentId, client }) =>
    Effect.flatMap(ManagedRelay.ManagedRelayClient, (relay) =>
      relay.connectEnvironment({ clerkToken, scopes: SCOPES, environmentId, ...(client ? { client } : {}) })),
  // From the minted credential to a socket that has answered `server.getConfig`.
  session: ({ endpoint, environmentId, credential }) =>
    Effect.scoped(Effect.gen(function* () {
      const { httpBaseUrl, wsBaseUrl } = endpoint;
      const post = (path, accessToken) =>
        Effect.promise(() => proof({ method: "POST", url: new URL(path, httpBaseUrl).toString(), accessToken }));
      const token = yield* remote.exchangeRemoteDpopAccessToken({
        httpBaseUrl, credential, scopes: STANDARD, dpopProof: yield* post("/oauth/token"),
        clientMetadata: { label: "Peer", deviceType: "desktop", os: "Linux" },
      });
      const socketUrl = yield* remote.resolveRemoteDpopWebSocketConnectionUrl({
        httpBaseUrl, wsBaseUrl, accessToken: token.access_token,
        dpopProof: yield* post("/api/auth/websocket-ticket", token.access_token),
      });
      const factory = yield* session.RpcSessionFactory;
      const opened = yield* factory.connect({
        environmentId, label: "Peer", httpBaseUrl, socketUrl, httpAuthorization: null, target: null,
      });
      yield* opened.ready;
      const config = yield* opened.initialConfig;
      // Whatever the machine has of the editor, asking for it leaves the connection as it is.
      const editor = yield* Effect.exit(opened.client["server.getSettings"]({}));
      yield* opened.probe;
      return {
        tokenType: token.token_type, scope: token.scope, expiresIn: token.expires_in,
        environmentId: config.environment.environmentId, label: config.environment.label,
        hasEditor: Exit.isSuccess(editor),
      };
    })),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...input } = JSON.parse(line);
  const exit = await Effect.runPromiseExit(commands[command](input).pipe(Effect.provide(layers)));
  const answer = Exit.isSuccess(exit)
    ? { ok: exit.value }
    : { failed: Cause.squash(exit.cause), said: Cause.pretty(exit.cause) };
  console.log(JSON.stringify(answer));
}
process.exit(0);
