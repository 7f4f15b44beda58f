/**
 * Web search, the only part of ACAI that lets anything leave the device. Off unless the user turned it on and
 * `make acai-serve` was started with the hosts it may ask; the proxy refuses every other host. What is sent is the query
 * and nothing else, and every passage that comes back says `remote: true`.
 */

import { pageText } from './documents/html.js';
import { Engine } from './retrieval/engine.js';

const LONGEST_QUERY = 200;
const LONGEST_TEXT = 2 ** 20;
const FOLLOWED = 3;

/** Why nothing came from the web; `key` names a string: web.off, web.unavailable, or the proxy's own reason. */
export class WebError extends Error {
  /** @param {string} key @param {Record<string, string>} [params] */
  constructor(key, params = {}) {
    super(key);
    this.name = 'WebError';
    this.key = key;
    this.params = params;
  }
}

/** @typedef {import('./retrieval/engine.js').Passage & {remote: true, url: string}} RemotePassage */
/** @typedef {{enabled?: boolean, searches?: string[]}} WebSettings `searches`: addresses with {query} where the query goes */

/** The web as the user allows it. */
export class Web {
  #settings;
  #fetch;

  /**
   * @param {() => WebSettings|undefined} settings asked before every request, so that turning it off holds at once
   * @param {{fetch?: typeof globalThis.fetch}} [options]
   */
  constructor(settings, { fetch = (...args) => globalThis.fetch(...args) } = {}) {
    this.#settings = settings;
    this.#fetch = fetch;
  }

  /** Whether the user turned it on. */
  get enabled() {
    return this.#settings()?.enabled === true;
  }

  /** The hosts that the server may ask; none where it has no proxy. @returns {Promise<string[]>} */
  async hosts() {
    const answer = await this.#ask('/proxy');
    const { hosts } = await answer.json();
    return Array.isArray(hosts) ? hosts.filter((host) => typeof host === 'string') : [];
  }

  /**
   * The text of a page.
   * @param {string} url
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<{url: string, title: string, text: string, links: {url: string, text: string}[]}>}
   * @throws {WebError}
   */
  async read(url, { signal } = {}) {
    const answer = await this.#ask(`/proxy?url=${encodeURIComponent(url)}`, signal);
    const kind = answer.headers.get('X-ACAI-Type') ?? '';
    const text = (await answer.text()).slice(0, LONGEST_TEXT);
    return kind.includes('html') || kind.includes('xml') ? page(url, text) : { url, title: new URL(url).host, text, links: [] };
  }

  /**
   * Passages of the user's search pages and of the pages they point to that fit the query best.
   * @param {string} query
   * @param {{k?: number, signal?: AbortSignal}} [options]
   * @returns {Promise<RemotePassage[]>}
   * @throws {WebError} web.off; another only if no page at all could be read
   */
  async search(query, { k = 5, signal } = {}) {
    if (!this.enabled) throw new WebError('web.off');
    const hosts = await this.hosts();
    const asked = encodeURIComponent(query.trim().slice(0, LONGEST_QUERY));
    const searches = (this.#settings().searches ?? []).map((address) => address.replaceAll('{query}', asked));
    const first = await this.#all(searches.filter((url) => allowed(url, hosts)), signal);
    const links = first.flatMap((found) => found.links).filter(({ url }) => allowed(url, hosts) && !searches.includes(url));
    const follow = best(links, query);
    const pages = [...first, ...(follow.length ? await this.#all(follow, signal) : [])];
    const engine = new Engine();
    for (const found of pages) engine.add({ id: found.url, title: found.title, text: found.text });
    return engine.search(query, { k }).map((passage) => ({ ...passage, url: passage.document, remote: true }));
  }

  /** The pages that can be read; an error only when none can. */
  async #all(urls, signal) {
    if (!urls.length) throw new WebError('web.host', { host: '' });
    const answers = await Promise.allSettled(urls.map((url) => this.read(url, { signal })));
    const pages = answers.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
    if (!pages.length) throw answers[0].reason;
    return pages;
  }

  async #ask(path, signal) {
    if (!this.enabled) throw new WebError('web.off');
    let answer;
    try {
      const headers = { 'X-ACAI': 'web' };
      answer = await this.#fetch(path, { headers, signal, cache: 'no-store', credentials: 'omit', redirect: 'error' });
    } catch (error) {
      if (error?.name === 'AbortError') throw error;
      throw new WebError('web.unavailable');
    }
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    throw new WebError(typeof error === 'string' && /^web\.[a-z]+$/.test(error) ? error : 'web.unavailable');
  }
}

/** Whether an address is one that the proxy would read. */
function allowed(address, hosts) {
  try {
    const { protocol, host, username, password } = new URL(address);
    return protocol === 'https:' && !username && !password && hosts.includes(host);
  } catch {
    return false;
  }
}

/** A page parsed without running or fetching any of it: its text and where it points. */
function page(url, markup) {
  const parsed = new DOMParser().parseFromString(markup, 'text/html');
  const links = [...parsed.querySelectorAll('a[href]')].flatMap((anchor) => {
    try {
      const target = new URL(anchor.getAttribute('href'), url);
      target.hash = '';
      return [{ url: target.href, text: anchor.textContent.replace(/\s+/g, ' ').trim() }];
    } catch {
      return [];
    }
  });
  return { url, title: parsed.title.trim() || new URL(url).host, text: pageText(parsed), links };
}

/** The addresses whose link text fits the query best. */
function best(links, query) {
  const engine = new Engine();
  for (const { url, text } of links) if (text) engine.add({ id: url, title: '', text: text.slice(0, 300) });
  return [...new Set(engine.search(query, { k: 4 * FOLLOWED }).map(({ document }) => document))].slice(0, FOLLOWED);
}
