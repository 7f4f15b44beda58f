/**
 * BM25 over several fields, kept in parts.
 *
 * score(d, q) = Σ_f boost_f Σ_t w_t · idf_f(t) · tf (k1 + 1) / (tf + k1 (1 − b + b · |d_f| / avg_f)),
 * idf_f(t) = ln(1 + (N − n_t + ½) / (n_t + ½))   (Robertson & Zaragoza 2009, with the 1 that keeps it positive)
 *
 * A part holds the passages of one owner. A search names the parts it may see; numbers of passages, document frequencies
 * and mean lengths are counted over these alone, so no score depends on another user's documents.
 */

export const K1 = 1.2;
export const B = 0.75;

/** Postings of one part. */
export class Part {
  /** @param {string[]} fields */
  constructor(fields) {
    this.fields = new Map(fields.map((name) => [name, { postings: new Map(), lengths: new Map(), total: 0 }]));
    this.size = 0;
  }

  /**
   * Add a passage.
   * @param {string|number} id not in this part yet
   * @param {Record<string, string[]>} terms the terms of each field, repeated as they occur
   */
  add(id, terms) {
    for (const [name, field] of this.fields) {
      const list = terms[name] ?? [];
      field.lengths.set(id, list.length);
      field.total += list.length;
      for (const term of list) {
        let found = field.postings.get(term);
        if (!found) field.postings.set(term, (found = new Map()));
        found.set(id, (found.get(id) ?? 0) + 1);
      }
    }
    this.size += 1;
  }

  /**
   * Take a passage out again.
   * @param {string|number} id
   * @param {Record<string, string[]>} terms as they were added
   */
  remove(id, terms) {
    for (const [name, field] of this.fields) {
      field.total -= field.lengths.get(id) ?? 0;
      field.lengths.delete(id);
      for (const term of new Set(terms[name] ?? [])) {
        const found = field.postings.get(term);
        found?.delete(id);
        if (found?.size === 0) field.postings.delete(term);
      }
    }
    this.size -= 1;
  }

  /** @param {string} field @param {string} term @returns {number} the passages that have the term in the field */
  having(field, term) {
    return this.fields.get(field).postings.get(term)?.size ?? 0;
  }
}

/**
 * Rank the passages of some parts.
 * @param {Part[]} parts
 * @param {Record<string, Map<string, number>>} query weight of every term, per field
 * @param {Record<string, number>} boosts weight of every field
 * @param {{k1?: number, b?: number}} [options]
 * @returns {{part: Part, id: string|number, score: number}[]} best first; equal scores in the order they were added
 */
export function rank(parts, query, boosts, { k1 = K1, b = B } = {}) {
  const count = parts.reduce((sum, part) => sum + part.size, 0);
  const scores = parts.map(() => new Map());
  for (const [name, terms] of Object.entries(query)) {
    const fields = parts.map((part) => part.fields.get(name));
    const mean = fields.reduce((sum, field) => sum + field.total, 0) / count;
    for (const [term, weight] of terms) {
      const lists = fields.map((field) => field.postings.get(term));
      const having = lists.reduce((sum, list) => sum + (list?.size ?? 0), 0);
      if (!having) continue;
      const factor = boosts[name] * weight * Math.log(1 + (count - having + 0.5) / (having + 0.5)) * (k1 + 1);
      lists.forEach((list, at) => {
        for (const [id, tf] of list ?? []) {
          const length = fields[at].lengths.get(id) / mean;
          scores[at].set(id, (scores[at].get(id) ?? 0) + (factor * tf) / (tf + k1 * (1 - b + b * length)));
        }
      });
    }
  }
  return scores
    .flatMap((found, at) => [...found].map(([id, score]) => ({ part: parts[at], id, score })))
    .sort((one, other) => other.score - one.score || parts.indexOf(one.part) - parts.indexOf(other.part) || (one.id < other.id ? -1 : 1));
}
