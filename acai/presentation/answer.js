/** One question with its answer: while it is written, and as it was stored. */

import { button, h, text } from './dom.js';
import { claim, claimsTable, graph, sentence, step, view } from './parts.js';
import { amount, t } from './strings.js';
import { speakOut, tell } from './tell.js';

/** The part of one agent. */
class Section {
  constructor(app, id) {
    this.app = app;
    this.id = id;
    this.written = '';
    this.rows = null;
    this.sure = null;
    this.drawn = false;
    this.status = h('p', { class: 'status muted small', dir: 'auto' });
    this.live = h('div', { class: 'live wrap', dir: 'auto', hidden: true });
    this.body = h('div', { class: 'part' });
    this.element = h('section', { class: `agent-part ${id}`, 'aria-label': app.nameOf(id) },
      h('h3', { class: 'agent-name' }, h('span', { class: `badge ${id}`, 'aria-hidden': 'true' }, [...app.nameOf(id)][0]), app.nameOf(id)), this.status, this.body, this.live);
  }

  /** Tokens are put on the page once a frame. */
  paint() {
    if (this.drawn) return;
    this.drawn = true;
    requestAnimationFrame(() => {
      this.drawn = false;
      if (this.ended) return;
      const shown = this.id === 'hakeem' && this.rows ? this.written.slice(this.written.lastIndexOf('\n') + 1) : this.written;
      this.live.textContent = shown;
      this.live.hidden = !shown;
    });
  }

  take(event) {
    if (event.type === 'status') this.status.textContent = sentence(this.app, event);
    else if (event.type === 'token' && this.id !== 'muraqib' && this.id !== 'bani') {
      this.written += event.text;
      this.paint();
    } else if (event.type === 'step' && event.kind === 'reasoning') {
      if (!this.rows) this.body.replaceChildren(this.rows = h('ol', { class: 'steps' }));
      this.rows.append(step(event));
    } else if (event.type === 'claim') {
      if (!this.rows) {
        this.body.replaceChildren(claimsTable([]));
        this.rows = this.body.querySelector('tbody');
      }
      this.rows.append(claim(this.app, event));
    } else if (event.type === 'graph') this.body.replaceChildren(graph(this.app, event) ?? '');
    else if (event.type === 'confidence') this.sure = event;
    else if (event.type === 'error') this.body.append(h('p', { class: 'fault', role: 'alert', dir: 'auto' }, this.app.faultOf(event)));
    else if (event.type === 'done') this.end(event);
  }

  end(part) {
    this.ended = true;
    const faults = [...this.body.querySelectorAll('.fault')];
    this.status.remove();
    this.live.remove();
    this.body.replaceChildren(...faults, ...view(this.app, this.id, part, this.sure));
  }
}

/** An article of the stream. */
export class Exchange {
  /**
   * @param {object} app
   * @param {{query: string, agent?: string, onAgain?: () => void, onRemove?: () => void}} how
   */
  constructor(app, { query, onAgain, onRemove }) {
    this.app = app;
    this.sections = new Map();
    this.way = h('p', { class: 'way muted small', dir: 'auto' });
    this.parts = h('div', { class: 'parts' });
    this.foot = h('div', { class: 'row foot' });
    this.element = h('article', { class: 'exchange', 'aria-label': t('chat.exchange') },
      h('div', { class: 'question wrap', dir: 'auto' }, query), h('div', { class: 'answer', 'aria-busy': 'false' }, this.way, this.parts, this.foot));
    this.tools = { onAgain, onRemove };
    this.plain = '';
  }

  section(id) {
    if (!this.sections.has(id)) {
      const made = new Section(this.app, id);
      this.sections.set(id, made);
      this.parts.append(made.element);
    }
    return this.sections.get(id);
  }

  /** @param {object} event of the orchestrator */
  take(event) {
    if (event.agent === 'router') {
      this.way.textContent = sentence(this.app, event);
      this.parts.parentElement.setAttribute('aria-busy', 'true');
    } else if (event.agent === 'orchestrator') {
      if (event.type === 'done') this.end(event);
      else if (event.type === 'error') tell(this.app.faultOf(event), { kind: 'wrong' });
    } else this.section(event.agent).take(event);
  }

  end({ text: told, state }) {
    this.plain = text(told);
    this.parts.parentElement.setAttribute('aria-busy', 'false');
    if (state === 'stopped') for (const section of this.sections.values()) if (!section.ended) section.end({ text: section.written, notes: [{ key: 'agents.stopped' }] });
    this.showTools();
    speakOut(`${t('chat.answered')} ${this.plain.slice(0, 1500)}`);
  }

  /** As it was stored. */
  restore(response, speed = null) {
    if (!response) {
      this.parts.append(h('p', { class: 'muted' }, t('chat.no_answer')));
      this.showTools();
      return this;
    }
    this.plain = text(response.text);
    const parts = response.parts && typeof response.parts === 'object' ? response.parts : {};
    const order = (Array.isArray(response.order) ? response.order : []).filter((id) => this.app.isAgent(id) && Object.hasOwn(parts, id) && parts[id] && typeof parts[id] === 'object');
    const sure = response.confidence && typeof response.confidence === 'object' ? response.confidence : {};
    for (const id of order) {
      const section = this.section(id);
      section.sure = Object.hasOwn(sure, id) ? sure[id] : null;
      section.end(parts[id]);
    }
    if (!order.length) this.section(this.app.isAgent(response.agent) ? response.agent : 'bahith').end({ text: this.plain });
    if (response.state === 'writing') this.parts.append(h('p', { class: 'fault' }, t('chat.interrupted')));
    if (response.state === 'failed') this.parts.append(h('p', { class: 'fault' }, t('chat.failed')));
    if (speed) this.speed(speed);
    this.showTools();
    return this;
  }

  /** Something went wrong before the orchestrator could say it. */
  fail(message) {
    this.parts.append(h('p', { class: 'fault', role: 'alert', dir: 'auto' }, message));
    this.parts.parentElement.setAttribute('aria-busy', 'false');
    this.showTools();
  }

  /** Tokens per second of this answer. */
  speed(rate) {
    if (rate > 0) this.rate = t('answer.speed', { rate: amount(rate, 1) });
  }

  showTools() {
    const { onAgain, onRemove } = this.tools;
    this.foot.replaceChildren(...[
      this.plain ? button(t('answer.copy'), () => this.copy(), { icon: 'copy', only: true }) : null,
      onAgain ? button(t('answer.again'), onAgain, { icon: 'again', only: true, class: 'again' }) : null,
      onRemove ? button(t('answer.remove'), onRemove, { icon: 'remove', only: true }) : null,
      this.rate ? h('span', { class: 'muted small' }, this.rate) : null].filter(Boolean));
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.plain);
      tell(t('answer.copied'));
    } catch {
      tell(t('answer.not_copied'), { kind: 'wrong' });
    }
  }
}
