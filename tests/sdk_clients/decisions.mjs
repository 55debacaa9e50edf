// Runs @clerk/backend over a table of requests on stdin and prints its verdicts, one JSON document each way.
//
// Every case brings its own clock: the SDK reads `Date.now`, so what it decides is a function of the table alone.
import { createClerkClient } from '@clerk/backend';
import { plainState } from './plain.mjs';

const read = async stream => {
  let text = '';
  for await (const part of stream) text += part;
  return JSON.parse(text);
};

const realNow = Date.now;
for (const level of ['log', 'warn', 'error']) console[level] = () => {};

const judge = async ({ options, method, url, headers, now, asked }) => {
  const { build, ...perRequest } = options;
  const client = createClerkClient(build);
  Date.now = () => now * 1000;
  try {
    const state = await client.authenticateRequest(new Request(url, { method, headers }), perRequest);
    const auth = state.toAuth();
    return {
      ...plainState(state),
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
