// Counts requests, so that the interface can say truthfully that none left the device.

/**
 * Count what a page or worker asks for from now on (and what it asked for before, as far as the browser remembers).
 * A request counts as outside when its address is not of the application's own origin, whether it was answered or not.
 * @param {typeof globalThis} scope
 * @returns {{total: number, outside: number}} a live count
 */
export function watch(scope = globalThis) {
  const count = { total: 0, outside: 0 };
  const home = scope.location.origin;
  const local = (address) => {
    const url = new URL(address, scope.location.href);
    return url.origin === home || url.protocol === 'blob:' || url.protocol === 'data:';
  };
  const add = (address) => {
    count.total += 1;
    if (!local(address)) count.outside += 1;
  };
  const observer = new scope.PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.initiatorType !== 'fetch') add(entry.name);
  });
  observer.observe({ type: 'resource', buffered: true });
  const fetch = scope.fetch.bind(scope);
  scope.fetch = (input, options) => { // counted when asked: a refused request never becomes an entry
    add(input instanceof scope.Request ? input.url : String(input));
    return fetch(input, options);
  };
  return count;
}
