// A list that follows its data: a row is made anew only when its own data or what it depends on changed, so that focus
// and a half-pressed button survive somebody else's change.

export class KeyedList {
  constructor(parent, keyOf) {
    this.parent = parent;
    this.keyOf = keyOf;
    this.rows = new Map();
  }

  show(items, make, mark) {
    const next = new Map();
    for (const item of items) {
      const key = this.keyOf(item);
      const version = `${mark}\n${JSON.stringify(item)}`;
      const known = this.rows.get(key);
      next.set(key, known?.version === version ? known : { version, element: make(item) });
    }
    const wanted = [...next.values()].map((row) => row.element);
    const isSame = wanted.length === this.parent.children.length && wanted.every((row, i) => row === this.parent.children[i]);
    if (!isSame) this.replace(wanted);
    this.rows = next;
  }

  replace(wanted) {
    const focused = this.parent.contains(document.activeElement) ? document.activeElement : null;
    const place = focused ? { row: focused.closest("[data-key]")?.dataset.key, act: focused.dataset.act } : null;
    this.parent.replaceChildren(...wanted);
    if (!place) return;
    const row = [...this.parent.querySelectorAll("[data-key]")].find((found) => found.dataset.key === place.row);
    (focused.isConnected ? focused : (row?.querySelector(`[data-act="${place.act}"]:not(:disabled)`) ?? row))?.focus();
  }
}
