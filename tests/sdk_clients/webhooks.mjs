// Verifies a table of deliveries on stdin with the published packages and prints what each said.
import { verifyWebhook } from '@clerk/backend/webhooks';
import { Webhook as Standard } from 'standardwebhooks';
import { Webhook as Svix } from 'svix';

const read = async stream => {
  let text = '';
  for await (const part of stream) text += part;
  return JSON.parse(text);
};

const verifiers = {
  clerk: (secret, headers, body) => verifyWebhook(
    new Request('https://hooks.example.com/in', { method: 'POST', headers, body }), { signingSecret: secret },
  ),
  // What @clerk/express does after express.json() has parsed the body.
  'clerk after a parser': (secret, headers, body) =>
    verifiers.clerk(secret, headers, JSON.stringify(JSON.parse(body))),
  svix: (secret, headers, body) => new Svix(secret).verify(body, headers),
  standardwebhooks: (secret, headers, body) => new Standard(secret).verify(body, headers),
};

for (const level of ['log', 'warn', 'error']) console[level] = () => {};
const verdicts = [];
for (const { by, secret, headers, body } of await read(process.stdin)) {
  try {
    verdicts.push({ event: await verifiers[by](secret, headers, body), error: null });
  } catch (error) {
    verdicts.push({ event: null, error: error.message });
  }
}
process.stdout.write(JSON.stringify(verdicts));
