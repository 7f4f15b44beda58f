// How much memory a model will take here, before it is tried: a tab that runs out of it dies without a word.
import { LLMError } from './errors.js';
import { download } from './manifest.js';

const GIGA = 2 ** 30;
/** Rows of the prompt that are read at once: their logits are in memory together. */
export const ROWS = 128;
/** The runtime, the page and the tokenizer. */
const BASE = 160 * 2 ** 20;

/** Parameters of a model by its configuration, embeddings counted once where they are tied. */
export function parameters(config) {
  const { hidden_size: wide, num_hidden_layers: layers, intermediate_size: inner, vocab_size: words } = config;
  const heads = config.num_attention_heads;
  const each = config.head_dim ?? wide / heads;
  const shared = config.num_key_value_heads ?? heads;
  const layer = wide * each * (2 * heads + 2 * shared) + 3 * wide * inner;
  return layers * layer + words * wide * (config.tie_word_embeddings === false ? 2 : 1);
}

/** Bytes of the keys and values of `tokens` tokens, fp32. */
export function cache(config, tokens) {
  const heads = config.num_key_value_heads ?? config.num_attention_heads;
  const each = config.head_dim ?? config.hidden_size / config.num_attention_heads;
  return 2 * 4 * config.num_hidden_layers * heads * each * tokens;
}

/**
 * Peak bytes of a form: what is stored, what the runtime makes of it (wasm widens every weight to fp32), the cache of
 * a full context twice (old and new), the logits of one reading.
 */
export function estimate(manifest, config, form, device) {
  const stored = download(manifest, form);
  const dense = 4 * parameters(config);
  const packed = form === 'q4' && device === 'webgpu';
  const made = packed ? stored + 4 * config.vocab_size * config.hidden_size : dense;
  return Math.ceil(BASE + stored + made + 2 * cache(config, manifest.context) + 4 * ROWS * config.vocab_size);
}

/**
 * Bytes that may be taken: 4 GB is all that wasm can address, and half of what the machine has is left to others.
 * Browsers tell the memory in whole steps up to 8 GB (or not at all): then wasm's own limit alone counts.
 */
export function limit(device, deviceMemory) {
  const machine = deviceMemory && deviceMemory < 8 ? deviceMemory * GIGA * 0.6 : Infinity;
  return Math.min(device === 'wasm' ? 3.5 * GIGA : 6 * GIGA, machine);
}

/**
 * Refuse what would not fit.
 * @throws {LLMError} llm.memory {needed, available} in bytes
 */
export function admit(manifest, config, form, device, deviceMemory) {
  const needed = estimate(manifest, config, form, device);
  const available = limit(device, deviceMemory);
  if (needed > available) throw new LLMError('llm.memory', { needed, available });
  return needed;
}
