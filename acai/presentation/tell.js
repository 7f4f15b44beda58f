/** Messages that pass: seen below, and spoken by a screen reader. Questions that must be answered: a dialog. */

import { button, h } from './dom.js';
import { fault, t } from './strings.js';

const TIME = 7000;

/**
 * @param {string} message
 * @param {{kind?: 'done'|'wrong', action?: {label: string, act: () => unknown}}} [how] an action stays until it is closed
 */
export function tell(message, { kind = 'done', action } = {}) {
  const shelf = document.getElementById('messages');
  const note = h('div', { class: `note ${kind}`, role: kind === 'wrong' ? 'alert' : 'status' }, h('p', null, message));
  const close = () => note.remove();
  if (action) note.append(button(action.label, () => { close(); action.act(); }, { class: 'small' }));
  note.append(button(t('app.close'), close, { icon: 'close', only: true }));
  while (shelf.childElementCount > 3) shelf.firstElementChild.remove();
  shelf.append(note);
  if (!action && kind !== 'wrong') setTimeout(close, TIME);
}

/** Run something; what goes wrong is told. @template T @param {() => Promise<T>} act @returns {Promise<T|undefined>} */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    if (error?.name !== 'AbortError') tell(fault(error), { kind: 'wrong' });
    return undefined;
  }
}

/** Say something to a screen reader alone. */
export function speakOut(message) {
  document.getElementById('spoken').textContent = message;
}

/** A modal question. Resolves with what `content.value()` gives, or null when it was cancelled. */
function dialog(title, body, { yes, danger = false, value = () => true }) {
  return new Promise((resolve) => {
    const form = h('form', { method: 'dialog' },
      h('h2', { id: 'dialog-title' }, title), body,
      h('div', { class: 'row end' },
        button(t('app.cancel'), () => box.close()),
        h('button', { type: 'submit', class: `button ${danger ? 'danger' : 'primary'}` }, yes)));
    const box = h('dialog', { class: 'dialog', 'aria-labelledby': 'dialog-title' }, form);
    let answer = null;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      answer = value();
      box.close();
    });
    box.addEventListener('keydown', (event) => event.stopPropagation());
    box.addEventListener('close', () => {
      box.remove();
      resolve(answer);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** @param {string} title @param {string} body @param {{yes?: string, danger?: boolean}} [how] @returns {Promise<boolean>} */
export const confirm = async (title, body, { yes = t('app.yes'), danger = false } = {}) =>
  Boolean(await dialog(title, h('p', { class: 'wrap' }, body), { yes, danger }));

/** Ask for a short text. @returns {Promise<string|null>} */
export function askText(title, label, { value = '', yes = t('app.save'), most = 80 } = {}) {
  const input = h('input', { type: 'text', value, maxLength: most, required: true, dir: 'auto', autocomplete: 'off' });
  return dialog(title, h('label', { class: 'field' }, h('span', null, label), input), { yes, value: () => input.value.trim() });
}
