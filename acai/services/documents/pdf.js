/** Text of a PDF through pdf.js in a worker of its own, which ends with the document. */

import { DocumentError, LIMITS, checkLength } from './errors.js';
import { pageLines } from './lines.js';

const LIBRARY = new URL('../../vendor/pdf.js', import.meta.url);
const WORKER = new URL('../../vendor/pdf.worker.js', import.meta.url);
/** Nothing is drawn and nothing is fetched: no fonts, no wasm, no forms. */
const QUIET = {
  verbosity: 0, disableFontFace: true, useSystemFonts: false, useWasm: false, useWorkerFetch: false, enableXfa: false,
  isOffscreenCanvasSupported: false, isImageDecoderSupported: false, disableRange: true, disableStream: true, maxImageSize: 0,
};

/** The errors of pdf.js in our words. */
function explain(error) {
  if (error instanceof DocumentError) return error;
  if (error?.name === 'PasswordException') return new DocumentError('doc.encrypted', { format: 'pdf' }, { cause: error });
  return new DocumentError('doc.damaged', { format: 'pdf' }, { cause: error });
}

async function pages(task) {
  const document = await task.promise;
  if (document.numPages > LIMITS.pages) {
    throw new DocumentError('doc.tooLarge', { size: document.numPages, limit: LIMITS.pages, unit: 'pages' });
  }
  const found = [];
  let length = 0;
  for (let number = 1; number <= document.numPages; number += 1) {
    const page = await document.getPage(number);
    const { items } = await page.getTextContent({ includeMarkedContent: false, disableNormalization: false });
    page.cleanup();
    found.push(pageLines(items));
    length += found.at(-1).length;
    checkLength(length);
  }
  return { text: found.filter(Boolean).join('\n\n'), pages: document.numPages };
}

/**
 * @param {Uint8Array} bytes given away: the worker takes them
 * @param {{seconds?: number}} [options]
 * @returns {Promise<{text: string, pages: number}>}
 * @throws {DocumentError}
 */
export async function readPdf(bytes, { seconds = LIMITS.seconds } = {}) {
  const { getDocument, GlobalWorkerOptions, PDFWorker } = await import(LIBRARY.href);
  GlobalWorkerOptions.workerSrc = WORKER.href;
  const port = typeof Worker === 'undefined' ? null : new Worker(WORKER, { type: 'module' });
  const options = port ? { worker: new PDFWorker({ port, verbosity: 0 }) } : {};
  const task = getDocument({ data: bytes, ...QUIET, ...options });
  task.onPassword = () => task.destroy();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new DocumentError('doc.tooLarge', { size: seconds, limit: seconds, unit: 'seconds' })), seconds * 1000);
  });
  try {
    return await Promise.race([pages(task), late]);
  } catch (error) {
    throw explain(error);
  } finally {
    clearTimeout(timer);
    await Promise.race([task.destroy().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1000))]);
    port?.terminate();
  }
}
