// The service worker: the application from the device, whole versions only. It is registered as sw.js?version (see
// services/offline.js) and takes the files of precache.json of just that version, each checked by its hash, into a
// cache of its own: a page is answered from one version or not at all. The model is not here (services/llm/cache.js).
'use strict';

const VERSION = new URL(self.location.href).searchParams.get('v') ?? '';
const PREFIX = 'acai-app-';
const CACHE = PREFIX + VERSION;
const SCOPE = new URL('./', self.location.href);
/** What the server sends and an answer from the cache must carry as well (serve.py; a test holds both equal). */
const HEADERS = {
  'Content-Security-Policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    + "style-src 'self'; img-src 'self' blob: data:; worker-src 'self'; font-src 'self'; manifest-src 'self'; "
    + "base-uri 'none'; form-action 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const at = (path) => new URL(path, SCOPE).href;

/** The response that stands for a file of the list. */
function stored(file, body, type) {
  return new Response(body, { headers: { ...HEADERS, 'Content-Type': type ?? 'application/octet-stream',
    'Content-Length': String(file.bytes), 'X-ACAI-SHA256': file.sha256 } });
}

/** One file of the list: from an older cache where it is the same, else from the server; refused if altered. */
async function take(file) {
  for (const name of await caches.keys()) {
    if (!name.startsWith(PREFIX) || name === CACHE) continue;
    const held = await (await caches.open(name)).match(at(file.path));
    if (held?.headers.get('X-ACAI-SHA256') === file.sha256) {
      return stored(file, await held.arrayBuffer(), held.headers.get('Content-Type'));
    }
  }
  const answer = await fetch(at(file.path), { cache: 'no-store' });
  if (!answer.ok || answer.redirected) throw new Error(`${file.path}: ${answer.status}`);
  const body = await answer.arrayBuffer();
  const found = hex(await crypto.subtle.digest('SHA-256', body));
  if (found !== file.sha256) throw new Error(`${file.path}: another version`);
  return stored(file, body, answer.headers.get('Content-Type'));
}

/** Fill this version's cache, all of it or nothing. */
async function install() {
  const list = await (await fetch(at('precache.json'), { cache: 'no-store' })).json();
  if (list.version !== VERSION) throw new Error(`the server has version ${list.version}, not ${VERSION}`);
  const cache = await caches.open(CACHE);
  try {
    const waiting = [...list.files];
    const worker = async () => {
      for (let file = waiting.pop(); file; file = waiting.pop()) await cache.put(at(file.path), await take(file));
    };
    await Promise.all([worker(), worker(), worker(), worker()]);
    await cache.put(at('precache.json'), new Response(JSON.stringify(list), {
      headers: { ...HEADERS, 'Content-Type': 'application/json; charset=utf-8' } }));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
  await tell('acai.installed');
}

/** Caches of other versions go, the open pages are taken over and told. */
async function activate() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
  await tell('acai.activated');
}

/** A message to every open page of the application. */
async function tell(type) {
  for (const client of await self.clients.matchAll({ includeUncontrolled: true })) {
    client.postMessage({ type, version: VERSION });
  }
}

/** A same-origin GET: from this version, else from the server (the model, the proxy, the list of a newer version). */
async function answer(request) {
  const url = new URL(request.url);
  const path = url.pathname === SCOPE.pathname ? at('index.html') : url.origin + url.pathname;
  const cache = await caches.open(CACHE);
  if (path === at('precache.json')) { // the newest list if the server is there, else this version's
    return fetch(request).catch(() => cache.match(path)).then((found) => found ?? Response.error());
  }
  const held = await cache.match(path);
  if (held) return held;
  try {
    return await fetch(request);
  } catch {
    return new Response('offline\n', { status: 504, headers: { ...HEADERS, 'Content-Type': 'text/plain' } });
  }
}

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('message', (event) => {
  if (event.data?.type === 'acai.activate') event.waitUntil(self.skipWaiting());
});
self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== 'GET' || url.origin !== SCOPE.origin || !url.pathname.startsWith(SCOPE.pathname)) return;
  if (event.request.headers.has('Range')) return; // parts are the model's
  event.respondWith(answer(event.request));
});
