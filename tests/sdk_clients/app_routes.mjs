// What every framework's app here serves: at each path, who a handler that accepts these tokens sees.
export const routes = {
  '/session': 'session_token',
  '/oauth': 'oauth_token',
  '/m2m': 'm2m_token',
  '/key': 'api_key',
  '/people-and-keys': ['session_token', 'api_key'],
  '/any': 'any',
};

// Options of the middleware beside those in the environment.
export const options = JSON.parse(process.argv[2] ?? '{}');

export const listening = port => process.stdout.write(JSON.stringify({ port }) + '\n');
