// What can go wrong with a model, by a key that the strings translate and the values that they show.

/**
 * Keys: llm.address, llm.manifest, llm.missing, llm.corrupt, llm.network, llm.quota, llm.memory, llm.selftest,
 * llm.session, llm.tokenizer, llm.context, llm.folder, llm.unloaded, llm.worker, llm.aborted.
 */
export class LLMError extends Error {
  /**
   * @param {string} key
   * @param {Record<string, string|number>} [params]
   */
  constructor(key, params = {}) {
    super(`${key} ${JSON.stringify(params)}`);
    this.name = 'LLMError';
    this.key = key;
    this.params = params;
  }

  /** Any error as what a worker can post. */
  static plain(error) {
    if (error instanceof LLMError) return { key: error.key, params: error.params };
    if (error?.name === 'AbortError') return { key: 'llm.aborted', params: {} };
    return { key: 'llm.session', params: { reason: String(error?.message ?? error).slice(0, 300) } };
  }
}
