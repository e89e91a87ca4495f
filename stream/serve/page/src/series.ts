// What was said over time, oldest first, within a bound: the older half is thinned out before anything new is left out.

export interface Point<Value> {
  at: number;
  /** Among points of the same moment, the larger came later. */
  order: number;
  value: Value;
}

export class Series<Value> {
  private points: Point<Value>[] = [];

  constructor(private readonly most: number) {}

  /** Takes a point in its place, whichever order they come in; the same point again changes nothing. False if it was there. */
  add(at: number, order: number, value: Value): boolean {
    const index = this.after(at, order);
    const before = this.points[index - 1];
    if (before !== undefined && before.at === at && before.order === order) return false;
    this.points.splice(index, 0, { at, order, value });
    if (this.points.length > this.most) this.thin();
    return true;
  }

  /** What was in force at a moment: the last point not after it. */
  at(moment: number): Value | null {
    return this.points[this.after(moment, Infinity) - 1]?.value ?? null;
  }

  /** All points in (since, until], oldest first. */
  between(since: number, until: number): readonly Point<Value>[] {
    return this.points.slice(this.after(since, Infinity), this.after(until, Infinity));
  }

  get first(): number | null {
    return this.points[0]?.at ?? null;
  }

  get length(): number {
    return this.points.length;
  }

  /** The number of points not after (at, order). */
  private after(at: number, order: number): number {
    let low = 0;
    let high = this.points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const point = this.points[middle] as Point<Value>;
      if (point.at < at || (point.at === at && point.order <= order)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Every second point of the older half goes; the first stays, so that the span does not shrink. */
  private thin(): void {
    const half = this.points.length >> 1;
    this.points = this.points.filter((_, index) => index >= half || index % 2 === 0);
  }
}
