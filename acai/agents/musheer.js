/**
 * Musheer, the advisor: documents of law, policy and banking come first. Contract: `advice [n]`, or the sentence that there
 * is no rule; below it always stands that this is no professional advice.
 */

import { words } from '../services/retrieval/normalise.js';
import { answerFromSources, groundedPrompt, parseGrounded } from './grounded.js';

const BUNDLED = /^(?:bank|policy|law)-/;
const RULES = new Set(
  words(
    'قانون القانون قوانين نظام النظام أنظمة لائحة اللائحة لوائح سياسة السياسة سياسات تعليمات التعليمات ضوابط أحكام مادة المادة بند حقوق واجبات شروط الشروط عقد العقد ' +
      'مصرف المصرف مصرفي مصارف بنك البنك البنوك قرض القرض قروض تمويل رسوم غرامة إيجار تأمين حساب بطاقة بطاقات تحويل إجازة دليل ' +
      'law laws act regulation regulations policy policies rule rules terms conditions contract article clause rights bank banks banking loan loans fee fees ' +
      'insurance tenancy lease employment leave account accounts card cards transfer transfers guideline guidelines',
  ),
);
const IN_TEXT = 0.06;

/** Whether a passage is out of a document that rules or advises. */
export function isPolicy({ document = '', title = '', text = '' }) {
  if (BUNDLED.test(document) || words(title).some((word) => RULES.has(word))) return true;
  const found = words(text);
  return found.filter((word) => RULES.has(word)).length / Math.max(1, found.length) >= IN_TEXT;
}

/** Policy documents first, each group as the search ranked it. */
export const policyFirst = (passages) => [...passages.filter(isPolicy), ...passages.filter((one) => !isPolicy(one))];

const notes = (sources) => [
  ...(sources.length && !sources.some(({ passage }) => isPolicy(passage)) ? [{ key: 'agents.no_policy' }] : []),
  { key: 'agents.disclaimer' },
];

export const agent = {
  id: 'musheer',
  name: { ar: 'مشير', en: 'Musheer' },
  description: {
    ar: 'ينصح في شؤون المصارف والأنظمة والعقود مستندًا إلى وثائقها.',
    en: 'Advises on banking, rules and contracts out of their documents.',
  },
  prompt: (context) => groundedPrompt('musheer', context),
  parse: (text, { sources }) => parseGrounded(text, sources),
  /** @param {object} context @returns {AsyncGenerator<import('./events.js').Event>} */
  run: (context) => answerFromSources('musheer', context, { k: 10, order: policyFirst, notes }),
};
