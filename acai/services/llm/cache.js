// Model files, once on the device and always checked: downloads that go on where they stopped, and a file whose
// sha256 is not the manifest's is thrown away and fetched once more.
import { LLMError } from './errors.js';
import { check } from './manifest.js';

const TRIES = 4;
const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
const digest = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));
const hashes = (note) => Object.values(JSON.parse(note.text).files).map(({ sha256 }) => sha256);
const locks = globalThis.navigator?.locks;
const wait = (time) => new Promise((resolve) => { setTimeout(resolve, time); });
const full = (error) => error?.name === 'QuotaExceededError';

/** Models kept by a store. */
export class Cache {
  #store;
  #direct = false; // files are read where they lie, for want of room

  /** @param {import('./store.js').DiskStore} store */
  constructor(store) {
    this.#store = store;
  }

  get saved() {
    return this.#store.saved && !this.#direct;
  }

  /**
   * The manifest that a source has now; when its server is gone, the one it had when it was last read.
   * @returns {Promise<{id: string, manifest: import('./manifest.js').Manifest, online: boolean}>}
   */
  async manifest(source, signal) {
    let text = await source.manifest(signal);
    const online = text !== null;
    text ??= (await this.#store.notes()).find((note) => note.source === source.name)?.text;
    if (text === undefined) throw new LLMError('llm.network', { file: 'manifest.json' });
    return { ...await this.#read(text), text, online };
  }

  /** A model by the id under which it was kept. */
  async kept(id) {
    const note = (await this.#store.notes()).find((found) => found.id === id);
    if (!note) throw new LLMError('llm.missing', { file: 'manifest.json' });
    return { ...await this.#read(note.text), text: note.text, online: false, source: note.source };
  }

  async #read(text) {
    let told;
    try {
      told = JSON.parse(text);
    } catch {
      throw new LLMError('llm.manifest', { what: 'manifest.json' });
    }
    return { id: await digest(new TextEncoder().encode(text)), manifest: check(told) };
  }

  /** Remember that a model is here; an older one of the same address is let go with the files that only it had. */
  async keep(id, source, text) {
    const note = () => this.#note(id, source, text);
    await (locks ? locks.request('acai-models', note) : note()).catch(() => {
      this.#direct = true; // loaded, though not kept
    });
  }

  async #note(id, source, text) {
    const old = (await this.#store.notes()).filter((note) => source && note.source === source && note.id !== id);
    await this.#store.note(id, { source, text, used: Date.now() });
    for (const note of old) await this.forget(note.id);
    await this.#store.sweep(new Set((await this.#store.notes()).flatMap(hashes)));
  }

  /** Models on this device: id, name, address it came from, bytes held, newest first. */
  async list() {
    const found = [];
    for (const note of await this.#store.notes()) {
      try {
        const manifest = check(JSON.parse(note.text));
        const sizes = await Promise.all(Object.values(manifest.files).map(({ sha256 }) => this.#store.size(sha256)));
        const bytes = sizes.reduce((sum, size) => sum + size, 0);
        found.push({ id: note.id, name: manifest.name, source: note.source, used: note.used, bytes });
      } catch { /* of an older version of the application: not listed, removed with its address */ }
    }
    return found;
  }

  /** Remove a model and those of its files that no other model has. */
  async forget(id) {
    const notes = await this.#store.notes();
    const others = new Set(notes.filter((note) => note.id !== id).flatMap(hashes));
    const own = notes.filter((note) => note.id === id).flatMap(hashes);
    await this.#store.forget(id);
    for (const hash of own) if (!others.has(hash)) await this.#store.remove(hash);
  }

  /**
   * Bytes of files, all of them checked.
   * @param {import('./manifest.js').Manifest} manifest
   * @param {string[]} names
   * @param {object|null} source where to take what is not here; null when nothing can be
   * @param {(event: {file: string, loaded: number, total: number, speed: number}) => void} report
   * @returns {Promise<Map<string, ArrayBuffer>>}
   */
  async files(manifest, names, source, report, signal) {
    const entries = names.map((name) => [name, manifest.files[name]]);
    const held = await Promise.all(entries.map(([, entry]) => this.#store.size(entry.sha256)));
    const have = entries.reduce((sum, [, { bytes }], i) => sum + Math.min(bytes, held[i]), 0);
    const total = entries.reduce((sum, [, { bytes }]) => sum + bytes, 0);
    const meter = new Meter(total, have, report);
    const found = new Map();
    const room = async () => {
      if (have < total) await this.#store.room(total - have);
    };
    const scarce = (error) => {
      if (!source?.local || error.key !== 'llm.quota') throw error;
      this.#direct = true;
    };
    await room().catch(scarce);
    for (const [name, entry] of entries) {
      const direct = () => this.#whole(name, entry, source, meter);
      const stored = () => this.#obtain(name, entry, source, meter, signal);
      found.set(name, await (this.#direct ? direct() : stored().catch((error) => scarce(error) ?? direct())));
    }
    return found;
  }

  /** A file of the user's folder for which the device has no second room. */
  async #whole(name, entry, source, meter) {
    const { stream } = await source.open(name, 0);
    const bytes = await new Response(stream).arrayBuffer();
    meter.add(name, bytes.byteLength);
    if (await digest(bytes) !== entry.sha256) throw new LLMError('llm.corrupt', { file: name });
    return bytes;
  }

  /** One file, checked; thrown away and taken anew once when it is not what the manifest says. */
  async #obtain(name, entry, source, meter, signal) {
    const hash = entry.sha256;
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      const before = await this.#store.size(hash);
      if (before !== entry.bytes) {
        if (!source) throw new LLMError(attempt ? 'llm.corrupt' : 'llm.missing', { file: name });
        const fill = () => this.#fill(name, entry, source, meter, signal);
        try {
          await (locks ? locks.request(`acai-model-${hash}`, { signal }, fill) : fill());
        } catch (error) {
          throw attempt && error.key === 'llm.network' ? new LLMError('llm.corrupt', { file: name }) : error;
        }
      }
      meter.show(name, true);
      const bytes = await this.#store.read(hash);
      if (bytes.byteLength === entry.bytes && await digest(bytes) === hash) return bytes;
      await this.#store.remove(hash);
      meter.add(name, -Math.min(before || entry.bytes, entry.bytes));
      if (attempt) throw new LLMError('llm.corrupt', { file: name });
    }
  }

  /** Take what is missing of a file, going on after a break. Another tab may have done so meanwhile. */
  async #fill(name, entry, source, meter, signal) {
    for (let attempt = 1; ; attempt++) {
      let have = await this.#store.size(entry.sha256);
      if (have === entry.bytes) return;
      if (have > entry.bytes) have = 0;
      try {
        const opened = await source.open(name, have, signal);
        if (!opened) return; // shorter than the manifest says: not the file
        const { from, stream } = opened;
        const start = Math.min(from, have);
        if (from > have) throw new TypeError('a part that was not asked for');
        if (start < have) meter.add(name, start - have);
        await this.#store.append(entry.sha256, start, stream, entry.bytes, (bytes) => meter.add(name, bytes));
        if (source.local || await this.#store.size(entry.sha256) === entry.bytes) return;
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (full(error)) throw new LLMError('llm.quota', { needed: entry.bytes, available: 0 });
        if (error instanceof LLMError) throw error;
        if (source.local) throw new LLMError('llm.folder', { file: name }); // moved, or no longer readable
      }
      const gained = await this.#store.size(entry.sha256) > have;
      if (gained) attempt = 0; // it goes on, though with breaks
      else if (attempt >= TRIES) throw new LLMError('llm.network', { file: name });
      await wait(150 * 2 ** attempt);
    }
  }
}

/** Bytes so far and their speed over the last seconds, told ten times a second at most. */
class Meter {
  #report;
  #told = 0;
  #marks = [];

  constructor(total, loaded, report) {
    this.total = total;
    this.loaded = loaded;
    this.moved = 0;
    this.#report = report;
  }

  add(file, bytes) {
    this.loaded += bytes;
    if (bytes > 0) this.moved += bytes;
    this.show(file, this.loaded === this.total);
  }

  show(file, now = false) {
    const time = performance.now();
    if (!now && time - this.#told < 100) return;
    this.#told = time;
    this.#marks.push([time, this.moved]);
    while (this.#marks.length > 2 && time - this.#marks[0][0] > 3000) this.#marks.shift();
    const [[first, before]] = this.#marks;
    const speed = time > first ? (1000 * (this.moved - before)) / (time - first) : 0;
    this.#report({ file, loaded: this.loaded, total: this.total, speed });
  }
}
