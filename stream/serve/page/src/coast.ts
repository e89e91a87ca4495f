// The coastlines, from files beside the page: coarse for the world, fine when somebody zooms in.
import { feature } from "topojson-client";
import type { FeatureCollection } from "geojson";
import type { GeometryCollection, Topology } from "topojson-specification";

const FINE_FROM = 4;

type Land = Topology<{ land: GeometryCollection }>;

export class Coast {
  private coarse: FeatureCollection | null = null;
  private fine: FeatureCollection | null = null;
  private asked = false;
  /** Called when more of it has come. */
  onThere: () => void = () => undefined;

  constructor() {
    void this.fetch("/assets/land-110m.json").then((land) => {
      this.coarse = land;
      this.onThere();
    });
  }

  /** What there is for this zoom. */
  at(zoom: number): FeatureCollection | null {
    if (zoom < FINE_FROM) return this.coarse;
    if (!this.asked) {
      this.asked = true;
      void this.fetch("/assets/land-50m.json").then((land) => {
        this.fine = land;
        this.onThere();
      });
    }
    return this.fine ?? this.coarse;
  }

  private async fetch(path: string): Promise<FeatureCollection | null> {
    const answer = await fetch(path, { credentials: "omit" });
    if (!answer.ok) return null; // the map works without coastlines
    const topology = (await answer.json()) as Land;
    return feature(topology, topology.objects.land);
  }
}
