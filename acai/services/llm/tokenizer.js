// The model's tokenizer and chat template, out of the bytes of its files.
import { LLMError } from './errors.js';

/**
 * @param {Map<string, ArrayBuffer>} files tokenizer.json, tokenizer_config.json
 * @param {object} library transformers.js
 */
export class Tokenizer {
  #core;
  #special;
  #template;

  constructor(files, library) {
    const json = (name) => JSON.parse(new TextDecoder().decode(files.get(name)));
    try {
      const settings = json('tokenizer_config.json');
      const stated = json('tokenizer.json');
      this.#core = new library.PreTrainedTokenizer(stated, settings);
      this.#template = Boolean(settings.chat_template);
      this.#special = (stated.added_tokens ?? []).filter(({ special, content }) => special && content?.length > 1)
        .map(({ content }) => content).sort((a, b) => b.length - a.length);
    } catch (error) {
      throw new LLMError('llm.tokenizer', { reason: String(error.message).slice(0, 200) });
    }
  }

  /** Text without special tokens. @param {number[]} ids */
  decode(ids) {
    if (!ids.length) return '';
    return this.#core.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  /**
   * Ids of a conversation with the opening of the answer. Control tokens inside the messages are taken apart: a
   * document that says <|system|> stays a document. A template without a system turn gets it with the first question.
   * @param {import('./context.js').Message[]} messages
   * @returns {number[]}
   */
  encode(messages) {
    const safe = messages.map(({ role, content }) => ({ role, content: this.plain(content) }));
    if (!this.#template) return this.#core.encode(safe.map(({ content }) => content).join('\n\n'));
    try {
      return this.#apply(safe);
    } catch (error) {
      if (safe[0]?.role !== 'system' || safe.length < 2) throw error;
      const [system, first, ...rest] = safe;
      return this.#apply([{ role: first.role, content: `${system.content}\n\n${first.content}` }, ...rest]);
    }
  }

  #apply(messages) {
    return Array.from(this.#core.apply_chat_template(messages,
      { add_generation_prompt: true, tokenize: true, return_tensor: false, return_dict: false }), Number);
  }

  /** Text in which no control token can be read. */
  plain(text) {
    let safe = String(text);
    for (let found = true; found;) {
      found = false;
      for (const token of this.#special) {
        if (!safe.includes(token)) continue;
        found = true;
        safe = safe.replaceAll(token, `${token[0]} ${token.slice(1)}`);
      }
    }
    return safe;
  }
}
