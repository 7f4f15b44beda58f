/** The wording of the prompts (formats.json), filled with text that can no longer pass for something else. */

import formats from './formats.json' with { type: 'json' };

export const LANGUAGES = ['ar', 'en'];
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;

/**
 * @param {string} agent
 * @param {string} language anything but `en` is Arabic
 * @returns {Record<string, string>}
 */
export const format = (agent, language) => formats[agent][language === 'en' ? 'en' : 'ar'];

/**
 * Put values in the places of a template, all at once: a value that holds `{query}` stays as it is.
 * @param {string} template
 * @param {Record<string, string|number>} values
 */
export const fill = (template, values) =>
  template.replace(/\{(\w+)\}/g, (place, name) => (Object.hasOwn(values, name) ? String(values[name]) : place));

/**
 * Text from outside as it may stand in a prompt: without control characters and direction marks, and with signs of the
 * chat template (`<|user|>`, `</s>`, `[INST]`) made harmless, so that they are read as text.
 * @param {string} text
 */
export const quiet = (text) =>
  String(text ?? '')
    .replace(CONTROLS, '')
    .replace(/<(?=[|/a-z_!][^<>\s]{0,60}>)([^<>\s]{1,61})>/gi, '‹$1›')
    .replace(/<\||\|>/g, '|')
    .replace(/\[(?=\/?(?:INST|SYS)\])/gi, '(');

/**
 * A passage as one line that holds no number in brackets: it cannot open another source or cite for the model.
 * @param {string} text
 */
export const oneLine = (text) =>
  quiet(text)
    .replace(/^[ \t]*(?:#{1,6}|[-*+>]|\d{1,3}[.)])[ \t]+/gm, '')
    .replace(/[[［【〔]\s*(\p{Nd}[\p{Nd}\s,،;؛-]*)[\]］】〕]?/gu, '($1)')
    .replace(/[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}/g, '')
    .replace(/\s+/g, ' ')
    .trim();

/** Context, in tokens, and weights below which a model is shown single sentences and no earlier turns. */
const ROOMY = 1024;
const LARGE = 50e6;

/**
 * Whether a model is to be shown little, as the pocket model was taught on: whole passages and talk of before lead one
 * of few weights astray.
 * @param {object} [llm]
 */
export function isSmall(llm) {
  const { context, parameters = Infinity } = llm?.info?.() ?? {};
  return (context || 512) < ROOMY || parameters < LARGE;
}

/**
 * The messages for a model: the prompt, after the last turns of the conversation where the model has room for them.
 * @param {string} content
 * @param {{history?: {role: string, content: string}[], llm?: object}} [options]
 */
export function messages(content, { history = [], llm } = {}) {
  const context = llm?.info?.()?.context ?? 0;
  const kept = context >= 2048 && !isSmall(llm) ? history.slice(-4) : [];
  const turns = kept
    .filter(({ role, content: text }) => ['user', 'assistant'].includes(role) && typeof text === 'string' && text)
    .map(({ role, content: text }) => ({ role, content: quiet(text).slice(0, context / 4) }));
  while (turns.length && turns[0].role !== 'user') turns.shift();
  if (turns.at(-1)?.role === 'user') turns.pop();
  return [...turns, { role: 'user', content }];
}
