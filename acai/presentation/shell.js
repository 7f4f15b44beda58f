/** The frame of the page: header, the list of chats, the four views, and the keys that work everywhere. */

import { ChatView } from './chat.js';
import { documentsView } from './documents.js';
import { button, h, icon } from './dom.js';
import { modelView } from './model.js';
import * as passage from './passage.js';
import { paint } from './preferences.js';
import { settingsView } from './settings.js';
import { sidebar } from './sidebar.js';
import { t } from './strings.js';

const VIEWS = ['chat', 'documents', 'model', 'settings'];
const THEMES = { auto: 'light', light: 'dark', dark: 'auto' };

/**
 * Build the page in the language of now, in place of what was there.
 * @param {object} app
 * @param {string} [first] the view to begin with
 */
export function shell(app, first = 'chat') {
  app.viewsEnd = (shell.end = (shell.end?.abort(), new AbortController())).signal; // listeners of an earlier page go
  const chat = new ChatView(app);
  const views = { chat, documents: documentsView(app), model: modelView(app), settings: settingsView(app) };
  const chats = sidebar(app, { onOpen: (id) => void openChat(id) });
  const main = h('main', { id: 'main', tabIndex: -1 });
  const link = (name) => h('button', { type: 'button', class: 'tab', data: { view: name }, onclick: () => show(name) }, icon(name), h('span', null, t(`nav.${name}`)));
  const tabs = VIEWS.map(link);
  const menu = button(t('chats.title'), () => slide(!document.body.classList.contains('with-chats')), { icon: 'menu', only: true, class: 'menu', 'aria-controls': 'chats', 'aria-expanded': 'false' });
  const state = h('button', { type: 'button', class: 'state', id: 'state', onclick: () => show('model') }, h('span', { class: 'dot', 'aria-hidden': 'true' }), h('span', { class: 'state-text' }));
  const theme = button(t('settings.theme_now', { theme: t(`theme.${app.preferences.theme}`) }), () => {
    const next = THEMES[app.preferences.theme];
    paint(next);
    app.prefer({ theme: next });
    theme.setAttribute('aria-label', t('settings.theme_now', { theme: t(`theme.${next}`) }));
    theme.title = theme.getAttribute('aria-label');
  }, { icon: 'theme', only: true });
  const tongue = h('button', { type: 'button', class: 'button tongue', lang: app.otherLanguage, onclick: () => app.setLanguage(app.otherLanguage) }, app.otherLanguage === 'en' ? 'English' : 'العربية');
  const who = h('button', { type: 'button', class: 'button who', 'aria-label': t('settings.user_now', { name: app.userName(app.user) }), onclick: () => show('settings') }, h('span', { dir: 'auto' }, app.userName(app.user)));
  const header = h('header', { class: 'top' }, h('div', { class: 'row tight' }, menu, h('a', { class: 'brand', href: './', onclick: (event) => { event.preventDefault(); void openChat(null); } }, h('strong', null, t('app.name')), h('span', { class: 'muted small tag' }, t('app.tagline')))),
    h('nav', { class: 'tabs', 'aria-label': t('nav.title') }, tabs), h('div', { class: 'row tight end' }, state, who, theme, tongue));

  function slide(open) {
    document.body.classList.toggle('with-chats', open);
    menu.setAttribute('aria-expanded', String(open));
    if (open) chats.element.querySelector('button')?.focus();
  }
  /** @param {string} name of a view */
  function show(name) {
    slide(false);
    document.body.dataset.view = name;
    for (const tab of tabs) {
      if (tab.dataset.view === name) tab.setAttribute('aria-current', 'page');
      else tab.removeAttribute('aria-current');
    }
    for (const view of VIEWS) views[view].element.hidden = view !== name;
    void views[name].refresh?.();
    if (name !== 'chat') passage.close();
  }
  async function openChat(id) {
    if (chat.busy) chat.stop();
    app.chat = id;
    passage.close();
    show('chat');
    await chat.show(id);
    await chats.refresh();
    if (matchMedia('(min-width: 48rem)').matches) chat.composer.focus();
  }
  /** What the model is doing, in the header and above the chat. */
  function model(event = null) {
    views.model.show(event);
    const info = app.model.info();
    const kind = event ? 'working' : info ? 'ready' : 'missing';
    state.className = `state ${kind}`;
    const share = event?.stage === 'download' && event.total ? ` ${Math.floor((100 * event.loaded) / event.total)}%` : '';
    state.lastChild.textContent = t(`state.${kind}`) + share;
    state.title = info?.name ?? t(`state.${kind}`);
    if (!event) {
      void views.model.refresh();
      chat.say(...(info ? [] : [h('p', { dir: 'auto' }, t('chat.no_model')), button(t('nav.model'), () => show('model'), { class: 'small' })]));
    }
  }
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    if (document.body.classList.contains('with-chats')) {
      slide(false);
      menu.focus();
    } else if (!passage.close()) chat.stop();
  }, { signal: app.viewsEnd });
  main.append(...VIEWS.map((name) => views[name].element));
  const veil = h('button', { type: 'button', class: 'veil', tabIndex: -1, 'aria-label': t('app.close'), onclick: () => slide(false) });
  document.getElementById('app').replaceChildren(h('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); main.focus(); } }, t('app.skip')), header, chats.element, veil, main);
  document.getElementById('passage').setAttribute('aria-label', t('passage.title'));
  show(first);
  model();
  return { show, openChat, model, chats, views, busy: () => chat.busy, stop: () => chat.stop(), count: () => views.model.count() };
}
