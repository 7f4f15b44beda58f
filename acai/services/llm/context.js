// Keeping a conversation inside the model's context.
import { LLMError } from './errors.js';

/**
 * @typedef {{role: 'system'|'user'|'assistant', content: string}} Message
 */

/**
 * Token ids of as much of a conversation as fits: the oldest turns go first, an answer together with its question;
 * the system prompt and the last message stay.
 * @param {Message[]} messages
 * @param {(messages: Message[]) => number[]} encode by the model's chat template
 * @param {number} room tokens that the prompt may have
 * @returns {{ids: number[], dropped: number}} dropped: messages left out
 * @throws {LLMError} llm.context {needed, room} when what must stay does not fit
 */
export function fit(messages, encode, room) {
  const system = messages.filter((message) => message.role === 'system');
  let turns = messages.filter((message) => message.role !== 'system');
  if (!turns.length) throw new LLMError('llm.context', { needed: 0, room });
  const before = turns.length;
  for (;;) {
    const ids = encode([...system, ...turns]);
    if (ids.length <= room) return { ids, dropped: before - turns.length };
    if (turns.length === 1) throw new LLMError('llm.context', { needed: ids.length, room });
    let cut = 1;
    while (cut < turns.length - 1 && turns[cut].role !== 'user') cut++;
    turns = turns.slice(cut);
  }
}

/** Tokens that the prompt may have, when `wanted` are to be generated: never less than half of the context. */
export function room(context, wanted) {
  return Math.max(context - wanted, Math.floor(context / 2));
}
