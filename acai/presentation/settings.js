/** Settings: language, look, users, backup, the web, and deletion of everything. */

import { button, h, save } from './dom.js';
import { paint } from './preferences.js';
import { t } from './strings.js';
import { askText, attempt, confirm, tell } from './tell.js';

/** @param {object} app */
export function settingsView(app) {
  const choice = (name, value, label, act) => h('label', { class: 'chip' }, h('input', { type: 'radio', name, value, checked: app.preferences[name] === value, onchange: () => act(value) }), h('span', null, label));
  const group = (title, ...content) => h('fieldset', { class: 'group' }, h('legend', null, title), content);
  const people = h('ul', { class: 'plain people' });
  const file = h('input', { type: 'file', id: 'backup', accept: '.json,application/json', hidden: true, onchange: () => { const [chosen] = file.files; file.value = ''; if (chosen) void restore(chosen); } });
  const searches = h('textarea', { id: 'searches', rows: 2, dir: 'ltr', value: app.preferences.searches.join('\n'), placeholder: 'https://example.org/search?q={query}', onchange: () => app.prefer({ searches: searches.value.split('\n').map((line) => line.trim()).filter(Boolean).slice(0, 8) }) });
  const hosts = h('p', { class: 'muted small', dir: 'auto' });
  const web = h('input', { type: 'checkbox', checked: app.preferences.web, onchange: () => void turn(web.checked) });

  const element = h('section', { class: 'view page', 'aria-label': t('nav.settings') }, h('h1', null, t('settings.title')),
    group(t('settings.language'), h('div', { class: 'chips' }, choice('language', 'ar', 'العربية', app.setLanguage), choice('language', 'en', 'English', app.setLanguage))),
    group(t('settings.theme'), h('div', { class: 'chips' }, ['auto', 'light', 'dark'].map((theme) => choice('theme', theme, t(`theme.${theme}`), (value) => { paint(value); app.prefer({ theme: value }); })))),
    group(t('settings.users'), h('p', { class: 'muted small' }, t('settings.users_more')), people, button(t('settings.add_user'), () => void add(), { icon: 'add' })),
    group(t('settings.backup'), h('p', { class: 'muted small' }, t('settings.backup_more')), h('div', { class: 'row' }, button(t('settings.export'), () => void keep(), { icon: 'save' }), button(t('settings.import'), () => file.click(), { icon: 'folder' }), file)),
    group(t('settings.web'), h('label', { class: 'check' }, web, h('span', null, t('settings.web_use'))), h('p', { class: 'warning small' }, t('settings.web_warning')),
      h('label', { class: 'field' }, h('span', null, t('settings.web_searches')), searches), hosts),
    group(t('settings.erase'), h('p', { class: 'muted small' }, t('settings.erase_more')), h('div', { class: 'row' }, button(t('settings.erase_user'), () => void clear(), { class: 'danger', icon: 'remove' }), button(t('settings.erase_all'), () => void erase(), { class: 'danger', icon: 'remove' }))));

  async function turn(on) {
    if (on && !(await confirm(t('settings.web'), t('settings.web_sure'), { yes: t('settings.web_yes'), danger: true }))) {
      web.checked = false;
      return;
    }
    app.prefer({ web: on });
    await reach();
  }
  async function reach() {
    hosts.textContent = '';
    if (!app.preferences.web) return;
    const found = await attempt(() => app.webHosts());
    if (found) hosts.textContent = found.length ? t('settings.web_hosts', { hosts: found.join(t('app.comma')) }) : t('settings.web_none');
  }
  async function add() {
    const name = await askText(t('settings.add_user'), t('settings.user_name'), { yes: t('app.add'), most: 60 });
    if (name) await attempt(async () => app.switchUser((await app.addUser(name)).id));
  }
  async function keep() {
    const blob = await attempt(() => app.exportAll());
    if (blob) save(blob, `acai-${new Date().toISOString().slice(0, 10)}.json`);
  }
  async function restore(chosen) {
    const counts = await attempt(() => app.importAll(chosen));
    if (counts) tell(t('settings.imported', { chats: counts.chats, documents: counts.documents, skipped: counts.skipped }));
  }
  async function clear() {
    if (await confirm(t('settings.erase_user'), t('settings.erase_user_sure'), { yes: t('app.remove'), danger: true })) await attempt(() => app.clearUser());
  }
  async function erase() {
    if (await confirm(t('settings.erase_all'), t('settings.erase_all_sure'), { yes: t('settings.erase_all'), danger: true })) await attempt(() => app.eraseAll());
  }
  const person = (user) => {
    const name = app.userName(user);
    const here = user.id === app.user.id;
    return h('li', { class: `row between item ${here ? 'current' : ''}` }, h('label', { class: 'check grow' }, h('input', { type: 'radio', name: 'user', checked: here, onchange: () => void attempt(() => app.switchUser(user.id)) }), h('span', { dir: 'auto' }, name)),
      user.guest ? null : h('span', { class: 'row tight' }, button(t('settings.rename_user', { name }), async () => {
        const next = await askText(t('settings.rename_user', { name }), t('settings.user_name'), { value: user.name, most: 60 });
        if (next) await attempt(() => app.renameUser(user.id, next));
        await refresh();
      }, { icon: 'edit', only: true }), button(t('settings.remove_user', { name }), async () => {
        if (await confirm(t('settings.remove_user', { name }), t('settings.remove_user_sure', { name }), { yes: t('app.remove'), danger: true })) await attempt(() => app.removeUser(user.id));
        await refresh();
      }, { icon: 'remove', only: true })));
  };
  async function refresh() {
    people.replaceChildren(...((await attempt(() => app.users())) ?? []).map(person));
    await reach();
  }
  return { element, refresh };
}
