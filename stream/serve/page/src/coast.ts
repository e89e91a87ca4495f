// The coastlines, loaded from files: coarse ones for the world, fine ones once the map is zoomed in.
import { feature } from "topojson-client";
import type { FeatureCollection } from "geojson";
import type { GeometryCollection, Topology } from "topojson-specification";

const FINE_FROM = 4;

type Land = Topology<{ land: GeometryCollection }>;

export class Coast {
  private coarse: FeatureCollection | null = null;
  private fine: FeatureCollection | null = null;
  private isLoadingFine = false;
  /** Called when coastlines have been loaded. */
  onLoaded: () => void = () => undefined;

  constructor() {
    void this.fetch("/assets/land-110m.json").then((land) => {
      this.coarse = land;
      this.onLoaded();
    });
  }

  /** Returns the best coastlines that are loaded for a zoom factor. */
  at(zoom: number): FeatureCollection | null {
    if (zoom < FINE_FROM) return this.coarse;
    if (!this.isLoadingFine) {
      this.isLoadingFine = true;
      void this.fetch("/assets/land-50m.json").then((land) => {
        this.fine = land;
        this.onLoaded();
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
