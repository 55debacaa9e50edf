// Which links a person has said to be theirs, on this browser. A link that is news again (renamed, another key) is asked about anew.

const KEPT = "doorward.known-links";
const ASKED_FOR = 7 * 24 * 3_600_000; // a week in ms; older links were seen, or will be by the mail

function known() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

export function isNews({ environmentId, madeAt }) {
  return madeAt !== undefined && Date.now() - Date.parse(madeAt) < ASKED_FOR && known()[environmentId] !== madeAt;
}

export function markKnown({ environmentId, madeAt }) {
  localStorage.setItem(KEPT, JSON.stringify({ ...known(), [environmentId]: madeAt }));
}
