// Spanish words of a prompt or of an instruction, in the English that models read. A small dictionary, not a translator:
// what it does not hold stays as it was, and nothing is changed but by a click (parts/english.js).

const ENGLISH = /(?<!\p{L})(?:the|of|with|and|an|on|is|at|to)(?!\p{L})/iu;
const LONGEST = 5; // words of the longest entry
let asked = null;

/** Read the dictionary, once. */
export function dictionary() {
  asked ??= fetch("lang/es/english.json").then((reply) => reply.json()).then(prepared);
  asked.catch(() => { asked = null; });
  return asked;
}

/** The dictionary as it is looked things up in: every Spanish form, without accents, to its kind and its English. */
export function prepared({ nouns, others, adjectives, words, phrases, plurals, orders }) {
  const forms = new Map();
  const after = new Map(); // what stands behind a noun as an adjective, where by itself it may be a noun: rosa
  const put = (kind, form, english) => {
    if (kind === "adjective") after.set(bare(form), { kind, english });
    if (!forms.has(bare(form))) forms.set(bare(form), { kind, english });
  };
  for (const [form, english] of Object.entries(phrases)) put("phrase", form, english);
  for (const [form, english] of Object.entries({ ...nouns, ...others })) put("noun", form, english);
  for (const [form, english] of Object.entries(adjectives)) put("adjective", form, english);
  for (const [form, english] of Object.entries(words)) put("word", form, english);
  for (const [form, english] of Object.entries({ ...nouns, ...others })) put("noun", manySpanish(form), plurals[english] ?? many(english));
  for (const [form, english] of Object.entries(adjectives)) put("adjective", manySpanish(form), english);
  return { forms, after, orders: orders.map(([form, english]) => ({ form: new RegExp(`^${bare(form)}$`), english })) };
}

function bare(text) { return text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, ""); }

function manySpanish(form) {
  const [head, ...tail] = form.split(/ (?=de |con |para )/);
  const all = head.split(" ").map((one) => (/[aeiou]$/.test(bare(one)) ? `${one}s` : /z$/.test(one) ? `${one.slice(0, -1)}ces` : /s$/.test(one) ? one : `${one}es`));
  return [all.join(" "), ...tail].join(" ");
}

function many(english) {
  if (/(?:s|x|ch|sh)$/.test(english)) return /(?:s)$/.test(english) && !/ss$/.test(english) ? english : `${english}es`;
  return /[^aeiou]y$/.test(english) ? `${english.slice(0, -1)}ies` : `${english}s`;
}

/**
 * Return a Spanish text in English: an instruction where `order` is true and it is one, else what a picture shows. Null
 * where it is English already, or too little of it is known.
 */
export function inEnglish(text, book, order = false) {
  const plain = text.trim().replace(/[.!¡\s]+$/, "").replace(/^¡/, "");
  if (!plain || plain.length > 400 || ENGLISH.test(plain)) return null;
  if (order) {
    for (const one of book.orders) {
      const found = one.form.exec(bare(plain));
      const parts = found?.slice(1).map((part) => phrase(part, book));
      if (found && parts.every((part) => part.known * 2 >= part.of)) return one.english.replace(/\{(\d)\}/g, (_, k) => parts[k - 1].text);
    }
    return null;
  }
  const pieces = plain.split(/\s*([,;.:]+)\s*/).map((piece, k) => (k % 2 ? { text: piece, known: 0, of: 0 } : phrase(piece, book)));
  const [known, of] = pieces.reduce(([a, b], one) => [a + one.known, b + one.of], [0, 0]);
  if (known * 2 < of || known === 0) return null;
  const said = pieces.map((one, k) => (k % 2 ? `${one.text} ` : one.text)).join("").trim();
  return said.toLowerCase() === plain.toLowerCase() ? null : said;
}

/** Words between two commas: adjectives go before their noun. { text, known, of }: words of Spanish, of all. */
function phrase(text, { forms, after }) {
  const words = text.split(/\s+/).filter(Boolean);
  const said = [];
  let known = 0;
  const entry = (at, among = forms) => {
    for (let n = Math.min(LONGEST, words.length - at); n > 0; n -= 1) {
      const found = among.get(bare(words.slice(at, at + n).join(" ")));
      if (found) return { ...found, n };
    }
    return null;
  };
  for (let at = 0; at < words.length;) {
    const found = entry(at);
    if (!found) { said.push(words[at]); at += 1; continue; }
    at += found.n;
    known += found.n;
    if (found.kind !== "noun") { said.push(found.english); continue; }
    const before = [];
    for (let next = entry(at, after); next; next = entry(at, after)) { before.push(next.english); at += next.n; known += next.n; }
    said.push(...before, found.english);
  }
  const joined = said.filter(Boolean).join(" ").replace(/\ba (?=[aeiou])/gi, "an ");
  return { text: joined, known, of: words.length };
}
