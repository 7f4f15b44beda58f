/** The conversation: the stream of questions and answers, and the composer below it. */

import { Exchange } from './answer.js';
import { composer } from './composer.js';
import { h } from './dom.js';
import { fault, t } from './strings.js';
import { attempt, confirm } from './tell.js';

/** The view of a chat; one for the page. */
export class ChatView {
  #app;
  #running = null;

  constructor(app) {
    this.#app = app;
    this.stream = h('div', { class: 'stream', id: 'stream', tabIndex: -1 });
    this.notice = h('div', { class: 'notice', hidden: true });
    this.composer = composer(app, { onSend: (ask) => void this.ask(ask), onStop: () => this.stop() });
    this.element = h('section', { class: 'view chat', 'aria-label': t('nav.chat') }, this.notice, this.stream, this.composer.element);
  }

  get busy() {
    return this.#running !== null;
  }

  /** Stop what is written. @returns {boolean} whether there was something */
  stop() {
    this.#running?.abort();
    return this.busy;
  }

  /** A line above the stream, as the missing model. */
  say(...content) {
    this.notice.replaceChildren(...content);
    this.notice.hidden = !content.length;
  }

  /** Show a chat as it is stored; null is a new one. */
  async show(chat) {
    const found = chat ? await attempt(() => this.#app.exchanges(chat)) : [];
    if (!found) this.#app.chat = null; // deleted in another tab, which was said
    this.stream.replaceChildren();
    if (!found?.length) this.stream.append(this.welcome());
    for (const { query, responses } of found ?? []) {
      const exchange = this.#exchange(query.text, query.agent, query.id);
      exchange.restore(responses.at(-1));
      this.stream.append(exchange.element);
    }
    if (found?.length) this.#bottom();
    else this.stream.scrollTop = 0;
  }

  welcome() {
    const app = this.#app;
    const card = ({ id }) => h('button', { type: 'button', class: `card ${id}`, onclick: () => { this.composer.choose(id); this.composer.write(t(`example.${id}`)); } },
      h('span', { class: 'row' }, h('span', { class: `badge ${id}`, 'aria-hidden': 'true' }, [...app.nameOf(id)][0]),
        h('span', { class: 'card-name' }, h('strong', null, app.nameOf(id)), h('span', { class: 'muted small', lang: app.otherLanguage }, app.otherName(id)))),
      h('span', { class: 'card-role', dir: 'auto' }, app.roleOf(id)), h('span', { class: 'example muted small', dir: 'auto' }, t(`example.${id}`)));
    return h('div', { class: 'welcome' }, h('h1', null, t('chat.welcome')), h('p', { class: 'muted' }, t('chat.welcome_more')), h('div', { class: 'cards' }, app.agents.map(card)));
  }

  #exchange(query, agent, id) {
    const exchange = new Exchange(this.#app, {
      query,
      onAgain: () => void this.ask({ query, agent, again: { id: exchange.query, exchange } }),
      onRemove: async () => {
        if (!exchange.query || !(await confirm(t('answer.remove'), t('answer.remove_sure'), { yes: t('app.remove'), danger: true }))) return;
        await attempt(async () => {
          await this.#app.removeQuery(exchange.query);
          exchange.element.remove();
        });
      },
    });
    exchange.query = id;
    return exchange;
  }

  /** Ask, and show what comes. `again`: an exchange whose place the new answer takes once it is there. */
  async ask({ query, agent = null, again = null }) {
    if (this.busy) return;
    this.stream.querySelector('.welcome')?.remove();
    const exchange = this.#exchange(query, agent, null);
    if (again) {
      again.exchange.element.after(exchange.element);
      again.exchange.element.hidden = true;
    } else this.stream.append(exchange.element);
    this.#running = new AbortController();
    this.composer.busy(true);
    this.#bottom();
    let kept = false;
    try {
      for await (const event of this.#app.ask({ query, agent, again: Boolean(again), signal: this.#running.signal })) {
        const low = this.#low();
        exchange.take(event);
        if (event.agent === 'orchestrator' && event.type === 'done') {
          exchange.query = event.query;
          exchange.speed(this.#app.model.info()?.measured?.tokensPerSecond);
          exchange.showTools();
          kept = event.state === 'complete';
        }
        if (low) this.#bottom();
      }
    } catch (error) {
      exchange.fail(fault(error));
    } finally {
      this.#running = null;
      this.composer.busy(false);
      if (again && kept) {
        if (again.id) await attempt(() => this.#app.removeQuery(again.id));
        again.exchange.element.remove();
      } else if (again) again.exchange.element.hidden = false;
      this.#app.changed('chats');
    }
  }

  #low() {
    return this.stream.scrollHeight - this.stream.scrollTop - this.stream.clientHeight < 120;
  }

  #bottom() {
    this.stream.scrollTop = this.stream.scrollHeight;
  }
}
