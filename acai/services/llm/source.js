// Where the files of a model come from: addresses below the application, or files that the user picked.
import { LLMError } from './errors.js';

/** Files below an address of the application's own origin. */
export class AddressSource {
  /** @param {string} base absolute address of the model's folder */
  constructor(base) {
    const url = new URL(base.endsWith('/') ? base : `${base}/`);
    if (url.origin !== globalThis.location.origin) throw new LLMError('llm.address', { address: base.slice(0, 200) });
    this.name = url.href;
  }

  /** The manifest's text, or null when the server cannot be reached. */
  async manifest(signal) {
    let answer;
    try {
      answer = await fetch(new URL('manifest.json', this.name), { cache: 'no-store', signal });
    } catch (error) {
      if (signal?.aborted) throw error;
      return null;
    }
    if (answer.status === 504) return null; // the service worker's word for a server that is gone
    if (!answer.ok) throw new LLMError('llm.missing', { file: 'manifest.json' });
    return answer.text();
  }

  /**
   * @param {string} file
   * @param {number} from first byte wanted
   * @returns {Promise<{from: number, stream: ReadableStream}|null>} from: the byte that the stream begins at; null when
   *   the file ends before the first byte wanted
   */
  async open(file, from, signal) {
    const headers = from ? { Range: `bytes=${from}-` } : {};
    const answer = await fetch(new URL(file, this.name), { headers, cache: 'no-store', signal });
    if (answer.status === 404) throw new LLMError('llm.missing', { file });
    if (answer.status === 416) return null;
    if (!answer.ok) throw new TypeError(`status ${answer.status}`);
    const told = /^bytes (\d+)-/.exec(answer.headers.get('Content-Range') ?? '');
    return { from: answer.status === 206 && told ? Number(told[1]) : 0, stream: answer.body };
  }
}

/** Files that the user picked: paths below the folder of manifest.json. */
export class FolderSource {
  name = null;
  local = true;
  #files;

  /** @param {[string, File][]} files see folder.js */
  constructor(files) {
    this.#files = new Map(files);
  }

  async manifest() {
    const file = this.#files.get('manifest.json');
    if (!file || file.size > 2 ** 24) throw new LLMError('llm.folder', { file: 'manifest.json' });
    return file.text();
  }

  async open(name, from) {
    const file = this.#files.get(name);
    if (!file) throw new LLMError('llm.missing', { file: name });
    return { from, stream: file.slice(from).stream() };
  }
}
