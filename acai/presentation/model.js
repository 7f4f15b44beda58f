/** The model: load it, see it load, what it is, how fast, what was measured of it, and what left the device. */

import { button, h, text } from './dom.js';
import { factsList } from './facts.js';
import { amount, bytes, fault, has, t } from './strings.js';
import { attempt, confirm } from './tell.js';

const row = (label, value) => h('div', { class: 'fact' }, h('dt', null, label), h('dd', { dir: 'auto' }, value ?? '—'));

/** @param {object} app */
export function modelView(app) {
  const bar = h('progress', { max: 1, value: 0, 'aria-label': t('model.progress') });
  const told = h('p', { class: 'small muted', dir: 'auto' });
  const progress = h('div', { class: 'loading', hidden: true }, bar, told, button(t('app.cancel'), () => app.model.cancel(), { class: 'small' }));
  const about = h('dl', { class: 'facts' });
  const why = h('p', { class: 'muted small', dir: 'auto' });
  const facts = h('div');
  const live = h('dl', { class: 'facts counts' });
  const kept = h('ul', { class: 'plain' });
  const input = h('input', { type: 'file', id: 'folder', hidden: true, webkitdirectory: true, multiple: true, onchange: () => { const files = [...input.files]; input.value = ''; if (files.length) void attempt(() => app.model.loadFiles(files)); } });
  const folder = () => attempt(async () => {
    if (!(await app.model.loadFolder())) input.click(); // no such picker here, or nothing chosen
  });
  const element = h('section', { class: 'view page', 'aria-label': t('nav.model') }, h('h1', null, t('model.title')), h('p', { class: 'muted' }, t('model.more')),
    h('div', { class: 'row' }, button(t('model.load'), () => void attempt(() => app.model.load('model/')), { icon: 'model', class: 'primary' }), button(t('model.folder'), () => void folder(), { icon: 'folder' }), input,
      button(t('model.unload'), () => void attempt(() => app.model.unload()), {})),
    progress,
    h('h2', null, t('model.now')), about, why,
    h('h2', null, t('facts.title')), h('p', { class: 'muted small' }, t('facts.more')), facts,
    h('h2', null, t('model.live')), live,
    h('h2', null, t('model.kept')), kept);

  function count() {
    const info = app.model.info();
    const { outside, web } = app.requests();
    live.replaceChildren(
      row(t('model.speed'), info?.measured?.tokensPerSecond ? t('answer.speed', { rate: amount(info.measured.tokensPerSecond, 1) }) : t('facts.none')),
      row(t('model.first'), info?.measured?.firstToken ? t('unit.seconds', { amount: amount(info.measured.firstToken, 2) }) : t('facts.none')),
      row(t('model.requests'), h('strong', { class: outside + web ? 'bad' : 'good', id: 'requests' }, t('model.requests_count', { amount: outside + web }))),
      row(t('model.offline'), app.offline().offline ? t('model.offline_yes') : t('model.offline_no')));
  }

  async function refresh() {
    const info = app.model.info();
    about.replaceChildren(...(info ? [row(t('model.name'), text(info.name)), row(t('model.device'), t(`device.${info.device}`)), row(t('model.form'), has(`form.${info.form}`) ? t(`form.${info.form}`) : text(info.form)),
      row(t('model.context'), t('unit.tokens', { count: info.context })), row(t('model.size'), bytes(info.bytes ?? 0)), row(t('model.memory'), info.memory ? bytes(info.memory) : null),
      row(t('model.load_time'), t('unit.seconds', { amount: amount(info.measured?.loadSeconds ?? 0, 1) }))]
      : [row(t('model.name'), app.model.error() ? fault(app.model.error()) : t('model.none'))]));
    why.replaceChildren(...(info?.fallback ?? []).map(({ device, reason, params }) => t('model.fallback', { device: t(`device.${device}`), reason: has(reason) ? t(reason, params) : reason })).flatMap((one, n) => (n ? [h('br'), one] : [one])));
    facts.replaceChildren(factsList(info?.facts));
    count();
    const models = app.model.started() ? (await app.model.stored().catch(() => [])) ?? [] : [];
    const item = (one) => h('li', { class: 'row between item' }, h('span', { class: 'grow' }, h('bdi', { class: 'chat-title' }, text(one.name)), ' ', h('span', { class: 'muted small' }, bytes(one.bytes ?? 0))),
      h('span', { class: 'row tight' }, button(t('model.use'), () => void attempt(() => app.model.load({ stored: one.id })), { class: 'small' }),
        button(t('model.forget', { name: text(one.name) }), async () => {
          if (await confirm(t('model.forget', { name: text(one.name) }), t('model.forget_sure'), { yes: t('app.remove'), danger: true })) await attempt(() => app.model.forget(one.id));
          await refresh();
        }, { icon: 'remove', only: true })));
    kept.replaceChildren(...(models.length ? models.map(item) : [h('li', { class: 'muted' }, t('model.kept_none'))]));
  }

  /** @param {{stage: string, file: string, loaded: number, total: number, speed: number}|null} event null when it is over */
  function show(event) {
    progress.hidden = event === null;
    if (!event) return;
    if (event.stage === 'start' || !event.total) {
      bar.removeAttribute('value');
      told.textContent = t(event.stage === 'start' ? 'model.starting' : 'model.looking');
      return;
    }
    bar.max = event.total || 1;
    bar.value = event.loaded || 0;
    told.textContent = t('model.loading', { file: event.file ?? '', loaded: bytes(event.loaded || 0), total: bytes(event.total || 0), speed: bytes(event.speed || 0) });
  }
  return { element, refresh, show, count };
}
