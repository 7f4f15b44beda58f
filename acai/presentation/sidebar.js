/** The list of chats; on a phone it slides in over the page. */

import { button, h } from './dom.js';
import { t, when } from './strings.js';
import { askText, attempt, confirm } from './tell.js';

/** @param {object} app @param {{onOpen: (id: string|null) => void}} how */
export function sidebar(app, { onOpen }) {
  const items = h('ul', { class: 'plain chats' });
  const element = h('nav', { class: 'sidebar', id: 'chats', 'aria-label': t('chats.title') },
    h('div', { class: 'row between' }, h('h2', null, t('chats.title')), button(t('chats.new'), () => onOpen(null), { icon: 'add', class: 'small' })), items);

  const rename = async (chat) => {
    const title = await askText(t('chats.rename'), t('chats.name'), { value: chat.title });
    if (title) await attempt(() => app.renameChat(chat.id, title));
    app.changed('chats');
  };
  const remove = async (chat) => {
    if (!(await confirm(t('chats.remove'), t('chats.remove_sure', { title: chat.title || t('chats.untitled') }), { yes: t('app.remove'), danger: true }))) return;
    await attempt(() => app.removeChat(chat.id));
    app.changed('chats');
    if (app.chat === chat.id) onOpen(null);
  };
  const item = (chat) => {
    const title = chat.title || t('chats.untitled');
    const current = chat.id === app.chat;
    return h('li', { class: current ? 'current' : '' },
      h('button', { type: 'button', class: 'chat-link', 'aria-current': current ? 'true' : null, onclick: () => onOpen(chat.id) }, h('span', { class: 'chat-title', dir: 'auto' }, title), h('span', { class: 'muted small' }, when(chat.updated))),
      button(t('chats.rename_one', { title }), () => void rename(chat), { icon: 'edit', only: true }), button(t('chats.remove_one', { title }), () => void remove(chat), { icon: 'remove', only: true }));
  };
  async function refresh() {
    const found = (await attempt(() => app.chats())) ?? [];
    items.replaceChildren(...(found.length ? found.map(item) : [h('li', { class: 'muted small' }, t('chats.none'))]));
  }
  return { element, refresh };
}
