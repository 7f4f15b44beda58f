// Keeps the application on the device: registers the service worker under the version that the server has.

/**
 * @typedef {{offline: boolean, version: string|null, waiting: boolean}} State
 * offline: every file is on the device; waiting: a newer version is too, and is used once `upgrade` is called or every
 * page of the application has been closed.
 */

/**
 * Register the service worker; resolves once the application is whole on the device, or cannot be put there.
 * @param {(state: State) => void} [onChange] told of every change, a newer version above all
 * @returns {Promise<State>}
 */
export async function keep(onChange = () => {}) {
  if (!('serviceWorker' in navigator)) return { offline: false, version: null, waiting: false };
  const base = new URL('../', import.meta.url);
  const { version } = await fetch(new URL('precache.json', base), { cache: 'no-store' })
    .then((answer) => (answer.ok ? answer.json() : { version: null }), () => ({ version: null }));
  if (!version) return { offline: Boolean(navigator.serviceWorker.controller), version: null, waiting: false };
  const script = new URL('sw.js', base);
  script.searchParams.set('v', version);
  const before = await navigator.serviceWorker.getRegistration(base);
  const registration = await navigator.serviceWorker.register(script, { scope: base.pathname, updateViaCache: 'none' });
  const state = () => ({ offline: Boolean(registration.active), version, waiting: Boolean(registration.waiting) });
  navigator.serviceWorker.addEventListener('message', ({ data }) => {
    if (data?.type?.startsWith('acai.')) onChange(state());
  });
  const kept = await settled(registration);
  if (kept && !before?.active) await navigator.serviceWorker.ready; // the first version takes over by itself
  onChange(state());
  return state();
}

/** Wait until no worker of the registration is installing; whether what was installed could be. */
function settled(registration) {
  const worker = registration.installing;
  if (!worker) return Promise.resolve(true);
  return new Promise((resolve) => {
    worker.addEventListener('statechange', () => {
      if (worker.state !== 'installing') resolve(worker.state !== 'redundant');
    });
  });
}

/** Use the newer version that waits: it takes over, then the page is loaded again. */
export async function upgrade() {
  const registration = await navigator.serviceWorker.getRegistration(new URL('../', import.meta.url));
  if (!registration?.waiting) return;
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  registration.waiting.postMessage({ type: 'acai.activate' });
}
