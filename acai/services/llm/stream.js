// Text out of tokens as they come. One token may be part of a character: its bytes wait for the rest.

/** How many tokens back the text is decoded again, so that spaces and joined letters come out as in the whole. */
const BACK = 6;

/**
 * A stream of text. `push` gives what is certain so far, `end` what is left.
 * @param {(ids: number[]) => string} decode the tokenizer's, special tokens left out
 */
export class Stream {
  #decode;
  #ids = [];
  #start = 0; // first token that is decoded again
  #read = 0; // tokens before this one have been given as text

  constructor(decode) {
    this.#decode = decode;
  }

  /** The text that the token completes, often empty. */
  push(token) {
    this.#ids.push(token);
    const text = this.#ahead();
    if (!text || text.endsWith('\uFFFD')) return '';
    this.#read = this.#ids.length;
    this.#start = Math.max(this.#start, this.#read - BACK);
    return text;
  }

  /** What was held back: characters that were never completed are left out. */
  end() {
    const text = this.#ahead().replace(/\uFFFD+$/u, '');
    this.#read = this.#start = this.#ids.length;
    return text;
  }

  #ahead() {
    const before = this.#decode(this.#ids.slice(this.#start, this.#read));
    return this.#decode(this.#ids.slice(this.#start)).slice(before.length);
  }
}
