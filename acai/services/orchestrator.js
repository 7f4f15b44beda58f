/**
 * One question from the user to the stored answer: route, answer, verify, build knowledge. What happens next follows from
 * the router, the user and this file alone; nothing that a model, a passage or a document says can call an agent.
 */

import { fault, status } from '../agents/events.js';
import { agents as registry } from '../router/agents.js';
import { route as classify } from '../router/intent.js';
import { isArabic, words } from './retrieval/normalise.js';

/** Tokens after which the answer so far is stored, so that a reload in mid-answer loses little. */
const EVERY = 24;
const VERIFIED = new Set(['bahith', 'musheer']);

/** @param {string} text @returns {'ar'|'en'} the script most of its words are in; Arabic where there are none */
export function languageOf(text) {
  const found = words(text).filter((word) => /\p{L}/u.test(word));
  return found.filter(isArabic).length * 2 >= found.length ? 'ar' : 'en';
}

/**
 * @typedef {object} Store the part of the models layer that is needed; records get their `id` and `created` there
 * @property {(query: {chat: string, user: string, text: string, agent: string, route: object, language: string}) => Promise<{id: string}>} addQuery
 * @property {(response: {chat: string, user: string, query: string, agent: string, text: string, state: string}) => Promise<{id: string}>} addResponse
 * @property {(id: string, changes: object) => Promise<unknown>} updateResponse
 */

/** Writes one response to the store, in order, and remembers when it could not. */
class Record {
  #store;
  #id = null;
  #last = Promise.resolve();
  failed = false;

  constructor(store) {
    this.#store = store;
  }

  get id() {
    return this.#id;
  }

  /** Store the first state or a change; a fault (quota, a closed database) must not stop the answer. */
  save(fields, first = null) {
    if (!this.#store) return Promise.resolve();
    this.#last = this.#last.then(async () => {
      try {
        if (first) this.#id = (await this.#store.addResponse({ ...first, ...fields }))?.id ?? null;
        else if (this.#id !== null) await this.#store.updateResponse(this.#id, fields);
      } catch {
        this.failed = true;
      }
    });
    return this.#last;
  }
}

/** What is kept of a `done` event: data alone, sources as passages. */
function kept({ type, agent, ...fields }) {
  return JSON.parse(JSON.stringify(fields));
}

/**
 * Ask. Yields every event of every agent with `agent` set, then one `done` of agent `orchestrator` with the whole.
 * `state` of a response: `writing`, then `complete`, `stopped` (the user stopped it, its text is what was written so far)
 * or `failed`.
 * @param {object} request
 * @param {string} request.query
 * @param {string|null} [request.agent] the user's choice; otherwise the router decides
 * @param {string} [request.user]
 * @param {string} [request.chat]
 * @param {'ar'|'en'} [request.language] of the answer; the query's where not given
 * @param {{role: string, content: string}[]} [request.history]
 * @param {object|null} [request.llm]
 * @param {object} request.retrieval
 * @param {Store|null} [request.store]
 * @param {boolean} [request.verify] let Muraqib check what Bahith or Musheer answered
 * @param {boolean} [request.build] let Bani draw a graph of the answer
 * @param {AbortSignal} [request.signal]
 * @param {ReadonlyMap<string, object>} [request.agents]
 * @param {(text: string, options: object) => object} [request.route]
 * @returns {AsyncGenerator<object>}
 */
export async function* ask({
  query, agent: chosen = null, user, chat, language, history = [], llm = null, retrieval, store = null, verify = false,
  build = false, signal, agents = registry, route = classify,
}) {
  const text = String(query ?? '').trim();
  if (!text) {
    yield { ...fault('agents.empty_query'), agent: 'orchestrator' };
    return;
  }
  const spoken = language ?? languageOf(text);
  const way = route(text, { chosen });
  const told = { user: 'agents.chosen', unsure: 'agents.unsure', model: 'agents.routed' }[way.reason] ?? 'agents.routed';
  yield { ...status(told, { agent: way.agent, percent: Math.round(way.confidence * 100) }, { route: way }), agent: 'router' };
  const record = new Record(store);
  let asked = null;
  try {
    asked = (await store?.addQuery({ chat, user, text, agent: way.agent, route: way, language: spoken }))?.id ?? null;
  } catch {
    record.failed = true;
  }
  await record.save({ text: '', state: 'writing' }, { chat, user, query: asked, agent: way.agent });

  const loaded = llm?.info?.() ? llm : null; // nothing loaded: the agents show what they found without a model
  const context = { query: text, history, language: spoken, llm: loaded, retrieval, user, signal };
  const result = { query: asked, response: null, route: way, language: spoken, parts: {}, order: [] };
  let partial = '';
  let state = 'writing';

  /** Run one agent: its events with its id; what it ends with goes to `result.parts`. */
  async function* run(id, more = {}) {
    const lead = id === way.agent && !result.order.length;
    result.order.push(id);
    let tokens = 0;
    try {
      for await (const event of agents.get(id).run({ ...context, ...more })) {
        if (event.type === 'token' && lead) {
          partial += event.text;
          tokens += 1;
          if (tokens % EVERY === 0) void record.save({ text: partial });
        }
        if (event.type === 'done') result.parts[id] = event;
        yield { ...event, agent: id };
      }
    } catch {
      yield { ...fault('agents.agent_failed', { agent: id }), agent: id };
      result.parts[id] = { ...result.parts[id], failed: true };
    }
  }

  /** The answer may be handed on: it is whole, in its format, and says something. */
  const usable = (part) => Boolean(part && part.text && !part.aborted && !part.failed && !part.formatLost && !part.none);

  async function* handover(from, to, more) {
    yield { ...status('agents.handover', { from, to }), agent: to };
    yield* run(to, more);
  }

  try {
    yield* run(way.agent);
    const first = result.parts[way.agent];
    const answer = first?.bare ?? first?.text;
    if (verify && VERIFIED.has(way.agent) && usable(first) && !signal?.aborted) yield* handover(way.agent, 'muraqib', { answer });
    if (build && way.agent !== 'bani' && usable(first) && !signal?.aborted) {
      yield* handover(result.order.at(-1), 'bani', { answer: graphText(text, answer, first) });
    }
    const failed = !first || first.failed;
    state = signal?.aborted || first?.aborted ? 'stopped' : failed ? 'failed' : 'complete';
  } finally {
    if (state === 'writing') state = 'stopped'; // whoever listened has gone
    const first = result.parts[way.agent];
    const parts = Object.fromEntries(Object.entries(result.parts).map(([id, part]) => [id, kept(part)]));
    await record.save({ text: first?.text || partial, state, complete: state === 'complete', aborted: state === 'stopped', parts, order: result.order });
  }
  if (record.failed) yield { ...fault('agents.not_stored'), agent: 'orchestrator' };
  const first = result.parts[way.agent];
  yield { type: 'done', ...result, text: first?.text || partial, state, aborted: state === 'stopped', response: record.id, agent: 'orchestrator' };
}

/** What Bani reads: the answer, or for a short one (`مسقط [1]`) the cited sources, which are whole sentences. */
function graphText(query, answer, part) {
  if (words(answer).length >= 5 || !part.cited?.length) return answer;
  return part.cited.map((n) => part.sources[n - 1].text).join(' ');
}
