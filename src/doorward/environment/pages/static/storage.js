// This origin's IndexedDB: the device key, the device's id and the sessions it holds. Nothing here is ever
// visible to a service's own origin.

const DATABASE = "doorward-device";
const STORE = "kept";

let opened;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function inStore(mode, act) {
  const db = await database();
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(STORE, mode);
    const request = act(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = (event) => reject(event.target.error); // the transaction's own error is set only once it aborts
    transaction.onabort = () => reject(transaction.error);
  });
}

export const read = (name) => inStore("readonly", (store) => store.get(name));
export const write = (name, value) => inStore("readwrite", (store) => store.put(value, name));
export const forget = (name) => inStore("readwrite", (store) => store.delete(name));

// Keeps `value` unless another tab was first; answers what is kept.
export async function writeOnce(name, value) {
  try {
    await inStore("readwrite", (store) => store.add(value, name));
    return value;
  } catch (error) {
    if (error?.name !== "ConstraintError") throw error;
    return read(name);
  }
}
