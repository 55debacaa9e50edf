// This machine as the one that tells of devices that ask to be let in. A session that may not decide gets no key.

const ROUTE = "/connections/notifications";

export const knocks = (access) => ({
  key: async () => {
    const response = await access.open(ROUTE);
    return response.ok ? (await response.json()).applicationServerKey : null;
  },
  subscribe: (subscription) => access.post(ROUTE, subscription),
  unsubscribe: (endpoint) => access.post(`${ROUTE}/end`, { endpoint }),
});
