// Names that were made to be taken for others: letters of other alphabets, and pairs like rn that read as m.
// What a machine is called is its own word; what it is, its key, no name shows.

// Cyrillic and Greek letters, and what they pass for.
const PASSES_FOR = new Map(
  Object.entries({
    a: "аαɑ", b: "Ьв", c: "сϲ", d: "ԁ", e: "еε", g: "ɡ", h: "һн", i: "іιıɩ", j: "ј", k: "кκ", m: "м", n: "ոη", o: "оοօ", p: "рρ",
    q: "ԛ", r: "г", s: "ѕ", t: "тτ", u: "υս", v: "νѵ", w: "ԝω", x: "хχ", y: "уγ", l: "ӏǀ",
  }).flatMap(([latin, others]) => [...others].map((other) => [other, latin])),
);
const LATIN_ENDS = 0x250;

// Equal for two names that a person may take for one another.
export function silhouette(name) {
  const letters = [...name.normalize("NFKD").toLowerCase().replace(/\p{M}|\p{C}|[\s._-]/gu, "")];
  return letters
    .map((letter) => PASSES_FOR.get(letter) ?? letter)
    .join("")
    .replace(/0/g, "o")
    .replace(/[1|i]/g, "l")
    .replace(/rn/g, "m")
    .replace(/vv/g, "w")
    .replace(/cl/g, "d");
}

// Letters that are of another alphabet than the rest of the name.
export function foreignLetters(name) {
  const letters = [...new Set([...name].filter((letter) => /\p{L}/u.test(letter)))];
  const foreign = letters.filter((letter) => letter.codePointAt(0) >= LATIN_ENDS || "ıƖǀ".includes(letter));
  return foreign.length < letters.length ? foreign.sort() : [];
}

// What can be seen of a name: on one line, and nothing in it that turns the text around or hides.
export const shownName = (name) => name.replace(/[\p{C}\p{Z}]+/gu, " ").trim() || "A machine without a name";

// By id: a sentence for each machine whose name may be taken for another one's.
export function warnings(machines) {
  const told = new Map();
  for (const { environmentId, label } of machines) {
    const twins = machines.filter((one) => one.environmentId !== environmentId && silhouette(one.label) === silhouette(label));
    const foreign = foreignLetters(label);
    const sentences = [
      ...twins.slice(0, 1).map(({ label: other }) =>
        other === label
          ? "Another machine has the very same name. Compare their addresses before you open one."
          : `Its name looks like that of “${shownName(other)}”, which is another machine. Compare their addresses before you open one.`,
      ),
      ...(foreign.length ? [`Letters of its name are of another alphabet than they may seem: ${foreign.slice(0, 5).map(named).join(", ")}.`] : []),
    ];
    if (sentences.length) told.set(environmentId, sentences.join(" "));
  }
  return told;
}

const named = (letter) => `“${letter}” (U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")})`;
