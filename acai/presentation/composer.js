/** Where a question is written: the text, the agent, what follows the answer, send and stop. */

import { button, h, icon } from './dom.js';
import { t } from './strings.js';

const LONGEST = 20_000;
const HIGHEST = 220;

/**
 * @param {object} app
 * @param {{onSend: (ask: {query: string, agent: string|null}) => void, onStop: () => void}} how
 */
export function composer(app, { onSend, onStop }) {
  const input = h('textarea', { id: 'question', rows: 1, maxLength: LONGEST, dir: document.documentElement.dir, placeholder: t('chat.placeholder'), autocomplete: 'off', enterKeyHint: 'send' });
  const send = h('button', { type: 'submit', class: 'button only primary send', 'aria-label': t('chat.send'), title: t('chat.send') }, icon('send'));
  const stop = button(t('chat.stop'), onStop, { icon: 'stop', only: true, class: 'danger stop', hidden: true });
  const choice = (id, label, title) => h('label', { class: `chip ${id || 'auto'}`, title }, h('input', { type: 'radio', name: 'agent', value: id, checked: id === '' }), h('span', null, label));
  const agents = h('fieldset', { class: 'chips', id: 'agents' }, h('legend', { class: 'hidden' }, t('chat.agent')),
    choice('', t('agent.auto'), t('agent.auto_role')), app.agents.map(({ id }) => choice(id, app.nameOf(id), app.roleOf(id))));
  const option = (name) => h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: app.preferences[name], onchange: (event) => app.prefer({ [name]: event.target.checked }) }), h('span', null, t(`chat.${name}`)));
  const grow = () => {
    input.rows = 1;
    const lines = Math.ceil((Math.min(HIGHEST, input.scrollHeight) - 20) / 26);
    input.rows = Math.max(1, Math.min(8, lines));
    input.dir = input.value ? 'auto' : document.documentElement.dir; // an empty one would turn its placeholder
  };
  const submit = () => {
    const query = input.value.trim();
    if (!query || send.disabled) return;
    onSend({ query, agent: form.elements.agent.value || null });
    input.value = '';
    grow();
  };
  const form = h('form', { class: 'composer', 'aria-label': t('chat.ask') }, agents,
    h('div', { class: 'ask' }, h('label', { class: 'hidden', htmlFor: 'question' }, t('chat.question')), input, send, stop),
    h('div', { class: 'row options' }, option('verify'), option('build'), h('span', { class: 'muted small keys' }, t('chat.keys'))));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  input.addEventListener('input', grow);
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  return {
    element: form,
    /** While an answer is written there is stop instead of send. */
    busy(now) {
      send.hidden = now;
      send.disabled = now;
      stop.hidden = !now;
      if (!now && document.activeElement === document.body) input.focus();
    },
    choose(agent) {
      form.elements.agent.value = agent ?? '';
      input.focus();
    },
    write(query) {
      input.value = query;
      grow();
      input.focus();
    },
    focus: () => input.focus(),
  };
}
