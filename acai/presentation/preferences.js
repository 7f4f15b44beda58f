/** What a user of this device chose: kept in localStorage, checked when read. */

const NAME = 'acai.preferences';
const ALLOWED = {
  language: (value) => ['ar', 'en'].includes(value),
  theme: (value) => ['auto', 'light', 'dark'].includes(value),
  user: (value) => typeof value === 'string' && value.length < 64,
  verify: (value) => typeof value === 'boolean',
  build: (value) => typeof value === 'boolean',
  web: (value) => typeof value === 'boolean',
  searches: (value) => Array.isArray(value) && value.length <= 8 && value.every((one) => typeof one === 'string' && one.length < 500 && one.startsWith('https://')),
};
const DEFAULTS = { language: 'ar', theme: 'auto', user: '', verify: false, build: false, web: false, searches: [] };

/** @returns {typeof DEFAULTS} */
export function read() {
  let told = {};
  try {
    told = JSON.parse(localStorage.getItem(NAME)) ?? {};
  } catch { /* nothing, or nothing that can be read */ }
  const found = { ...DEFAULTS };
  for (const [name, will] of Object.entries(ALLOWED)) {
    if (Object.hasOwn(Object(told), name) && will(told[name])) found[name] = told[name];
  }
  return found;
}

/** Change some. @param {Partial<typeof DEFAULTS>} changes @returns {typeof DEFAULTS} */
export function write(changes) {
  const next = { ...read(), ...changes };
  try {
    localStorage.setItem(NAME, JSON.stringify(next));
  } catch { /* a full or forbidden storage: it lasts as long as the page */ }
  return next;
}

/** Forget all of it. */
export function forget() {
  try {
    localStorage.removeItem(NAME);
  } catch { /* nothing was kept */ }
}

/** Light, dark, or as the device says. */
export function paint(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
