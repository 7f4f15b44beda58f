// The list of every file that the application needs offline, each with its hash, as precache.json; its version is the
// hash of that list, and names the service worker's cache. `node scripts/precache.mjs [ROOT] [--with FOLDER …]`
import { createHash } from 'node:crypto';
import { readFile, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HOME = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** Never part of the application: what builds it, tests it, or is held elsewhere (the model: services/llm/cache.js). */
const APART = new Set(['model', 'node_modules', 'scripts', 'tests', 'vendor.old', 'vendor.partial', '__pycache__']);
const KINDS = new Set(['.css', '.html', '.ico', '.js', '.json', '.md', '.mjs', '.png', '.svg', '.txt', '.wasm',
  '.webmanifest', '.woff2']);
const NOT = new Set(['package.json', 'package-lock.json', 'precache.json', 'README.md']);

/** Paths below root, with forward slashes, in order. */
async function walk(root, also, folder = '') {
  const found = [];
  for (const entry of await readdir(path.join(root, folder), { withFileTypes: true })) {
    const name = folder ? `${folder}/${entry.name}` : entry.name;
    if (entry.name.startsWith('.') || (!folder && NOT.has(entry.name))) continue;
    if (entry.isDirectory()) {
      if (folder || !APART.has(entry.name) || also.includes(entry.name)) found.push(...await walk(root, also, name));
    } else if (KINDS.has(path.extname(entry.name))) found.push(name);
  }
  return found.sort();
}

/**
 * Write ROOT/precache.json.
 * @param {string} root the application's folder
 * @param {string[]} also folders at its top that are left out otherwise
 * @returns {Promise<{version: string, files: {path: string, bytes: number, sha256: string}[]}>}
 */
export async function precache(root = HOME, also = []) {
  const files = [];
  for (const name of await walk(root, also)) {
    const bytes = await readFile(path.join(root, name));
    files.push({ path: name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  }
  const version = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 16);
  const target = path.join(root, 'precache.json');
  await writeFile(`${target}.partial`, `${JSON.stringify({ version, files }, null, 1)}\n`);
  await rename(`${target}.partial`, target);
  return { version, files };
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const given = process.argv.slice(2);
  const cut = given.includes('--with') ? given.indexOf('--with') : given.length;
  const { version, files } = await precache(given.slice(0, cut)[0] ?? HOME, given.slice(cut + 1));
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  console.log(`precache: ${files.length} files, ${(bytes / 2 ** 20).toFixed(1)} MiB, version ${version}`);
}
