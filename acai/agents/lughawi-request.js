/** What a request to Lughawi wants, and which text it is about. */

import { isArabic, tokens, words } from '../services/retrieval/normalise.js';

const has = (found, list) => list.some((word) => found.has(word));
const INTO = words('حول اقلب قلب ترجم عدل اكتب اعد صغ اجعل خل غير put turn translate rewrite convert make write change say نقول اقول ينقال كيف شلون');
const STANDARD = words('فصحى الفصحى فصيح الفصيح فصيحة الفصيحة فصيحا رسمي رسمية standard formal msa fusha');
const BAHRAINI = words('بحريني بحرينية البحرينية بالبحريني بحرينيه المحرق المنامة bahraini muharraq');
const GULF = words('خليجي خليجية الخليجية بالخليجي gulf khaleeji');
const WHICH = words('أي لهجة اللهجة لهجات هل تنتمي which variety dialect is whether');

/**
 * The text a request is about: in quotation marks, after a colon, after كلمة or word, or else all of it.
 * @param {string} query
 */
export function subjectOf(query) {
  const quoted = /[«“"‘']([^»”"’']{1,500})[»”"’']/u.exec(query)?.[1];
  if (quoted && /\p{L}/u.test(quoted)) return quoted.trim();
  const after = /[:：]\s*([\s\S]+)$/u.exec(query)?.[1];
  if (after && /\p{L}/u.test(after)) return after.trim();
  const named = /(?:كلمة|كلمه|لكلمة|الفعل|فعل|لفظة|the word|the verb|word)\s+(\p{Script=Arabic}[\p{L}\p{M}]*)/u.exec(query)?.[1];
  if (named) return named;
  if (!tokens(query).some(({ word }) => isArabic(word))) return '';
  if (/[a-z]{2}/i.test(query)) return (query.match(/[\p{Script=Arabic}\p{M}][\p{Script=Arabic}\p{M}\s،؟]*/gu) ?? []).join(' ').trim();
  return query.trim();
}

/**
 * @param {string} query
 * @returns {{task: 'identify'|'normalize'|'bahraini'|'gulf'|'analyse', text: string, whole: boolean}} `whole`: the request
 *   names no text of its own, so all of it is looked at
 */
export function requestOf(query) {
  const text = subjectOf(query);
  const whole = text === query.trim();
  const asked = new Set(words(whole ? query : query.replace(text, ' ')));
  const standard = has(asked, STANDARD);
  const local = has(asked, BAHRAINI) ? 'bahraini' : has(asked, GULF) ? 'gulf' : null;
  const into = has(asked, INTO);
  if (!text) return { task: 'analyse', text, whole };
  if ((standard && local) || (!into && has(asked, WHICH) && (local || standard || asked.has('لهجه') || asked.has('dialect')))) return { task: 'identify', text, whole };
  if (into && standard) return { task: 'normalize', text, whole };
  if (into && local) return { task: local, text, whole };
  return { task: 'analyse', text, whole };
}
