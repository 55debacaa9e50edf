import './only_ours.mjs';
import { clerkMiddleware, getAuth } from '@clerk/hono';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { listening, options, routes } from './app_routes.mjs';
import { plainAuth } from './plain.mjs';

const app = new Hono();
app.use('*', clerkMiddleware(options));
for (const [path, acceptsToken] of Object.entries(routes)) {
  app.get(path, context => {
    const auth = getAuth(context, { acceptsToken });
    return context.json(plainAuth(auth), auth.isAuthenticated ? 200 : 401);
  });
}
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => listening(port));
