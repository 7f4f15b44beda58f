/** The user's documents: drop, list, rename, remove; and the bundled library. */

import { block, button, h, icon } from './dom.js';
import { open } from './passage.js';
import { bytes, fault, t, when } from './strings.js';
import { askText, attempt, confirm, tell } from './tell.js';

const KINDS = '.txt,.md,.markdown,.html,.htm,.pdf,.docx';

/** @param {object} app */
export function documentsView(app) {
  const items = h('ul', { class: 'plain documents' });
  const work = h('ul', { class: 'plain work', 'aria-live': 'polite' });
  const library = h('ul', { class: 'plain library' });
  const input = h('input', { type: 'file', id: 'files', multiple: true, accept: KINDS, class: 'hidden', onchange: () => { void take([...input.files]); input.value = ''; } });
  const drop = h('label', { class: 'drop', htmlFor: 'files' }, icon('documents'), h('strong', null, t('documents.drop')), h('span', { class: 'muted small' }, t('documents.kinds')));
  const web = h('form', { class: 'row web', hidden: !app.preferences.web }, h('label', { class: 'field grow' }, h('span', null, t('web.address_label')), h('input', { type: 'url', name: 'address', required: true, dir: 'ltr', placeholder: 'https://' })), h('button', { type: 'submit', class: 'button' }, t('web.read')), h('p', { class: 'warning small' }, t('web.leaves')));
  const element = h('section', { class: 'view page', 'aria-label': t('nav.documents') }, h('h1', null, t('documents.title')), h('p', { class: 'muted' }, t('documents.more')),
    input, drop, web, work, h('h2', null, t('documents.yours')), items, h('details', null, h('summary', null, h('h2', null, t('documents.library'))), h('p', { class: 'muted small' }, t('documents.library_more')), library));

  async function take(files) {
    for (const file of files) {
      const note = h('li', null, t('documents.reading', { name: file.name }));
      work.append(note);
      try {
        const added = await app.addDocument(file);
        tell(t('documents.added', { title: added.title }));
      } catch (error) {
        tell(`${file.name}: ${fault(error)}`, { kind: 'wrong' });
      }
      note.remove();
      await refresh();
    }
  }
  const show = async (id, title) => {
    const text = await attempt(() => app.documentText(id));
    if (typeof text === 'string') open(app, { passage: { title, text: text.slice(0, 20_000) } });
  };
  const rename = async (one) => {
    const title = await askText(t('documents.rename'), t('documents.name'), { value: one.title, most: 200 });
    if (title) await attempt(() => app.renameDocument(one.id, title));
    await refresh();
  };
  const remove = async (one) => {
    if (!(await confirm(t('documents.remove'), t('documents.remove_sure', { title: one.title }), { yes: t('app.remove'), danger: true }))) return;
    await attempt(() => app.removeDocument(one.id));
    await refresh();
  };
  const item = (one) => h('li', { class: 'row between item' }, h('button', { type: 'button', class: 'chat-link', onclick: () => void show(one.id, one.title) }, block('span', one.title, { class: 'chat-title' }),
    h('span', { class: 'muted small' }, [one.name && one.name.replace(/\.\w+$/, '') !== one.title ? one.name : null, one.bytes ? bytes(one.bytes) : null, one.pages ? t('documents.pages', { count: one.pages }) : null, t('documents.characters', { count: one.characters }), when(one.created)].filter(Boolean).map((part, n) => [n ? ' · ' : '', h('bdi', null, part)]))),
  h('span', { class: 'row tight' }, button(t('documents.rename_one', { title: one.title }), () => void rename(one), { icon: 'edit', only: true }), button(t('documents.remove_one', { title: one.title }), () => void remove(one), { icon: 'remove', only: true })));
  async function refresh() {
    web.hidden = !app.preferences.web;
    const found = (await attempt(() => app.documents())) ?? [];
    items.replaceChildren(...(found.length ? found.map(item) : [h('li', { class: 'muted' }, t('documents.none'))]));
    library.replaceChildren(...app.library().map(({ id, title }) => h('li', null, h('button', { type: 'button', class: 'chat-link', onclick: () => void show(id, title) }, block('span', title)))));
  }
  web.addEventListener('submit', (event) => {
    event.preventDefault();
    void attempt(async () => {
      const added = await app.addPage(web.elements.address.value);
      tell(t('documents.added', { title: added.title }));
      web.reset();
      await refresh();
    });
  });
  /** Files may be dropped anywhere on the page. */
  const over = (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes('Files')) return;
    event.preventDefault();
    drop.classList.toggle('over', event.type === 'dragover');
    if (event.type === 'drop' && event.dataTransfer.files.length) void take([...event.dataTransfer.files]);
  };
  for (const type of ['dragover', 'dragleave', 'drop']) document.addEventListener(type, over, { signal: app.viewsEnd });
  return { element, refresh };
}
