/** The words of the interface in the chosen language, with the right form for a number. */

const words = { language: 'ar', table: {}, plural: new Intl.PluralRules('ar'), number: null };
const LOCALE = { ar: 'ar-u-nu-latn', en: 'en' };

/** @param {'ar'|'en'} language loads its strings and turns the page's direction */
export async function speak(language) {
  const answer = await fetch(new URL(`../strings/${language}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`strings/${language}.json: ${answer.status}`);
  Object.assign(words, { language, table: await answer.json(), plural: new Intl.PluralRules(language) });
  document.documentElement.lang = language;
  document.documentElement.dir = language === 'ar' ? 'rtl' : 'ltr';
  document.title = t('app.title');
}

/** @returns {'ar'|'en'} */
export const language = () => words.language;

/** Whether there is a string of that key. */
export const has = (key) => Object.hasOwn(words.table, key);

/**
 * The string of a key. `count` chooses among `key.zero`, `.one`, `.two`, `.few`, `.many`; without such a form it is the key's own.
 * @param {string} key
 * @param {Record<string, string|number>} [params] put in the places `{name}`
 */
export function t(key, params = {}) {
  const { table, plural } = words;
  const form = typeof params.count === 'number' ? `${key}.${plural.select(params.count)}` : key;
  const found = [form, key].find((name) => Object.hasOwn(table, name));
  if (!found) return key;
  return table[found].replace(/\{(\w+)\}/g, (place, name) => {
    if (!Object.hasOwn(params, name)) return place;
    return typeof params[name] === 'number' ? amount(params[name]) : apart(String(params[name]));
  });
}

/** A name of the other script, kept from turning the sentence around it. */
function apart(name) {
  const other = words.language === 'ar' ? /^(?!.*\p{Script=Arabic}).*\p{L}/su : /\p{Script=Arabic}/u;
  return other.test(name) ? `\u2068${name}\u2069` : name;
}

/** A number as it is written here. */
export const amount = (value, digits = 0) =>
  new Intl.NumberFormat(LOCALE[words.language], { maximumFractionDigits: digits }).format(value);

/** A share of one. */
export const percent = (value, digits = 0) =>
  new Intl.NumberFormat(LOCALE[words.language], { style: 'percent', maximumFractionDigits: digits }).format(value);

/** Bytes with their unit. */
export function bytes(value) {
  const units = ['byte', 'kb', 'mb', 'gb'];
  const step = Math.min(3, value > 0 ? Math.floor(Math.log(value) / Math.log(1024)) : 0);
  return t(`unit.${units[step]}`, { amount: amount(value / 1024 ** step, step > 1 ? 1 : 0) });
}

/** When something was. */
export const when = (time) =>
  new Intl.DateTimeFormat(LOCALE[words.language], { dateStyle: 'medium', timeStyle: 'short' }).format(time);

/** Any error as a sentence; one without a known key as a general one. */
export function fault(error) {
  const key = error?.key;
  if (typeof key !== 'string' || !has(key)) return t('app.fault', { reason: String(error?.message ?? error).slice(0, 200) });
  const params = { ...error.params };
  for (const name of ['needed', 'available', 'limit', 'bytes', 'size']) {
    if (typeof params[name] !== 'number') continue;
    if (params.unit === 'characters') params[name] = t('documents.characters', { count: params[name] });
    else if (params[name] >= 4096) params[name] = bytes(params[name]);
  }
  return t(key, params);
}
