import './only_ours.mjs';
import { clerkPlugin, getAuth } from '@clerk/fastify';
import Fastify from 'fastify';
import { listening, options, routes } from './app_routes.mjs';
import { plainAuth } from './plain.mjs';

const app = Fastify();
// The plugin takes no address from the environment: it would ask Clerk's cloud.
await app.register(clerkPlugin, { apiUrl: process.env.CLERK_API_URL, ...options });
for (const [path, acceptsToken] of Object.entries(routes)) {
  app.get(path, async (request, reply) => {
    const auth = getAuth(request, { acceptsToken });
    reply.code(auth.isAuthenticated ? 200 : 401);
    return plainAuth(auth);
  });
}
await app.listen({ port: 0, host: '127.0.0.1' });
listening(app.server.address().port);
