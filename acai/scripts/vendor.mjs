// Third-party code for the browser: `npm ci` by the lock file, then the few files that are served, into vendor/.
// Nothing native and no install script runs; versions.json says what is there, licences/ under which terms.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const MODULES = path.join(ROOT, 'node_modules');
const VENDOR = path.join(ROOT, 'vendor');

/** Served file below vendor/ -> package and its file. */
export const FILES = {
  'transformers.min.js': ['@huggingface/transformers', 'dist/transformers.min.js'],
  'ort/ort.wasm.bundle.min.mjs': ['onnxruntime-web', 'dist/ort.wasm.bundle.min.mjs'],
  'ort/ort-wasm-simd-threaded.wasm': ['onnxruntime-web', 'dist/ort-wasm-simd-threaded.wasm'],
  'ort/ort.webgpu.bundle.min.mjs': ['onnxruntime-web', 'dist/ort.webgpu.bundle.min.mjs'],
  'ort/ort-wasm-simd-threaded.asyncify.wasm': ['onnxruntime-web', 'dist/ort-wasm-simd-threaded.asyncify.wasm'],
  'idb.js': ['idb', 'build/index.js'],
  'marked.js': ['marked', 'lib/marked.esm.js'],
  'dompurify.js': ['dompurify', 'dist/purify.es.mjs'],
  'pdf.js': ['pdfjs-dist', 'legacy/build/pdf.min.mjs'],
  'pdf.worker.js': ['pdfjs-dist', 'legacy/build/pdf.worker.min.mjs'],
};
/** Packages that the builders of the above put into their files. */
const INSIDE = ['@huggingface/jinja', '@huggingface/tokenizers', 'onnxruntime-common', 'flatbuffers', 'guid-typescript',
  'long', 'platform', 'protobufjs'];

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Hash of what decides the contents of vendor/. */
async function recipe() {
  const parts = [path.join(ROOT, 'package-lock.json'), fileURLToPath(import.meta.url)];
  return sha256(Buffer.concat(await Promise.all(parts.map((part) => readFile(part)))));
}

/** Whether vendor/ was built by this recipe and each of its files is as it was written. */
async function ready(wanted) {
  try {
    const told = JSON.parse(await readFile(path.join(VENDOR, 'versions.json'), 'utf8'));
    if (told.recipe !== wanted) return false;
    for (const [name, hash] of Object.entries(told.files)) {
      if (sha256(await readFile(path.join(VENDOR, name))) !== hash) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** The comment that heads a package's served file, where the package has no licence file of its own. */
async function banner(name) {
  const [, file] = Object.values(FILES).find(([owner]) => owner === name) ?? [];
  const head = file ? (await readFile(path.join(MODULES, name, file), 'utf8')).slice(0, 4096) : '';
  return head.match(/^\/\*!([\s\S]*?)\*\//)?.[1].replace(/^\s*\* ?/gm, '').trim() ?? '';
}

/** The licence of an installed package as text. */
async function licence(name, stated) {
  const home = path.join(MODULES, name);
  const found = (await readdir(home)).filter((file) => /^(licen[cs]e|notice)/i.test(file)).sort();
  const texts = await Promise.all(found.map((file) => readFile(path.join(home, file), 'utf8')));
  if (!texts.length) texts.push(await banner(name));
  const author = typeof stated.author === 'string' ? stated.author : stated.author?.name;
  const head = [`${name} ${stated.version}`, `Licence: ${stated.license}`, ...(author ? [`Author: ${author}`] : [])];
  return `${head.join('\n')}\n\n${texts.join('\n\n')}\n`;
}

/** Do `work` while no other process does: a folder beside vendor/ is the sign, void after ten minutes. */
async function alone(work) {
  const sign = path.join(ROOT, '.vendor.lock');
  for (;;) {
    try {
      await mkdir(sign);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      const age = await stat(sign).then(({ mtimeMs }) => Date.now() - mtimeMs, () => 0);
      if (age > 600e3) await rm(sign, { recursive: true, force: true });
      else await new Promise((resolve) => { setTimeout(resolve, 500); });
    }
  }
  try {
    return await work();
  } finally {
    await rm(sign, { recursive: true, force: true });
  }
}

/** Build vendor/ unless it is there. */
export async function vendor() {
  const wanted = await recipe();
  if (await ready(wanted)) return 'vendor: as locked';
  return alone(async () => (await ready(wanted) ? 'vendor: as locked' : build(wanted)));
}

/** Install by the lock file and copy what is served; what was there before is replaced at once. */
async function build(wanted) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  execFileSync(npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const partial = `${VENDOR}.partial`;
  await rm(partial, { recursive: true, force: true });
  const written = {};
  const packages = {};
  for (const [name, [owner, file]] of Object.entries(FILES)) {
    let bytes = await readFile(path.join(MODULES, owner, file));
    if (!name.endsWith('.wasm')) {
      bytes = Buffer.from(bytes.toString('utf8').replace(/^\/\/# sourceMappingURL=.*$/gm, '')); // no map is served
    }
    await mkdir(path.dirname(path.join(partial, name)), { recursive: true });
    await writeFile(path.join(partial, name), bytes);
    written[name] = sha256(bytes);
    packages[owner] ??= null;
  }
  await mkdir(path.join(partial, 'licences'));
  for (const name of [...Object.keys(packages), ...INSIDE].sort()) {
    const stated = JSON.parse(await readFile(path.join(MODULES, name, 'package.json'), 'utf8'));
    packages[name] = { version: stated.version, licence: stated.license };
    await writeFile(path.join(partial, 'licences', `${name.replace('/', '_')}.txt`), await licence(name, stated));
  }
  await writeFile(path.join(partial, 'versions.json'),
    `${JSON.stringify({ recipe: wanted, packages, files: written }, null, 1)}\n`);
  const old = `${VENDOR}.old`;
  await rm(old, { recursive: true, force: true });
  if (existsSync(VENDOR)) await rename(VENDOR, old);
  await rename(partial, VENDOR);
  await rm(old, { recursive: true, force: true });
  return `vendor: ${Object.keys(written).length} files of ${Object.keys(packages).length} packages`;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  if (!existsSync(path.join(ROOT, 'package-lock.json'))) throw new Error('package-lock.json is missing');
  console.log(await vendor());
}
