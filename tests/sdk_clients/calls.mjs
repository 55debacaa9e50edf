// A call of @clerk/backend on each line of stdin; on stdout a line of what it asked the server and what it gave back or threw.
import { asked } from './only_ours.mjs';
import { createInterface } from 'node:readline';
import { createClerkClient, verifyToken } from '@clerk/backend';
import { plainError, plainState } from './plain.mjs';

for (const level of ['log', 'warn', 'error']) console[level] = () => {};

const clients = new Map();
const clientOf = options => {
  const key = JSON.stringify(options);
  if (!clients.has(key)) clients.set(key, createClerkClient({ apiUrl: process.env.CLERK_API_URL, ...options }));
  return clients.get(key);
};

// A picture comes as base64.
const revived = params => params?.file
  ? { ...params, file: new Blob([Buffer.from(params.file, 'base64')], { type: 'image/png' }) }
  : params;

const outcomeOf = async (client, call, args) => {
  if (call === 'verifyToken') return verifyToken(args[0], { apiUrl: process.env.CLERK_API_URL, ...args[1] });
  if (call === 'authenticateRequest') {
    const [{ url, ...init }, options] = args;
    return plainState(await client.authenticateRequest(new Request(url, init), options));
  }
  const [group, method] = call.split('.');
  return client[group][method](...args.map(revived));
};

const methods = () => {
  const named = [];
  for (const [group, api] of Object.entries(createClerkClient({ secretKey: 'sk_test_names' }))) {
    if (typeof api === 'function' || group === 'telemetry') continue;
    const own = Object.getOwnPropertyNames(Object.getPrototypeOf(api));
    named.push(...own.filter(name => name !== 'constructor').map(name => `${group}.${name}`));
  }
  return named;
};

for await (const line of createInterface({ input: process.stdin })) {
  const { by, call, args } = JSON.parse(line);
  asked.length = 0;
  let outcome;
  try {
    outcome = { gave: call === 'methods' ? methods() : await outcomeOf(clientOf(by), call, args) };
  } catch (error) {
    outcome = { threw: plainError(error) };
  }
  process.stdout.write(JSON.stringify({ call, asked, ...outcome }) + '\n');
}
