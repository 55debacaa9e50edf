// Imported first: what an SDK asks for over HTTP is written down, and nobody but the server under test is ever asked.
export const asked = [];

const { fetch } = globalThis;
globalThis.fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  const method = init?.method ?? (input instanceof Request ? input.method : 'GET');
  asked.push(`${method} ${url.pathname}`);
  if (url.origin !== process.env.CLERK_FAPI_URL) throw new TypeError(`a foreign host: ${url.origin}`);
  return fetch(input, init);
};
