/**
 * Muraqib, the verifier: claim by claim, supported, refuted or unknown, with the passage that says so. Contract of the
 * model's answer: one verdict word and [n]. A verdict without a given source, or whose source lacks the claim's words, is
 * unknown, whatever the model says.
 */

import { done, fault, outcome, status } from './events.js';
import { fill, format, messages, quiet } from './formats.js';
import { contentWords } from './overlap.js';
import { lines, search, sourcesOf, writeFrom } from './sources.js';
import { claimOf, claimsOf, parseVerdict, settle } from './verdict.js';
import { confidence } from './write.js';

const MAX_TOKENS = 24;
const MOST_CLAIMS = 8;
const LABELS = {
  ar: { supported: 'مدعوم', refuted: 'منقوض', unknown: 'غير معروف' },
  en: { supported: 'supported', refuted: 'refuted', unknown: 'unknown' },
};

/** The claims to check; a short answer (`مسقط`) says something only together with its question. */
function claims({ query, answer }) {
  if (typeof answer !== 'string') return claimsOf(claimOf(query));
  const asked = query.replace(/\s*[؟?]+\s*$/u, '');
  return claimsOf(answer).map((claim) => (contentWords(claim).length < 3 ? `${asked}: ${claim}` : claim));
}

/** One claim: search, ask, settle. Yields events, returns the claim event. */
async function* check(claim, index, context) {
  const { language, llm, retrieval, user, signal } = context;
  const blank = { type: 'claim', index, text: claim, verdict: 'unknown', said: null, n: null, source: null, sources: [], share: 0, reason: null };
  const { passages, failed } = await search(retrieval, claim, { k: 5, user });
  if (failed) yield fault('agents.search_failed');
  const found = sourcesOf(passages, claim, { llm, maxTokens: MAX_TOKENS });
  if (!found.length) return { event: { ...blank, reason: 'agents.no_evidence' } };
  if (!llm) return { event: { ...blank, sources: found, reason: 'agents.no_model' } };
  const prompt = (sources) => agent.prompt({ query: claim, sources, language });
  const { wrote, sources } = yield* writeFrom({ sources: found, prompt, llm, maxTokens: MAX_TOKENS, signal, extra: { claim: index } });
  if (wrote.error) yield fault(wrote.error.key, wrote.error.params);
  const said = parseVerdict(wrote.text, sources);
  const settled = settle(claim, said, sources);
  const source = settled.verdict === 'unknown' ? null : sources[said.n - 1];
  const reason = wrote.error?.key ?? (said.kept ? settled.reason : 'agents.format_lost');
  return { wrote, kept: said.kept, event: { ...blank, ...settled, said: said.kept ? said.verdict : null, n: source?.n ?? null, source, sources, reason } };
}

/** @param {object} context with `answer`: check that text instead of the query @returns {AsyncGenerator<import('./events.js').Event>} */
async function* run(context) {
  const { language, signal } = context;
  const all = claims(context);
  const found = all.slice(0, MOST_CLAIMS);
  const notes = [];
  const kept = [];
  const evidence = [];
  const total = { text: '', aborted: false, looped: false, error: null, probabilities: [] };
  let lost = false;
  if (!found.length) notes.push({ key: 'agents.no_claims' });
  if (all.length > found.length) notes.push({ key: 'agents.claims_left', params: { count: all.length - found.length } });
  if (!context.llm) notes.push({ key: 'agents.no_model' });
  for (const [index, claim] of found.entries()) {
    if (signal?.aborted) break;
    yield status('agents.checking', { index: index + 1, count: found.length });
    const { event, wrote, kept: formed } = yield* check(claim, index, context);
    total.aborted ||= Boolean(wrote?.aborted);
    if (total.aborted) break;
    total.looped ||= Boolean(wrote?.looped);
    total.error ||= wrote?.error ?? null;
    lost ||= Boolean(wrote && !wrote.error && !formed);
    total.probabilities.push(...(wrote?.probabilities ?? []));
    if (event.source) {
      const known = evidence.findIndex((one) => one.passage === event.source.passage && one.text === event.source.text);
      event.n = known < 0 ? evidence.push(event.source) : known + 1;
      const { passage, text, quote } = event.source;
      if (known < 0) yield { type: 'citation', n: event.n, passage, text, quote };
    }
    kept.push(event);
    yield event;
  }
  total.aborted ||= Boolean(signal?.aborted);
  if (total.probabilities.length) yield confidence(total.probabilities);
  const result = outcome(total, lost);
  const labels = LABELS[language === 'en' ? 'en' : 'ar'];
  const counts = { supported: 0, refuted: 0, unknown: 0 };
  for (const { verdict } of kept) counts[verdict] += 1;
  const text = kept.map(({ text: claim, verdict, n }, at) => `${at + 1}. ${claim} — ${labels[verdict]}${n ? ` [${n}]` : ''}`).join('\n');
  const sources = evidence.map((source, at) => ({ ...source, n: at + 1 }));
  yield done({ ...result, text, claims: kept, counts, sources, notes: [...notes, ...result.notes] });
}

export const agent = {
  id: 'muraqib',
  name: { ar: 'مراقب', en: 'Muraqib' },
  description: {
    ar: 'يتحقق من الأقوال قولًا قولًا: مدعوم أو منقوض أو غير معروف، مع الدليل.',
    en: 'Checks claim by claim: supported, refuted or unknown, with the evidence.',
  },
  prompt({ query, sources, language }) {
    const form = format('muraqib', language);
    return messages(fill(form.prompt, { sources: lines(form, sources), query: quiet(query).trim() }));
  },
  parse: (text, { sources }) => parseVerdict(text, sources),
  run,
};
