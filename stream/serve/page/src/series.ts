// Values over time, oldest first. When there are too many, every second one of the older half is dropped.

export interface Point<Value> {
  at: number;
  /** Orders points of the same moment: the larger one is later. */
  order: number;
  value: Value;
}

export class Series<Value> {
  private points: Point<Value>[] = [];

  constructor(private readonly most: number) {}

  /** Inserts a point at its place in time, in whatever order points arrive. Returns false if it was there already. */
  add(at: number, order: number, value: Value): boolean {
    const index = this.after(at, order);
    const before = this.points[index - 1];
    if (before !== undefined && before.at === at && before.order === order) return false;
    this.points.splice(index, 0, { at, order, value });
    if (this.points.length > this.most) this.thin();
    return true;
  }

  /** Returns the value in force at a moment: that of the last point not after it. */
  at(moment: number): Value | null {
    return this.points[this.after(moment, Infinity) - 1]?.value ?? null;
  }

  /** Returns the points in (since, until], oldest first. */
  between(since: number, until: number): readonly Point<Value>[] {
    return this.points.slice(this.after(since, Infinity), this.after(until, Infinity));
  }

  get first(): number | null {
    return this.points[0]?.at ?? null;
  }

  get length(): number {
    return this.points.length;
  }

  /** Returns the number of points not after (at, order), by binary search. */
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

  /** Drops every second point of the older half, but not the first, so that the time span stays. */
  private thin(): void {
    const half = this.points.length >> 1;
    this.points = this.points.filter((_, index) => index >= half || index % 2 === 0);
  }
}
