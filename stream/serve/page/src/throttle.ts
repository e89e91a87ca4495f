// Limits how often work runs: at most once per interval, in an animation frame.

/** Returns a function that requests the work. Requests made before it runs are served by the same run. */
export function throttled(work: () => void, milliseconds: number): () => void {
  let last = -Infinity;
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    const pause = Math.max(0, last + milliseconds - performance.now());
    setTimeout(() => {
      requestAnimationFrame(() => {
        waiting = false;
        last = performance.now();
        work();
      });
    }, pause);
  };
}
