/** The start: opens the data, wires services, agents and models to the page, and keeps no other state than that. */

import { toCSV, toJSON, toTurtle } from './agents/graph.js';
import { open as openDatabase } from './models/database.js';
import { Session } from './models/session.js';
import * as preferences from './presentation/preferences.js';
import { shell } from './presentation/shell.js';
import { fault, has, language, speak, t } from './presentation/strings.js';
import { attempt, tell } from './presentation/tell.js';
import { agents } from './router/agents.js';
import { read } from './services/documents/read.js';
import { fromFiles, pick } from './services/llm/folder.js';
import { LLM } from './services/llm/llm.js';
import { watch } from './services/llm/network.js';
import { keep, upgrade } from './services/offline.js';
import { ask } from './services/orchestrator.js';
import { Retrieval } from './services/retrieval/retrieval.js';
import { Web } from './services/web.js';

const page = watch(window);
const llm = new LLM();
const retrieval = new Retrieval();
const tabs = new BroadcastChannel('acai');
const state = { shell: null, session: null, error: null, loading: null, offline: { offline: false, version: null, waiting: false }, library: [], library_ready: null, web: 0, told: false };
const web = new Web(() => ({ enabled: app.preferences.web, searches: app.preferences.searches }), {
  fetch(address, options) {
    if (String(address).includes('?url=')) state.web += 1;
    return fetch(address, options);
  },
});

/** Another way to say it: the same agents, with a model that draws its words instead of taking the likeliest. */
const varied = { info: () => llm.info(), generate: (messages, how) => llm.generate(messages, { ...how, temperature: 0.7, topP: 0.9 }) };

/** The documents on the device, and, where the user allowed it, the web; a fault of the web is told and the answer goes on. */
const search = {
  async search(query, how) {
    const found = await retrieval.search(query, how);
    if (!web.enabled || !app.preferences.searches.length) return found;
    const remote = (await attempt(() => web.search(query, { k: how.k }))) ?? [];
    return [...remote, ...found];
  },
};

const model = {
  info: () => llm.info(),
  error: () => state.error,
  started: () => llm.info() !== null || state.error !== null,
  stored: () => llm.stored(),
  forget: (id) => llm.forget(id),
  cancel: () => state.loading?.abort(),
  loadFiles: (files) => model.load({ files: fromFiles(files) }),
  async loadFolder() {
    const files = await pick();
    if (files) await model.load({ files });
    return Boolean(files) || Boolean(globalThis.showDirectoryPicker);
  },
  /** @param {object|string} source @param {{quiet?: boolean}} [how] quiet: a missing model is no news */
  async load(source, { quiet = false } = {}) {
    state.shell?.stop();
    state.loading?.abort();
    const mine = (state.loading = new AbortController());
    state.error = null;
    state.shell.model({ stage: 'download', file: '', loaded: 0, total: 0, speed: 0 });
    try {
      await llm.load(source, { signal: mine.signal, onProgress: (event) => mine === state.loading && state.shell.model(event) });
      await attempt(() => state.session.useModel(llm.info()));
    } catch (error) {
      if (mine === state.loading && error.key !== 'llm.aborted') {
        state.error = error;
        if (!quiet) throw error;
      }
    } finally {
      if (mine === state.loading) {
        state.loading = null;
        state.shell.model();
      }
    }
  },
  async unload() {
    state.shell.stop();
    await llm.unload();
    state.error = null;
    state.shell.model();
  },
};

/** Everything that the page may do. */
const app = {
  preferences: preferences.read(),
  chat: null,
  agents: [...agents.values()].map(({ id, name, description }) => ({ id, name, description })),
  model,
  get user() { return state.session.user; },
  get otherLanguage() { return language() === 'ar' ? 'en' : 'ar'; },
  isAgent: (id) => agents.has(id),
  nameOf: (id) => agents.get(id)?.name[language()] ?? id,
  otherName: (id) => agents.get(id)?.name[app.otherLanguage] ?? id,
  roleOf: (id) => agents.get(id)?.description[language()] ?? '',
  userName: (user) => user.name || t('settings.guest'),
  faultOf: ({ key, params = {} }) => (has(key) ? fault({ key, params: { ...params, ...(params.agent ? { agent: app.nameOf(params.agent) } : {}) } }) : t('app.fault', { reason: key })),
  graphAs: (form, graph) => ({ json: toJSON, csv: toCSV, ttl: toTurtle })[form](graph),
  prefer(changes) {
    preferences.write(changes);
    app.preferences = { ...app.preferences, ...changes };
  },
  async setLanguage(chosen) {
    app.prefer({ language: chosen });
    const view = document.body.dataset.view;
    state.shell?.stop();
    await speak(chosen);
    await rebuild(view);
  },
  requests: () => ({ outside: page.outside + (llm.info()?.requests.outside ?? 0), web: state.web }),
  offline: () => state.offline,
  library: () => state.library,

  /** The events of an answer; the chat is made with its first question. */
  async *ask({ query, agent, again, signal }) {
    const { session } = state;
    if (app.chat && !(await session.chats()).some(({ id }) => id === app.chat)) app.chat = null; // deleted in another tab
    app.chat ??= (await session.addChat()).id;
    const { chat } = app;
    const history = again ? [] : (await session.exchanges(chat)).slice(-4).flatMap(({ query: asked, responses }) => [
      { role: 'user', content: asked.text }, { role: 'assistant', content: responses.at(-1)?.text ?? '' }]);
    await state.library_ready;
    const store = session.store();
    const confidence = {};
    const { verify, build } = app.preferences;
    const mind = llm.info() ? (again ? varied : llm) : null;
    for await (const event of ask({ query, agent, user: session.user.id, chat, history, llm: mind, retrieval: search, store, verify, build, signal })) {
      if (event.type === 'confidence') {
        const { value, least, tokens, key, result = null } = event;
        confidence[event.agent] = { value, least, tokens, key, result };
      }
      if (event.agent === 'orchestrator' && event.type === 'done') {
        if (event.response) await attempt(() => store.updateResponse(event.response, { confidence }));
        await attempt(() => session.countAgent(event.route.agent));
        state.shell.count();
      }
      yield event;
    }
  },
  /** A part of the data changed: the list here and the other tabs follow. */
  changed(what) {
    tabs.postMessage({ what, user: app.user.id });
    void state.shell.chats.refresh();
  },
  async documentText(id) {
    const bundled = state.library.find((one) => one.id === id);
    if (!bundled) return state.session.textOf(id);
    const answer = await fetch(new URL(`corpus/${bundled.file}`, import.meta.url));
    if (!answer.ok) throw new Error(bundled.file);
    return answer.text();
  },
  async addDocument(file) {
    const { title, text, pages } = await read(file);
    return state.session.addDocument({ title, text, pages, name: file.name, bytes: file.size });
  },
  async addPage(address) {
    const { title, text, url } = await web.read(address);
    return state.session.addDocument({ title, text, name: url, bytes: new Blob([text]).size });
  },
  webHosts: () => web.hosts(),
  addUser: (name) => state.session.addUser(name),
  async switchUser(id) {
    await state.session.enter(id);
    app.prefer({ user: app.user.id });
    if (llm.info()) await attempt(() => state.session.useModel(llm.info()));
    await attempt(() => state.session.index());
    app.chat = null;
    await rebuild(document.body.dataset.view);
  },
  async removeUser(id) {
    await state.session.removeUser(id);
    if (id === app.user.id) await app.switchUser('');
  },
  async clearUser() {
    await state.session.clear();
    app.chat = null;
    await rebuild('settings');
    tell(t('settings.erased'));
  },
  async eraseAll() {
    await state.session.erase();
    if (!llm.info()) await llm.stored().catch(() => []);
    for (const { id } of await llm.stored().catch(() => [])) await llm.forget(id).catch(() => {});
    preferences.forget();
    app.preferences = { ...preferences.read(), language: language() };
    preferences.paint('auto');
    await app.switchUser('');
    tell(t('settings.erased'));
  },
  async importAll(file) {
    const counts = await state.session.importAll(file);
    app.changed('chats');
    return counts;
  },
};
for (const name of ['chats', 'exchanges', 'removeQuery', 'renameChat', 'removeChat', 'documents', 'renameDocument', 'removeDocument', 'users', 'renameUser', 'exportAll']) {
  app[name] = (...given) => state.session[name](...given);
}

/** The page anew, after a change of language or user. */
async function rebuild(view = 'chat') {
  state.shell = shell(app, view);
  await Promise.all([state.shell.views.chat.show(app.chat), state.shell.chats.refresh()]);
}

async function library() {
  const answer = await fetch(new URL('corpus/corpus.json', import.meta.url));
  if (answer.ok) state.library = (await answer.json()).documents;
  await retrieval.addCorpus();
}

/** The application is put on the device; a newer version is offered, once. */
async function offline() {
  state.offline = await keep((now) => {
    state.offline = now;
    state.shell.count();
    if (!now.waiting || state.told) return;
    state.told = true;
    tell(t('app.newer'), { action: { label: t('app.update'), act: () => void upgrade() } });
  });
  state.shell.count();
}

async function start() {
  preferences.paint(app.preferences.theme);
  await speak(app.preferences.language);
  const closed = () => tell(t('models.closed'), { kind: 'wrong', action: { label: t('app.reload'), act: () => location.reload() } });
  const db = await openDatabase('acai', { onClosed: closed, onBlocked: () => tell(t('models.blocked'), { kind: 'wrong' }) });
  state.session = new Session(db, retrieval);
  await state.session.enter(app.preferences.user);
  await rebuild();
  document.body.dataset.ready = 'true';
  tabs.onmessage = ({ data }) => {
    if (data?.user !== app.user.id) return;
    void state.shell.chats.refresh();
    if (!state.shell.busy() && app.chat) void state.shell.views.chat.show(app.chat);
  };
  addEventListener('unhandledrejection', ({ reason }) => reason?.key && tell(fault(reason), { kind: 'wrong' }));
  state.library_ready = attempt(library);
  void state.library_ready.then(() => attempt(() => state.session.index()));
  await model.load('model/', { quiet: true });
  await attempt(offline); // after the model, which the user waits for
}

start().catch((error) => {
  document.getElementById('app').textContent = has('app.title') ? fault(error) : `تعذر بدء التطبيق. The application could not start. ${error.message}`;
});
