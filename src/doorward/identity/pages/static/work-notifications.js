// The relay as the one that tells of agents' work on the account's machines.

const ID = "doorward.browser-id";
const ROUTE = "/v1/client/browsers";

const PREFERENCES = {
  liveActivitiesEnabled: false,
  notificationsEnabled: true,
  notifyOnApproval: true,
  notifyOnInput: true,
  notifyOnCompletion: true,
  notifyOnFailure: true,
};

export const agentsWork = (askRelay) => ({
  key: async () => (await askRelay(ROUTE)).applicationServerKey,
  subscribe: ({ endpoint, keys }) =>
    askRelay(ROUTE, "POST", {
      deviceId: browserId(),
      label: browserName(),
      subscription: { endpoint, keys },
      preferences: PREFERENCES,
    }),
  unsubscribe: () => askRelay(`${ROUTE}/${encodeURIComponent(browserId())}`, "DELETE"),
});

// The same for every account of this browser profile: a subscription handed to another account leaves the former one.
function browserId() {
  const kept = localStorage.getItem(ID);
  if (kept) return kept;
  const made = crypto.randomUUID();
  localStorage.setItem(ID, made);
  return made;
}

function browserName() {
  const data = navigator.userAgentData;
  const brand = data?.brands.find(({ brand: name }) => !/not.?a.?brand|chromium/i.test(name))?.brand;
  return [brand ?? "Browser", data?.platform].filter(Boolean).join(" on ");
}
