/** What tests/test_acai_retrieval.py does in a page of Chromium. */

import { read } from '../services/documents/read.js';
import { Retrieval } from '../services/retrieval/retrieval.js';
import { Web } from '../services/web.js';

/** Read documents. @param {Record<string, string>} files name -> base64 */
export async function readAll(files) {
  const found = {};
  for (const [name, content] of Object.entries(files)) {
    const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
    found[name] = await read(new File([bytes], name)).catch((error) => ({ key: error.key ?? String(error.stack) }));
  }
  return { found, ran: globalThis.ran ?? null };
}

/** Search the bundled corpus and a document of one of two users. */
export async function searchAll() {
  const retrieval = new Retrieval();
  const documents = await retrieval.addCorpus();
  await retrieval.add({ id: 'mine', title: 'لي', text: 'رمز الخزانة في بيت جدي سبعة.', user: 'a' });
  const ask = async (query, user) => (await retrieval.search(query, { user })).map(({ document }) => document);
  const bank = await ask('هل يسألني موظفو البنوك عن رقمي السري؟');
  const found = { documents, bank, a: await ask('خزانات البيوت', 'a'), b: await ask('خزانات البيوت', 'b') };
  retrieval.close();
  return found;
}

const WIKI = 'https://wiki.example';
const PAGES = {
  [`${WIKI}/search?q=${encodeURIComponent('اللؤلؤ')}`]:
    '<title>بحث</title><a href="/pearl">تاريخ اللؤلؤ</a><a href="https://other.example/pearl">اللؤلؤ هنا</a>' +
    '<a href="javascript:alert(1)">اللؤلؤ</a>',
  [`${WIKI}/pearl`]: '<title>اللؤلؤ</title><h1>اللؤلؤ</h1><p>غاص أهل البحرين على اللؤلؤ قرونًا.</p><script>globalThis.ran = 1</script>',
};

/** Search a small web behind a proxy that keeps the rules of serve.py. */
export async function searchWeb([enabled, query]) {
  const sent = [];
  const refuse = (error) => Response.json({ error }, { status: 403 });
  const fetch = async (path, { headers }) => {
    sent.push(path);
    if (headers['X-ACAI'] !== 'web') return refuse('web.header');
    const url = new URL(path, location.href).searchParams.get('url');
    if (!url) return Response.json({ hosts: ['wiki.example'] });
    return url in PAGES ? new Response(PAGES[url], { headers: { 'X-ACAI-Type': 'text/html' } }) : refuse('web.host');
  };
  const searches = [`${WIKI}/search?q={query}`, 'https://refused.example/?q={query}'];
  const web = new Web(() => ({ enabled, searches }), { fetch });
  const found = await web.search(query).catch((error) => ({ key: error.key ?? String(error.stack) }));
  return { found, sent, ran: globalThis.ran ?? null };
}

/** What the server's own proxy answers. */
export async function askProxy() {
  const web = new Web(() => ({ enabled: true, searches: ['https://else.example/{query}'] }));
  const key = (promise) => promise.then(() => 'none', (error) => error.key);
  const asked = [web.read('https://else.example/a'), web.read('http://wiki.example/a'), web.search('سؤال')];
  return [await web.hosts(), ...(await Promise.all(asked.map(key)))];
}
