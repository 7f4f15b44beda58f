// The next token out of the logits: greedy, or drawn from the most likely ones by a seed.

/** A generator of numbers in [0, 1) that a seed repeats (32-bit mixing of a counter). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Place of the largest logit, the first of equals. */
export function best(logits) {
  let place = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[place]) place = i;
  return place;
}

/** Natural logarithm of the probability of `token`. */
export function logprob(logits, token) {
  const most = logits[best(logits)];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - most);
  return logits[token] - most - Math.log(sum);
}

/**
 * Choose a token. Temperature 0 takes the most likely one; else one is drawn from the smallest set of likely tokens
 * whose probability together reaches `topP`. The log-probability is the model's own (temperature 1).
 * @param {Float32Array} logits
 * @param {{temperature?: number, topP?: number, draw?: () => number}} how
 * @returns {{token: number, logprob: number}}
 */
export function choose(logits, { temperature = 0, topP = 0.9, draw = Math.random } = {}) {
  const first = best(logits);
  if (!(temperature > 0)) return { token: first, logprob: logprob(logits, first) };
  const floor = logits[first] - 30 * temperature; // below that a token's share is under 1e-13
  const kept = [];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] < floor) continue;
    const share = Math.exp((logits[i] - logits[first]) / temperature);
    sum += share;
    kept.push([share, i]);
  }
  kept.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  let mass = 0;
  let count = 0;
  while (count < kept.length && mass < topP * sum) mass += kept[count++][0];
  let left = draw() * mass;
  let token = first;
  for (let i = 0; i < count; i++) {
    token = kept[i][1];
    left -= kept[i][0];
    if (left < 0) break;
  }
  return { token, logprob: logprob(logits, token) };
}
