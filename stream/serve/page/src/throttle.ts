// Work that many ask for and that is done once: at most once in some milliseconds, in a frame that is drawn.

/** Asks for the work; runs it soon, and again later only if somebody asked since. */
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
