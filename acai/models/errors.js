/** What can go wrong with stored data, by a key of the strings and the values that they show. */

/** Keys: models.quota, models.closed, models.newer, models.blocked, models.unavailable, models.missing, models.invalid, backup.*. */
export class StoreError extends Error {
  /** @param {string} key @param {Record<string, string|number>} [params] */
  constructor(key, params = {}) {
    super(`${key} ${JSON.stringify(params)}`);
    this.name = 'StoreError';
    this.key = key;
    this.params = params;
  }
}

const NAMES = {
  QuotaExceededError: 'models.quota', VersionError: 'models.newer', InvalidStateError: 'models.closed',
  SecurityError: 'models.unavailable', NotSupportedError: 'models.unavailable', UnknownError: 'models.unavailable',
};

/** Any fault of the database as a StoreError; others as they are. */
export function told(error) {
  if (error instanceof StoreError) return error;
  const cause = error?.name === 'AbortError' && error.cause ? error.cause : error;
  const key = NAMES[cause?.name] ?? (/quota|disk is full/i.test(String(cause?.message)) ? 'models.quota' : null);
  return key ? new StoreError(key) : error;
}
