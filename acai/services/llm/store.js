// Where model files lie on the device: the origin's private file system, each file once under its sha256, whole or
// in part. Runs in a worker (only there can a file be written in place). Without that file system, memory serves.
import { LLMError } from './errors.js';

const FOLDER = 'acai-models';

/** Files in the origin's private file system. */
export class DiskStore {
  #blobs;
  #notes;
  saved = true;

  constructor(blobs, notes) {
    this.#blobs = blobs;
    this.#notes = notes;
  }

  /** @returns {Promise<DiskStore|MemoryStore>} */
  static async open() {
    try {
      const root = await navigator.storage.getDirectory();
      const home = await root.getDirectoryHandle(FOLDER, { create: true });
      const blobs = await home.getDirectoryHandle('files', { create: true });
      return new DiskStore(blobs, await home.getDirectoryHandle('models', { create: true }));
    } catch {
      return new MemoryStore(); // private windows of some browsers refuse it
    }
  }

  /** Bytes of a file that are here. */
  async size(hash) {
    try {
      return (await (await this.#blobs.getFileHandle(hash)).getFile()).size;
    } catch {
      return 0;
    }
  }

  /** @returns {Promise<ArrayBuffer>} */
  async read(hash) {
    return (await (await this.#blobs.getFileHandle(hash)).getFile()).arrayBuffer();
  }

  /**
   * Append what a stream gives, beginning at byte `from`; what came before a failure stays.
   * @param {string} hash
   * @param {number} from bytes kept; what lies behind is cut off
   * @param {ReadableStream<Uint8Array>} stream
   * @param {number} most the file's size: more than that is refused
   * @param {(bytes: number) => void} count told of every piece
   */
  async append(hash, from, stream, most, count) {
    const handle = await (await this.#blobs.getFileHandle(hash, { create: true })).createSyncAccessHandle();
    const reader = stream.getReader();
    let at = from;
    try {
      handle.truncate(from);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const piece = value.subarray(0, most - at);
        if (handle.write(piece, { at }) < piece.length) throw new DOMException('short write', 'QuotaExceededError');
        at += piece.length;
        count(piece.length);
        if (piece.length < value.length) return; // longer than told: its hash will tell
      }
    } finally {
      handle.flush();
      handle.close();
      reader.cancel().catch(() => {});
    }
  }

  async remove(hash) {
    await this.#blobs.removeEntry(hash).catch(() => {});
  }

  /** Remember a model: where it came from and its manifest as it was read. */
  async note(id, value) {
    const handle = await (await this.#notes.getFileHandle(`${id}.json`, { create: true })).createSyncAccessHandle();
    try {
      handle.truncate(0);
      handle.write(new TextEncoder().encode(JSON.stringify(value)), { at: 0 });
      handle.flush();
    } finally {
      handle.close();
    }
  }

  /** @returns {Promise<{id: string, source: string|null, used: number, text: string}[]>} newest first */
  async notes() {
    const found = [];
    for await (const [name, handle] of this.#notes.entries()) {
      try {
        found.push({ id: name.replace(/\.json$/, ''), ...JSON.parse(await (await handle.getFile()).text()) });
      } catch { /* half written when the page was closed: as if never noted */ }
    }
    return found.sort((a, b) => b.used - a.used);
  }

  async forget(id) {
    await this.#notes.removeEntry(`${id}.json`).catch(() => {});
  }

  /** Remove files that belong to no model and were left unfinished `days` ago. */
  async sweep(hashes, days = 30) {
    const before = Date.now() - days * 86_400_000;
    for await (const [name, handle] of this.#blobs.entries()) {
      if (!hashes.has(name) && (await handle.getFile()).lastModified < before) await this.remove(name);
    }
  }

  /** Refuse what the device has no room for. */
  async room(needed) {
    const { quota = Infinity, usage = 0 } = await navigator.storage.estimate().catch(() => ({}));
    if (quota - usage < needed) throw new LLMError('llm.quota', { needed, available: Math.max(0, quota - usage) });
  }
}

/** The same for the life of the worker. */
export class MemoryStore {
  #files = new Map();
  #models = new Map();
  saved = false;

  async size(hash) {
    return this.#files.get(hash)?.reduce((sum, piece) => sum + piece.length, 0) ?? 0;
  }

  async read(hash) {
    return new Blob(this.#files.get(hash) ?? []).arrayBuffer();
  }

  async append(hash, from, stream, most, count) {
    let at = from;
    if (!from || !this.#files.has(hash)) this.#files.set(hash, []);
    const reader = stream.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const piece = value.subarray(0, most - at);
        this.#files.get(hash).push(piece);
        at += piece.length;
        count(piece.length);
        if (piece.length < value.length) return;
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  async remove(hash) {
    this.#files.delete(hash);
  }

  async note(id, value) {
    this.#models.set(id, value);
  }

  async notes() {
    return [...this.#models].map(([id, value]) => ({ id, ...value })).sort((a, b) => b.used - a.used);
  }

  async forget(id) {
    this.#models.delete(id);
  }

  async sweep() { /* nothing outlives the worker */ }

  async room() { /* memory has its own guard (memory.js) */ }
}
