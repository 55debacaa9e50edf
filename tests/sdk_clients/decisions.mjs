// Runs @clerk/backend over a table of requests on stdin and prints its verdicts, one JSON document each way.
//
// Every case brings its own clock: the SDK reads `Date.now`, so what it decides is a function of the table alone.
import { createClerkClient } from '@clerk/backend';

const read = async stream => {
  let text = '';
  for await (const part of stream) text += part;
  return JSON.parse(text);
};

const realNow = Date.now;
for (const level of ['log', 'warn', 'error']) console[level] = () => {};

const serializable = auth => {
  if (!auth) return null;
  const { debug, getToken, has, ...rest } = auth;
  return rest;
};

const judge = async ({ options, method, url, headers, now, asked }) => {
  const { build, ...perRequest } = options;
  const client = createClerkClient(build);
  Date.now = () => now * 1000;
  try {
    const state = await client.authenticateRequest(new Request(url, { method, headers }), perRequest);
    const auth = state.toAuth();
    const answered = {};
    state.headers.forEach((value, name) => { if (name !== 'set-cookie') answered[name] = value; });
    return {
      status: state.status,
      reason: state.reason,
      message: state.message,
      tokenType: state.tokenType,
      isAuthenticated: state.isAuthenticated,
      headers: answered,
      setCookie: state.headers.getSetCookie(),
      auth: serializable(auth),
      has: asked && auth ? asked.map(question => auth.has(question)) : [],
    };
  } catch (error) {
    return { throws: true, said: String(error) };
  } finally {
    Date.now = realNow;
  }
};

const verdicts = [];
for (const one of await read(process.stdin)) verdicts.push(await judge(one));
process.stdout.write(JSON.stringify(verdicts));
