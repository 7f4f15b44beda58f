/**
 * Bahith, the researcher: retrieves, and answers with [n] that open the passage. Contract: `answer [n]`, or the sentence
 * that the sources do not answer. It cites nothing that was not retrieved, and nothing at all when nothing was found.
 */

import { answerFromSources, groundedPrompt, parseGrounded } from './grounded.js';

export const agent = {
  id: 'bahith',
  name: { ar: 'باحث', en: 'Bahith' },
  description: {
    ar: 'يبحث في وثائقك وفي المكتبة المرفقة، ويجيب مع ذكر المصادر.',
    en: 'Searches your documents and the bundled library, and answers with its sources.',
  },
  prompt: (context) => groundedPrompt('bahith', context),
  parse: (text, { sources }) => parseGrounded(text, sources),
  /** @param {object} context @returns {AsyncGenerator<import('./events.js').Event>} */
  run: (context) => answerFromSources('bahith', context),
};
