import './only_ours.mjs';
import { clerkMiddleware, getAuth } from '@clerk/express';
import express from 'express';
import { listening, options, routes } from './app_routes.mjs';
import { plainAuth } from './plain.mjs';

const app = express();
app.use(clerkMiddleware(options));
for (const [path, acceptsToken] of Object.entries(routes)) {
  app.get(path, (request, response) => {
    const auth = getAuth(request, { acceptsToken });
    response.status(auth.isAuthenticated ? 200 : 401).json(plainAuth(auth));
  });
}
const server = app.listen(0, '127.0.0.1', () => listening(server.address().port));
