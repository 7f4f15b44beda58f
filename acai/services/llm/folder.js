// "Load a model from a folder": for machines without a network. The files are read where they lie.
import { LLMError } from './errors.js';

/** Enough for any export; a home directory picked by mistake has more. */
const MOST = 2000;

/**
 * Files of the folder that holds manifest.json, by their path below it.
 * @param {Iterable<[string, File]>} pairs path and file
 * @returns {[string, File][]}
 * @throws {LLMError} llm.folder when there is no manifest.json, or more than one at the top
 */
export function below(pairs) {
  const all = [...pairs];
  const homes = all.map(([path]) => path).filter((path) => /(^|\/)manifest\.json$/.test(path))
    .map((path) => path.slice(0, -'manifest.json'.length))
    .sort((a, b) => a.split('/').length - b.split('/').length);
  const depth = (path) => path.split('/').length;
  if (!homes.length || (homes.length > 1 && depth(homes[1]) === depth(homes[0]))) {
    throw new LLMError('llm.folder', { file: 'manifest.json', found: homes.length });
  }
  const found = all.filter(([path]) => path.startsWith(homes[0]))
    .map(([path, file]) => [path.slice(homes[0].length), file]);
  if (found.length > MOST) throw new LLMError('llm.folder', { file: 'manifest.json', found: found.length });
  return found;
}

/**
 * From `<input type="file" webkitdirectory>` or a drop.
 * @param {FileList|File[]} list
 */
export function fromFiles(list) {
  return below([...list].map((file) => [file.webkitRelativePath || file.name, file]));
}

/**
 * From showDirectoryPicker.
 * @param {FileSystemDirectoryHandle} directory
 */
export async function fromDirectory(directory) {
  const found = [];
  const walk = async (handle, path, level) => {
    for await (const [name, entry] of handle.entries()) {
      if (found.length > MOST) throw new LLMError('llm.folder', { file: 'manifest.json', found: found.length });
      if (entry.kind === 'file') found.push([`${path}${name}`, await entry.getFile()]);
      else if (level < 3) await walk(entry, `${path}${name}/`, level + 1);
    }
  };
  await walk(directory, '', 0);
  return below(found);
}

/** Ask for a folder where the browser can; null when the user chose none, or it cannot (then use an input). */
export async function pick() {
  if (!globalThis.showDirectoryPicker) return null;
  try {
    return await fromDirectory(await globalThis.showDirectoryPicker({ id: 'acai-model', mode: 'read' }));
  } catch (error) {
    if (error.name === 'AbortError') return null;
    throw error;
  }
}
