/**
 * Lughawi, the linguist. Roots, patterns, lexicon and variety come from rules and are labelled so; a sentence put into
 * another variety, and the variety's name, from the model, shown beside and labelled as the model's. Contract of the
 * model's answer: the sentence alone, or one of the three names.
 */

import { isArabic, tokens, words } from '../services/retrieval/normalise.js';
import { done, fault, outcome, status } from './events.js';
import { fill, format, messages, quiet } from './formats.js';
import { requestOf } from './lughawi-request.js';
import { contentWords } from './overlap.js';
import { identify, lookup, morphology, standardWords } from './lughawi-rules.js';
import { confidence, write } from './write.js';

const MAX_TOKENS = 96;
const MOST_WORDS = 12;
const LONGEST = 400;
const VARIETIES = {
  msa: { ar: 'فصحى', en: 'standard Arabic', said: /فصح|فصيح|\bstandard\b|\bmsa\b/ },
  gulf: { ar: 'خليجية', en: 'Gulf', said: /خليجي|\bgulf\b/ },
  bahraini: { ar: 'بحرينية', en: 'Bahraini', said: /بحريني|\bbahraini\b/ },
};
const WORDING = {
  ar: { root: 'الجذر', pattern: 'الوزن', means: 'بالفصحى', variety: 'اللهجة بحسب الألفاظ', by: 'دلت عليها', rules: 'كلمة كلمة بحسب المعجم', model: 'بحسب النموذج', none: 'لم تُعرف', likely: 'الأرجح' },
  en: { root: 'root', pattern: 'pattern', means: 'in standard Arabic', variety: 'Variety by its words', by: 'shown by', rules: 'Word by word, by the lexicon', model: 'By the model', none: 'not found', likely: 'likely' },
};

const bare = (word) => (words(word)[0] ?? '').replace(/^ال(?=..)/u, '');

/** One word by the rules; a particle or pronoun has no root. */
function analyse(word) {
  const found = lookup(word);
  const lexicon = found && { standard: found.entry.standard, variety: found.entry.variety, english: found.entry.english };
  const standard = lexicon ? bare(lexicon.standard) === bare(word) : true;
  const says = contentWords(word).length > 0;
  return { word, candidates: standard && says ? morphology(word) : [], lexicon: lexicon && !standard ? lexicon : null };
}

/**
 * The model's answer.
 * @param {string} text
 * @param {{task: string}} context
 * @returns {{answer: string, variety: string|null, kept: boolean}}
 */
export function parse(text, { task }) {
  const answer = text.replace(/<[^<>]{0,200}>/g, ' ').split('\n').map((line) => line.trim()).find(Boolean) ?? '';
  if (task === 'identify') {
    const said = words(answer).join(' ');
    const named = Object.keys(VARIETIES).filter((variety) => VARIETIES[variety].said.test(said));
    return { answer, variety: named.length === 1 ? named[0] : null, kept: named.length === 1 };
  }
  return { answer, variety: null, kept: tokens(answer).some(({ word }) => isArabic(word)) && answer.length <= 2 * LONGEST };
}

/** The line of a word in the answer. */
function lineOf({ word, candidates: [best], lexicon }, say, language) {
  const parts = [];
  if (lexicon) parts.push(`${say.means}: ${lexicon.standard}${language === 'en' ? ` (${lexicon.english})` : ''}، ${VARIETIES[lexicon.variety][language]}`);
  if (best) parts.push(`${say.root}: ${[...best.root].join(' ')}، ${say.pattern}: ${best.pattern}${best.known ? '' : ` (${say.likely})`}`);
  const line = `- ${word}: ${parts.join('؛ ') || say.none}`;
  return language === 'en' ? line.replaceAll('، ', ', ').replaceAll('؛ ', '; ') : line;
}

/** @param {object} context @returns {AsyncGenerator<import('./events.js').Event>} */
async function* run(context) {
  const { query, llm, signal } = context;
  const language = context.language === 'en' ? 'en' : 'ar';
  const say = WORDING[language];
  const { task, text: asked, whole } = requestOf(query);
  const text = asked.slice(0, LONGEST);
  yield status('agents.by_rules');
  const arabic = [...new Set(tokens(text).filter(({ word }) => isArabic(word)).map(({ start, end }) => text.slice(start, end)))];
  const analysed = arabic.slice(0, MOST_WORDS).map(analyse);
  for (const [index, one] of analysed.entries()) yield { type: 'step', kind: 'word', index, text: one.word, ...one };
  const variety = arabic.length ? identify(text) : null;
  const converted = task === 'normalize' ? standardWords(text) : null;
  const shown = [];
  if (variety) shown.push(`${say.variety}: ${VARIETIES[variety.variety][language]}${variety.words.length ? ` (${say.by}: ${variety.words.join(', ')})` : ''}`);
  if (task === 'analyse' || task === 'identify') shown.push(...analysed.map((one) => lineOf(one, say, language)));
  if (converted?.replaced.length) shown.push(`${say.rules}: ${converted.text}`);
  const rules = { task, subject: text, whole, words: analysed, variety, converted };
  const asks = task !== 'analyse' && arabic.length > 0;
  if (!asks || !llm) {
    const notes = llm || !asks ? [] : [{ key: 'agents.no_model' }];
    yield done({ text: shown.join('\n'), ...rules, model: null, notes: [{ key: 'agents.by_rules' }, ...notes] });
    return;
  }
  yield status('agents.by_model');
  const wrote = yield* write({ llm, messages: agent.prompt({ ...context, language, task, query: text }), maxTokens: MAX_TOKENS, signal, extra: { by: 'model' } });
  if (wrote.error) yield fault(wrote.error.key, wrote.error.params);
  const read = parse(wrote.text, { task });
  const result = outcome(wrote, !read.kept);
  if (wrote.text) yield confidence(wrote.probabilities);
  const notes = [{ key: 'agents.by_rules' }, ...result.notes];
  if (read.variety && variety.variety !== read.variety) notes.push({ key: 'agents.rules_disagree' });
  if (read.answer && !result.formatLost) shown.unshift(`${say.model}: ${read.variety ? VARIETIES[read.variety][language] : read.answer}`);
  yield done({ ...result, text: shown.join('\n'), ...rules, model: wrote.text ? { ...read, text: wrote.text } : null, notes });
}

export const agent = {
  id: 'lughawi',
  name: { ar: 'لغوي', en: 'Lughawi' },
  description: {
    ar: 'يحلل العربية ولهجاتها: الجذر والوزن واللهجة والتحويل إلى الفصحى.',
    en: 'Analyses Arabic and its dialects: root, pattern, variety, and conversion to the standard.',
  },
  prompt: ({ query, language, task }) => messages(fill(format('lughawi', language)[task], { query: quiet(query).trim() })),
  parse,
  run,
};
