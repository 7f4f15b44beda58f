/** Elements without markup: text is always text. */

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (name === 'class') element.setAttribute('class', value);
    else if (name in element && !(element instanceof SVGElement) && name !== 'list') element[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * An HTML element.
 * @param {string} tag
 * @param {Record<string, unknown>|null} [properties] `on…` listens, `data` is the dataset, others are properties or attributes
 * @param {...(Node|string|null|undefined|false|Array)} children
 * @returns {HTMLElement}
 */
export const h = (tag, properties = null, ...children) => fill(document.createElement(tag), properties, children);

/** An SVG element. @returns {SVGElement} */
export const s = (tag, properties = null, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

/** A block of somebody's text: its own direction. */
export const block = (tag, text, properties = {}) => h(tag, { dir: 'auto', ...properties }, String(text ?? ''));

const ICONS = {
  chat: 'M4 5h16v11H10l-4 4v-4H4z',
  documents: 'M6 3h8l4 4v14H6zM14 3v5h4M9 12h6M9 16h6',
  model: 'M7 7h10v10H7zM10 10h4v4h-4zM9 3v4M15 3v4M9 17v4M15 17v4M3 9h4M3 15h4M17 9h4M17 15h4',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  send: 'M12 20V5M6 11l6-6 6 6',
  stop: 'M7 7h10v10H7z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  again: 'M19 12a7 7 0 1 1-2-5M17 3v4h-4',
  close: 'M6 6l12 12M18 6L6 18',
  menu: 'M4 7h16M4 12h16M4 17h16',
  add: 'M12 5v14M5 12h14',
  remove: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
  edit: 'M4 20h4L19 9l-4-4L4 16z',
  save: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  check: 'M5 13l4 4L19 7',
  theme: 'M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16',
  folder: 'M3 6h6l2 3h10v10H3z',
};

/** A drawing that says nothing to a screen reader. */
export const icon = (name) =>
  s('svg', { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' },
    s('path', { d: ICONS[name], fill: 'none', stroke: 'currentColor', 'stroke-width': '1.8', 'stroke-linecap': 'round', 'stroke-linejoin': 'round' }));

/**
 * A button.
 * @param {string} label
 * @param {() => unknown} act
 * @param {{icon?: string, only?: boolean, class?: string, title?: string}} [how] only: the icon alone is seen
 */
export function button(label, act, { icon: drawn, only = false, class: kind = '', ...more } = {}) {
  const content = only ? [icon(drawn)] : [drawn && icon(drawn), h('span', null, label)];
  const named = only ? { 'aria-label': label, title: label } : {};
  return h('button', { type: 'button', class: `button ${only ? 'only ' : ''}${kind}`.trim(), onclick: act, ...named, ...more }, content);
}

/** Give a file to the user. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h('a', { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** What comes from storage or a backup as a text, a list, a number. */
export const text = (value) => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '');
export const list = (value) => (Array.isArray(value) ? value.filter((one) => one !== null && typeof one === 'object') : []);
export const number = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : null);
