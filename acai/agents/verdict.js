/** Muraqib's reading: claims out of a text or a request, and the verdict out of what the model wrote. */

import { sentences } from '../services/retrieval/chunk.js';
import { words } from '../services/retrieval/normalise.js';
import { cite } from './citations.js';
import { contentWords, coverage, negates } from './overlap.js';

const MOST_WORDS = 60;
/**
 * Share of a claim's content words that must stand in the evidence before it can be supported, or refuted. On the pocket
 * model's lessons 0.5 keeps nine right verdicts of ten and blocks two of three wrong claims of support.
 */
export const LEAST = { supported: 0.5, refuted: 0.15 };

const ASKED = [
  /^\s*(?:هل|أ|هم)?\s*(?:صحيح|صح|حقا|فعلا|صج|ثبت)\s+(?:أن|إن|إنه|أنه|ان)\s+/u,
  /^\s*(?:تحقق|تأكد|تاكد|تثبت|تحقّق)\s+(?:لي\s+)?(?:من\s+)?(?:صحة\s+)?(?:أن|إن|ان|إذا|إن كان)?\s*(?:(?:هذا|هذه)\s+(?:القول|الجملة|الخبر|المعلومة|العبارة))?\s*/u,
  /^\s*(?:يقال|يقولون|يزعمون|سمعت|قرأت|يظن الناس|يشاع|بلغني|قالوا لي|قيل لي)\s+(?:إن|أن|ان)?\s*/u,
  /^\s*(?:is it (?:really |actually )?true that|is it right that|verify (?:that|whether|the claim(?: that)?)|check (?:that|whether|if)|confirm that|fact-?check(?: that)?|they (?:say|claim) that|i (?:heard|read) that|(?:my friend|a colleague|someone|somebody|people|they) (?:says?|told me|claims?|insists?|posted)(?: that)?|please)\s+/iu,
];
const ASKING = /[،,]?\s*(?:هل (?:هذا )?(?:صحيح|القول صحيح|هو صحيح)|هالكلام صحيح|كلامه صج|صج لو (?:لا|چذب)|صواب أم خطأ|صح أم خطأ|مضبوط|is (?:this|that|it|he|she) (?:true|right|correct|a myth)|true or false)\s*[؟?]*\s*$/iu;

/**
 * What a request wants checked: the quotation, what follows a colon, or the request without its words of asking.
 * @param {string} query
 */
export function claimOf(query) {
  const quoted = /[«“"]([^»”"]{8,})[»”"]/u.exec(query)?.[1];
  if (quoted && contentWords(quoted).length > 1) return quoted.trim();
  const after = /^[^:]{2,60}:\s*([\s\S]+)$/u.exec(query)?.[1];
  let left = after && contentWords(after).length > 1 ? after : query;
  left = left.replace(ASKING, '');
  for (const asked of ASKED) left = left.replace(asked, '');
  left = left.replace(/[\s؟?؛;،,]+$/u, '').trim();
  return contentWords(left).length ? left : query.trim();
}

/**
 * The claims of a text: its sentences that say something, without citations and list marks.
 * @param {string} text
 * @returns {string[]}
 */
export function claimsOf(text) {
  const bare = cite(text, []).text.replace(/^[ \t]*(?:[-*+•]|\p{Nd}{1,2}[.)])[ \t]+/gmu, '');
  const found = sentences(bare)
    .filter(({ heading }) => !heading)
    .map(({ start, end }) => bare.slice(start, end))
    .filter((sentence) => contentWords(sentence).length)
    .map((sentence) => sentence.split(/\s+/).slice(0, MOST_WORDS).join(' '));
  return [...new Set(found)];
}

const VERDICTS = [
  ['unknown', /(?:غير|ليس|ليست) (?:معروف|مدعوم|موكد|منقوض)\p{L}*|لا (?:يعرف|اعرف)|\bunknown\b|\bunsupported\b|\bnot (?:supported|known|refuted)\b/gu],
  ['supported', /\bsupported\b|(?<![\p{L}])مدعوم/gu],
  ['refuted', /\brefuted\b|(?<![\p{L}])منقوض/gu],
];

/**
 * The model's verdict. Two different ones, or none, is no verdict.
 * @param {string} text
 * @param {import('./events.js').Source[]} sources
 * @returns {{verdict: 'supported'|'refuted'|'unknown', n: number|null, kept: boolean}}
 */
export function parseVerdict(text, sources) {
  const { cited } = cite(text, sources);
  let left = words(text.replace(/<[^>]{0,200}>/g, ' ')).join(' ');
  const said = new Set();
  for (const [verdict, pattern] of VERDICTS) {
    left = left.replace(pattern, () => {
      said.add(verdict);
      return ' ';
    });
  }
  if (said.size !== 1) return { verdict: 'unknown', n: null, kept: false };
  const [verdict] = said;
  return { verdict, n: verdict === 'unknown' ? null : (cited[0] ?? null), kept: true };
}

/** Whether one sentence of the evidence holds every word of a claim, and denies as little or as much. */
const stated = (claim, evidence) => sentences(evidence).some(({ start, end }) => {
  const one = evidence.slice(start, end);
  const { share, count } = coverage(claim, one);
  return share === 1 && count > 1 && negates(claim) === negates(one);
});

/**
 * The verdict that may be shown: the model's, unless the words of the evidence speak against it.
 * @param {string} claim
 * @param {{verdict: string, n: number|null}} said
 * @param {import('./events.js').Source[]} sources
 * @returns {{verdict: string, reason: string|null, share: number}}
 */
export function settle(claim, { verdict, n }, sources) {
  if (verdict === 'unknown') return { verdict, reason: null, share: 0 };
  if (n === null) return { verdict: 'unknown', reason: 'agents.no_citation', share: 0 };
  const evidence = sources.find((source) => source.n === n).text;
  const { share, numbers } = coverage(claim, evidence);
  if (share < LEAST[verdict] || (verdict === 'supported' && !numbers)) return { verdict: 'unknown', reason: 'agents.no_overlap', share };
  if (verdict === 'refuted' && stated(claim, evidence)) return { verdict: 'unknown', reason: 'agents.stated', share };
  if (verdict === 'supported' && negates(claim) !== negates(evidence)) return { verdict: 'unknown', reason: 'agents.polarity', share };
  return { verdict, reason: null, share };
}
